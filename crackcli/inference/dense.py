"""From strips of a raster to scores of a method that judges each pixel itself, without a gate.

It is called like `crackcli.inference.explainer.Explainer`, so that a scan need not know which one
it has. There are two kinds (see `crackcli.engines.engine.Engine`): one sees a window, of which the
rim that would see its edges is cut off; the other sees tiles only, which then lie at every half
tile of the raster, so that a pixel gets the mean of the four tiles over it, whatever the cuts."""

from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Float32, UInt8
from crackcli.engines.engine import Engine
from crackcli.inference.strips import (
    CORE_PX,
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


@dataclass
class DenseScorer:
    """An engine whose maps need no gate; all is explained."""

    engine: Engine
    gate: float = 0.0
    core_px: int = CORE_PX
    look: Prescreen | None = None

    def __post_init__(self) -> None:
        facts = self.engine.facts
        self.stride = facts.stride_px
        self.halo_px = -(-facts.reach_px // self.stride) * self.stride

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """The blocks in which a raster is explained."""
        return Grid(rows, cols, core_px, self.halo_px, self.stride)

    def explain_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        """The score of every pixel of a strip; no tile has a P(crack)."""
        strip = grid.strip(index)
        wide = FilledWindow(raster, span(strip))
        valid = wide.valid(strip.window)
        relevance = np.zeros(strip.window.shape, np.float16)
        for number, block in enumerate(strip.blocks):
            report(number / len(strip.blocks))
            within = block.core.within(strip.window)
            rgb = wide.filled(block.padded)
            if rgb is None or not valid[within].any():
                continue
            maps = self.maps(rgb)
            check_finite(maps, self.engine)
            relevance[within] = as_half(maps[block.crop])
        if not valid.all():
            relevance[~valid] = 0
        return StripScores(relevance, valid, np.zeros((0, 0), np.float32))

    def maps(self, rgb: UInt8) -> Float32:
        """The map (H, W) of a padded block (H, W, 3); of tiles, the mean of those over a pixel."""
        facts = self.engine.facts
        if facts.kind == "window":
            return self.engine.maps(rgb[None])[0]
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
        return total / count.clip(min=1)
