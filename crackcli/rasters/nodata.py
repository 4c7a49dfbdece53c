"""Pixels without data filled, so that a network sees no edge that is none.

They are filled from their nearest neighbours: any other value would be an edge, and edges are what
a crack classifier looks at.  Further away the fill fades to grey, so that it too is the same in
every window.
"""

from typing import Protocol

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.rasters.covering import grow_within
from crackcli.rasters.grid import Window
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.rasters.reader import Pixels, RasterInfo

FADE_PX = 64  # from valid pixels, where the fill of those without data is grey
FILL_GREY = 128


class RasterReader(Protocol):
    """What is explained: an open raster, or one seen at another zoom."""

    @property
    def info(self) -> RasterInfo: ...

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the raster."""
        ...

    def read_valid(self, window: Window) -> Bools:
        """Which pixels are valid, of a window inside the raster."""
        ...


class FilledWindow:
    """A window of a raster of which parts are seen, without holes.

    Of a raster that is read ahead each part is put together from what was decoded when it is asked
    for.  Else the window is read at once, with what is needed around it if some of its pixels have
    no data.
    """

    def __init__(self, raster: RasterReader, window: Window) -> None:
        self.raster, self.outer = raster, window
        self.pixels: Pixels | None = None  # but for a raster that is read ahead
        self.flags: Bools | None = None  # which are valid; None: all
        if isinstance(raster, ReadAhead):
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
        """Whether all pixels are valid."""
        return self.flags is None or bool(self.flags.all())

    def valid(self, window: Window) -> Bools:
        """Which pixels of a part are valid."""
        if self.flags is None:
            return np.ones(window.shape, bool)
        return self.flags[window.within(self.outer)]

    def filled(self, window: Window) -> UInt8 | None:
        """A part (rows, cols, 3) without holes; None where it would be nothing but fill."""
        if self.flags is None:
            return self.rgb(window)
        near = grow_within(window, FADE_PX, self.outer)
        valid = self.valid(near)
        if not valid.any():
            return None
        rgb = fill_nodata(self.rgb(near), valid)
        return np.ascontiguousarray(rgb[window.within(near)])

    def rgb(self, window: Window) -> UInt8:
        """A part (rows, cols, 3) as it is, holes and all."""
        if self.pixels is None:
            return self.raster.read_rgb(window)
        return self.pixels.rgb[window.within(self.outer)]


def fill_nodata(rgb: UInt8, valid: Bools) -> UInt8:
    """``rgb`` (rows, cols, 3) with the colour of the nearest valid pixel where there is none,
    fading to grey."""
    if valid.all():
        return rgb
    if not valid.any():
        return np.full_like(rgb, FILL_GREY)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[valid]] = rgb[valid]
    share = (distance / FADE_PX).clip(max=1)[..., None]
    result = np.rint(colours[nearest] * (1 - share) + FILL_GREY * share).astype(np.uint8)
    result[valid] = rgb[valid]
    return result
