"""Score the strips of a raster with a method that scores every pixel itself, without a gate.

There are two kinds (see `crackcli.engines.engine.Engine`). One takes windows of any size; the rim,
which depends on pixels outside, is cut off. The other takes single tiles; they lie at every half
tile of the raster, and a pixel gets the mean of the four tiles over it.
"""

import numpy as np

from crackcli.arrays import Float32, UInt8
from crackcli.engines.engine import Engine
from crackcli.inference.strips import (
    CORE_PX,
    Int8TileEngine,
    Prescreen,
    StripScores,
    as_half,
    check_finite,
    span,
)
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Grid
from crackcli.rasters.nodata import FilledWindow, RasterReader

BATCH = 4  # tiles at once
WIDE_HALO_PX = 200  # px; blocks with such a halo have twice the side, or most work is on halos


class DenseScorer:
    """Scores strips with an engine whose maps need no gate."""

    gate = 0.0
    channels = 0
    prescreen: Prescreen | None = None

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.stride_px = engine.facts.stride_px
        self.halo_px = -(-engine.facts.reach_px // self.stride_px) * self.stride_px
        self.core_px = CORE_PX if self.halo_px <= WIDE_HALO_PX else 2 * CORE_PX

    def on(self, engine: Engine, int8_engine: Int8TileEngine) -> "DenseScorer":
        """Return the same on another engine."""
        return DenseScorer(engine)

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """Return the strips and blocks in which a raster is scored."""
        return Grid(rows, cols, core_px, self.halo_px, self.stride_px)

    def score_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        """Return the score of every pixel of a strip; P(crack) is empty."""
        strip = grid.strip(index)
        filled = FilledWindow(raster, span(strip))
        valid = filled.valid(strip.window)
        relevance = np.zeros(strip.window.shape, np.float16)
        for number, block in enumerate(strip.blocks):
            report(number / len(strip.blocks))
            within = block.core.within(strip.window)
            rgb = filled.filled(block.padded)
            if rgb is None or not valid[within].any():
                continue
            maps = self.map_of(rgb)
            check_finite(maps, self.engine)
            relevance[within] = as_half(maps[block.crop])
        if not valid.all():
            relevance[~valid] = 0
        return StripScores(relevance, valid, np.zeros((0, 0), np.float32))

    def map_of(self, rgb: UInt8) -> Float32:
        """Return the map (H, W) of a padded block (H, W, 3): the mean over the tiles, if it is
        computed by tiles."""
        facts = self.engine.facts
        if facts.kind != "tiles":
            only: Float32 = self.engine.maps(rgb[None])[0]
            return only
        side, step = facts.tile_px, facts.stride_px
        rows, cols = rgb.shape[:2]
        places = [
            (slice(row, row + side), slice(col, col + side))
            for row in range(0, rows - side + 1, step)
            for col in range(0, cols - side + 1, step)
        ]
        total, count = np.zeros((2, rows, cols), np.float32)
        for first in range(0, len(places), BATCH):
            some = places[first : first + BATCH]
            for place, residual in zip(
                some, self.engine.maps(np.stack([rgb[place] for place in some])), strict=True
            ):
                total[place] += residual
                count[place] += 1
        mean: Float32 = total / count.clip(min=1)
        return mean
