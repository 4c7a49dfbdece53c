"""EXIF orientation: convert between the stored and the upright photograph.

Cameras store rows in the order of the sensor and record how to turn the photograph. All other
modules use the upright photograph; only the reader needs the position of its pixels in the file.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crackcli.rasters.grid import Window

Element = TypeVar("Element", bound=np.generic)


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
