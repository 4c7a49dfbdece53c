"""Score the strips of a raster: classify its tiles, attribute those above the gate to pixels.

The result does not depend on how the raster is cut:

- a cell (1/32 of the resolution) depends on 59 px around it; cells are computed in large windows,
  strip by strip;
- a tile needs eight by eight cells; the classifier head runs on the cells of a strip and of its
  neighbours, which are kept, so that each cell is computed once;
- the relevance of a cell stays within 59 px and depends on no pixel further away. Cells with
  relevance are back-propagated in windows that hold them and little else, each with that halo; a
  pixel gets the sum over the windows. A method of several passes has other cells in each pass: it
  works block by block, and a block uses all tiles that reach into it.

Tile positions extend half a tile beyond the edges of the raster, whose pixels are reflected there:
otherwise fewer tiles would cover the rim than the middle. For nodata see
`crackcli.rasters.nodata`.
"""

from contextlib import closing, nullcontext
from functools import partial

import numpy as np

from crackcli.arrays import Bools, Float16, Float32, UInt8
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
from crackcli.inference.tile_classifier import CellRelevance, TileClassifier, strip_height
from crackcli.inference.window_runner import WindowRunner
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.covering import grow_within
from crackcli.rasters.grid import Grid, Strip, Window
from crackcli.rasters.nodata import FilledWindow, RasterReader
from crackcli.threads import BackgroundWorker, ThreadPool, thread_count

BACK_CELLS = 512  # halo included: the largest window that is back-propagated at once
ROWS = 64  # rows that a thread converts to half precision at once
TALL_PX = 1024  # height of a strip that is explained in windows
CLASSIFYING = 0.3  # fraction of the time, if nearly all tiles are explained


class ClassifierScorer:
    """Scores strips with a classifier and an attribution method.

    Tiles with P(crack) below ``gate`` get no attribution. A ``prescreen`` whose threshold is not
    below the gate would rule out tiles to explain, and is left out.
    """

    def __init__(self, engine: Engine, gate: float, prescreen: Prescreen | None = None) -> None:
        if prescreen is not None and prescreen.threshold >= gate:
            prescreen = None
        self.engine, self.gate, self.prescreen = engine, gate, prescreen
        self.classifier = TileClassifier(engine, prescreen)
        self.lattice = self.classifier.lattice
        self.runner: WindowRunner[Float32 | None] = WindowRunner(
            self.lattice, engine.window_cells.get("back", BACK_CELLS), engine.facts.device
        )
        self.passes = engine.facts.kind == "passes"
        self.halo_px = 2 * self.lattice.reach * self.lattice.stride_px  # of a block
        # Strips may be tall if they are explained in windows, as memory is that of a window.
        self.core_px = CORE_PX if self.passes else TALL_PX

    @property
    def channels(self) -> int:
        """Channels of a feature cell."""
        return len(self.classifier.fill_cell)

    def on(self, engine: Engine, int8_engine: Int8TileEngine) -> "ClassifierScorer":
        """Return the same on another engine, a prescreen in int8 on ``int8_engine``."""
        prescreen = self.prescreen and self.prescreen.on(engine, int8_engine)
        return ClassifierScorer(engine, self.gate, prescreen)

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """Return the strips and blocks in which a raster is scored."""
        if not self.passes:
            core_px = strip_height(core_px, cols, self.lattice.stride_px)
        return Grid(rows, cols, core_px, self.halo_px, self.lattice.stride_px)

    def score_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        """Return the relevance of every pixel of a strip.

        Memory is that of a few strips of pixels and cells and of one window of activations.
        """
        strip = grid.strip(index)
        core = self.lattice.cells_of(strip.window)
        near = grow_within(core, self.lattice.reach, self.lattice.cells_of_raster(grid))
        asked = self.lattice.tiles_over(near, grid)
        cells = CellRelevance(self.lattice, near, self.gate)
        tiles = self.classifier.classify(
            raster, grid, asked, cells, lambda fraction: report(CLASSIFYING * fraction)
        )
        centred = self.lattice.tiles_centred_on(core)
        probability = np.ascontiguousarray(tiles[centred.within(asked)])

        def report_attribution(fraction: float) -> None:
            report(CLASSIFYING + (1 - CLASSIFYING) * fraction)

        report_attribution(0.0)
        value = cells.count[None] if self.passes else cells.mean()
        relevant: Bools = np.logical_or.reduce(value, axis=0)
        if not relevant.any():
            valid = raster.read_valid(strip.window)
            return StripScores(np.zeros(valid.shape, np.float16), valid, probability)
        if self.passes:
            relevance, valid = self.attribute_by_blocks(
                raster, strip, relevant, near, tiles, asked, report_attribution
            )
        else:
            relevance, valid = self.attribute_by_windows(
                raster, strip, value, relevant, near, report_attribution
            )
        return StripScores(relevance, valid, probability)

    def attribute_by_windows(
        self,
        raster: RasterReader,
        strip: Strip,
        value: Float32,
        relevant: Bools,
        near: Window,
        report: FractionDone,
    ) -> tuple[Float16, Bools]:
        """Return relevance and validity (rows, cols) of a strip from ``value`` (C, F, G) of the
        cells ``near`` it; only windows of cells that are ``relevant`` are back-propagated."""
        window, filled = strip.window, FilledWindow(raster, self.lattice.receptive_field(near))
        relevance = np.zeros(window.shape, np.float32)
        valid = filled.valid(window)
        reached: list[tuple[slice, slice]] = []

        def back(cells: Window, rgb: UInt8 | None) -> Float32 | None:
            inside = grow_within(self.lattice.receptive_field(cells), 0, window)
            if rgb is None or not valid[inside.within(window)].any():
                return None
            return self.engine.back(rgb[None], cut(value, cells, near)[None])

        def add(maps: Float32, inside: Window, field: Window) -> None:
            check_finite(maps, self.engine)
            relevance[inside.within(window)] += maps[0][inside.within(field)]

        with (
            closing(self.runner.run(relevant, near, filled, back, report)) as results,
            BackgroundWorker() as behind,
        ):
            for cells, maps in results:
                if maps is not None:
                    field = self.lattice.receptive_field(cells)
                    inside = grow_within(field, 0, window)
                    behind.hand_over(partial(add, maps, inside, field))
                    reached.append(inside.within(window))
        rounded = np.zeros(window.shape, np.float16)

        def round_off(_: None, at: tuple[slice, slice]) -> None:
            rounded[at] = as_half(np.where(valid[at], relevance[at], np.float32(0)))

        few_rows = [
            (slice(row, min(row + ROWS, rows.stop)), cols)
            for rows, cols in reached
            for row in range(rows.start, rows.stop, ROWS)
        ]
        with ThreadPool(nullcontext, thread_count()) as pool:
            list(pool.imap(round_off, few_rows))
        return rounded, valid

    def attribute_by_blocks(
        self,
        raster: RasterReader,
        strip: Strip,
        relevant: Bools,
        near: Window,
        tiles: Float32,
        asked: Window,
        report: FractionDone,
    ) -> tuple[Float16, Bools]:
        """Return the same by a method of several passes; ``relevant`` cells lie under a gated tile,
        ``tiles`` is P(crack) of the tiles ``asked`` for."""
        # A pass computes its own cells, of all tiles that reach into the block.
        rim_px = (self.lattice.tile - 1) * self.lattice.stride_px
        filled = FilledWindow(raster, span(strip).grown(rim_px))
        relevance = np.zeros(strip.window.shape, np.float32)
        valid = filled.valid(strip.window)
        for number, block in enumerate(strip.blocks):

            def report_block(fraction: float, number: int = number) -> None:
                report((number + fraction) / len(strip.blocks))

            report_block(0.0)
            own = self.lattice.cells_of(block.core)
            reach = grow_within(own, self.lattice.reach, near)
            if not relevant[reach.within(near)].any():
                continue
            window = block.padded.grown(rim_px)
            rgb = filled.filled(window)
            if rgb is None or not valid[block.core.within(strip.window)].any():
                continue
            maps = self.sum_of_passes(rgb, window, self.gated(own, tiles, asked), report_block)
            check_finite(maps, self.engine)
            relevance[block.core.within(strip.window)] = maps[0][block.crop]
        relevance[~valid] = 0
        return as_half(relevance), valid

    def sum_of_passes(
        self, rgb: UInt8, window: Window, gated: Float32, report: FractionDone
    ) -> Float32:
        """Return the map (1, H, W) of a padded block from its ``window``, which extends all tiles
        that reach into the block beyond it."""
        passes = self.engine.facts.passes
        total = np.zeros((1, 1, 1), np.float32)
        for number in range(passes):
            report(number / passes)
            place = window.row, window.col
            total = total + self.engine.pass_map(rgb[None], gated[None], number, place)
        return total

    def gated(self, own: Window, tiles: Float32, asked: Window) -> Float32:
        """Return 1 for tiles at or above the gate, else 0, of all (h, w) that the attribution of
        the cells ``own`` depends on; 0 beyond the lattice."""
        over = self.lattice.tiles_touching(own.grown(self.lattice.reach))
        known = grow_within(over, 0, asked)
        gated = np.zeros(over.shape, np.float32)
        gated[known.within(over)] = tiles[known.within(asked)] >= self.gate
        return gated


def cut(array: Float32, window: Window, outer: Window) -> Float32:
    """Return the part ``window`` of an array (C, rows, cols) that holds ``outer``."""
    return np.ascontiguousarray(array[(slice(None), *window.within(outer))])
