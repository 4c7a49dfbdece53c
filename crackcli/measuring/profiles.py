"""Grey-value profiles of a photograph along short lines across a crack.

A photograph is read tile by tile: a profile belongs to the tile that contains its middle, and of
each tile only the window that its profiles need is read. So memory does not follow the raster,
however long a crack is.

Grey is luma, the weighted sum of the encoded red, green and blue (ITU-R BT.601). It is the one
channel that JPEG keeps at full resolution, and the least noisy. Red and blue alone are blurred by
chroma subsampling and by the colour filter of the sensor, and would blur the width. The channel is
not chosen by contrast: chosen for each crack, it could give one crack two widths in two campaigns.

Widths are ratios of light, so black must stay black: a photograph that is not 8-bit is read from 0
to its full scale (`full_scale`), not stretched for display.

Notation: S profiles of M values, at the same offsets (px) across the crack.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64, UInt8
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo
from crackcli.rasters.srgb import blend

TILE_PX = 512  # side of a tile; most large rasters have blocks of this size
KERNEL_PX = 4  # radius of the interpolation kernel
MARGIN_PX = 5  # read beyond the outermost value, for interpolation
MAX_PER_CALL = 16_384  # profiles per call of OpenCV
FULL_SCALES = 1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0  # floats, and 8 to 16 bits
HIGHLIGHTS = 1.05  # times the full scale; values may exceed it up to that
LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


class GreyReader(Protocol):
    """Interface that grey values are read from."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def read(self, window: Window) -> tuple[Float32, Bools]:
        """Return luma, 0 to 255, of a window, and which of its pixels are valid.

        The image is mirrored beyond its edges.
        """


class RasterPhotograph:
    """Photograph in a file; use it as a context manager."""

    def __init__(self, info: RasterInfo) -> None:
        self.raster = Raster(replace(info, stretch=full_scale(info.stretch)))

    def __enter__(self) -> Self:
        self.raster.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.raster.__exit__(kind, error, trace)

    @property
    def shape(self) -> tuple[int, int]:
        return self.raster.info.rows, self.raster.info.cols

    def read(self, window: Window) -> tuple[Float32, Bools]:
        pixels = self.raster.read(window)
        return luma(pixels.rgb), pixels.valid


class ArrayPhotograph:
    """Photograph in memory: grey (rows, cols) or RGB (rows, cols, 3), 0 to 255, all valid."""

    def __init__(self, image: UInt8 | Float32 | Float64) -> None:
        self.grey = luma(image) if image.ndim == 3 else image.astype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        return self.grey.shape[0], self.grey.shape[1]

    def read(self, window: Window) -> tuple[Float32, Bools]:
        rows, cols = (
            np.abs((np.arange(first, last) + side - 1) % max(1, 2 * side - 2) - (side - 1))
            for first, last, side in (
                (window.row, window.end_row, self.shape[0]),
                (window.col, window.end_col, self.shape[1]),
            )
        )
        return self.grey[rows][:, cols], np.ones(window.shape, bool)


@dataclass(frozen=True, eq=False)
class GreyProfiles:
    """Values (S, M) from 0 to 1, sRGB-``encoded`` and as ``linear`` light.

    Each is interpolated from pixels in its own encoding. ``complete`` (S,) are the profiles without
    an invalid pixel.
    """

    encoded: Float32
    linear: Float32
    complete: Bools

    def filled(self, line_offsets: list[int]) -> "GreyProfiles":
        """Return the profiles, incomplete ones replaced by the nearest complete one of their line.

        So no nodata goes into means along the line. ``line_offsets`` are the first profile of each
        line, and S. A line without a complete profile stays as it is.
        """
        if self.complete.all():
            return self
        at = np.arange(len(self.complete))
        nearest = at.copy()
        for begin, end in pairwise(line_offsets):
            known = begin + np.flatnonzero(self.complete[begin:end])
            if 0 < len(known) < end - begin:
                after = np.searchsorted(known, at[begin:end]).clip(max=len(known) - 1)
                one, other = known[(after - 1).clip(min=0)], known[after]
                closer = np.abs(at[begin:end] - one) <= np.abs(other - at[begin:end])
                nearest[begin:end] = np.where(closer, one, other)
        return GreyProfiles(self.encoded[nearest], self.linear[nearest], self.complete)

    def blended(self, linear_fraction: float) -> Float32:
        """Return the values (S, M) mixed by a linear fraction (`crackcli.measuring.tone`)."""
        if linear_fraction in (0.0, 1.0):
            return self.linear if linear_fraction else self.encoded
        encoded_fraction = np.float32(1 - linear_fraction)
        return np.float32(linear_fraction) * self.linear + encoded_fraction * self.encoded


def full_scale(stretch: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the values that are black and white in the encoding of a photograph.

    ``stretch`` are the values that `crackcli.rasters.reader` displays as black and white. Black is
    0; white is the least of `FULL_SCALES` that contains them, or else their upper limit. Values,
    floats too, are taken to be encoded like those of 8 bits. The full scale matters little, as
    encoding is nearly a power function; the black level does matter. Without a black level at 0, as
    with values that are all negative, the stretch is kept.
    """
    if stretch is None:
        return None
    low, high = stretch
    few_bits = low == 0 and high in (1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 127.0)
    if high <= max(low, 0.0) or few_bits:  # 0 is white if high is less than low
        return stretch
    return 0.0, next((scale for scale in FULL_SCALES if high <= HIGHLIGHTS * scale), high)


def luma(rgb: UInt8 | Float32 | Float64) -> Float32:
    """Return the grey values (rows, cols) of colours (rows, cols, 3), not rounded."""
    grey = cv2.transform(np.ascontiguousarray(rgb, np.float32), LUMA)
    return np.asarray(grey, np.float32).reshape(rgb.shape[:2])


def read_profiles(
    photograph: GreyReader,
    points: Float64,
    normals: Float64,
    offsets: Float64,
) -> GreyProfiles:
    """Return the values at ``points`` (S, 2) + ``offsets`` (M,) times ``normals`` (S, 2).

    Interpolation is by Lanczos; a bicubic one makes a blurred line 1 % too dark. The photograph is
    mirrored beyond its edges.
    """
    encoded = np.empty((len(points), len(offsets)), np.float32)
    linear = np.empty_like(encoded)
    complete = np.ones(len(points), bool)
    room = float(np.abs(offsets).max()) + MARGIN_PX
    for members in tiles(points):
        middle = points[members]
        low = np.floor(middle.min(axis=0) - room).astype(int)
        high = np.ceil(middle.max(axis=0) + room).astype(int) + 1
        window = Window(int(low[1]), int(low[0]), int(high[1] - low[1]), int(high[0] - low[0]))
        grey, valid = photograph.read(window)
        across = normals[members]
        x, y = (
            (middle[:, axis, None] - low[axis] + across[:, axis, None] * offsets).astype(np.float32)
            for axis in (0, 1)
        )
        for linear_fraction, values in ((0.0, encoded), (1.0, linear)):
            mixed = blend(grey, linear_fraction)
            values[members] = cv2.remap(mixed, x, y, cv2.INTER_LANCZOS4)
        if not valid.all():
            near = np.ones((2 * KERNEL_PX + 1,) * 2, np.uint8)
            holes = cv2.dilate(np.ascontiguousarray(~valid, np.uint8), near)
            complete[members] = ~cv2.remap(holes, x, y, cv2.INTER_NEAREST).any(axis=1)
    return GreyProfiles(encoded, linear, complete)


def tiles(points: Float64) -> Iterator[Int64]:
    """Yield the indices of the points (S, 2) of each tile, in reading order of the tiles."""
    if len(points) == 0:
        return
    cols, rows = np.floor(points / TILE_PX).astype(np.int64).T
    order = np.lexsort((cols, rows))
    changes = np.flatnonzero((np.diff(rows[order]) != 0) | (np.diff(cols[order]) != 0)) + 1
    for begin, end in pairwise([0, *changes.tolist(), len(points)]):
        for first in range(begin, end, MAX_PER_CALL):
            yield order[first : min(first + MAX_PER_CALL, end)]
