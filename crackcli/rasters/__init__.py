"""Reads and writes rasters of any size: RGB windows with a validity mask, read-ahead, resampling,
COG."""
