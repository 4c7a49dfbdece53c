"""Read a whole photograph, for learning and evaluation, by the rules of a scan."""

from pathlib import Path

from crackcli.arrays import UInt8
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import fill_nodata
from crackcli.rasters.reader import Raster, inspect


def read_photograph(path: Path) -> UInt8:
    """Return a photograph as RGB (rows, cols, 3), upright, with nodata filled as in a scan.

    Raises `InputError` if it cannot be scanned, or is damaged.
    """
    info = inspect(path)
    with Raster(info) as raster:
        pixels = raster.read(Window(0, 0, info.rows, info.cols))
    return fill_nodata(pixels.rgb, pixels.valid)
