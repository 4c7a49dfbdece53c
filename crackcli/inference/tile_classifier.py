"""Compute the feature cells and P(crack) of the tiles of a raster, each exactly once."""

from collections.abc import Iterator
from contextlib import closing, nullcontext
from functools import cached_property

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, UInt8
from crackcli.engines.engine import TileEngine
from crackcli.inference.lattice import Lattice
from crackcli.inference.strips import Prescreen, check_finite
from crackcli.inference.window_runner import WindowRunner
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.covering import bounding_window, count_squares, grow_within, rectangles
from crackcli.rasters.grid import Grid, Window, spans
from crackcli.rasters.nodata import FADE_PX, FILL_GREY, FilledWindow, RasterReader
from crackcli.threads import ThreadPool

FEATURE_CELLS = 1320  # halo included: the largest window whose cells are computed at once
HEAD_TILES = 64  # columns of tiles that are classified at once
GROUP = 2  # tiles; a prescreen selects squares of GROUP by GROUP tiles
STRIP_PX = 2**24  # pixels of a strip: wider rasters get lower strips, which bounds the memory
LOW_PX = 256  # height that no strip goes below, as the cells around it are computed again
NO_GATE = 2.0  # above every P(crack): the head of the network propagates nothing back

Cells = list[tuple[Window, Float32]]  # windows, and the cells (C, F, G) of each


class TileClassifier:
    """Classifies the tiles of rasters with one engine, and keeps the cells computed last.

    With a ``prescreen`` only tiles that it does not rule out are classified; the others keep the
    P(crack) of the prescreen. Cells of a strip are computed down to ``rows_below`` rows below it
    (default: `Lattice.rows_below`), so that going from strip to strip repeats none.
    """

    def __init__(
        self,
        engine: TileEngine,
        prescreen: Prescreen | None = None,
        rows_below: int | None = None,
    ) -> None:
        self.engine, self.prescreen = engine, prescreen
        self.lattice = Lattice.of(engine.facts)
        self.rows_below = self.lattice.rows_below if rows_below is None else rows_below
        self.runner: WindowRunner[Float32] = WindowRunner(
            self.lattice,
            engine.window_cells.get("features", FEATURE_CELLS),
            engine.facts.device,
        )
        self.kept_cells: dict[tuple[str, Window], Cells] = {}  # by file digest and strip
        self.kept_prescreen: dict[tuple[str, Window], Float32] = {}

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """Return how a raster is cut into strips of at most ``core_px`` rows."""
        height = strip_height(core_px, cols, self.lattice.stride_px)
        return Grid(rows, cols, height, 0, self.lattice.stride_px)

    def classify(
        self,
        raster: RasterReader,
        grid: Grid,
        requested: Window,
        relevance: "CellRelevance | None" = None,
        report: FractionDone = ignore,
    ) -> Float32:
        """Return P(crack) (h, w) of a full-width window of tiles.

        If ``relevance`` is given, the relevance that the tiles send to their cells is added to it.
        Tiles are classified in windows, each tile in one of them only.
        """
        cells = self.cells(raster, grid, self.lattice.cells_under(requested), report)
        tiles = self.prescreened(raster, grid, requested)
        gate = NO_GATE if relevance is None else relevance.gate
        chosen, channels = list(self.selected(raster, grid, requested)), len(self.fill_cell)

        def gather_under(_: None, window: Window) -> Float32:
            return gather(cells, self.lattice.cells_under(window), channels)

        with (
            ThreadPool(nullcontext, 1) as pool,
            closing(pool.imap(gather_under, chosen, 2)) as gathered,
        ):
            for window, under in zip(chosen, gathered, strict=True):
                if self.fill_probability < gate and self.only_fill(under):
                    tiles[window.within(requested)] = self.fill_probability
                    continue
                probability, passed = self.engine.head(under[None], gate)
                check_finite(probability, self.engine)
                tiles[window.within(requested)] = probability[0]
                if relevance is not None:
                    relevance.add(window, probability[0] >= gate, passed[0])
        return tiles

    def prescreened(self, raster: RasterReader, grid: Grid, requested: Window) -> Float32:
        """Return P(crack) (h, w) of a full-width window of tiles by the prescreen; 1 without one.

        Results are kept as long as the raster stays the same.
        """
        if self.prescreen is None:
            return np.ones(requested.shape, np.float32)
        digest = raster.info.content
        self.kept_prescreen = {
            key: probability for key, probability in self.kept_prescreen.items() if key[0] == digest
        }
        # Squares of tiles may extend below the cells of a strip.
        parts, rows_below = [], self.rows_below + GROUP - 1
        for index in range(len(grid)):
            cells = self.lattice.cells_of_strip(index, grid, rows_below)
            tiles = grow_within(cells, 0, self.lattice.tiles_of_raster(grid))
            part = grow_within(tiles, 0, requested)
            if part.rows <= 0:
                continue
            if (digest, tiles) not in self.kept_prescreen:
                self.kept_prescreen[digest, tiles] = self.prescreen.probability(
                    raster, self.lattice.centres_of(tiles), grid.core_px
                )
            parts.append(self.kept_prescreen[digest, tiles][part.within(tiles)])
        return np.concatenate(parts)

    def selected(self, raster: RasterReader, grid: Grid, requested: Window) -> Iterator[Window]:
        """Yield windows of the tiles to classify, of those ``requested``.

        Tiles are selected in squares of `GROUP`, on one lattice for the whole raster: where the
        prescreen does not rule out all of them.
        """
        first_row, first_col = requested.row // GROUP, requested.col // GROUP
        shape = (
            -(-requested.end_row // GROUP) - first_row,
            -(-requested.end_col // GROUP) - first_col,
        )
        squares = Window(*(GROUP * value for value in (first_row, first_col, *shape)))
        inside = grow_within(squares, 0, self.lattice.tiles_of_raster(grid))
        suspected = np.zeros(squares.shape, bool)
        threshold = 0.0 if self.prescreen is None else self.prescreen.threshold
        suspected[inside.within(squares)] = self.prescreened(raster, grid, inside) >= threshold
        by_square = suspected.reshape(shape[0], GROUP, shape[1], GROUP)
        squared: Bools = np.logical_or.reduce(by_square, axis=(1, 3))
        for window in rectangles(squared):
            row, col = squares.row + GROUP * window.row, squares.col + GROUP * window.col
            square = Window(row, col, GROUP * window.rows, GROUP * window.cols)
            part = grow_within(square, 0, requested)
            for col, cols_here in spans(part.cols, HEAD_TILES, 1):
                yield Window(part.row, part.col + col, part.rows, cols_here)

    def cells(
        self, raster: RasterReader, grid: Grid, wanted: Window, report: FractionDone
    ) -> Cells:
        """Return the cells of all strips that a full-width window touches.

        Those of the last call are kept, all others dropped.
        """
        strips = (
            self.lattice.cells_of_strip(index, grid, self.rows_below) for index in range(len(grid))
        )
        touched = [
            strip
            for strip in strips
            if strip.rows and strip.row < wanted.end_row and strip.end_row > wanted.row
        ]
        keys = [(raster.info.content, strip) for strip in touched]
        self.kept_cells = {key: cells for key, cells in self.kept_cells.items() if key in keys}
        new = [key for key in keys if key not in self.kept_cells]
        for number, key in enumerate(new):

            def report_strip(fraction: float, number: int = number) -> None:
                report((number + fraction) / len(new))

            needed = self.needed(raster, grid, key[1])
            self.kept_cells[key] = self.compute(raster, key[1], needed, report_strip)
        return [each for key in keys for each in self.kept_cells[key]]

    def needed(self, raster: RasterReader, grid: Grid, strip: Window) -> Bools:
        """Return flags (F, G) of the cells of a strip under a tile that will be classified."""
        flags = np.zeros(strip.shape, bool)
        for tiles in self.selected(raster, grid, self.lattice.tiles_over(strip, grid)):
            under = grow_within(self.lattice.cells_under(tiles), 0, strip)
            flags[under.within(strip)] = True
        return flags

    def compute(
        self, raster: RasterReader, strip: Window, needed: Bools, report: FractionDone
    ) -> Cells:
        """Compute the ``needed`` cells of a strip; those that depend on fill only are not run."""
        if not needed.any():
            return []
        filled = FilledWindow(raster, self.lattice.receptive_field(strip))
        found: Cells = []
        if not filled.complete:
            found.append(
                (strip, np.broadcast_to(self.fill_cell, (len(self.fill_cell), *strip.shape)))
            )
            needed = needed & self.near_data(filled.valid(filled.outer), filled.outer, strip)

        def features(_: Window, rgb: UInt8 | None) -> Float32:
            return self.fill_cell if rgb is None else self.engine.features(rgb[None])[0]

        with closing(self.runner.run(needed, strip, filled, features, report)) as results:
            for window, cells in results:
                found.append((window, np.broadcast_to(cells, (len(cells), *window.shape))))
        return found

    def near_data(self, valid: Bools, outer: Window, strip: Window) -> Bools:
        """Return flags (F, G) of the cells of a strip that depend on more than plain grey fill.

        ``valid`` are the flags of the pixels in ``outer``.
        """
        stride = self.lattice.stride_px
        row, col = outer.row // stride, outer.col // stride
        end_row, end_col = -(-outer.end_row // stride), -(-outer.end_col // stride)
        known = Window(row, col, end_row - row, end_col - col)
        pixels = self.lattice.pixels_of(known)
        padded = np.zeros(pixels.shape, np.uint8)
        padded[outer.within(pixels)] = valid
        squares = padded.reshape(known.rows, stride, known.cols, stride)
        side = 2 * (self.lattice.reach + -(-FADE_PX // stride)) + 1
        near = cv2.dilate(squares.max(axis=(1, 3)), np.ones((side, side), np.uint8))
        flags: Bools = near[strip.within(known)] > 0
        return flags

    @cached_property
    def fill_cell(self) -> Float32:
        """The cell (C, 1, 1) of grey fill only."""
        window = self.lattice.receptive_field(Window(0, 0, 1, 1))
        cells: Float32 = self.engine.features(np.full((1, *window.shape, 3), FILL_GREY, np.uint8))[
            0
        ]
        return cells

    @cached_property
    def fill_probability(self) -> float:
        """P(crack) of a tile of grey fill only."""
        side = self.lattice.tile
        cells = np.broadcast_to(self.fill_cell, (len(self.fill_cell), side, side))
        return float(self.engine.head(np.ascontiguousarray(cells)[None], NO_GATE)[0][0, 0, 0])

    def only_fill(self, cells: Float32) -> bool:
        """Return True if all cells (C, F, G) are those of fill; the first one mostly decides."""
        fill = self.fill_cell
        return bool((cells[:, :1, :1] == fill).all() and (cells == fill).all())


class CellRelevance:
    """Sums the relevance of the cells of a window over the tiles with P(crack) of ``gate`` up.

    For methods of several passes only the number of such tiles over each cell is counted.
    """

    def __init__(self, lattice: Lattice, near: Window, gate: float) -> None:
        self.lattice, self.near, self.gate = lattice, near, gate
        self.total: Float32 = np.zeros((0, 0, 0), np.float32)  # until there is some
        self.count: Float32 = np.zeros((0, 0), np.float32)

    def add(self, tiles: Window, gated: Bools, passed: Float32) -> None:
        """Add what a window of tiles passes to its cells: ``gated`` (h, w), ``passed`` (C, F, G),
        which is the mean over the gated tiles of the window."""
        if not gated.any():
            return
        if not self.total.size:
            self.total = np.zeros((len(passed), *self.near.shape), np.float32)
            self.count = np.zeros(self.near.shape, np.float32)
        covered, under = count_squares(gated, self.lattice.tile), self.lattice.cells_under(tiles)
        part = bounding_window(covered > 0, Window(0, 0, *under.shape))
        assert part is not None  # as a tile is gated
        both = grow_within(
            Window(under.row + part.row, under.col + part.col, *part.shape), 0, self.near
        )
        inside = both.within(under)
        weights = covered[inside].clip(min=1)
        self.total[(slice(None), *both.within(self.near))] += (
            passed[(slice(None), *inside)] * weights
        )
        self.count[both.within(self.near)] += covered[inside]

    def mean(self) -> Float32:
        """Return the mean relevance (C, F, G) over the gated tiles over each cell; empty if no
        tile was gated. May be called once."""
        if self.total.size:
            self.total /= self.count.clip(min=1)
        return self.total


def strip_height(most_px: int, cols: int, stride_px: int) -> int:
    """Return the height of strips of a raster ``cols`` pixels wide: ``most_px`` or less."""
    fitting = max(LOW_PX, STRIP_PX // cols) // stride_px * stride_px
    return min(most_px, fitting)


def gather(cells: Cells, window: Window, channels: int) -> Float32:
    """Return the cells (C, F, G) of a window, zero where there are none.

    Where windows overlap, the last one wins.
    """
    result = np.zeros((channels, *window.shape), np.float32)
    for place, values in cells:
        part = grow_within(window, 0, place)
        if part.rows > 0 and part.cols > 0:
            at = (slice(None), *part.within(window))
            result[at] = values[(slice(None), *part.within(place))]
    return result
