"""What a network sees of a raster: cells, and P(crack) of tiles; each is computed once.

All rows and columns are those of cells; cell (0, 0) is the raster's upper left corner.  A tile is
where its first cell is.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, UInt8
from crackcli.engines.engine import Engine
from crackcli.errors import DeviceError, OutOfMemory
from crackcli.inference.strips import Prescreen, check_finite
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.covering import grow_within, halve, rectangles, bounding_window, count_squares, cover
from crackcli.rasters.grid import Grid, Window, spans
from crackcli.rasters.nodata import FADE_PX, FILL_GREY, FilledWindow, RasterReader
from crackcli.threads import ThreadPool

SEEN_CELLS = 1320  # at most, of a window whose cells are computed, with its halo
BACK_CELLS = 512  # the same of one that is carried back, which takes twice the memory
HEAD_TILES = 64  # columns of tiles that are judged at once
GROUP = 2  # tiles on each side of a square that a first look opens as one
STRIP_PX = 2**24  # of a strip, at most: a wide raster has lower ones, as memory is that of strips
LOW_PX = 256  # but none lower, since cells around it are computed again

Cells = list[tuple[Window, Float32]]  # windows, and (C, F, G) of each


@dataclass
class TileClassifier:
    """An engine, the P(crack) from which on a tile is crack, and the cells seen last.

    With a ``look`` only tiles are judged around which it gives its ``least`` or more; P(crack) of
    the others is what it gave.  It is left out where the gate is not above that.
    """

    engine: Engine
    gate: float
    look: Prescreen | None = None
    further: int = field(init=False)  # rows of cells below a strip that are computed with it
    bands: dict[tuple[str, Window], Cells] = field(default_factory=dict, repr=False)
    looked: dict[tuple[str, Window], Float32] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        facts = self.engine.facts
        self.stride = facts.stride_px
        self.reach = -(-facts.reach_px // self.stride)  # cells that one cell sees on each side
        self.tile = facts.tile_px // self.stride
        self.edge = self.tile // 2  # cells beyond the edges of the raster
        self.further = self.tile - 1 + self.reach  # what tiles lie over that touch what is near it
        self.most = {"features": SEEN_CELLS, "back": BACK_CELLS}  # cells of a window and its halo
        self.most |= self.engine.window_cells
        if self.look is not None and self.look.least >= self.gate:
            self.look = None

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """How a raster is cut."""
        return Grid(rows, cols, self.height(core_px, cols), 0, self.stride)

    def height(self, most_px: int, cols: int) -> int:
        """Of a strip of a raster so many pixels wide: ``most_px``, or less."""
        fitting = max(LOW_PX, STRIP_PX // cols) // self.stride * self.stride
        return min(most_px, fitting)

    def judge(
        self,
        raster: RasterReader,
        grid: Grid,
        asked: Window,
        near: Window | None = None,
        report: FractionDone = ignore,
    ) -> tuple[Float32, Float32]:
        """P(crack) (h, w) of a full-width window of tiles, and what the cells ``near`` pass on
        (C, F, G); nothing is asked for without these.

        Tiles are judged in windows, and what their cells pass on is summed: so each is judged
        once, and those that a first look leaves out have no part in it.
        """
        cells = self.cells(raster, grid, self.cells_under(asked), report)
        tiles = self.first_look(raster, grid, asked)
        value, count = np.zeros((0, 0, 0), np.float32), np.zeros((0, 0), np.float32)
        chosen, channels = list(self.to_judge(raster, grid, asked)), len(self.blank)
        with (
            ThreadPool(nullcontext, 1) as crew,
            closing(
                crew.imap(
                    lambda _, window: gathered(cells, self.cells_under(window), channels), chosen, 2
                )
            ) as seen,
        ):
            for window, known in zip(chosen, seen, strict=True):
                if self.blank_tile < self.gate and self.nothing_but_fill(known):
                    tiles[window.within(asked)] = self.blank_tile
                    continue
                probability, passed = self.engine.head(known[None], self.gate)
                check_finite(probability, self.engine)
                tiles[window.within(asked)] = probability[0]
                if near is None or not (gated := probability[0] >= self.gate).any():
                    continue
                if not value.size:
                    value = np.zeros((passed.shape[1], *near.shape), np.float32)
                    count = np.zeros(near.shape, np.float32)
                covered, under = count_squares(gated, self.tile), self.cells_under(window)
                part = bounding_window(covered > 0, Window(0, 0, *under.shape))
                both = grow_within(
                    Window(under.row + part.row, under.col + part.col, *part.shape), 0, near
                )
                inside = both.within(under)
                value[(slice(None), *both.within(near))] += passed[0][
                    (slice(None), *inside)
                ] * covered[inside].clip(min=1)
                count[both.within(near)] += covered[inside]
        if self.engine.facts.kind == "passes":
            return tiles, count[None]
        if value.size:
            value /= count.clip(min=1)
        return tiles, value

    def tiles_over(self, cells: Window, grid: Grid) -> Window:
        """All tiles that lie over some of the cells, as far as the lattice goes."""
        return grow_within(self.touching(cells), 0, self.tiles_of_lattice(grid))

    def touching(self, cells: Window) -> Window:
        """All tiles that lie over some of the cells, wherever the lattice ends."""
        more = self.tile - 1
        return Window(*(cells.row - more, cells.col - more), *(side + more for side in cells.shape))

    def cells_under(self, tiles: Window) -> Window:
        """All cells that lie under some of the tiles."""
        return Window(tiles.row, tiles.col, *(side + self.tile - 1 for side in tiles.shape))

    def first_look(self, raster: RasterReader, grid: Grid, asked: Window) -> Float32:
        """P(crack) (h, w) of a full-width window of tiles as the first look sees it; 1 where there
        is none.  What it gave is kept for as long as the raster is the same."""
        if self.look is None:
            return np.ones(asked.shape, np.float32)
        digest = raster.info.digest
        self.looked = {key: seen for key, seen in self.looked.items() if key[0] == digest}
        parts, further = [], self.further + GROUP - 1  # squares of tiles may reach beyond a band
        for index in range(len(grid)):
            own = grow_within(self.band_of(index, grid, further), 0, self.tiles_of_lattice(grid))
            part = grow_within(own, 0, asked)
            if part.rows <= 0:
                continue
            if (digest, own) not in self.looked:
                centres = Window(own.row + self.edge, own.col + self.edge, *own.shape)
                self.looked[digest, own] = self.look.around(raster, centres, grid.core_px)
            parts.append(self.looked[digest, own][part.within(own)])
        return np.concatenate(parts)

    def to_judge(self, raster: RasterReader, grid: Grid, asked: Window) -> Iterator[Window]:
        """Windows of tiles to be judged, of those ``asked`` for.

        Tiles are judged in squares of `GROUP`, on one lattice for the whole raster: where a first
        look gives its least for one of them.
        """
        first_row, first_col = asked.row // GROUP, asked.col // GROUP
        shape = -(-asked.end_row // GROUP) - first_row, -(-asked.end_col // GROUP) - first_col
        squares = Window(*(GROUP * value for value in (first_row, first_col, *shape)))
        known = grow_within(squares, 0, self.tiles_of_lattice(grid))
        enough = np.zeros(squares.shape, bool)
        least = 0.0 if self.look is None else self.look.least
        enough[known.within(squares)] = self.first_look(raster, grid, known) >= least
        squared = enough.reshape(shape[0], GROUP, shape[1], GROUP).any(axis=(1, 3))
        for window in rectangles(squared):
            row, col = squares.row + GROUP * window.row, squares.col + GROUP * window.col
            part = grow_within(Window(row, col, GROUP * window.rows, GROUP * window.cols), 0, asked)
            for col, cols_here in spans(part.cols, HEAD_TILES, 1):
                yield Window(part.row, part.col + col, part.rows, cols_here)

    def cells(
        self, raster: RasterReader, grid: Grid, wanted: Window, report: FractionDone
    ) -> Cells:
        """Cells of a full-width window and more: of the strips that it touches; those that the
        last call gave are still there, others are forgotten."""
        touched = [
            band
            for band in (self.band_of(index, grid, self.further) for index in range(len(grid)))
            if band.rows and band.row < wanted.end_row and band.end_row > wanted.row
        ]
        keys = [(raster.info.digest, band) for band in touched]
        self.bands = {key: cells for key, cells in self.bands.items() if key in keys}
        new = [key for key in keys if key not in self.bands]
        for number, key in enumerate(new):

            def told(share: float, number: int = number) -> None:
                report((number + share) / len(new))

            self.bands[key] = self.compute(raster, key[1], self.needed(raster, grid, key[1]), told)
        return [each for key in keys for each in self.bands[key]]

    def needed(self, raster: RasterReader, grid: Grid, band: Window) -> Bools:
        """Which cells (F, G) of a band lie under a tile that is to be judged."""
        asked = self.tiles_over(band, grid)
        flags = np.zeros(band.shape, bool)
        for window in self.to_judge(raster, grid, asked):
            flags[grow_within(self.cells_under(window), 0, band).within(band)] = True
        return flags

    def compute(
        self, raster: RasterReader, band: Window, needed: Bools, report: FractionDone
    ) -> Cells:
        """Cells of a full-width window, where they are ``needed``; zero elsewhere, or blank."""
        if not needed.any():
            return []
        wide = FilledWindow(raster, self.window_of(band))
        found: Cells = []
        if not wide.complete:
            found.append((band, np.broadcast_to(self.blank, (len(self.blank), *band.shape))))
            needed = needed & self.alive(wide.valid(wide.outer), wide.outer, band)
        waiting = list(cover(needed, self.most["features"], self.reach))[::-1]
        done, total = 0, sum(part.rows * part.cols for part in waiting)
        with closing(self.prepared(waiting, "features", wide, band)) as parts:
            for part, own, rgb in parts:
                try:
                    cells = self.blank if rgb is None else self.engine.features(rgb[None])[0]
                except OutOfMemory:
                    waiting += self.less(part, "features")
                    continue
                found.append((own, np.broadcast_to(cells, (len(cells), *own.shape))))
                done += part.rows * part.cols
                report(done / total)
        return found

    def prepared(
        self, waiting: list[Window], stage: str, wide: FilledWindow, origin: Window
    ) -> Iterator[tuple[Window, Window, UInt8 | None]]:
        """The windows of a stack that fit, in ``origin`` and in the raster, and their pixels; while
        one is worked on, the pixels of the next are put together."""

        def own(part: Window) -> Window:
            return Window(part.row + origin.row, part.col + origin.col, *part.shape)

        def pixels(part: Window) -> Callable[[None], UInt8 | None]:
            return lambda _: wide.filled(self.window_of(own(part)))

        with ThreadPool(nullcontext, 1) as crew:
            following: tuple[Window, Future[UInt8 | None]] | None = None
            for part in self.fitting(waiting, stage):
                ready = following is not None and following[0] == part
                future = following[1] if ready else crew.submit(pixels(part))
                rgb = future.result()
                following = (waiting[-1], crew.submit(pixels(waiting[-1]))) if waiting else None
                yield part, own(part), rgb

    def alive(self, valid: Bools, outer: Window, band: Window) -> Bools:
        """Which cells (F, G) of a band see anything but fill, of pixels ``valid`` in ``outer``."""
        row, col = outer.row // self.stride, outer.col // self.stride
        end_row, end_col = -(-outer.end_row // self.stride), -(-outer.end_col // self.stride)
        known = Window(row, col, end_row - row, end_col - col)
        padded = np.zeros(self.pixels_of(known).shape, np.uint8)
        padded[outer.within(self.pixels_of(known))] = valid
        squares = padded.reshape(known.rows, self.stride, known.cols, self.stride)
        far = 2 * (self.reach + -(-FADE_PX // self.stride)) + 1
        seen = cv2.dilate(squares.max(axis=(1, 3)), np.ones((far, far), np.uint8))
        return seen[band.within(known)] > 0

    def fitting(self, waiting: list[Window], stage: str) -> Iterator[Window]:
        """The windows of a stack, which may grow meanwhile; halved where they are larger than what
        the device turned out to hold."""
        while waiting:
            part = waiting.pop()
            if self.with_halo(part) > self.most[stage] and part.rows * part.cols > 1:
                waiting += halve(part)[::-1]
            else:
                yield part

    def with_halo(self, part: Window) -> int:
        """Cells of a window and of its halo."""
        return (part.rows + 2 * self.reach) * (part.cols + 2 * self.reach)

    def less(self, part: Window, stage: str) -> list[Window]:
        """The halves of a window too large for the device; none as large is tried again."""
        if part.rows * part.cols == 1:
            raise DeviceError(
                f"{self.engine.facts.device} has not enough free memory for a single tile; free "
                "some, or use --device cpu"
            )
        self.most[stage] = min(self.most[stage], self.with_halo(part) - 1)
        return halve(part)[::-1]

    @cached_property
    def blank(self) -> Float32:
        """The cell (C, 1, 1) of nothing but fill."""
        window = self.window_of(Window(0, 0, 1, 1))
        return self.engine.features(np.full((1, *window.shape, 3), FILL_GREY, np.uint8))[0]

    def nothing_but_fill(self, cells: Float32) -> bool:
        """Whether all cells (C, F, G) are blank; the first of them tells nearly always."""
        return bool((cells[:, :1, :1] == self.blank).all() and (cells == self.blank).all())

    @cached_property
    def blank_tile(self) -> float:
        """P(crack) of a tile of nothing but fill."""
        cells = np.broadcast_to(self.blank, (len(self.blank), self.tile, self.tile))
        return float(self.engine.head(np.ascontiguousarray(cells)[None], self.gate)[0][0, 0, 0])

    def lattice(self, grid: Grid) -> Window:
        """All cells of a raster: those of its pixels, and half a tile beyond each edge."""
        return self.cells_of(Window(0, 0, grid.rows, grid.cols)).grown(self.edge)

    def tiles_of_lattice(self, grid: Grid) -> Window:
        """All tiles of a raster."""
        cells = self.lattice(grid)
        return Window(cells.row, cells.col, *(side - self.tile + 1 for side in cells.shape))

    def band_of(self, index: int, grid: Grid, further: int) -> Window:
        """The cells that are computed when a strip comes: all that nobody has computed down to
        ``further`` rows below it, which is what its tiles lie over and no more.  The last ones may
        have no rows."""
        lattice = self.lattice(grid)
        row, rows = grid.row_spans[index]
        own = self.cells_of(Window(row, 0, rows, grid.cols))
        first = lattice.row if index == 0 else min(own.row + further, lattice.end_row)
        end = min(own.end_row + further, lattice.end_row)
        return Window(first, lattice.col, end - first, lattice.cols)

    def cells_of(self, pixels: Window) -> Window:
        """The cells of a window of pixels that begins on a cell."""
        rows, cols = (-(-side // self.stride) for side in pixels.shape)
        return Window(pixels.row // self.stride, pixels.col // self.stride, rows, cols)

    def window_of(self, cells: Window) -> Window:
        """The pixels that cells see."""
        return self.pixels_of(cells).grown(self.engine.facts.reach_px)

    def pixels_of(self, cells: Window) -> Window:
        return Window(*(value * self.stride for value in (cells.row, cells.col, *cells.shape)))


def cut(array: Float32, window: Window, outer: Window) -> Float32:
    """The part ``window`` of an array (C, rows, cols) that holds ``outer``."""
    return np.ascontiguousarray(array[(slice(None), *window.within(outer))])


def gathered(cells: Cells, window: Window, channels: int) -> Float32:
    """Cells (C, F, G) of a window, of those that lie in it; zero where none do, and of several in
    one place the last."""
    result = np.zeros((channels, *window.shape), np.float32)
    for place, values in cells:
        part = grow_within(window, 0, place)
        if part.rows > 0 and part.cols > 0:
            at = (slice(None), *part.within(window))
            result[at] = values[(slice(None), *part.within(place))]
    return result
