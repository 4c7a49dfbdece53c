"""EXIF orientation: between a photograph as it is stored and as it is seen.

Cameras store rows as the sensor gives them and note how to turn them.  Everything here works on
the upright photograph; only what reads the file needs to know where its pixels lie.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crackcli.rasters.grid import Window


@dataclass(frozen=True)
class Orientation:
    """From upright to stored: whether rows and columns are swapped, and which stored axes are
    then flipped."""

    swap: bool
    flip_rows: bool
    flip_cols: bool

    def shape(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the upright photograph."""
        return stored[::-1] if self.swap else stored

    def stored(self, window: Window, shape: tuple[int, int]) -> Window:
        """Where a window of the upright photograph lies in the file, of ``shape`` (rows, cols)."""
        row, col, rows, cols = window.row, window.col, window.rows, window.cols
        if self.swap:
            row, col, rows, cols = col, row, cols, rows
        if self.flip_rows:
            row = shape[0] - row - rows
        if self.flip_cols:
            col = shape[1] - col - cols
        return Window(row, col, rows, cols)

    def upright(self, array: NDArray) -> NDArray:
        """A stored array (rows, cols, ...) as it is seen."""
        if self.flip_rows:
            array = array[::-1]
        if self.flip_cols:
            array = array[:, ::-1]
        return np.ascontiguousarray(array.swapaxes(0, 1) if self.swap else array)


ORIENTATIONS = {
    1: Orientation(False, False, False),
    2: Orientation(False, False, True),
    3: Orientation(False, True, True),
    4: Orientation(False, True, False),
    5: Orientation(True, False, False),
    6: Orientation(True, True, False),
    7: Orientation(True, True, True),
    8: Orientation(True, False, True),
}
