"""Profiles: the grey values of a photograph along short lines across a crack.

A photograph is read tile by tile: every profile belongs to the tile in which its middle lies, and
of each tile no more is read than its profiles need.  So memory does not follow the raster, however
far a crack runs.

Grey is luma, the weighted sum of the encoded red, green and blue (Rec. 601).  It is the one channel
that JPEG keeps at full resolution, and the least noisy; red and blue alone are blurred by chroma
subsampling and by the colour filter of the sensor, and so would be the width.  No channel is chosen
by contrast: a choice made crack by crack would give the same crack two widths in two campaigns.

Widths are ratios of light, so black must stay black: a photograph that is not 8-bit is not
stretched as for the eye, but read from 0 to its full scale (`full_scale`).

Notation: S profiles of M values, at the same offsets across the crack.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float32, Float64, Int64
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo
from crackcli.rasters.srgb import blend

TILE_PX = 512  # side of a tile, as large as the blocks of most large rasters
KERNEL_PX = 4  # so far interpolation looks
ROOM_PX = 5  # beyond the outermost value: what interpolation looks at
AT_ONCE = 16_384  # profiles that OpenCV reads in one call
FULL_SCALES = 1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0  # of floats, and 8 to 16 bits
OVER = 1.05  # times its full scale: a photograph may have highlights up to that
LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


class GreyReader(Protocol):
    """What grey values are read from."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def read(self, window: Window) -> tuple[Float32, Bools]:
        """Luma, 0 to 255, of a window that may reach beyond the edges, where it is mirrored; and
        which of its pixels are valid."""


class RasterPhotograph:
    """A photograph in a file; use as a context manager."""

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
    """A photograph in memory: grey (rows, cols) or RGB (rows, cols, 3), 0 to 255, all valid."""

    def __init__(self, image: NDArray) -> None:
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
    """Values (S, M) from 0 to 1, as they are ``encoded`` and as linear ``light``, interpolated
    either way, and which profiles (S,) have no invalid pixel."""

    encoded: Float32
    light: Float32
    seen: Bools

    def filled(self, line_offsets: list[int]) -> "GreyProfiles":
        """With what is nearest of the same line in place of profiles that are not seen, so that
        nothing of no data goes into means along the line; ``line_offsets`` are the first of each line,
        and S.  Of a line of which nothing is seen, all stays."""
        if self.seen.all():
            return self
        at = np.arange(len(self.seen))
        nearest = at.copy()
        for begin, end in pairwise(line_offsets):
            known = begin + np.flatnonzero(self.seen[begin:end])
            if 0 < len(known) < end - begin:
                after = np.searchsorted(known, at[begin:end]).clip(max=len(known) - 1)
                one, other = known[(after - 1).clip(min=0)], known[after]
                closer = np.abs(at[begin:end] - one) <= np.abs(other - at[begin:end])
                nearest[begin:end] = np.where(closer, one, other)
        return GreyProfiles(self.encoded[nearest], self.light[nearest], self.seen)

    def mixed(self, share: float) -> Float32:
        """The values (S, M) with this share of linear light."""
        if share in (0.0, 1.0):
            return self.light if share else self.encoded
        return np.float32(share) * self.light + np.float32(1 - share) * self.encoded


def full_scale(stretch: tuple[float, float] | None) -> tuple[float, float] | None:
    """The values that are black and white in the encoding of a photograph, given those that
    `crackcli.rasters.reader` makes so for the eye: 0, and the least of `FULL_SCALES` that holds
    them.

    Where none does, the latter is white.  Values are taken as encoded like those of 8 bits, floats
    too.  The full scale matters little, as encoding is nearly a power; what is black does matter.
    What has no black at 0, as values that are all negative, keeps its stretch.
    """
    if stretch is None:
        return None
    low, high = stretch
    few_bits = low == 0 and high in (1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 127.0)
    if high <= max(low, 0.0) or few_bits:  # high is less than low where 0 is white
        return stretch
    return 0.0, next((scale for scale in FULL_SCALES if high <= OVER * scale), high)


def luma(rgb: NDArray) -> Float32:
    """The grey values (rows, cols) of colours (rows, cols, 3), not rounded."""
    return cv2.transform(np.ascontiguousarray(rgb, np.float32), LUMA).reshape(rgb.shape[:2])


def read_profiles(
    photograph: GreyReader,
    points: Float64,
    normals: Float64,
    offsets: Float64,
) -> GreyProfiles:
    """The values at ``points`` (S, 2) + ``offsets`` (M,) times ``normals`` (S, 2).

    Interpolation is by Lanczos; a bicubic one makes a blurred line 1 % too dark.  What lies beyond
    an edge of the photograph is mirrored.
    """
    encoded = np.empty((len(points), len(offsets)), np.float32)
    light = np.empty_like(encoded)
    seen = np.ones(len(points), bool)
    room = float(np.abs(offsets).max()) + ROOM_PX
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
        for share, values in ((0.0, encoded), (1.0, light)):
            values[members] = cv2.remap(blend(grey, share), x, y, cv2.INTER_LANCZOS4)
        if not valid.all():
            near = np.ones((2 * KERNEL_PX + 1,) * 2, np.uint8)
            holes = cv2.dilate(np.ascontiguousarray(~valid, np.uint8), near)
            seen[members] = ~cv2.remap(holes, x, y, cv2.INTER_NEAREST).any(axis=1)
    return GreyProfiles(encoded, light, seen)


def tiles(points: Float64) -> Iterator[Int64]:
    """Indices of the points (S, 2) of each tile, tile by tile as a page is read."""
    if len(points) == 0:
        return
    cols, rows = np.floor(points / TILE_PX).astype(np.int64).T
    order = np.lexsort((cols, rows))
    changes = np.flatnonzero((np.diff(rows[order]) != 0) | (np.diff(cols[order]) != 0)) + 1
    for begin, end in pairwise([0, *changes.tolist(), len(points)]):
        for first in range(begin, end, AT_ONCE):
            yield order[first : min(first + AT_ONCE, end)]
