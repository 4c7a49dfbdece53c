"""A first look at half the resolution: which parts of a wall are worth looking at in full.

It costs a quarter of the full look.  The same classifier sees a crack of 2 px and more at half the
resolution too; from which P(crack) on it is followed was chosen on training patches: see
`benchmarks/first_look.py`.
"""

import cv2
import numpy as np

from crackcli.engines import Engine, Floats
from crackcli.filling import Readable
from crackcli.grid import Window
from crackcli.seeing import Seer
from crackcli.zoom import Zoomed

ZOOM = 0.5
STRIP_PX = 1024  # of the smaller view
LEAST = 0.1  # P(crack) from which on a place is looked at in full
NOTHING = 2.0  # a gate that stays shut


class FirstLook:
    """P(crack) of a raster at half its resolution."""

    def __init__(self, engine: Engine, least: float = LEAST) -> None:
        self.seer = Seer(engine, NOTHING)
        self.least = least

    def around(self, raster: Readable, centres: Window) -> Floats:
        """The highest P(crack) around each place of a window of cells, where tiles are centred:
        of the tiles of the smaller view that are centred next to it, or one step further.  Views
        that are smaller than the raster already are not looked at from further away: 1."""
        if isinstance(raster, Zoomed) and raster.zoom < 1:
            return np.ones(centres.shape, np.float32)
        seer, view = self.seer, Zoomed(raster, ZOOM)
        grid = seer.grid(view.info.rows, view.info.cols, STRIP_PX)
        rows = nearest(np.arange(centres.row, centres.end_row))
        cols = nearest(np.arange(centres.col, centres.end_col))
        all_tiles = seer.tiles_of_lattice(grid)
        first, last = max(all_tiles.row, rows[0] - 1 - seer.edge), rows[-1] + 2 - seer.edge
        last = min(last, all_tiles.end_row)
        asked = Window(first, all_tiles.col, last - first, all_tiles.cols)
        tiles = cv2.dilate(seer.judge(view, grid, asked)[0], np.ones((3, 3), np.uint8))
        at_rows = (rows - seer.edge - asked.row).clip(0, asked.rows - 1)
        at_cols = (cols - seer.edge - asked.col).clip(0, asked.cols - 1)
        return tiles[at_rows[:, None], at_cols[None]]


def nearest(places: np.ndarray) -> np.ndarray:
    """The cells of the smaller view where places of the raster lie."""
    return np.rint(places * ZOOM).astype(int)
