"""Count what a scan has to compute, in pixels and cells.

The scorer itself does the counting. It scores a blank raster of the same size, strip by strip,
with an engine that computes nothing and counts its inputs: once as on a crack-free surface, once as
on one cracked all over. So the counts follow however the scorer cuts blocks and windows.
`crackcli.scan.dry_run.speed` measures how long one of each takes.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, replace

import numpy as np

from crackcli.arrays import Bools, Float32, UInt8
from crackcli.engines.context_prescreen import ContextPrescreen
from crackcli.engines.engine import EngineFacts, Place, ScoreMaps, ungated
from crackcli.inference.staged import STEPS_PX
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View, score_view
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Pixels, Raster, RasterInfo

PATCH_PX = 512  # side of a patch of gated tiles: a crack lights up all the tiles that it crosses
WIDE_PX = 1024  # columns of a wide block: about the width in which cells are computed
SAMPLED_BLOCKS = 32  # wide blocks of a raster that are checked for valid pixels
# Costs of the stages of a student, as fractions of all of it, and of the memory of a context.
ENCODE_COST, CONTEXT_COST, DECODE_COST, CONTEXT_MEMORY = 0.3, 0.32, 0.38, 0.08
BACK_AND_FORTH = 3.0  # cost of a pass over its core, in forward passes over as many pixels
COUNTED_STRIPS = 8  # taller rasters are extrapolated from this many, as inner strips are alike


@dataclass(frozen=True)
class Workload:
    """What some strips of one view take.

    ``cells_px``   pixels whose cells are computed, those computed twice counted twice
    ``head``       cells that pass the classifier head, those that pass twice counted twice
    ``maps_px``    pixels that are attributed, halo included; for methods of several passes
                   weighted by the cost of a pass, over all passes; for methods by tiles the
                   pixels of all tiles; for stages weighted by the cost of a stage
    ``read_px``    pixels of the raster that are read, those read twice counted twice
    ``look_px``    pixels whose cells are computed in int8, for a prescreen
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
        """Return the workload of ``factor`` times as much."""
        return Workload(*(factor * value for value in astuple(self)))


@dataclass(frozen=True)
class WorkloadCount:
    """The workload that was counted, and the pixels of the largest image in one call."""

    load: Workload
    largest_cells_px: int
    largest_maps_px: int
    largest_look_px: int = 0


def pass_px(window_px: float, core_px: float) -> float:
    """Return the cost of one pass over a window, in pixels of a forward pass.

    The whole window passes forward to its cells; only the padded block in its middle passes forward
    again and back.
    """
    return window_px + BACK_AND_FORTH * core_px


class CountingEngine:
    """An engine that takes everything for crack, or nothing, and counts its inputs."""

    def __init__(
        self, facts: EngineFacts, window_cells: Mapping[str, int], *, cracked: bool
    ) -> None:
        self.facts, self.window_cells, self.cracked = facts, window_cells, cracked
        self.sha256 = ""
        self.cells_px, self.head_cells, self.maps_px = 0, 0, 0.0
        self.largest_cells_px = self.largest_maps_px = 0

    def features(self, images: UInt8) -> Float32:
        pixels = images[..., 0].size
        self.cells_px += pixels
        self.largest_cells_px = max(self.largest_cells_px, pixels)
        rim, step = self.facts.reach_px, self.facts.stride_px
        sampled = images[:, rim:-rim:step, rim:-rim:step, 0]  # so cells of fill differ from others
        return sampled[:, None].astype(np.float32)

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        self.head_cells += cells[:, 0].size
        fewer = self.facts.tile_px // self.facts.stride_px - 1
        count, _, rows, cols = cells.shape
        tiles = np.full((count, rows - fewer, cols - fewer), float(self.cracked), np.float32)
        passed = np.full((count, 1, rows, cols), float(self.cracked >= gate), np.float32)
        return tiles, passed

    def back(self, images: UInt8, value: Float32) -> Float32:
        return self.blank_map(images, images[..., 0].size, images)

    def pass_map(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        rim = self.facts.tile_px - self.facts.stride_px
        core = images[:, rim:-rim, rim:-rim]
        return self.blank_map(core, pass_px(images[..., 0].size, core[..., 0].size), images)

    def maps(self, images: UInt8) -> Float32:
        return self.blank_map(images, images[..., 0].size, images)

    def encode(self, images: UInt8) -> tuple[Float32, Float32, Float32]:
        count, rows, cols = self.blank_map(images, ENCODE_COST * images[..., 0].size, images).shape
        halves, quarters, eighths = (
            np.zeros((count, 1, rows // step, cols // step), np.float32) for step in STEPS_PX
        )
        return halves, quarters, eighths

    def context(self, eighths: Float32) -> Float32:
        pixels = STEPS_PX[-1] ** 2 * eighths[:, 0].size
        self.maps_px += CONTEXT_COST * pixels
        self.largest_maps_px = max(self.largest_maps_px, round(CONTEXT_MEMORY * pixels))
        prescreen = self.facts.prescreen or ContextPrescreen(np.ones(1, np.float32), 0.0)
        weights = prescreen.weights
        size = (1 + abs(prescreen.bias)) / np.abs(
            weights
        ).sum()  # the prescreen gives 1 or more, or -1
        value = (size if self.cracked else -size) * np.sign(weights)
        count, _, rows, cols = eighths.shape
        return np.broadcast_to(value[:, None, None], (count, len(weights), rows, cols))

    def decode(
        self, images: UInt8, halves: Float32, quarters: Float32, context: Float32
    ) -> Float32:
        return self.blank_map(images, DECODE_COST * images[..., 0].size, images)

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        return ungated(self.maps(images))

    def blank_map(self, core: UInt8, cost: float, images: UInt8) -> Float32:
        """Count the ``cost`` of a call with ``images``, and return a map of zeros for ``core``."""
        self.maps_px += cost
        self.largest_maps_px = max(self.largest_maps_px, images[..., 0].size)
        return np.zeros(core.shape[:3], np.float32)


class BlankRaster:
    """A raster whose pixels are all valid and black; it counts those that are read."""

    zoom = 1.0
    keeps_decoded = False

    def __init__(self, info: RasterInfo) -> None:
        self.info = replace(info, digest="plain")
        self.read_px = 0

    def read(self, window: Window) -> Pixels:
        inside = window.clipped(self.info.rows, self.info.cols)
        self.read_px += max(0, inside.rows) * max(0, inside.cols)
        black = np.broadcast_to(np.uint8(0), (*window.shape, 3))
        return Pixels(black, np.broadcast_to(np.True_, window.shape))

    def read_rgb(self, window: Window) -> UInt8:
        return self.read(window).rgb

    def read_valid(self, window: Window) -> Bools:
        return np.broadcast_to(np.True_, window.shape)


def counts_of(
    scorer: StripScorer,
    info: RasterInfo,
    view: View,
    indices: Collection[int],
    *,
    cracked: bool,
) -> WorkloadCount:
    """Count the workload of the strips ``indices`` of a view, one after the other.

    A raster of more than `COUNTED_STRIPS` strips is extrapolated from two lower ones.
    """
    strips = len(view.grid)
    if strips <= COUNTED_STRIPS:
        return counted(scorer, info, view, indices, cracked=cracked)
    core_px = view.grid.core_px

    def lower(number: int) -> tuple[int, WorkloadCount]:
        rows = round(number * core_px / view.zoom)
        part = replace(info, rows=rows)
        part_view = View.of(part, view.zoom, scorer, core_px)
        every = range(len(part_view.grid))
        return rows, counted(scorer, part, part_view, every, cracked=cracked)

    (few, first), (more, second) = lower(COUNTED_STRIPS // 2), lower(COUNTED_STRIPS)
    each_row = (second.load + first.load.times(-1)).times(1 / (more - few))
    whole = second.load + each_row.times(info.rows - more)
    return replace(second, load=whole.times(len(indices) / strips))


def counted(
    scorer: StripScorer,
    info: RasterInfo,
    view: View,
    indices: Collection[int],
    *,
    cracked: bool,
) -> WorkloadCount:
    """Count the workload strip by strip."""
    facts = scorer.engine.facts
    engine = CountingEngine(facts, scorer.engine.window_cells, cracked=cracked)
    int8_engine = CountingEngine(facts, {}, cracked=cracked)
    raster = BlankRaster(info)
    counting = scorer.on(engine, int8_engine)
    for index in indices:
        score_view(counting, raster, view, index)
    head = engine.head_cells + int8_engine.head_cells
    load = Workload(engine.cells_px, head, engine.maps_px, raster.read_px, int8_engine.cells_px)
    return WorkloadCount(
        load, engine.largest_cells_px, engine.largest_maps_px, int8_engine.largest_cells_px
    )


@dataclass(frozen=True)
class DataShare:
    """The fractions of a raster's blocks, and of its wide blocks, with valid pixels; ``row`` is the
    first row found with some."""

    blocks: float
    wide: float
    row: int = 0


def sample_data_share(raster: Raster, core_px: int) -> DataShare:
    """Estimate where a raster has valid pixels from some of its wide blocks, always the same."""
    rows, cols = raster.info.rows, raster.info.cols
    corners = [(row, col) for row in range(0, rows, core_px) for col in range(0, cols, WIDE_PX)]
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(corners), min(SAMPLED_BLOCKS, len(corners)), replace=False)
    blocks: list[bool] = []
    wide: list[bool] = []
    first_row = 0
    for row, col in sorted(corners[number] for number in chosen):
        window = Window(row, col, core_px, WIDE_PX).clipped(rows, cols)
        valid = raster.read_valid(window)
        if valid.any() and not any(wide):
            first_row = row + int(valid.any(axis=1).argmax())
        wide.append(bool(valid.any()))
        blocks += [
            bool(valid[:, first : first + core_px].any())
            for first in range(0, window.cols, core_px)
        ]
    return DataShare(float(np.mean(blocks)), float(np.mean(wide)), first_row)


def blocks_hit(tiles: float, core_px: int, facts: EngineFacts) -> float:
    """Return the fraction of blocks with attribution, if a fraction ``tiles`` of the tiles is
    gated, in patches of `PATCH_PX` placed at random.

    Patches of area a that cover a fraction 1 - exp(-n a) of the image meet 1 - exp(-n b) of the
    blocks. b is the area in which the middle of a patch meets a block: the square of a block and
    the halves of the tiles around it, dilated by the patch.
    """
    side = core_px + facts.tile_px + 2 * facts.reach_px
    patch = math.pi * PATCH_PX**2 / 4
    meets = side**2 + 2 * side * PATCH_PX + patch
    return float(1 - (1 - min(tiles, 1.0)) ** (meets / patch))
