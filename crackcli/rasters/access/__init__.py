"""Open raster files for reading: regular files of this machine, by the drivers of a list."""
