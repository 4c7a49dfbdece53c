"""A first look at half the resolution: which parts of a wall are worth looking at in full.

It costs a quarter of the full look.  The same classifier sees a crack of 2 px and more at half the
resolution too; from which P(crack) on it should be followed was chosen on training patches: see
`benchmarks/first_look.py`.  It pays on smooth sound walls only, so that there is none by default:
on rough or cracked ones nearly all is looked at in full all the same.
"""

import numpy as np
from numpy.typing import NDArray

from crackcli.engines import Engine, Floats
from crackcli.filling import Readable
from crackcli.grid import Window
from crackcli.seeing import Seer
from crackcli.zoom import Zoomed

ZOOM = 0.5
STRIP_PX = 1024  # of the smaller view
LEAST = 0.1  # P(crack) from which on a place should be looked at in full
NOTHING = 2.0  # a gate that stays shut


class FirstLook:
    """P(crack) of a raster at half its resolution."""

    def __init__(self, engine: Engine, least: float = LEAST) -> None:
        self.seer = Seer(engine, NOTHING)
        self.least = least

    def around(self, raster: Readable, centres: Window) -> Floats:
        """The highest P(crack) around each place of a window of cells, where tiles are centred:
        of the tiles of the smaller view that are centred there, or on either side of it.  Views at
        another zoom than 1 are seen in full, 1: smaller ones are seen from far away already, and
        larger ones are for hairlines, which half of them would not show."""
        if isinstance(raster, Zoomed):
            return np.ones(centres.shape, np.float32)
        seer, view = self.seer, Zoomed(raster, ZOOM)
        grid = seer.grid(view.info.rows, view.info.cols, STRIP_PX)
        tiles = seer.tiles_of_lattice(grid)
        rows = beside(centres.row, centres.rows, tiles.row + seer.edge, tiles.rows)
        cols = beside(centres.col, centres.cols, tiles.col + seer.edge, tiles.cols)
        first, last = int(rows.min()), int(rows.max())
        asked = Window(tiles.row + first, tiles.col, last - first + 1, tiles.cols)
        probability, _ = seer.judge(view, grid, asked)
        by_row = probability[rows - first].max(axis=0)
        return by_row[:, cols].max(axis=1)


def beside(first: int, count: int, origin: int, most: int) -> NDArray[np.int64]:
    """Which of the ``most`` tiles of the smaller view, from ``origin`` on, lie before and behind
    (2, count) places of the raster; one that lies there is both."""
    place = np.arange(first, first + count)
    both = np.stack([place // 2, -(-place // 2)]) - origin
    return both.clip(0, most - 1)
