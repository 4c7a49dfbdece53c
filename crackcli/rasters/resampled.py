"""Read a raster at another resolution, and parse the zooms of ``--zoom``.

A view is the raster at one zoom: a zoom of 0.5 has half as many pixels along each side. Zooms are
powers of two, so that a pixel of a view does not depend on the window.
"""

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
AUTO_ZOOMS = (0.5, 1.0)  # more accurate than 1 alone and a quarter slower; see docs/scan.md
TAPS_PX = 2  # px of the raster on each side that cubic interpolation reads
NEAR_PX = 8  # px of the raster around a window, so that its nodata is always filled the same way
PIECE_ROWS, PIECE_COLS = 256, 4096  # px of the raster, resampled at once; multiples of 4


def parse_zooms(text: str) -> tuple[float, ...]:
    """Parse zooms as typed after ``--zoom``: "2", "0.5,1,2" or "auto"."""
    if text.strip() == "auto":
        return AUTO_ZOOMS
    try:
        zooms = [float(part) for part in text.split(",")]
    except ValueError:
        zooms = []
    return sort_zooms(zooms, text)


def sort_zooms(zooms: Collection[float], typed: object = None) -> tuple[float, ...]:
    """Return zooms in rising order, each once: their order has no effect on a scan.

    ``typed`` is the text of the option. Raises a `UsageError` if there is none or one is unknown.
    """
    if not zooms or not set(zooms) <= set(ZOOMS):
        *others, last = (f"{zoom:g}" for zoom in ZOOMS)
        given = ",".join(f"{zoom:g}" for zoom in zooms) if typed is None else typed
        raise UsageError(
            f"--zoom {given}: not supported; use {', '.join(others)} or {last}, several of them "
            "(1,2), or auto"
        )
    return tuple(sorted({float(zoom) for zoom in zooms}))


def resampled_shape(info: RasterInfo, zoom: float) -> tuple[int, int]:
    """Return the rows and columns of a view; of a smaller one, the last may lie partly outside."""
    rows, cols = (int(np.ceil(side * zoom)) for side in (info.rows, info.cols))
    return rows, cols


class ResampledRaster:
    """An open raster at another zoom, with the methods of `Raster`."""

    keeps_decoded = False

    def __init__(self, raster: RasterReader, zoom: float) -> None:
        rows, cols = resampled_shape(raster.info, zoom)
        digest = f"{raster.info.digest} x{zoom:g}"
        self.info = replace(raster.info, rows=rows, cols=cols, digest=digest)
        self.raster, self.zoom = raster, zoom

    def read(self, window: Window) -> Pixels:
        """Read a window of the view; beyond the edges, the raster is reflected."""
        inner = self.to_raster(window)
        whole = self.to_view(inner)
        rgb, valid = np.zeros((*whole.shape, 3), np.uint8), np.zeros(whole.shape, bool)
        for row in range(inner.row, inner.end_row, PIECE_ROWS):
            rows = Window(row, inner.col, min(PIECE_ROWS, inner.end_row - row), inner.cols)
            outer = rows.grown(NEAR_PX)
            pixels = self.raster.read(outer)
            valid[self.to_view(rows).within(whole)] = resample_flags(
                pixels.valid[rows.within(outer)], self.zoom
            )
            for col in range(inner.col, inner.end_col, PIECE_COLS):
                part = Window(row, col, rows.rows, min(PIECE_COLS, inner.end_col - col))
                around = part.grown(NEAR_PX).within(outer)
                if pixels.valid[around].any():
                    filled = fill_nodata(pixels.rgb[around], pixels.valid[around])
                    rgb[self.to_view(part).within(whole)] = resample(filled, self.zoom)
        requested = window.within(whole)
        return Pixels(rgb[requested], valid[requested])

    def read_rgb(self, window: Window) -> UInt8:
        """Read the colours (rows, cols, 3) of a window like `read`."""
        return self.read(window).rgb

    def read_valid(self, window: Window) -> Bools:
        """Return the valid pixels (rows, cols) of a window inside the view."""
        inner = self.to_raster(window)
        inside = inner.clipped(self.raster.info.rows, self.raster.info.cols)
        valid = np.zeros(inner.shape, bool)
        valid[inside.within(inner)] = self.raster.read_valid(inside)
        return resample_flags(valid, self.zoom)[window.within(self.to_view(inner))]

    def to_raster(self, window: Window) -> Window:
        """Return the window of the raster, in whole pixels, that contains a window of the view."""
        row, col = (int(np.floor(first / self.zoom)) for first in (window.row, window.col))
        end_row, end_col = (
            int(np.ceil(end / self.zoom)) for end in (window.end_row, window.end_col)
        )
        return Window(row, col, end_row - row, end_col - col)

    def to_view(self, source: Window) -> Window:
        """Return a window of the raster in pixels of the view."""
        return Window(*(round(v * self.zoom) for v in (source.row, source.col, *source.shape)))


def resample(rgb: UInt8, zoom: float) -> UInt8:
    """Resample ``rgb`` (rows, cols, 3), which has a rim of `NEAR_PX` on each side, without the rim.

    Larger views by cubic interpolation, smaller ones by the mean of the pixels that fall together.
    """
    rim = NEAR_PX if zoom < 1 else NEAR_PX - TAPS_PX
    part = np.ascontiguousarray(rgb[rim:-rim, rim:-rim])
    size = round(part.shape[1] * zoom), round(part.shape[0] * zoom)
    if zoom < 1:
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    cut = round(TAPS_PX * zoom)
    larger = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return larger[cut:-cut, cut:-cut]


def resample_flags(flags: Bools, zoom: float) -> Bools:
    """Resample flags (rows, cols) to a view.

    A pixel of a smaller view is set if any of the pixels that fall together is: it can be
    classified as soon as part of it is valid.
    """
    if zoom >= 1:
        return flags.repeat(round(zoom), axis=0).repeat(round(zoom), axis=1)
    side = round(1 / zoom)
    rows, cols = flags.shape
    blocks = flags.reshape(rows // side, side, cols // side, side)
    return np.asarray(blocks.any(axis=(1, 3)))
