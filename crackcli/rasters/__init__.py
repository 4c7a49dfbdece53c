"""Raster files of any size: windows of upright RGB with a mask of valid pixels, read ahead,
resampled, written as COG."""
