"""A raster read at another resolution: zooms are powers of two, so that a pixel is the same in
every window."""

from collections.abc import Collection
from dataclasses import replace

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.errors import UsageError
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import RasterReader, fill_nodata
from crackcli.rasters.reader import Pixels, RasterInfo

ZOOMS = (0.25, 0.5, 1.0, 2.0, 4.0)
FULL_RESOLUTION = (1.0,)
AUTO_ZOOMS = (0.5, 1.0)  # what measured better than plain and costs a quarter more; see the README
TAPS_PX = 2  # of the raster, on each side, that a pixel of a larger view is made of
NEAR_PX = 8  # of the raster: around what is resampled, so that holes are filled the same way
PIECE_ROWS, PIECE_COLS = 256, 4096  # of the raster: resampled at once; whole pixels of a view


def parse_zooms(text: str) -> tuple[float, ...]:
    """Zooms as they are typed: "2", "0.5,1,2", or auto."""
    if text.strip() == "auto":
        return AUTO_ZOOMS
    try:
        zooms = [float(part) for part in text.split(",")]
    except ValueError:
        zooms = []
    return sort_zooms(zooms, text)


def sort_zooms(zooms: Collection[float], typed: object = None) -> tuple[float, ...]:
    """Zooms rising, each once: a scan is the same in whatever order they were given.

    Raises a `UsageError` unless there are some, and all are known.
    """
    if not zooms or not set(zooms) <= set(ZOOMS):
        menu = ", ".join(f"{zoom:g}" for zoom in ZOOMS)
        given = zooms if typed is None else typed
        raise UsageError(f"'{given}' is no zoom; choose one of: {menu}, several as 1,2, or auto")
    return tuple(sorted({float(zoom) for zoom in zooms}))


def resampled_shape(info: RasterInfo, zoom: float) -> tuple[int, int]:
    """Rows and columns of a view; the last of a smaller one may reach beyond the raster."""
    rows, cols = (int(np.ceil(side * zoom)) for side in (info.rows, info.cols))
    return rows, cols


class ResampledRaster:
    """An open raster as it is seen at another zoom; read like a `Raster`."""

    def __init__(self, raster: RasterReader, zoom: float) -> None:
        rows, cols = resampled_shape(raster.info, zoom)
        digest = f"{raster.info.digest} x{zoom:g}"
        self.info = replace(raster.info, rows=rows, cols=cols, digest=digest)
        self.raster, self.zoom = raster, zoom

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the view."""
        inner = self.to_raster(window)
        seen = self.to_view(inner)
        rgb, valid = np.zeros((*seen.shape, 3), np.uint8), np.zeros(seen.shape, bool)
        for row in range(inner.row, inner.end_row, PIECE_ROWS):
            rows = Window(row, inner.col, min(PIECE_ROWS, inner.end_row - row), inner.cols)
            outer = rows.grown(NEAR_PX)
            pixels = self.raster.read(outer)
            valid[self.to_view(rows).within(seen)] = resample_flags(
                pixels.valid[rows.within(outer)], self.zoom
            )
            for col in range(inner.col, inner.end_col, PIECE_COLS):
                part = Window(row, col, rows.rows, min(PIECE_COLS, inner.end_col - col))
                around = part.grown(NEAR_PX).within(outer)
                if pixels.valid[around].any():
                    filled = fill_nodata(pixels.rgb[around], pixels.valid[around])
                    rgb[self.to_view(part).within(seen)] = resample(filled, self.zoom)
        asked = window.within(seen)
        return Pixels(rgb[asked], valid[asked])

    def read_valid(self, window: Window) -> Bools:
        """Only which pixels are valid, of a window inside the view."""
        inner = self.to_raster(window)
        inside = inner.clipped(self.raster.info.rows, self.raster.info.cols)
        valid = np.zeros(inner.shape, bool)
        valid[inside.within(inner)] = self.raster.read_valid(inside)
        return resample_flags(valid, self.zoom)[window.within(self.to_view(inner))]

    def to_raster(self, window: Window) -> Window:
        """The whole pixels of the raster that hold a window of the view."""
        row, col = (int(np.floor(first / self.zoom)) for first in (window.row, window.col))
        end_row, end_col = (
            int(np.ceil(end / self.zoom)) for end in (window.end_row, window.end_col)
        )
        return Window(row, col, end_row - row, end_col - col)

    def to_view(self, source: Window) -> Window:
        """A window of the raster as one of the view."""
        return Window(*(round(v * self.zoom) for v in (source.row, source.col, *source.shape)))


def resample(rgb: UInt8, zoom: float) -> UInt8:
    """What a view shows of ``rgb`` (rows, cols, 3) without the `NEAR_PX` on each side of it: larger
    by cubic interpolation, smaller by the mean of the pixels that fall together."""
    rim = NEAR_PX if zoom < 1 else NEAR_PX - TAPS_PX
    part = np.ascontiguousarray(rgb[rim:-rim, rim:-rim])
    size = round(part.shape[1] * zoom), round(part.shape[0] * zoom)
    if zoom < 1:
        return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    cut = round(TAPS_PX * zoom)
    return cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)[cut:-cut, cut:-cut]


def resample_flags(flags: Bools, zoom: float) -> Bools:
    """Bools (rows, cols) in a view; in a smaller one set where one of those that fall together is,
    since only there is something to be seen."""
    if zoom >= 1:
        return flags.repeat(round(zoom), axis=0).repeat(round(zoom), axis=1)
    side = round(1 / zoom)
    rows, cols = flags.shape
    return flags.reshape(rows // side, side, cols // side, side).any(axis=(1, 3))
