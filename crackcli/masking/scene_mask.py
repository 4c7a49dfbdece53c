"""Make the mask of a scene from its score and its photograph, strip by strip.

Candidates are found in blocks with a halo and kept as runs of pixels. Their components are those
of the whole scene: a component that exceeds the scene's threshold somewhere, and is large enough,
is crack. The photograph is not read where the score is zero.
"""

import contextlib
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64, UInt8
from crackcli.masking.refinement import (
    BOUNDS,
    HALO_PX,
    REACH_PX,
    SMOOTHED_PX,
    STUDY_CLOSINGS_PX,
    Candidates,
    Masking,
    around,
    close,
    isodata,
    plain_candidates,
    refine,
    smooth_score,
    study_candidates,
)
from crackcli.masking.runs import Runs, find_runs, number_cracks
from crackcli.progress import Progress, ignore
from crackcli.rasters.grid import Block, Grid, Strip, Window
from crackcli.rasters.nodata import fill_nodata
from crackcli.rasters.reader import Raster, RasterInfo
from crackcli.rasters.score_mask import CRACK, NODATA, SCORE_MAX, Band, read_tags
from crackcli.rasters.writing.cog import write_cog
from crackcli.registry import find_method
from crackcli.threads import ThreadPool, thread_count

CORE_PX = 1024
BINS = 1024  # of the histogram of smoothed scores
HALF = "0.5"  # threshold on P(crack) in scores of earlier versions, which do not state one
STRIPS = 4  # of the mask that are painted at once


class Scores:
    """The score raster of a scene, decoded; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.band = Band(path)
        tags = read_tags(path)
        self.top = float(tags["CRACKCLI_SCORE_TOP"])
        self.method, self.start = tags["CRACKCLI_METHOD"], tags["CRACKCLI_START"]
        self.unit = float(tags["CRACKCLI_MARGIN"]) ** 0.5
        self.marked_from = float(tags.get("CRACKCLI_MARKED_FROM", HALF))

    def __enter__(self) -> "Scores":
        self.band.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self.band.__exit__(kind, error, traceback)

    def read(self, window: Window) -> tuple[Float32, Bools]:
        """Return the scores (rows, cols) of a window, 0 for nodata, and which pixels are valid."""
        return self.decoded(self.band.read(window))

    def decoded(self, coded: UInt8) -> tuple[Float32, Bools]:
        """Return the scores (rows, cols) of stored values ``coded``, and which pixels are valid."""
        valid = coded != NODATA
        return np.where(valid, coded, 0).astype(np.float32) * (self.top / SCORE_MAX), valid


Files = tuple[Scores, Raster]


def any_score(coded: UInt8) -> bool:
    """Return True if some stored score is above zero."""
    highest = int(coded.max())
    return highest > 0 and (highest < NODATA or bool(((coded > 0) & (coded < NODATA)).any()))


def find_threshold(score: Path, masking: Masking) -> float:
    """Return the threshold of a scene: half-way between the mean scores below and above it.

    Bounds keep a crack-free image from being split into a less and a more cracked half. If the
    score is the root of P(crack), the model determines the threshold instead.
    """
    with Scores(score) as scores:
        study = masking.recipe == "study"
        if find_method(scores.method).probability and not study:
            return math.sqrt(scores.marked_from)
        grid = Grid(*scores.band.shape, CORE_PX, HALO_PX)
    counts = np.zeros(BINS, np.int64)
    refined = masking.recipe == "refined"
    with ThreadPool(lambda: Scores(score), thread_count()) as pool:
        blocks = (block for strip in grid for block in strip.blocks)
        for part in pool.imap(partial(block_counts, refined=refined), blocks):
            counts += part
    centres: Float64 = np.arange(0.5, BINS, dtype=np.float64) * (scores.top / BINS)
    if study:  # Forest et al. 2024 threshold relevance, not its root
        return float(np.sqrt(isodata(counts, centres**2)))
    low, high = BOUNDS.get((scores.method, scores.start), (0.0, np.inf))
    return float(np.clip(isodata(counts, centres), low * scores.unit, high * scores.unit))


def block_counts(scores: Scores, block: Block, *, refined: bool) -> Int64:
    """Return the histogram of the scores in a block's core, smoothed if ``refined``."""
    coded = scores.band.read(block.padded)
    if not any_score(coded):
        counts = np.zeros(BINS, np.int64)
        counts[0] = np.count_nonzero(coded[block.crop] != NODATA)
        return counts
    values, valid = scores.decoded(coded)
    values = smoothed(values, 0.0) if refined else values
    chosen = values[block.crop][valid[block.crop]]
    some = chosen[chosen > 0].astype(np.float64).clip(max=scores.top)  # float32 may exceed top
    counts = np.histogram(some, BINS, (0, scores.top))[0]
    counts[0] += len(chosen) - len(some)
    return counts


def smoothed(score: Float32, above: float) -> Float32:
    """Return `smooth_score` wherever it exceeds ``above``, and 0 far from such pixels.

    A mean does not exceed all of its values, so only the surroundings of scores above it count.
    """
    q, high = np.zeros_like(score), score > above
    if high.any():
        at = around(high, SMOOTHED_PX).within(Window(0, 0, *score.shape))
        q[at] = smooth_score(score[at])
    return q


def write_mask(
    mask: Path,
    score: Path,
    info: RasterInfo,
    masking: Masking,
    threshold: float,
    progress: Progress = ignore,
) -> int:
    """Write the raster ``mask`` and return the number of its crack pixels."""
    grid = Grid(info.rows, info.cols, CORE_PX, HALO_PX)
    tags = {"CRACKCLI_RECIPE": masking.recipe, "CRACKCLI_THRESHOLD": repr(threshold)}
    with ThreadPool(lambda: both_opened(score, info), threads(info)) as pool:
        runs = find_runs(
            candidates(grid, pool, info, masking, threshold, progress), info.rows, info.cols
        )
        kept = runs_of_cracks(runs, masking.min_component_px)
        crack_px = 0

        def strips() -> Iterator[UInt8]:
            nonlocal crack_px
            for values in pool.imap(partial(strip_of, kept, masking), grid, STRIPS):
                crack_px += int(np.count_nonzero(values == CRACK)) if values.any() else 0
                yield values

        write_cog(mask, strips(), info, tags, resampling="mode")
    return crack_px


def threads(info: RasterInfo) -> int:
    """Return how many threads may read a photograph: one if its file is read from top to bottom."""
    with Raster(info) as raster:
        return thread_count() if raster.in_parts else 1


@contextlib.contextmanager
def both_opened(score: Path, info: RasterInfo) -> Iterator[Files]:
    """Open the score and the photograph for one thread."""
    with Scores(score) as scores, Raster(info) as raster:
        yield scores, raster


def strip_of(kept: Runs, masking: Masking, files: Files, strip: Strip) -> UInt8:
    """Return a strip of the mask that shows the runs ``kept``."""
    coded = files[0].band.read(strip.window)
    values = painted(kept, strip.window, masking)
    if coded.max() == NODATA:
        values[coded == NODATA] = NODATA
    return values


def candidates(
    grid: Grid,
    pool: ThreadPool[Files],
    info: RasterInfo,
    masking: Masking,
    threshold: float,
    progress: Progress,
) -> Iterator[tuple[UInt8, UInt8 | None]]:
    """Yield the weak candidates of each strip, and the strong ones as their score."""
    blocks = (block for strip in grid for block in strip.blocks)
    found = pool.imap(partial(block_candidates, masking, threshold), blocks)
    empty = np.zeros((CORE_PX, info.cols), np.uint8)
    for strip in grid:
        weak: UInt8 = empty[: strip.window.rows]
        strong: UInt8 | None = None
        for block in strip.blocks:
            part = next(found)
            if part is None:
                continue
            if strong is None:
                weak, strong = np.zeros((2, *strip.window.shape), np.uint8)
            within = block.core.within(strip.window)
            weak[within] = part.weak
            strong[within] = part.strong * np.uint8(SCORE_MAX)
        progress((strip.index + 1) / len(grid), f"{info.path.name}: mask")
        yield weak, strong


def block_candidates(
    masking: Masking, threshold: float, files: Files, block: Block
) -> Candidates | None:
    """Return the candidates in the core of a block, None if no score is above the threshold."""
    scores, raster = files
    coded = scores.band.read(block.padded)
    if not any_score(coded):
        return None
    score, valid = scores.decoded(coded)
    if masking.recipe == "study":
        return study_candidates(score, threshold).cut(block.crop)
    if masking.recipe == "plain":
        return plain_candidates(score, threshold).cut(block.crop)
    q = smoothed(score, threshold / 2)
    in_corridor = np.zeros(q.shape, bool)
    in_corridor[block.crop] = promising(q, threshold)[block.crop]
    if not in_corridor.any():
        return None
    part = around(in_corridor, REACH_PX) if valid.all() else Window(0, 0, *q.shape)
    at = part.within(Window(0, 0, *q.shape))
    window = Window(block.padded.row + part.row, block.padded.col + part.col, *part.shape)
    found = refine(
        fill_nodata(raster.read(window).rgb, valid[at]), q[at], threshold, in_corridor[at]
    )
    return Candidates(
        *(
            placed(flags & valid[at], at, q.shape)[block.crop]
            for flags in (found.weak, found.strong)
        )
    )


def promising(q: Float32, threshold: float) -> Bools:
    """Return the pixels of the corridor that hysteresis can keep in the mask of a block.

    These are the components of the corridor that exceed the threshold somewhere, or reach the rim
    of the block, so that they may do so outside of it.
    """
    count, labels = cv2.connectedComponents((q > threshold / 2).astype(np.uint8))
    kept = np.zeros(count, bool)
    kept[labels[q > threshold]] = True
    for rim in (slice(SMOOTHED_PX), slice(-SMOOTHED_PX, None)):  # where q is not exact
        kept[labels[rim]] = True
        kept[labels[:, rim]] = True
    kept[0] = False  # all that is outside the corridor
    chosen: Bools = kept[labels]
    return chosen


def placed(flags: Bools, at: tuple[slice, slice], shape: tuple[int, int]) -> Bools:
    """Return an array of ``shape`` with ``flags`` in its part ``at``, False elsewhere."""
    whole = np.zeros(shape, bool)
    whole[at] = flags
    return whole


def runs_of_cracks(runs: Runs, min_area_px: int) -> Runs:
    """Return the runs of components that hold a strong candidate and are large enough."""
    component, count = number_cracks(runs)
    area = np.bincount(component, runs.length, count)
    strong = np.bincount(component, runs.score, count)
    return runs.select(((area >= min_area_px) & (strong > 0))[component])


def paint(runs: Runs, window: Window) -> UInt8:
    """Return a full-width window with 1 in every run."""
    mask = np.zeros(window.shape, np.uint8)
    first, last = np.searchsorted(runs.row, (window.row, window.end_row))
    if first == last:
        return mask
    used, place = np.unique(runs.row[first:last] - window.row, return_inverse=True)
    row_start = place * window.cols
    steps = np.zeros(len(used) * window.cols + 1, np.int8)
    steps[row_start + runs.start[first:last]] += 1  # a run may start where the row above ended
    steps[row_start + runs.end[first:last]] -= 1
    mask[used] = np.cumsum(steps[:-1], dtype=np.int8).reshape(len(used), -1)
    return mask


def painted(runs: Runs, window: Window, masking: Masking) -> UInt8:
    """Return the runs of a full-width window as a mask; recipe study closes it once more."""
    halo_px = STUDY_CLOSINGS_PX[1] if masking.recipe == "study" else 0
    outer = Window(window.row - halo_px, 0, window.rows + 2 * halo_px, window.cols)
    mask = paint(runs, outer)
    if halo_px:
        framed = np.pad(mask, ((0, 0), (halo_px, halo_px))) > 0  # the same at all four edges
        mask = close(framed, STUDY_CLOSINGS_PX[1])[:, halo_px:-halo_px].astype(np.uint8)
    return mask[window.within(outer)]
