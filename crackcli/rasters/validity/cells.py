"""A raster at reduced resolution: colour, flatness and nodata of small square cells.

A cell is flat if its pixels are as alike as those of an area of one colour that went through JPEG:
almost black or white ones may differ by some levels, others by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.rasters.grid import Window

SIDE_PX = 4  # of a cell, doubled until there are at most `MAX_CELLS`
MAX_CELLS = 2**22  # they take 21 MB, and what is computed from them four times as much

BLACK, WHITE = 10, 248  # levels up to, and from, which a cell may be black or white
SPREAD, BRIGHT_SPREAD, OTHER_SPREAD = 8, 5, 1  # levels between the pixels of a flat cell


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of a raster of ``shape`` (rows, cols) px, R by C of ``side`` px.

    ``colour`` (R, C, 3) is the mean; ``flat`` (R, C) as above; ``missing`` (R, C) the number of
    nodata pixels.
    """

    shape: tuple[int, int]
    side: int
    colour: UInt8
    flat: Bools
    missing: UInt8

    @classmethod
    def of_shape(cls, shape: tuple[int, int]) -> "Cells":
        """Return cells to be filled by `add`."""
        side = SIDE_PX
        while shape[0] * shape[1] > MAX_CELLS * side**2:
            side *= 2
        cells = -(-shape[0] // side), -(-shape[1] // side)
        colour, missing = np.zeros((*cells, 3), np.uint8), np.zeros(cells, np.uint8)
        return cls(shape, side, colour, np.zeros(cells, bool), missing)

    @property
    def empty(self) -> Bools:
        """Cells (R, C) of which all is nodata."""
        return np.asarray(self.missing == self.whole)

    @property
    def whole(self) -> int:
        """Value of ``missing`` if all is nodata: the pixels of a cell, as far as a byte holds."""
        return min(self.side**2, 255)

    def add(self, window: Window, rgb: UInt8, valid: Bools | None) -> None:
        """Fill the cells of a window, whose first row and column are multiples of the side.

        ``rgb`` (rows, cols, 3), ``valid`` (rows, cols) or None if all pixels are.
        """
        side = self.side
        more = [-length % side for length in window.shape]
        if any(more):  # at the lower or right edge
            rgb = np.pad(rgb, [(0, more[0]), (0, more[1]), (0, 0)], "edge")
        place = Window(
            window.row // side, window.col // side, rgb.shape[0] // side, rgb.shape[1] // side
        ).within(Window(0, 0, *self.flat.shape))
        size = rgb.shape[1] // side, rgb.shape[0] // side
        low, high = (extreme(rgb, side, operation) for operation in (cv2.erode, cv2.dilate))
        self.colour[place] = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        self.flat[place] = is_flat(low, high)
        if valid is not None:
            if any(more):
                valid = np.pad(valid, [(0, more[0]), (0, more[1])], "edge")
            missing = np.where(valid, np.uint8(0), np.uint8(self.whole))
            self.missing[place] = cv2.resize(missing, size, interpolation=cv2.INTER_AREA)

    def corners(self) -> Iterator[Window]:
        """Yield the windows of the four cells at the corners, the upper ones first."""
        for row in (0, len(self.flat) - 1):
            for col in (0, self.flat.shape[1] - 1):
                cell = Window(row * self.side, col * self.side, self.side, self.side)
                yield cell.clipped(*self.shape)

    def window(self, flags: Bools, window: Window) -> Bools:
        """Return the flags (R, C) of cells for each pixel of a window inside the raster."""
        return at_pixels(flags, self.side, window)

    def px(self, length_px: int) -> int:
        """Return a length in cells, rounded up."""
        return -(-length_px // self.side)


def at_pixels(flags: Bools, side: int, window: Window) -> Bools:
    """Return the flags (R, C) of cells of ``side`` px for each pixel of a window inside them."""
    rows, cols = (
        slice(first // side, -(-end // side))
        for first, end in ((window.row, window.end_row), (window.col, window.end_col))
    )
    pixels = flags[rows, cols].repeat(side, axis=0).repeat(side, axis=1)
    row, col = window.row % side, window.col % side
    return pixels[row : row + window.rows, col : col + window.cols]


def extreme(pixels: UInt8, side: int, operation: object) -> UInt8:
    """Return the least (`cv2.erode`) or largest (`cv2.dilate`) values of each cell."""
    assert callable(operation)
    found = operation(pixels, square_of(side), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(found[::side, ::side], np.uint8)


def is_flat(low: UInt8, high: UInt8) -> Bools:
    """Return which cells (R, C) are flat by their least and largest values (R, C, 3)."""
    spread = largest(high - low)
    black = (largest(high) <= BLACK) & (spread <= SPREAD)
    white = (largest(~low) <= 255 - WHITE) & (spread <= BRIGHT_SPREAD)
    return np.asarray((spread <= OTHER_SPREAD) | black | white, np.bool_)


def largest(pixels: UInt8) -> UInt8:
    """Return the largest channel of each pixel (rows, cols, 3)."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])


def dilate(flags: Bools, by: int) -> Bools:
    """Return the flags (R, C) and all within ``by`` rows and columns of one."""
    return np.asarray(cv2.dilate(flags.view(np.uint8), square_of(2 * by + 1)) > 0, np.bool_)


def open_by(flags: Bools, size: int) -> Bools:
    """Return the flags (R, C) that lie in a square of ``size`` of them, an odd number; all outside
    the array count as set."""
    ringed = np.pad(flags, size, constant_values=True).view(np.uint8)
    opened = cv2.morphologyEx(ringed, cv2.MORPH_OPEN, square_of(size), borderValue=1)
    return np.asarray(opened[size:-size, size:-size] > 0, np.bool_)


def square_of(size: int) -> UInt8:
    """Return a square kernel."""
    return np.ones((size, size), np.uint8)
