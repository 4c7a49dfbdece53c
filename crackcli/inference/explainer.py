"""From strips of a raster to relevance: gate by the classifier, then explain.

What belongs together is computed together, so that the result does not depend on the cuts:

- cells (1/32 of the resolution) need 59 px around them: computed in large windows, strip by strip;
- tiles need eight by eight cells: the head works on the cells of a strip and of its neighbours,
  which are kept, so that going from strip to strip each cell is computed once;
- what a cell passes on stays within 59 px, and depends on no pixel further away.  So the cells
  that have something to pass on are carried back in windows that hold them and little else, each
  with that halo, and what arrives at a pixel from several windows is summed.  A method of several
  passes has other cells in each: it goes block by block, and its blocks see all of the tiles that
  reach into them.

Tile positions reach half a tile beyond the edges of the raster, whose pixels are reflected there:
without them the rim would be seen by fewer tiles, or none.  For pixels without data see
`crackcli.rasters.nodata`.
"""

from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np

from crackcli.arrays import Bools, Float16, Float32, UInt8
from crackcli.errors import OutOfMemory
from crackcli.inference.strips import (
    CORE_PX,
    StripScores,
    as_half,
    check_finite,
    span,
)
from crackcli.inference.tile_classifier import TileClassifier, cut
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.covering import grow_within, cover
from crackcli.rasters.grid import Grid, Strip, Window
from crackcli.rasters.nodata import FilledWindow, RasterReader
from crackcli.threads import BackgroundWorker, ThreadPool, thread_count

ROWS = 64  # of a strip that a thread rounds at once
TALL_PX = 1024  # of a strip that is explained in windows

SEEING = 0.3  # share of the time that goes into cells, where about all tiles are explained


@dataclass
class Explainer(TileClassifier):
    """What a network sees, and why, strip by strip."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.halo_px = 2 * self.reach * self.stride  # of a block that is explained in passes
        passes = self.engine.facts.kind == "passes"
        # Beyond that: a pass has cells of its own, of all tiles that reach into the block.
        self.further_px = (self.tile - 1) * self.stride if passes else 0
        # Strips may be tall where they are explained in windows: memory is that of a window.
        self.core_px = CORE_PX if passes else TALL_PX

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """The blocks in which a raster is explained."""
        if self.engine.facts.kind != "passes":
            core_px = self.height(core_px, cols)
        return Grid(rows, cols, core_px, self.halo_px, self.stride)

    def explain_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        """Relevance of every pixel of a strip; memory is that of a few strips of pixels and cells
        and of one window of activations."""
        strip = grid.strip(index)
        core = self.cells_of(strip.window)
        near = grow_within(core, self.reach, self.lattice(grid))
        seeing = SEEING if self.gate <= 1 else 1.0  # else nothing is explained
        asked = self.tiles_over(near, grid)
        tiles, value = self.judge(raster, grid, asked, near, lambda share: report(seeing * share))
        centres = Window(core.row - self.edge, core.col - self.edge, *core.shape)
        probability = np.ascontiguousarray(tiles[centres.within(asked)])

        def told(share: float) -> None:
            report(seeing + (1 - seeing) * share)

        told(0.0)
        if not (passing := value.any(axis=0)).any():
            valid = raster.read_valid(strip.window)
            return StripScores(np.zeros(valid.shape, np.float16), valid, probability)
        if self.engine.facts.kind == "passes":
            relevance, valid = self.block_by_block(raster, strip, passing, near, tiles, asked, told)
        else:
            relevance, valid = self.carry_back(raster, strip, value, passing, near, told)
        return StripScores(relevance, valid, probability)

    def carry_back(
        self,
        raster: RasterReader,
        strip: Strip,
        value: Float32,
        passing: Bools,
        near: Window,
        report: FractionDone,
    ) -> tuple[Float16, Bools]:
        """The sum (rows, cols) of what all cells of a strip and next to it pass on to its pixels;
        ``passing`` are those that pass on something.

        What a cell passes on stays within its reach, and depends on pixels there only: so a window
        of cells needs that much halo, and only windows with something to pass on are carried.
        """
        window, wide = strip.window, FilledWindow(raster, self.window_of(near))
        relevance = np.zeros(window.shape, np.float32)
        valid = wide.valid(window)
        waiting = list(cover(passing, self.most["back"], self.reach))[::-1]
        done, total = 0, sum(part.rows * part.cols for part in waiting)
        reached = []

        def add(maps: Float32, on: Window, target: Window) -> None:
            check_finite(maps, self.engine)
            relevance[on.within(window)] += maps[0][on.within(target)]

        with (
            closing(self.prepared(waiting, "back", wide, near)) as parts,
            BackgroundWorker() as behind,
        ):
            for part, own, rgb in parts:
                target = self.window_of(own)
                on = grow_within(target, 0, window)
                if rgb is not None and valid[on.within(window)].any():
                    try:
                        maps = self.engine.back(rgb[None], cut(value, own, near)[None])
                    except OutOfMemory:
                        waiting += self.less(part, "back")
                        continue
                    behind.hand_over(partial(add, maps, on, target))
                    reached.append(on.within(window))
                done += part.rows * part.cols
                report(done / total)
        rounded = np.zeros(window.shape, np.float16)  # as all is that was not reached

        def round_off(_: None, at: tuple[slice, slice]) -> None:
            rounded[at] = as_half(np.where(valid[at], relevance[at], np.float32(0)))

        few_rows = [
            (slice(row, min(row + ROWS, rows.stop)), cols)
            for rows, cols in reached
            for row in range(rows.start, rows.stop, ROWS)
        ]
        with ThreadPool(nullcontext, thread_count()) as crew:
            list(crew.imap(round_off, few_rows))
        return rounded, valid

    def block_by_block(
        self,
        raster: RasterReader,
        strip: Strip,
        passing: Bools,
        near: Window,
        tiles: Float32,
        asked: Window,
        report: FractionDone,
    ) -> tuple[Float16, Bools]:
        """The same by a method of several passes; ``passing`` are cells under a gated tile."""
        wide = FilledWindow(raster, span(strip).grown(self.further_px))
        relevance = np.zeros(strip.window.shape, np.float32)
        valid = wide.valid(strip.window)
        for number, block in enumerate(strip.blocks):

            def told(share: float, number: int = number) -> None:
                report((number + share) / len(strip.blocks))

            told(0.0)
            own = self.cells_of(block.core)
            if not passing[grow_within(own, self.reach, near).within(near)].any():
                continue
            window = block.padded.grown(self.further_px)
            rgb = wide.filled(window)
            if rgb is None or not valid[block.core.within(strip.window)].any():
                continue
            maps = self.by_passes(rgb, window, self.gated(own, tiles, asked), told)
            check_finite(maps, self.engine)
            relevance[block.core.within(strip.window)] = maps[0][block.crop]
        relevance[~valid] = 0
        return as_half(relevance), valid

    def by_passes(
        self, rgb: UInt8, window: Window, gated: Float32, report: FractionDone
    ) -> Float32:
        """The map of a padded block, from a ``window`` that reaches `further_px` beyond it."""
        passes = self.engine.facts.passes
        total = np.zeros((1, 1, 1), np.float32)
        for number in range(passes):
            report(number / passes)
            place = window.row, window.col
            total = total + self.engine.pass_map(rgb[None], gated[None], number, place)
        return total

    def gated(self, own: Window, tiles: Float32, asked: Window) -> Float32:
        """1 for tiles that are explained, of all (h, w) that touch what the cells ``own`` are
        explained by; none of those beyond the lattice, which are not ``asked`` for."""
        over = self.touching(own.grown(self.reach))
        known = grow_within(over, 0, asked)
        gated = np.zeros(over.shape, np.float32)
        gated[known.within(over)] = tiles[known.within(asked)] >= self.gate
        return gated
