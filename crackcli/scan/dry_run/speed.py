"""Measure how fast this machine is: the steps of the engine, and the rest of a scan.

The engine computes noise as large as a few tiles: its time depends on the number of pixels, not on
their values. The rest of a scan (packing strips, score, mask) is timed by scanning a small image
of noise with a scorer that replays relevance: once as of a crack-free surface, once as of one
cracked all over.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from crackcli.arrays import Float32, UInt8
from crackcli.engines.engine import Engine, TileEngine
from crackcli.files import WORK, temporary_folder
from crackcli.inference.lattice import Lattice
from crackcli.inference.strips import Int8TileEngine, Prescreen, StripScorer, StripScores
from crackcli.inference.views import View
from crackcli.masking.refinement import HALO_PX, Masking
from crackcli.masking.scene_mask import CORE_PX, find_threshold, write_mask
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Grid
from crackcli.rasters.nodata import RasterReader
from crackcli.rasters.reader import inspect
from crackcli.rasters.writing.images import write_png
from crackcli.scan.dry_run.workload import pass_px
from crackcli.scan.raster import explain, write_score
from crackcli.scan.strip_store import StripStore

SECONDS = 2.0  # to time the engine, without warm-up; more if one run of a step takes longer
CELLS, HEAD, MAPS = 0.3, 0.15, 0.55  # fractions of it
MAX_REPETITIONS = 50
SIDE_CELLS = 8  # cells; side of a window whose cells are computed
BLOCK_CELLS = 6  # cells; side of a window that is attributed
TILES = 4  # in a batch of a method by tiles
NOISE_PX = 512  # side of the image
SMALL_PX = 64  # side of an image so small that only the fixed cost of a scene counts
SEED = 5
TAIL = 9  # power of normal numbers that is distributed like relevance: few pixels hold most of it
STAGES = ("explain", "score", "mask")

Clock = Callable[[], float]


@dataclass(frozen=True)
class Overhead:
    """Seconds and bytes of a scan without its engine, per pixel of the raster.

    ``pack_s`` and ``strip_bytes`` are per view, ``mask_s`` per pixel with the halos of its block.
    """

    pack_s: float
    score_s: float
    mask_s: float
    strip_bytes: float
    score_bytes: float
    mask_bytes: float


@dataclass(frozen=True)
class Speed:
    """Seconds per pixel of cells, cell of the head, pixel of maps, scene, and pixel of cells in
    int8 (``look_s``), see `crackcli.scan.dry_run.workload.Workload`; and the rest of a scan of a
    crack-free (``sound``) and of a ``cracked`` surface."""

    cells_s: float
    head_s: float
    maps_s: float
    scene_s: float
    sound: Overhead
    cracked: Overhead
    look_s: float = 0.0


def measure(scorer: StripScorer, masking: Masking, clock: Clock = time.perf_counter) -> Speed:
    """Measure the speed of a scorer on this machine, as busy as it is now."""
    rng = np.random.default_rng(SEED)
    int8_engine = scorer.prescreen.int8_engine if scorer.prescreen else None
    look_s = time_cells(int8_engine, rng, clock) if int8_engine else 0.0
    if scorer.engine.facts.direct:
        cells_s, head_s, maps_s = 0.0, 0.0, time_maps(scorer.engine, rng, clock)
    else:
        cells_s, head_s, maps_s = time_steps(scorer.engine, rng, clock)
    with temporary_folder() as folder:
        small_scan(folder / "warm", scorer, masking, SMALL_PX, rng, clock=clock, cracked=True)
        small = small_scan(
            folder / "small", scorer, masking, SMALL_PX, rng, clock=clock, cracked=False
        )
        scene_s = sum(small.seconds.values())
        sound, cracked = (
            small_scan(
                folder / words, scorer, masking, NOISE_PX, rng, clock=clock, cracked=cracked
            ).overhead(small)
            for words, cracked in (("sound", False), ("cracked", True))
        )
    return Speed(cells_s, head_s, maps_s, scene_s, sound, cracked, look_s)


def time_steps(
    engine: Engine, rng: np.random.Generator, clock: Clock
) -> tuple[float, float, float]:
    """Return the seconds per pixel of cells, per cell of the head, per pixel of maps."""
    facts, lattice, stride = engine.facts, Lattice.of(engine.facts), engine.facts.stride_px
    cells_s = time_cells(engine, rng, clock)
    images = noise(rng, 1, SIDE_CELLS * stride + 2 * facts.reach_px)
    cells = repeat_cells(engine.features(images), lattice.tile + SIDE_CELLS)
    head_s = timed(lambda: engine.head(cells, 0.0), HEAD * SECONDS, clock) / cells[0, 0].size

    if facts.kind == "passes":
        block = 2 * lattice.reach + BLOCK_CELLS  # as of a window with a core
        window = block + 2 * (lattice.tile - 1)
        images = noise(rng, 1, window * stride)
        tiles = window - 2 * lattice.reach - lattice.tile + 1
        gated = np.ones((1, tiles, tiles), np.float32)
        maps = lambda: engine.pass_map(images, gated, 0, (0, 0))  # noqa: E731
        size = pass_px((window * stride) ** 2, (block * stride) ** 2)
    else:
        images = noise(rng, 1, BLOCK_CELLS * stride + 2 * facts.reach_px)
        value = repeat_cells(engine.head(cells, 0.0)[1], BLOCK_CELLS)
        maps = lambda: engine.back(images, value)  # noqa: E731
        size = images[..., 0].size
    return cells_s, head_s, timed(maps, MAPS * SECONDS, clock) / size


def time_cells(engine: TileEngine, rng: np.random.Generator, clock: Clock) -> float:
    """Return the seconds per pixel of cells."""
    images = noise(rng, 1, SIDE_CELLS * engine.facts.stride_px + 2 * engine.facts.reach_px)
    return timed(lambda: engine.features(images), CELLS * SECONDS, clock) / images[..., 0].size


def time_maps(engine: Engine, rng: np.random.Generator, clock: Clock) -> float:
    """Return the seconds per pixel of maps, for a method without a gate."""
    tiles = engine.facts.kind == "tiles"
    images = noise(rng, TILES if tiles else 1, engine.facts.tile_px)
    return timed(lambda: engine.maps(images), SECONDS, clock) / images[..., 0].size


def noise(rng: np.random.Generator, number: int, side: int) -> UInt8:
    """Return images (number, side, side, 3) of noise."""
    return rng.integers(0, 256, (number, side, side, 3), np.uint8)


def repeat_cells(cells: Float32, side: int) -> Float32:
    """Return cells (1, C, side, side) that repeat these."""
    at = np.arange(side)
    return np.ascontiguousarray(cells[:, :, at % cells.shape[2]][:, :, :, at % cells.shape[3]])


def timed(work: Callable[[], object], seconds: float, clock: Clock) -> float:
    """Return the median time of ``work`` when warm, of as many runs as fit into ``seconds``."""
    work()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while not taken or (time.perf_counter() < end and len(taken) < MAX_REPETITIONS):
        began = clock()
        work()
        taken.append(clock() - began)
    return statistics.median(taken)


@dataclass
class Replayed:
    """A `StripScorer` that returns given scores, so that only the rest of the scan takes time."""

    engine: Engine
    gate: float
    scores: StripScores
    core_px: int = NOISE_PX
    channels: int = 0
    prescreen: Prescreen | None = None

    def on(self, engine: Engine, int8_engine: Int8TileEngine) -> "Replayed":
        return replace(self, engine=engine)

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        return Grid(rows, cols, core_px, 0, core_px)

    def score_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        return self.scores


@dataclass(frozen=True)
class Small:
    """A scan of a small image: seconds of its stages, bytes of its files."""

    side: int
    seconds: dict[str, float]
    bytes: dict[str, int]

    def overhead(self, smallest: "Small") -> Overhead:
        """Return the cost per pixel; the time that ``smallest`` takes too counts for no pixel."""
        px = self.side**2 - smallest.side**2
        padded_px = mask_px(self.side, self.side) - mask_px(smallest.side, smallest.side)

        def second(stage: str, size: int = px) -> float:
            return max(0.0, self.seconds[stage] - smallest.seconds[stage]) / size

        return Overhead(
            pack_s=second("explain"),
            score_s=second("score"),
            mask_s=second("mask", padded_px),
            strip_bytes=self.bytes["strip"] / self.side**2,
            score_bytes=self.bytes["score"] / self.side**2,
            mask_bytes=self.bytes["mask"] / self.side**2,
        )


def mask_px(rows: int, cols: int) -> int:
    """Return the pixels of all blocks of a scene's mask, halos included."""
    grid = Grid(rows, cols, CORE_PX, HALO_PX)
    return sum(math.prod(block.padded.shape) for strip in grid for block in strip.blocks)


def small_scan(
    folder: Path,
    scorer: StripScorer,
    masking: Masking,
    side: int,
    rng: np.random.Generator,
    *,
    clock: Clock,
    cracked: bool,
) -> Small:
    """Scan noise of ``side`` squared, with relevance nowhere or, if ``cracked``, everywhere."""
    facts = scorer.engine.facts
    source = folder / "noise.png"
    write_png(source, noise(rng, 1, side)[0])
    relevance = np.zeros((side, side), np.float16)
    if cracked:
        drawn = rng.normal(0, 1, relevance.shape)
        relevance[:] = np.sign(drawn) * np.abs(drawn) ** TAIL * facts.margin / facts.tile_px**2
    tiles = (0, 0) if facts.direct else (side // facts.stride_px,) * 2
    probability = np.full(tiles, float(cracked), np.float32)
    scores = StripScores(relevance, np.ones((side, side), bool), probability)
    replayed = Replayed(scorer.engine, scorer.gate, scores)
    work, mask = StripStore(folder / WORK, ""), folder / "mask.tif"
    ends = [clock()]
    info = inspect(source)
    views = [View.of(info, 1.0, replayed, side)]
    work.begin()
    explain(work, info, views, replayed, ignore)
    ends.append(clock())
    score = write_score(work, info, views, replayed)
    ends.append(clock())
    threshold = masking.threshold or find_threshold(score, masking)
    write_mask(mask, score, info, masking, threshold)
    ends.append(clock())
    files = {"strip": work.path(1.0, 0), "score": score, "mask": mask}
    return Small(
        side,
        {stage: end - begin for stage, (begin, end) in zip(STAGES, pairwise(ends), strict=True)},
        {name: path.stat().st_size for name, path in files.items()},
    )
