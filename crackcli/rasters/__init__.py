"""Read and write rasters of any size: RGB windows with a validity mask, read-ahead, COG."""

from crackcli.rasters.grid import Grid, Window
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.rasters.reader import Raster, RasterInfo, inspect
from crackcli.rasters.writing.cog import write_cog

__all__ = ["Grid", "Raster", "RasterInfo", "ReadAhead", "Window", "inspect", "write_cog"]
