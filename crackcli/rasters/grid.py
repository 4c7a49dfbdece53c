"""Windows of a raster, its strips of blocks with core and halo, EXIF orientation. Integers only.

A strip is a full-width run of rows: the unit of work, of storage and of resumption. A block has a
core, which it alone writes, and a padded window, which it reads. The padded window may reach
beyond the raster. Cores tile the raster, so each pixel belongs to exactly one block.

Cameras store rows in the order of the sensor and record how to turn the photograph. All other
modules use the upright photograph; only the reader needs the position of its pixels in the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Int64
from crackcli.errors import UsageError

Element = TypeVar("Element", bound=np.generic)
Index = slice | Int64


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: first row and column, number of rows and columns."""

    row: int
    col: int
    rows: int
    cols: int

    @property
    def end_row(self) -> int:
        """Return the row after the last one."""
        return self.row + self.rows

    @property
    def end_col(self) -> int:
        """Return the column after the last one."""
        return self.col + self.cols

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of rows and columns."""
        return self.rows, self.cols

    def grown(self, px: int) -> "Window":
        """Return the window with ``px`` more on each side."""
        return Window(self.row - px, self.col - px, self.rows + 2 * px, self.cols + 2 * px)

    def clipped(self, rows: int, cols: int) -> "Window":
        """Return the part inside a raster of ``rows`` by ``cols``."""
        row, col = max(0, self.row), max(0, self.col)
        return Window(row, col, min(rows, self.end_row) - row, min(cols, self.end_col) - col)

    def within(self, outer: "Window") -> tuple[slice, slice]:
        """Return the slices that select this window in an array that covers ``outer``."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.rows), slice(col, col + self.cols)


@dataclass(frozen=True)
class Block:
    """The window that is written (``core``) and the window that is read for it (``padded``)."""

    core: Window
    padded: Window

    @property
    def crop(self) -> tuple[slice, slice]:
        """Return the slices that select the core in an array that covers the padded window."""
        return self.core.within(self.padded)


@dataclass(frozen=True)
class Strip:
    """A full-width run of rows and its blocks, from left to right."""

    index: int
    window: Window
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Grid:
    """A raster of ``rows`` by ``cols`` cut into cores of about ``core_px`` with ``halo_px``.

    Cores and halos are multiples of ``step_px``, so that the tile positions of all blocks lie on
    one lattice. Only the last core of a row or column may have another size.
    """

    rows: int
    cols: int
    core_px: int
    halo_px: int
    step_px: int = 32

    def __post_init__(self) -> None:
        if self.core_px < self.step_px or self.core_px % self.step_px:
            more = max(1, -(-self.core_px // self.step_px)) * self.step_px
            raise UsageError(
                f"--core-px {self.core_px}: must be a multiple of {self.step_px}; use {more}"
            )
        if self.halo_px % self.step_px:
            more = -(-self.halo_px // self.step_px) * self.step_px
            raise UsageError(
                f"halo_px {self.halo_px}: must be a multiple of {self.step_px}; use {more}"
            )

    @cached_property
    def row_spans(self) -> list[tuple[int, int]]:
        """Return the first row and the number of rows of each strip."""
        return list(spans(self.rows, self.core_px, self.step_px))

    @cached_property
    def col_spans(self) -> list[tuple[int, int]]:
        """Return the first column and the number of columns of each block of a strip."""
        return list(spans(self.cols, self.core_px, self.step_px))

    def __len__(self) -> int:
        """Return the number of strips."""
        return len(self.row_spans)

    def strip(self, index: int) -> Strip:
        """Return strip ``index``, counted from the top."""
        row, rows = self.row_spans[index]
        cores = [Window(row, col, rows, cols) for col, cols in self.col_spans]
        blocks = tuple(Block(core, self.padded(core)) for core in cores)
        return Strip(index, Window(row, 0, rows, self.cols), blocks)

    def __iter__(self) -> Iterator[Strip]:
        return (self.strip(index) for index in range(len(self)))

    def padded(self, core: Window) -> Window:
        """Return ``core`` with its halo, its sides rounded up to multiples of ``step_px``."""
        grown = core.grown(self.halo_px)
        rows, cols = (-(-side // self.step_px) * self.step_px for side in grown.shape)
        return Window(grown.row, grown.col, rows, cols)


def spans(length: int, longest: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield starts and lengths that cover ``length`` in parts of about equal size.

    Parts are at most ``longest``; all but the last are multiples of ``step``.
    """
    parts = -(-length // longest)
    size = -(-length // (parts * step)) * step
    for start in range(0, length, size):
        yield start, min(size, length - start)


@dataclass(frozen=True)
class Orientation:
    """How to get the stored photograph from the upright one: swap rows and columns, then flip."""

    swap: bool
    flip_rows: bool
    flip_cols: bool

    def shape(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Return the rows and columns of the upright photograph."""
        return stored[::-1] if self.swap else stored

    def stored(self, window: Window, shape: tuple[int, int]) -> Window:
        """Return the position in the file, of ``shape`` (rows, cols), of an upright window."""
        row, col, rows, cols = window.row, window.col, window.rows, window.cols
        if self.swap:
            row, col, rows, cols = col, row, cols, rows
        if self.flip_rows:
            row = shape[0] - row - rows
        if self.flip_cols:
            col = shape[1] - col - cols
        return Window(row, col, rows, cols)

    def upright(self, array: NDArray[Element]) -> NDArray[Element]:
        """Return a stored array (rows, cols, ...) upright."""
        if self.flip_rows:
            array = array[::-1]
        if self.flip_cols:
            array = array[:, ::-1]
        return np.ascontiguousarray(array.swapaxes(0, 1) if self.swap else array)

    def upright_window(self, stored: Window, shape: tuple[int, int]) -> Window:
        """Return the upright position of a window of a file of ``shape`` (rows, cols)."""
        row, col, rows, cols = stored.row, stored.col, stored.rows, stored.cols
        if self.flip_rows:
            row = shape[0] - row - rows
        if self.flip_cols:
            col = shape[1] - col - cols
        return Window(col, row, cols, rows) if self.swap else Window(row, col, rows, cols)

    def as_stored(self, array: NDArray[Element]) -> NDArray[Element]:
        """Return an upright array (rows, cols, ...) as it is stored."""
        if self.swap:
            array = array.swapaxes(0, 1)
        if self.flip_rows:
            array = array[::-1]
        return array[:, ::-1] if self.flip_cols else array


ORIENTATIONS = {  # by the value of the EXIF tag
    1: Orientation(False, False, False),
    2: Orientation(False, False, True),
    3: Orientation(False, True, True),
    4: Orientation(False, True, False),
    5: Orientation(True, False, False),
    6: Orientation(True, True, False),
    7: Orientation(True, True, True),
    8: Orientation(True, False, True),
}


def reflect_window(window: Window, rows: int, cols: int) -> tuple[Window, tuple[Index, Index]]:
    """Find the pixels that fill a window of a raster which is reflected at its edges.

    Returns a window inside the raster of ``rows`` by ``cols``, and the index of its rows and of its
    columns at each position of ``window``. A pixel beyond an edge is the same in every window.
    """
    row, height, row_index = reflect_side(window.row, window.rows, rows)
    col, width, col_index = reflect_side(window.col, window.cols, cols)
    return Window(row, col, height, width), (row_index, col_index)


def reflect_side(start: int, length: int, side: int) -> tuple[int, int, Index]:
    """Return the first and the number of the rows (columns) needed, and their index by position."""
    position = np.arange(start + side - 1, start + length + side - 1)
    position = np.abs(position % (2 * (side - 1)) - (side - 1))
    first, needed = int(position.min()), int(np.ptp(position)) + 1
    unchanged = needed == length and position[0] == first
    return first, needed, slice(None) if unchanged else position - first
