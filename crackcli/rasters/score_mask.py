"""Read the score and mask rasters of a scene, which have a single band of bytes."""

import contextlib
from pathlib import Path
from types import TracebackType

from crackcli.arrays import UInt8
from crackcli.errors import InputError
from crackcli.rasters.access.opening import open_raster, pixel_errors
from crackcli.rasters.grid import Window, reflect_window
from crackcli.rasters.reader import to_rasterio_window

NODATA = 255
CRACK = 1  # in a mask
SCORE_MAX = 254  # in a score
SCAN_AGAIN = "scan its photograph again with --overwrite"  # for a score or mask


class Band:
    """The single band of a score or mask raster, opened for reading; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Band":
        self.source = self.stack.enter_context(open_raster(self.path, SCAN_AGAIN))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self.stack.__exit__(kind, error, traceback)

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of rows and columns."""
        rows, cols = self.source.shape
        return rows, cols

    def read(self, window: Window) -> UInt8:
        """Read a window (rows, cols); beyond the edges, the raster is reflected."""
        inside, (rows, cols) = reflect_window(window, *self.source.shape)
        with pixel_errors(self.path, SCAN_AGAIN):
            values: UInt8 = self.source.read(1, window=to_rasterio_window(inside))
        return values[rows][:, cols]

    def read_reduced(self, rows: int, cols: int) -> UInt8:
        """Read the whole raster at a size of ``rows`` by ``cols``: the nearest pixel of each."""
        with pixel_errors(self.path, SCAN_AGAIN):
            values: UInt8 = self.source.read(1, out_shape=(rows, cols))
        return values


def read_band(path: Path, window: Window | None = None) -> UInt8:
    """Read a window (default: all) of the single band of a score or mask raster."""
    with Band(path) as band:
        return band.read(window or Window(0, 0, *band.shape))


def is_readable(path: Path) -> bool:
    """Return True if every pixel of a score or mask raster can be read."""
    try:
        with Band(path) as band:
            rows, cols = band.shape
            high, _ = band.source.block_shapes[0]
            for row in range(0, rows, high):
                band.read(Window(row, 0, min(high, rows - row), cols))
    except InputError:
        return False
    return True


def read_tags(path: Path, page: int | None = None) -> dict[str, str]:
    """Return the tags of a raster, or of one page of it."""
    with open_raster(path, page=page) as source:
        return dict(source.tags())
