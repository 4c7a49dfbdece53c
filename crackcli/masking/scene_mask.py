"""The mask of a scene from its score and its photograph, strip by strip.

Candidates are found in blocks with a halo, kept as runs of pixels, and judged as components of the
whole scene: a component that reaches the scene's threshold somewhere, and is large enough, is
crack.  Blocks that the score does not point at are not even read.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from crackcli.arrays import Bools, Float32, Int64, UInt8
from crackcli.masking.refinement import (
    BOUNDS,
    HALF_PROBABILITY,
    HALO_PX,
    SEEN_PX,
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
from crackcli.progress import Progress
from crackcli.rasters.cog import write_cog
from crackcli.rasters.grid import Block, Grid, Strip, Window
from crackcli.rasters.nodata import fill_nodata
from crackcli.rasters.reader import CRACK, NODATA, SCORE_MAX, Band, Raster, RasterInfo, read_tags
from crackcli.registry import find_method
from crackcli.threads import ThreadPool, thread_count

CORE_PX = 1024
BINS = 1024  # of the histogram of smoothed scores
STRIPS = 4  # of the mask that are made at once


class Scores:
    """The score raster of a scene, decoded; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.band = Band(path)
        tags = read_tags(path)
        self.top = float(tags["CRACKCLI_SCORE_TOP"])
        self.maker = tags["CRACKCLI_METHOD"], tags["CRACKCLI_START"]
        self.unit = float(tags["CRACKCLI_MARGIN"]) ** 0.5

    def __enter__(self) -> "Scores":
        self.band.__enter__()
        return self

    def __exit__(self, *exception: object) -> bool | None:
        return self.band.__exit__(*exception)

    def read(self, window: Window) -> tuple[Float32, Bools]:
        """Scores (rows, cols), 0 where there is no data, and where there is data."""
        return self.decoded(self.band.read(window))

    def decoded(self, coded: UInt8) -> tuple[Float32, Bools]:
        """The same of values as they are stored."""
        valid = coded != NODATA
        return np.where(valid, coded, 0).astype(np.float32) * (self.top / SCORE_MAX), valid


Files = tuple[Scores, Raster]


def points(coded: UInt8) -> bool:
    """Whether scores as they are stored point anywhere."""
    highest = int(coded.max())
    return highest > 0 and (highest < NODATA or bool(((coded > 0) & (coded < NODATA)).any()))


def find_threshold(score: Path, masking: Masking) -> float:
    """One threshold for the scene: half-way between the mean scores below and above it, within
    bounds that keep a sound wall from being split into a less and a more cracked half; fixed where
    the score is a probability."""
    with Scores(score) as scores:
        (method, _), study = scores.maker, masking.recipe == "study"
        if find_method(method).probability and not study:
            return HALF_PROBABILITY
        grid = Grid(*scores.band.shape, CORE_PX, HALO_PX)
    counts = np.zeros(BINS, np.int64)
    refined = masking.recipe == "refined"
    with ThreadPool(lambda: Scores(score), thread_count()) as crew:
        blocks = (block for strip in grid for block in strip.blocks)
        for part in crew.imap(partial(block_counts, refined=refined), blocks):
            counts += part
    centres = (np.arange(BINS) + 0.5) * (scores.top / BINS)
    if study:  # it thresholds relevance, not its root
        return float(np.sqrt(isodata(counts, centres**2)))
    low, high = BOUNDS.get(scores.maker, (0.0, np.inf))
    return float(np.clip(isodata(counts, centres), low * scores.unit, high * scores.unit))


def block_counts(scores: Scores, block: Block, *, refined: bool) -> Int64:
    """How many of the valid pixels of a block's core have which score, smoothed if ``refined``."""
    coded = scores.band.read(block.padded)
    if not points(coded):
        counts = np.zeros(BINS, np.int64)
        counts[0] = np.count_nonzero(coded[block.crop] != NODATA)
        return counts
    values, valid = scores.decoded(coded)
    values = smoothed(values) if refined else values
    chosen = values[block.crop][valid[block.crop]]
    some = chosen[chosen > 0].astype(np.float64).clip(max=scores.top)  # in float32 above itself
    counts = np.histogram(some, BINS, (0, scores.top))[0]
    counts[0] += len(chosen) - len(some)
    return counts


def smoothed(score: Float32) -> Float32:
    """`smooth_score` where it points, which is not computed where all is zero."""
    part = around(score > 0, SMOOTHED_PX)
    at, q = part.within(Window(0, 0, *score.shape)), np.zeros_like(score)
    q[at] = smooth_score(score[at])
    return q


def write_mask(
    mask: Path,
    score: Path,
    info: RasterInfo,
    masking: Masking,
    threshold: float,
    progress: Progress = lambda share, words: None,
) -> int:
    """Write the raster ``mask`` and return the number of its crack pixels."""
    grid = Grid(info.rows, info.cols, CORE_PX, HALO_PX)
    tags = {"CRACKCLI_RECIPE": masking.recipe, "CRACKCLI_THRESHOLD": repr(threshold)}
    with ThreadPool(lambda: both_opened(score, info), threads(info)) as crew:
        runs = find_runs(
            candidates(grid, crew, info, masking, threshold, progress), info.rows, info.cols
        )
        kept = runs_of_cracks(runs, masking.least_px)
        crack_px = 0

        def strips() -> Iterator[UInt8]:
            nonlocal crack_px
            for values in crew.imap(partial(strip_of, kept, masking), grid, STRIPS):
                crack_px += int(np.count_nonzero(values == CRACK)) if values.any() else 0
                yield values

        write_cog(mask, strips(), info, tags, resampling="mode")
    return crack_px


def threads(info: RasterInfo) -> int:
    """How many of them may read a photograph: one, if its file is read from top to bottom."""
    with Raster(info) as raster:
        return thread_count() if raster.in_parts else 1


@contextlib.contextmanager
def both_opened(score: Path, info: RasterInfo) -> Iterator[Files]:
    """What one thread reads: the score and the photograph."""
    with Scores(score) as scores, Raster(info) as raster:
        yield scores, raster


def strip_of(kept: Runs, masking: Masking, files: Files, strip: Strip) -> UInt8:
    """A strip of the mask, of the runs that are crack."""
    coded = files[0].band.read(strip.window)
    values = painted(kept, strip.window, masking)
    if coded.max() == NODATA:
        values[coded == NODATA] = NODATA
    return values


def candidates(
    grid: Grid,
    crew: ThreadPool[Files],
    info: RasterInfo,
    masking: Masking,
    threshold: float,
    progress: Progress,
) -> Iterator[tuple[UInt8, UInt8 | None]]:
    """Of each strip the weak candidates, and as their score the strong ones."""
    blocks = (block for strip in grid for block in strip.blocks)
    found = crew.imap(partial(block_candidates, masking, threshold), blocks)
    nothing = np.zeros((CORE_PX, info.cols), np.uint8)
    for strip in grid:
        weak, strong = nothing[: strip.window.rows], None
        for block in strip.blocks:
            part = next(found)
            if part is None:
                continue
            if strong is None:
                weak, strong = np.zeros((2, *strip.window.shape), np.uint8)
            within = block.core.within(strip.window)
            weak[within] = part.weak
            strong[within] = part.strong * np.uint8(SCORE_MAX)
        progress((strip.index + 1) / len(grid), f"{info.path.name} mask")
        yield weak, strong


def block_candidates(
    masking: Masking, threshold: float, files: Files, block: Block
) -> Candidates | None:
    """Candidates in the core of a block, or None where the score does not point at it."""
    scores, raster = files
    coded = scores.band.read(block.padded)
    if not points(coded):
        return None
    score, valid = scores.decoded(coded)
    if masking.recipe == "study":
        return study_candidates(score, threshold).cut(block.crop)
    if masking.recipe == "plain":
        return plain_candidates(score, threshold).cut(block.crop)
    q = smoothed(score)
    pointed = np.zeros(q.shape, bool)
    pointed[block.crop] = q[block.crop] > threshold / 2
    if not pointed.any():
        return None
    part = around(pointed, SEEN_PX) if valid.all() else Window(0, 0, *q.shape)
    at = part.within(Window(0, 0, *q.shape))
    window = Window(block.padded.row + part.row, block.padded.col + part.col, *part.shape)
    found = refine(fill_nodata(raster.read(window).rgb, valid[at]), q[at], threshold, pointed[at])
    return Candidates(
        *(
            placed(flags & valid[at], at, q.shape)[block.crop]
            for flags in (found.weak, found.strong)
        )
    )


def placed(flags: Bools, at: tuple[slice, slice], shape: tuple[int, int]) -> Bools:
    """Flags in an array of ``shape`` that has none elsewhere."""
    whole = np.zeros(shape, bool)
    whole[at] = flags
    return whole


def runs_of_cracks(runs: Runs, min_area_px: int) -> Runs:
    """The runs of components that hold a strong candidate and are not too small."""
    component, count = number_cracks(runs)
    area = np.bincount(component, runs.length, count)
    strong = np.bincount(component, runs.score, count)
    return some_of(runs, ((area >= min_area_px) & (strong > 0))[component])


def some_of(runs: Runs, chosen: Bools) -> Runs:
    """The runs (R) that are ``chosen`` (R,)."""
    per_run = ("row", "start", "end", "score", "squared", "scored", "beside_nodata")
    return replace(runs, **{name: getattr(runs, name)[chosen] for name in per_run})


def paint(runs: Runs, window: Window) -> UInt8:
    """A full-width window with 1 where a run lies."""
    mask = np.zeros(window.shape, np.uint8)
    first, last = np.searchsorted(runs.row, (window.row, window.end_row))
    if first == last:
        return mask
    used, place = np.unique(runs.row[first:last] - window.row, return_inverse=True)
    begin = place * window.cols
    steps = np.zeros(len(used) * window.cols + 1, np.int8)
    steps[begin + runs.start[first:last]] += 1  # a run may begin where the row above has ended
    steps[begin + runs.end[first:last]] -= 1
    mask[used] = np.cumsum(steps[:-1], dtype=np.int8).reshape(len(used), -1)
    return mask


def painted(runs: Runs, window: Window, masking: Masking) -> UInt8:
    """The runs inside a full-width window as a mask; the study's last closing included."""
    halo_px = STUDY_CLOSINGS_PX[1] if masking.recipe == "study" else 0
    outer = Window(window.row - halo_px, 0, window.rows + 2 * halo_px, window.cols)
    mask = paint(runs, outer)
    if halo_px:
        framed = np.pad(mask, ((0, 0), (halo_px, halo_px))) > 0  # the same at all four edges
        mask = close(framed, STUDY_CLOSINGS_PX[1])[:, halo_px:-halo_px].astype(np.uint8)
    return mask[window.within(outer)]
