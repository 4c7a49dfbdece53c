"""Fill nodata pixels, so that a network gets no edge that is not on the surface.

They get the colour of the nearest valid pixel: any other value would be an edge, and a crack
classifier responds to edges. Further away the fill fades to grey, so that it does not depend on
the window.
"""

from typing import Protocol

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.rasters.covering import grow_within
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Pixels, RasterInfo

FADE_PX = 64  # distance from valid pixels at which the fill is grey
FILL_GREY = 128


class RasterReader(Protocol):
    """Interface of the rasters that a scan reads: opened, read ahead, resampled or blank."""

    @property
    def info(self) -> RasterInfo:
        """Return the size, place and content of the raster."""
        ...

    @property
    def zoom(self) -> float:
        """Return the number of pixels per pixel of the file, along a side."""
        ...

    @property
    def keeps_decoded(self) -> bool:
        """Return True if decoded rows are kept, so that overlapping windows cost little.

        `read_valid` of such a reader also takes windows that reach beyond the raster.
        """
        ...

    def read(self, window: Window) -> Pixels:
        """Read a window; beyond the edges, the raster is reflected."""
        ...

    def read_rgb(self, window: Window) -> UInt8:
        """Read the colours (rows, cols, 3) of a window like `read`."""
        ...

    def read_valid(self, window: Window) -> Bools:
        """Return the valid pixels (rows, cols) of a window inside the raster."""
        ...


class FilledWindow:
    """A window of a raster whose parts can be read with nodata filled.

    With a reader that keeps decoded rows, each part is read when it is asked for. With others the
    whole window is read at once; if it has nodata, with the surroundings that the fill depends on.
    """

    def __init__(self, raster: RasterReader, window: Window) -> None:
        self.raster, self.outer = raster, window
        self.pixels: Pixels | None = None  # None: parts are read when asked for
        self.flags: Bools | None = None  # valid pixels of ``outer``; None: all
        if raster.keeps_decoded:
            if raster.info.masked:
                self.outer = window.grown(FADE_PX)
                self.flags = raster.read_valid(self.outer)
            return
        self.pixels = raster.read(window)
        if not self.pixels.valid.all():
            self.outer = window.grown(FADE_PX)
            self.pixels = raster.read(self.outer)
            self.flags = self.pixels.valid

    @property
    def complete(self) -> bool:
        """Return True if all pixels are valid."""
        return self.flags is None or bool(self.flags.all())

    def valid(self, window: Window) -> Bools:
        """Return the valid pixels (rows, cols) of a part."""
        if self.flags is None:
            return np.ones(window.shape, bool)
        return self.flags[window.within(self.outer)]

    def filled(self, window: Window) -> UInt8 | None:
        """Return a part (rows, cols, 3) with nodata filled; None if all of it would be grey."""
        if self.flags is None:
            return self.rgb(window)
        near = grow_within(window, FADE_PX, self.outer)
        valid = self.valid(near)
        if not valid.any():
            return None
        rgb = fill_nodata(self.rgb(near), valid)
        return np.ascontiguousarray(rgb[window.within(near)])

    def rgb(self, window: Window) -> UInt8:
        """Return a part (rows, cols, 3) unchanged: nodata is black."""
        if self.pixels is None:
            return self.raster.read_rgb(window)
        return self.pixels.rgb[window.within(self.outer)]


def fill_nodata(rgb: UInt8, valid: Bools) -> UInt8:
    """Return ``rgb`` (rows, cols, 3) with nodata pixels filled.

    They get the colour of the nearest valid pixel, fading linearly to grey over `FADE_PX`.
    """
    if valid.all():
        return rgb
    if not valid.any():
        return np.full_like(rgb, FILL_GREY)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[valid]] = rgb[valid]
    grey = (distance / FADE_PX).clip(max=1)[..., None]  # fraction of grey
    result: UInt8 = np.rint(colours[nearest] * (1 - grey) + FILL_GREY * grey).astype(np.uint8)
    result[valid] = rgb[valid]
    return result
