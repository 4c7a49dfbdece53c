"""What a scan has to compute, in pixels and tiles.

Nobody knows that better than the explainer itself: it explains a plain picture of the raster's
size, strip by strip, with an engine that computes nothing but counts what it is asked for, once as
on a sound wall and once as on one that is cracked all over.  So the counts stay true however the
explainer cuts its blocks and windows.  How long one of each takes tells
`crackcli.scan.dry_run.speed`."""

import math
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, replace

import numpy as np

from crackcli.arrays import Bools, Float32, UInt8
from crackcli.engines.engine import Engine, EngineFacts, Place, ScoreMaps, ungated
from crackcli.inference.explainer import Explainer
from crackcli.inference.opening import explainer_of
from crackcli.inference.prescreen import Int8Prescreen
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View, explain_view
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Pixels, Raster, RasterInfo

PATCH_PX = 512  # how wide a patch of such tiles is: a crack lights up all the tiles that it crosses
WIDE_PX = 1024  # columns in which cells are computed, about
PIECES = 32  # places of a raster that are looked at for data
BACK_AND_FORTH = 3.0  # a pass carries its core forth and back, in forward passes over as much
STRIPS = 8  # from which on the rows of a raster are told from fewer: all strips inside are alike


@dataclass(frozen=True)
class Workload:
    """Of some strips of one view.

    ``cells_px``   pixels of which cells are computed, with what is computed twice
    ``head``       cells that the head sees, with those that it sees twice
    ``maps_px``    pixels that are explained, with their halo; of passes weighed by what a pass
                   costs, of all passes; of a method by tiles the pixels of all tiles
    ``read_px``    pixels of the raster that are read, with those that are read twice
    ``look_px``    pixels of which cells are computed in whole numbers, for a first look
    """

    cells_px: float = 0.0
    head: float = 0.0
    maps_px: float = 0.0
    read_px: float = 0.0
    look_px: float = 0.0

    def __add__(self, other: "Workload") -> "Workload":
        return Workload(
            *(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))
        )

    def times(self, factor: float) -> "Workload":
        return Workload(*(factor * value for value in astuple(self)))


@dataclass(frozen=True)
class WorkloadCount:
    """What was counted: the load, and the pixels of the largest image in one call."""

    load: Workload
    largest_cells_px: int
    largest_maps_px: int
    largest_look_px: int = 0


def pass_px(window_px: float, core_px: float) -> float:
    """What one pass over a window costs, in pixels that go forth once: all of the window goes
    forth to its cells, only the padded block in its middle goes forth again and back."""
    return window_px + BACK_AND_FORTH * core_px


class CountingEngine:
    """An engine to which everything is crack, or nothing; it counts what it is asked for."""

    def __init__(
        self, facts: EngineFacts, window_cells: Mapping[str, int], *, cracked: bool
    ) -> None:
        self.facts, self.cracked, self.window_cells = facts, cracked, window_cells
        self.sha256 = ""
        self.cells_px, self.head_cells, self.maps_px = 0, 0, 0.0
        self.largest_cells_px = self.largest_maps_px = 0

    def features(self, images: UInt8) -> Float32:
        pixels = images[..., 0].size
        self.cells_px += pixels
        self.largest_cells_px = max(self.largest_cells_px, pixels)
        rim, step = self.facts.reach_px, self.facts.stride_px
        seen = images[:, rim:-rim:step, rim:-rim:step, 0]  # of fill other cells than of the wall
        return seen[:, None].astype(np.float32)

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        self.head_cells += cells[:, 0].size
        fewer = self.facts.tile_px // self.facts.stride_px - 1
        count, _, rows, cols = cells.shape
        tiles = np.full((count, rows - fewer, cols - fewer), float(self.cracked), np.float32)
        passed = np.full((count, 1, rows, cols), float(self.cracked >= gate), np.float32)
        return tiles, passed

    def back(self, images: UInt8, value: Float32) -> Float32:
        return self.mapped(images, images[..., 0].size)

    def pass_map(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        rim = self.facts.tile_px - self.facts.stride_px
        core = images[:, rim:-rim, rim:-rim]
        return self.mapped(core, pass_px(images[..., 0].size, core[..., 0].size), images)

    def maps(self, images: UInt8) -> Float32:
        return self.mapped(images, images[..., 0].size)

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        return ungated(self.maps(images))

    def mapped(self, images: UInt8, cost: float, seen: UInt8 | None = None) -> Float32:
        self.maps_px += cost
        self.largest_maps_px = max(
            self.largest_maps_px, (images if seen is None else seen)[..., 0].size
        )
        return np.zeros(images.shape[:3], np.float32)


class BlankRaster:
    """A raster all of whose pixels are data and black; it counts those that are read."""

    def __init__(self, info: RasterInfo) -> None:
        self.info = replace(info, digest="plain")
        self.read_px = 0

    def read(self, window: Window) -> Pixels:
        inside = window.clipped(self.info.rows, self.info.cols)
        self.read_px += max(0, inside.rows) * max(0, inside.cols)
        black = np.broadcast_to(np.uint8(0), (*window.shape, 3))
        return Pixels(black, np.broadcast_to(np.True_, window.shape))

    def read_valid(self, window: Window) -> Bools:
        return np.broadcast_to(np.True_, window.shape)


def counts_of(
    explainer: StripScorer,
    info: RasterInfo,
    view: View,
    indices: Collection[int],
    *,
    cracked: bool,
) -> WorkloadCount:
    """What the strips ``indices`` of a view take, one after the other."""
    strips = len(view.grid)
    if strips <= STRIPS:
        return counted(explainer, info, view, indices, cracked=cracked)
    core_px = view.grid.core_px

    def lower(number: int) -> tuple[int, WorkloadCount]:
        rows = round(number * core_px / view.zoom)
        part = replace(info, rows=rows)
        seen = View.of(part, view.zoom, explainer, core_px)
        return rows, counted(explainer, part, seen, range(len(seen.grid)), cracked=cracked)

    (few, first), (more, second) = lower(STRIPS // 2), lower(STRIPS)
    each_row = (second.load + first.load.times(-1)).times(1 / (more - few))
    whole = second.load + each_row.times(info.rows - more)
    return replace(second, load=whole.times(len(indices) / strips))


def counted(
    explainer: StripScorer,
    info: RasterInfo,
    view: View,
    indices: Collection[int],
    *,
    cracked: bool,
) -> WorkloadCount:
    """The same, each strip by itself."""
    facts, sizes = explainer.engine.facts, explainer.engine.window_cells
    engine = CountingEngine(facts, sizes, cracked=cracked)
    quick = CountingEngine(facts, {}, cracked=cracked)
    raster = BlankRaster(info)
    counting = alike(explainer, engine, quick)
    for index in indices:
        explain_view(counting, raster, view, index)
    head = engine.head_cells + quick.head_cells
    load = Workload(engine.cells_px, head, engine.maps_px, raster.read_px, quick.cells_px)
    return WorkloadCount(
        load, engine.largest_cells_px, engine.largest_maps_px, quick.largest_cells_px
    )


def alike(explainer: StripScorer, engine: Engine, quick: Engine) -> StripScorer:
    """An explainer with the same options and another engine, and another one for a first look in
    whole numbers."""
    look = explainer.look
    if isinstance(look, Int8Prescreen):
        return Explainer(engine, explainer.gate, Int8Prescreen(quick, look.least))
    return explainer_of(engine, explainer.gate, look.least if look else 0.0)


def in_whole_numbers(explainer: StripScorer) -> Engine | None:
    """The engine of a first look in whole numbers, where there is one."""
    look = explainer.look
    return look.seer.engine if isinstance(look, Int8Prescreen) else None


@dataclass(frozen=True)
class Data:
    """The shares of a raster's blocks, and of its wide blocks, that hold data; a ``row`` from which
    on there is some."""

    blocks: float
    wide: float
    row: int = 0


def sampled(raster: Raster, core_px: int) -> Data:
    """What some places of a raster tell of all of it, the same ones each time."""
    rows, cols = raster.info.rows, raster.info.cols
    corners = [(row, col) for row in range(0, rows, core_px) for col in range(0, cols, WIDE_PX)]
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(corners), min(PIECES, len(corners)), replace=False)
    blocks, wide, first_row = [], [], 0
    for row, col in sorted(corners[number] for number in chosen):
        window = Window(row, col, core_px, WIDE_PX).clipped(rows, cols)
        valid = raster.read_valid(window)
        if valid.any() and not any(wide):
            first_row = row + int(valid.any(axis=1).argmax())
        wide.append(valid.any())
        blocks += [
            valid[:, first : first + core_px].any() for first in range(0, window.cols, core_px)
        ]
    return Data(float(np.mean(blocks)), float(np.mean(wide)), first_row)


def blocks_hit(tiles: float, core_px: int, facts: EngineFacts) -> float:
    """The share of blocks that something is explained in, if a share of ``tiles`` is, in patches
    of `PATCH_PX` thrown at random.

    Patches of area a that cover a share 1 - exp(-n a) of the wall meet 1 - exp(-n b) of the
    blocks, with b the area in which the middle of a patch meets a block: the square of a block and
    the halves of the tiles around it, dilated by the patch.
    """
    side = core_px + facts.tile_px + 2 * facts.reach_px
    patch = math.pi * PATCH_PX**2 / 4
    meets = side**2 + 2 * side * PATCH_PX + patch
    return 1 - (1 - min(tiles, 1.0)) ** (meets / patch)
