"""A first look, at half the resolution or in whole numbers: which parts of a wall are worth looking
at in full.

In whole numbers of 8 bits, where a processor multiplies these, P(crack) is that of the full look
but for a hundredth, and costs half of the full look in bfloat16, a quarter of it in float32.

At half the resolution it costs a quarter of the full look.  The same classifier sees a crack of
2 px and more there too; from which P(crack) on it should be followed was chosen on training
patches: see `benchmarks/first_look.py`.  It pays on smooth sound walls only: on rough or cracked
ones nearly all is looked at in full all the same.

There is none by default.
"""

from collections.abc import Sequence

import numpy as np

from crackcli.arrays import Float32, Int64
from crackcli.engines.engine import Engine
from crackcli.inference.tile_classifier import GROUP, TileClassifier
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import RasterReader
from crackcli.rasters.resampled import ResampledRaster

ZOOM = 0.5
LEAST = 0.1  # P(crack) from which on a place should be looked at in full
LEAST_QUICK = 0.35  # the same of a look in whole numbers, well below a gate of 0.5
NOTHING = 2.0  # a gate that stays shut


class HalfResolutionPrescreen:
    """P(crack) of a raster at half its resolution."""

    def __init__(self, engine: Engine, least: float = LEAST) -> None:
        self.seer = TileClassifier(engine, NOTHING)
        below = self.seer.further + GROUP - 1  # so many rows of tiles the full look asks about
        self.seer.further = -(-below // 2) + self.seer.tile
        self.least = least

    def around(self, raster: RasterReader, centres: Window, strip_px: int) -> Float32:
        """The highest P(crack) around each place of a window of cells, where tiles are centred:
        of the tiles of the smaller view that are centred there, or on either side of it.  Views at
        another zoom than 1 are seen in full, 1: smaller ones are seen from far away already, and
        larger ones are for hairlines, which half of them would not show."""
        if isinstance(raster, ResampledRaster):
            return np.ones(centres.shape, np.float32)
        seer, view = self.seer, ResampledRaster(raster, ZOOM)
        height = max(1, strip_px // 2 // seer.stride) * seer.stride
        grid = seer.grid(view.info.rows, view.info.cols, height)
        tiles = seer.tiles_of_lattice(grid)
        rows = beside(centres.row, centres.rows, tiles.row + seer.edge, tiles.rows)
        cols = beside(centres.col, centres.cols, tiles.col + seer.edge, tiles.cols)
        first, last = int(rows.min()), int(rows.max())
        asked = Window(tiles.row + first, tiles.col, last - first + 1, tiles.cols)
        probability, _ = seer.judge(view, grid, asked)
        by_row = probability[rows - first].max(axis=0)
        return by_row[:, cols].max(axis=1)

    def noted(self, zooms: Sequence[float]) -> float | None:
        """The least that it must give; of scans at other zooms only it has no part."""
        return self.least if 1.0 in zooms else None


class Int8Prescreen:
    """P(crack) of a raster by an engine that is quick and nearly right; ``sha256`` is that of what
    it computes by."""

    def __init__(self, engine: Engine, least: float = LEAST_QUICK) -> None:
        self.seer = TileClassifier(engine, NOTHING)
        self.seer.further += GROUP - 1 + self.seer.tile - 1  # of what the full look asks about
        self.least = least
        self.sha256: str = engine.sha256

    def around(self, raster: RasterReader, centres: Window, strip_px: int) -> Float32:
        """P(crack) of the tiles that are centred in a full-width window of cells."""
        seer = self.seer
        grid = seer.grid(raster.info.rows, raster.info.cols, strip_px)
        asked = Window(centres.row - seer.edge, centres.col - seer.edge, *centres.shape)
        return seer.judge(raster, grid, asked)[0]

    def noted(self, zooms: Sequence[float]) -> list[str | float]:
        """The least that it must give, and by what: its numbers differ a little from the full
        look's."""
        return ["int8", self.least, self.sha256]


def beside(first: int, count: int, origin: int, most: int) -> Int64:
    """Which of the ``most`` tiles of the smaller view, from ``origin`` on, lie before and behind
    (2, count) places of the raster; one that lies there is both."""
    place = np.arange(first, first + count)
    both = np.stack([place // 2, -(-place // 2)]) - origin
    return both.clip(0, most - 1)
