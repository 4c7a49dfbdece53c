"""From strips of a raster to relevance: gate by the classifier, then explain.

What belongs together is computed together, so that the result does not depend on the cuts:

- cells (1/32 of the resolution) need 59 px around them: computed in wide blocks, strip by strip;
- tiles need eight by eight cells: the head works on the cells of a strip and of its neighbours,
  which are kept, so that going from strip to strip each cell is computed once;
- pixels need the cells within 59 px and the activations between: computed in blocks with twice
  that halo, and only where a gated tile lies near.  A method of several passes has other cells in
  each: its blocks see all of the tiles that reach into them.

Tile positions reach half a tile beyond the edges of the raster, whose pixels are reflected there:
without them the rim would be seen by fewer tiles, or none.  Pixels without data are filled from
their nearest neighbours: any other value would be an edge, and edges are what a crack classifier
looks at.  Further away the fill fades to grey, so that it too is the same in every block.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.engines import Engine, Floats
from crackcli.errors import ModelError
from crackcli.grid import Block, Grid, Strip, Window
from crackcli.raster import Bytes, Flags, Pixels, RasterInfo

WIDE_PX = 1024  # columns of a block whose cells are computed
FAR_PX = 64  # from valid pixels, where the fill of those without data is grey
GREY = 128
SEEING = 0.3  # share of the time that goes into cells, where about all tiles are explained

Report = Callable[[float], None]  # share done, 0 to 1


def untold(share: float) -> None:
    """A `Report` that nobody reads."""


class Readable(Protocol):
    """What is explained: an open raster, or one seen at another zoom."""

    @property
    def info(self) -> RasterInfo: ...

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the raster."""
        ...

    def read_valid(self, window: Window) -> Flags:
        """Which pixels are valid, of a window inside the raster."""
        ...


@dataclass(frozen=True)
class StripScores:
    """``relevance`` (rows, cols) float16, ``valid`` (rows, cols), and P(crack) (h, w) of the tiles
    whose centres lie in the strip, on a lattice of one stride."""

    relevance: NDArray[np.float16]
    valid: Flags
    probability: Floats


class StripExplainer(Protocol):
    """What a scan has its strips explained by."""

    engine: Engine
    gate: float

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """The blocks in which a raster is explained."""
        ...

    def explain_strip(
        self, raster: Readable, grid: Grid, index: int, report: Report = untold
    ) -> StripScores:
        """The score of every pixel of a strip."""
        ...


@dataclass
class Explainer:
    """An engine, the P(crack) from which on a tile is explained, and the cells seen last.

    All rows and columns below are those of cells; cell (0, 0) is the raster's upper left corner.
    """

    engine: Engine
    gate: float
    bands: dict[tuple[str, Window], Floats] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        facts = self.engine.facts
        self.stride = facts.stride_px
        self.reach = -(-facts.reach_px // self.stride)  # cells that one cell sees on each side
        self.tile = facts.tile_px // self.stride
        self.edge = self.tile // 2  # cells beyond the edges of the raster
        self.halo_px = 2 * self.reach * self.stride  # of a block that is explained
        # Beyond that: a pass has cells of its own, of all tiles that reach into the block.
        self.further_px = (self.tile - 1) * self.stride if facts.kind == "passes" else 0

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """The blocks in which a raster is explained."""
        return Grid(rows, cols, core_px, self.halo_px, self.stride)

    def explain_strip(
        self, raster: Readable, grid: Grid, index: int, report: Report = untold
    ) -> StripScores:
        """Relevance of every pixel of a strip; memory is that of a few strips of pixels and cells
        and of one block of activations."""
        strip = grid.strip(index)
        core = self.cells_of(strip.window)
        lattice = self.lattice(grid)
        seen = grown(core, self.tile - 1 + self.reach, lattice)
        seeing = SEEING if self.gate <= 1 else 1.0  # else nothing is explained
        cells = self.cells(raster, grid, seen, lambda share: report(seeing * share))
        relevance = np.zeros(strip.window.shape, np.float16)
        probability = np.zeros(core.shape, np.float32)
        outer = span(strip)
        pixels: Pixels | None = None
        for number, block in enumerate(strip.blocks):

            def told(share: float, number: int = number) -> None:
                report(seeing + (1 - seeing) * (number + share) / len(strip.blocks))

            told(0.0)
            own = self.cells_of(block.core)
            part = grown(own, self.tile - 1 + self.reach, lattice)
            known = cut(cells, part, seen)
            if self.blank_tile < self.gate and (known == self.blank).all():
                probability[own.within(core)] = self.blank_tile
                continue
            tiles, value = self.engine.head(known[None], self.gate)
            check_finite(tiles, self.engine)
            first = own.row - self.edge - part.row, own.col - self.edge - part.col
            probability[own.within(core)] = tiles[0][
                first[0] : first[0] + own.rows, first[1] : first[1] + own.cols
            ]
            passed = self.around(block, own, part, value[0])
            if passed is None:
                continue
            if pixels is None:
                pixels, outer = read_wide(raster, outer.grown(self.further_px))
            window = block.padded.grown(self.further_px)
            rgb = filled(pixels, outer, window)
            if rgb is None or not pixels.valid[block.core.within(outer)].any():
                continue
            if self.engine.facts.kind == "passes":
                maps = self.by_passes(rgb, window, self.gated(own, part, tiles[0]), told)
            else:
                maps = self.engine.back(rgb[None], passed[None])
            check_finite(maps, self.engine)
            relevance[block.core.within(strip.window)] = as_half(maps[0][block.crop])
        if pixels is None:
            valid = raster.read_valid(strip.window)
        else:
            valid = pixels.valid[strip.window.within(outer)]
        relevance[~valid] = 0
        return StripScores(relevance, valid, probability)

    def by_passes(self, rgb: Bytes, window: Window, gated: Floats, report: Report) -> Floats:
        """The map of a padded block, from a ``window`` that reaches `further_px` beyond it."""
        passes = self.engine.facts.passes
        total = np.zeros((1, 1, 1), np.float32)
        for number in range(passes):
            report(number / passes)
            place = window.row, window.col
            total = total + self.engine.share(rgb[None], gated[None], number, place)
        return total

    def gated(self, own: Window, part: Window, tiles: Floats) -> Floats:
        """1 for tiles that are explained, of all (h, w) that touch what the cells ``own`` are
        explained by; none of those beyond the lattice, which are not in ``part``."""
        seen = own.grown(self.tile - 1 + self.reach)
        gated = np.zeros([side - self.tile + 1 for side in seen.shape], np.float32)
        row, col = part.row - seen.row, part.col - seen.col
        rows, cols = tiles.shape
        gated[row : row + rows, col : col + cols] = tiles >= self.gate
        return gated

    def around(self, block: Block, own: Window, part: Window, value: Floats) -> Floats | None:
        """What the cells of a padded block pass on, those out of reach of its core left out; None
        if nothing reaches the core."""
        near = grown(own, self.reach, part)
        chosen = cut(value, near, part)
        if not chosen.any():
            return None
        padded = self.cells_of(block.padded)
        passed = np.zeros((len(value), *padded.shape), np.float32)
        passed[(slice(None), *near.within(padded))] = chosen
        return passed

    def cells(self, raster: Readable, grid: Grid, wanted: Window, report: Report) -> Floats:
        """Cells (C, F, G) of a full-width window, from the bands of the strips it touches; those
        that the last call gave are still there, others are forgotten."""
        touched = [
            band
            for band in (self.band_of(index, grid) for index in range(len(grid)))
            if band.row < wanted.end_row and band.end_row > wanted.row
        ]
        keys = [(raster.info.digest, band) for band in touched]
        self.bands = {key: cells for key, cells in self.bands.items() if key in keys}
        new = [key for key in keys if key not in self.bands]
        for number, key in enumerate(new):

            def told(share: float, number: int = number) -> None:
                report((number + share) / len(new))

            self.bands[key] = self.compute(raster, key[1], told)
        parts = [
            cut(self.bands[key], grown(band, 0, wanted), band)
            for key, band in zip(keys, touched, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def compute(self, raster: Readable, band: Window, report: Report) -> Floats:
        """Cells (C, F, G) of a full-width window, block by block."""
        pixels, outer = read_wide(raster, self.pixels_of(band.grown(self.reach)))
        parts = []
        for col in range(band.col, band.end_col, WIDE_PX // self.stride):
            cols = min(WIDE_PX // self.stride, band.end_col - col)
            own = Window(band.row, col, band.rows, cols)
            seen = own.grown(self.reach)
            rgb = filled(pixels, outer, self.pixels_of(seen))
            if rgb is None:
                parts.append(np.broadcast_to(self.blank, (len(self.blank), *own.shape)))
            else:
                parts.append(cut(self.engine.features(rgb[None])[0], own, seen))
            report((own.end_col - band.col) / band.cols)
        return np.concatenate(parts, axis=2)

    @cached_property
    def blank(self) -> Floats:
        """The cell (C, 1, 1) of nothing but fill."""
        side_px = (2 * self.reach + 1) * self.stride
        cells = self.engine.features(np.full((1, side_px, side_px, 3), GREY, np.uint8))
        return cells[0, :, self.reach : self.reach + 1, self.reach : self.reach + 1]

    @cached_property
    def blank_tile(self) -> float:
        """P(crack) of a tile of nothing but fill."""
        cells = np.broadcast_to(self.blank, (len(self.blank), self.tile, self.tile))
        return float(self.engine.head(np.ascontiguousarray(cells)[None], self.gate)[0][0, 0, 0])

    def lattice(self, grid: Grid) -> Window:
        """All cells of a raster: those of its pixels, and half a tile beyond each edge."""
        return self.cells_of(Window(0, 0, grid.rows, grid.cols)).grown(self.edge)

    def band_of(self, index: int, grid: Grid) -> Window:
        """The cells of a strip; those beyond the edges belong to the first and the last one."""
        lattice = self.lattice(grid)
        row, rows = grid.row_spans[index]
        own = self.cells_of(Window(row, 0, rows, grid.cols))
        first = lattice.row if index == 0 else own.row
        end = lattice.end_row if index == len(grid) - 1 else own.end_row
        return Window(first, lattice.col, end - first, lattice.cols)

    def cells_of(self, pixels: Window) -> Window:
        """The cells of a window of pixels that begins on a cell."""
        rows, cols = (-(-side // self.stride) for side in pixels.shape)
        return Window(pixels.row // self.stride, pixels.col // self.stride, rows, cols)

    def pixels_of(self, cells: Window) -> Window:
        return Window(*(value * self.stride for value in (cells.row, cells.col, *cells.shape)))


def check_finite(values: Floats, engine: Engine) -> None:
    """Raise a `ModelError` where a network gives what is not a number."""
    if not np.isfinite(values).all():
        raise ModelError(f"{engine.facts.model} is damaged: its scores are not finite")


def grown(window: Window, by: int, limit: Window) -> Window:
    """A window with ``by`` more on each side, as far as ``limit`` goes."""
    row, col = max(window.row - by, limit.row), max(window.col - by, limit.col)
    end_row = min(window.end_row + by, limit.end_row)
    end_col = min(window.end_col + by, limit.end_col)
    return Window(row, col, end_row - row, end_col - col)


def cut(array: Floats, window: Window, outer: Window) -> Floats:
    """The part ``window`` of an array (C, rows, cols) that holds ``outer``."""
    return np.ascontiguousarray(array[(slice(None), *window.within(outer))])


def span(strip: Strip) -> Window:
    """The one window that holds the padded windows of all blocks of a strip."""
    first, last = strip.blocks[0].padded, strip.blocks[-1].padded
    return Window(first.row, first.col, first.rows, last.end_col - first.col)


def read_wide(raster: Readable, window: Window) -> tuple[Pixels, Window]:
    """A window, and around it what `filled` needs if some of its pixels have no data."""
    pixels = raster.read(window)
    if pixels.valid.all():
        return pixels, window
    wide = window.grown(FAR_PX)
    return raster.read(wide), wide


def filled(pixels: Pixels, outer: Window, window: Window) -> Bytes | None:
    """The part ``window`` (rows, cols, 3) of pixels that hold ``outer``, without holes; None where
    it would be nothing but fill."""
    near = grown(window, FAR_PX, outer)
    part = near.within(outer)
    if not pixels.valid[part].any():
        return None
    rgb = fill(pixels.rgb[part], pixels.valid[part])
    return np.ascontiguousarray(rgb[window.within(near)])


def fill(rgb: Bytes, valid: Flags) -> Bytes:
    """``rgb`` (rows, cols, 3) with the colour of the nearest valid pixel where there is none,
    fading to grey."""
    if valid.all():
        return rgb
    if not valid.any():
        return np.full_like(rgb, GREY)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[valid]] = rgb[valid]
    share = (distance / FAR_PX).clip(max=1)[..., None]
    result = np.rint(colours[nearest] * (1 - share) + GREY * share).astype(np.uint8)
    result[valid] = rgb[valid]
    return result


def as_half(values: Floats) -> NDArray[np.float16]:
    """In half precision, which ends at 65504."""
    largest = np.finfo(np.float16).max
    return values.clip(-largest, largest).astype(np.float16)
