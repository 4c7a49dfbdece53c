"""Pixels without data filled, so that a network sees no edge that is none.

They are filled from their nearest neighbours: any other value would be an edge, and edges are what
a crack classifier looks at.  Further away the fill fades to grey, so that it too is the same in
every window.
"""

from typing import Protocol

import cv2
import numpy as np

from crackcli.grid import Window
from crackcli.raster import Bytes, Flags, Pixels, RasterInfo
from crackcli.windows import grown

FAR_PX = 64  # from valid pixels, where the fill of those without data is grey
GREY = 128


class Readable(Protocol):
    """What is explained: an open raster, or one seen at another zoom."""

    @property
    def info(self) -> RasterInfo: ...

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the raster."""
        ...

    def read_valid(self, window: Window) -> Flags:
        """Which pixels are valid, of a window inside the raster."""
        ...


def read_wide(raster: Readable, window: Window) -> tuple[Pixels, Window]:
    """A window, and around it what `filled` needs if some of its pixels have no data."""
    pixels = raster.read(window)
    if pixels.valid.all():
        return pixels, window
    wide = window.grown(FAR_PX)
    return raster.read(wide), wide


def filled(pixels: Pixels, outer: Window, window: Window) -> Bytes | None:
    """The part ``window`` (rows, cols, 3) of pixels that hold ``outer``, without holes; None where
    it would be nothing but fill."""
    near = grown(window, FAR_PX, outer)
    part = near.within(outer)
    if not pixels.valid[part].any():
        return None
    rgb = fill(pixels.rgb[part], pixels.valid[part])
    return np.ascontiguousarray(rgb[window.within(near)])


def fill(rgb: Bytes, valid: Flags) -> Bytes:
    """``rgb`` (rows, cols, 3) with the colour of the nearest valid pixel where there is none,
    fading to grey."""
    if valid.all():
        return rgb
    if not valid.any():
        return np.full_like(rgb, GREY)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[valid]] = rgb[valid]
    share = (distance / FAR_PX).clip(max=1)[..., None]
    result = np.rint(colours[nearest] * (1 - share) + GREY * share).astype(np.uint8)
    result[valid] = rgb[valid]
    return result
