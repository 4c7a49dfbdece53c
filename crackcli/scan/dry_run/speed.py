"""How fast this machine is: the engine's parts and a scan's own work, timed on small blocks.

The engine computes noise, as large as a few tiles: what a network takes does not depend on what it
sees, and grows with the pixels.  All else that a scan does (strips packed, the score, the mask) is
timed by scanning a small picture of noise with an explainer that replays relevance, once as of a
sound wall and once as of one that is cracked all over.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from crackcli.arrays import Float32
from crackcli.engines.engine import Engine
from crackcli.inference.explainer import Explainer, RasterReader
from crackcli.inference.strips import Prescreen, StripScorer, StripScores
from crackcli.inference.views import View
from crackcli.masking.refinement import Masking
from crackcli.masking.scene_mask import CORE_PX, HALO_PX, find_threshold, write_mask
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.crops import write_png
from crackcli.rasters.grid import Grid
from crackcli.rasters.reader import inspect
from crackcli.scan.dry_run.workload import in_whole_numbers, pass_px
from crackcli.scan.raster import StripStore, explain, write_score

SECONDS = 2.0  # of the engine, warm-up left out; more where one block of a part takes longer
CELLS, HEAD, MAPS = 0.3, 0.15, 0.55  # shares of it
MOST = 50  # repetitions
SIDE_CELLS = 8  # of a block whose cells are computed
BLOCK_CELLS = 6  # of one that is explained
TILES = 4  # in a batch of a method by tiles
NOISE_PX = 512  # side of the picture
SMALL_PX = 64  # side of one that takes what any scene takes
SEED = 5
TAIL = 9  # power of normal numbers that spread like relevance: few of its pixels make up the most
STAGES = ("explain", "score", "mask")

Clock = Callable[[], float]


@dataclass(frozen=True)
class Overhead:
    """Seconds and bytes of a scan without its engine, of each pixel of the raster: ``pack_s`` and
    ``strip_bytes`` for each view, ``mask_s`` of pixels with the halos of their blocks."""

    pack_s: float
    score_s: float
    mask_s: float
    strip_bytes: float
    score_bytes: float
    mask_bytes: float


@dataclass(frozen=True)
class Speed:
    """Seconds of one pixel of cells, cell of the head, pixel of maps (see
    `crackcli.scan.dry_run.workload.Load`) and scene, and what a sound and a cracked wall take
    beside; ``look_s`` of one pixel of a first look in whole numbers."""

    cells_s: float
    head_s: float
    maps_s: float
    scene_s: float
    sound: Overhead
    cracked: Overhead
    look_s: float = 0.0


def measure(explainer: StripScorer, masking: Masking, clock: Clock = time.perf_counter) -> Speed:
    """The pace of an explainer on this machine, as busy as it is now."""
    rng = np.random.default_rng(SEED)
    quick = in_whole_numbers(explainer)
    look_s = pace_of_cells(quick, explainer.stride, rng, clock) if quick else 0.0
    if isinstance(explainer, Explainer):
        cells_s, head_s, maps_s = pace_of_parts(explainer, rng, clock)
    else:
        cells_s, head_s, maps_s = 0.0, 0.0, pace_of_maps(explainer.engine, rng, clock)
    with tempfile.TemporaryDirectory(prefix="crackcli-") as name:
        folder = Path(name)
        small_scan(folder / "warm", explainer, masking, SMALL_PX, rng, clock=clock, cracked=True)
        small = small_scan(
            folder / "small", explainer, masking, SMALL_PX, rng, clock=clock, cracked=False
        )
        scene_s = sum(small.seconds.values())
        sound, cracked = (
            small_scan(
                folder / words, explainer, masking, NOISE_PX, rng, clock=clock, cracked=cracked
            ).own(small)
            for words, cracked in (("sound", False), ("cracked", True))
        )
    return Speed(cells_s, head_s, maps_s, scene_s, sound, cracked, look_s)


def pace_of_parts(
    explainer: Explainer, rng: np.random.Generator, clock: Clock
) -> tuple[float, float, float]:
    """Seconds of a pixel of cells, of a cell of the head, of a pixel of maps."""
    engine, facts, stride = explainer.engine, explainer.engine.facts, explainer.stride
    cells_s = pace_of_cells(engine, stride, rng, clock)
    images = noise(rng, 1, SIDE_CELLS * stride + 2 * facts.reach_px)
    cells = wide(engine.features(images), explainer.tile + SIDE_CELLS)
    head_s = timed(lambda: engine.head(cells, 0.0), HEAD * SECONDS, clock) / cells[0, 0].size

    if facts.kind == "passes":
        block = 2 * explainer.reach + BLOCK_CELLS  # as of a window with a core
        window = block + 2 * (explainer.tile - 1)
        images = noise(rng, 1, window * stride)
        tiles = window - 2 * explainer.reach - explainer.tile + 1
        gated = np.ones((1, tiles, tiles), np.float32)
        maps = lambda: engine.pass_map(images, gated, 0, (0, 0))  # noqa: E731
        size = pass_px((window * stride) ** 2, (block * stride) ** 2)
    else:
        images = noise(rng, 1, BLOCK_CELLS * stride + 2 * facts.reach_px)
        value = wide(engine.head(cells, 0.0)[1], BLOCK_CELLS)
        maps = lambda: engine.back(images, value)  # noqa: E731
        size = images[..., 0].size
    return cells_s, head_s, timed(maps, MAPS * SECONDS, clock) / size


def pace_of_cells(engine: Engine, stride: int, rng: np.random.Generator, clock: Clock) -> float:
    """Seconds of a pixel of cells."""
    images = noise(rng, 1, SIDE_CELLS * stride + 2 * engine.facts.reach_px)
    return timed(lambda: engine.features(images), CELLS * SECONDS, clock) / images[..., 0].size


def pace_of_maps(engine: Engine, rng: np.random.Generator, clock: Clock) -> float:
    """Seconds of a pixel of maps, of a method without a gate."""
    tiles = engine.facts.kind == "tiles"
    images = noise(rng, TILES if tiles else 1, engine.facts.tile_px)
    return timed(lambda: engine.maps(images), SECONDS, clock) / images[..., 0].size


def noise(rng: np.random.Generator, number: int, side: int) -> np.ndarray:
    return rng.integers(0, 256, (number, side, side, 3), np.uint8)


def wide(cells: Float32, side: int) -> Float32:
    """Cells (1, C, side, side) of which all are some of these."""
    at = np.arange(side)
    return np.ascontiguousarray(cells[:, :, at % cells.shape[2]][:, :, :, at % cells.shape[3]])


def timed(work: Callable[[], object], seconds: float, clock: Clock) -> float:
    """What ``work`` takes once it is warm: the median of as many as fit into ``seconds``."""
    work()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while not taken or (time.perf_counter() < end and len(taken) < MOST):
        began = clock()
        work()
        taken.append(clock() - began)
    return statistics.median(taken)


@dataclass
class Replayed:
    """A `StripScorer` that knows the relevance: what is left is the scan's own work."""

    engine: Engine
    gate: float
    scores: StripScores
    core_px: int = NOISE_PX
    look: Prescreen | None = None

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        return Grid(rows, cols, core_px, 0, core_px)

    def explain_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        return self.scores


@dataclass(frozen=True)
class Small:
    """A scan of a small picture: seconds of its stages, bytes of its files."""

    side: int
    seconds: dict[str, float]
    bytes: dict[str, int]

    def own(self, smallest: "Small") -> Overhead:
        """What a pixel takes, without what ``smallest`` takes too."""
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
    """Pixels of a scene's blocks as its mask is made, with their halos."""
    grid = Grid(rows, cols, CORE_PX, HALO_PX)
    return sum(math.prod(block.padded.shape) for strip in grid for block in strip.blocks)


def small_scan(
    folder: Path,
    explainer: StripScorer,
    masking: Masking,
    side: int,
    rng: np.random.Generator,
    *,
    clock: Clock,
    cracked: bool,
) -> Small:
    """Scan noise of ``side`` squared with relevance of nothing or of all."""
    facts = explainer.engine.facts
    source = folder / "noise.png"
    write_png(source, noise(rng, 1, side)[0])
    relevance = np.zeros((side, side), np.float16)
    if cracked:
        drawn = rng.normal(0, 1, relevance.shape)
        relevance[:] = np.sign(drawn) * np.abs(drawn) ** TAIL * facts.margin / facts.tile_px**2
    tiles = (0, 0) if facts.direct else (side // facts.stride_px,) * 2
    probability = np.full(tiles, float(cracked), np.float32)
    scores = StripScores(relevance, np.ones((side, side), bool), probability)
    replayed = Replayed(explainer.engine, explainer.gate, scores)
    work, mask = StripStore(folder / "work", ""), folder / "mask.tif"
    ends = [clock()]
    info = inspect(source)
    views = [View.of(info, 1.0, replayed, side)]
    work.begin()
    explain(work, info, views, replayed, lambda share, words: None)
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
