"""The mask of a scene from its score and its photograph, strip by strip.

Candidates are found in blocks with a halo, kept as runs of pixels, and judged as components of the
whole scene: a component that reaches the scene's threshold somewhere, and is large enough, is
crack.  Blocks that the score does not point at are not even read.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crackcli.filling import fill
from crackcli.grid import Block, Grid, Window
from crackcli.masking import (
    BOUNDS,
    FIXED,
    HALO_PX,
    STUDY_CLOSINGS_PX,
    Candidates,
    Masking,
    close,
    isodata,
    plain_candidates,
    refine,
    smooth_score,
    study_candidates,
)
from crackcli.raster import NODATA, Band, Bytes, Flags, Raster, RasterInfo, read_tags, write_cog
from crackcli.runs import CRACK, SCORE_MAX, Runs, find_runs, number_cracks

CORE_PX = 1024
BINS = 1024  # of the histogram of smoothed scores

Progress = Callable[[float, str], None]


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

    def read(self, window: Window) -> tuple[NDArray[np.float32], Flags]:
        """Scores (rows, cols), 0 where there is no data, and where there is data."""
        coded = self.band.read(window)
        valid = coded != NODATA
        return np.where(valid, coded, 0).astype(np.float32) * (self.top / SCORE_MAX), valid


def find_threshold(score: Path, masking: Masking) -> float:
    """One threshold for the scene: half-way between the mean scores below and above it, within
    bounds that keep a sound wall from being split into a less and a more cracked half; fixed where
    the score is a probability."""
    refined, study = masking.recipe == "refined", masking.recipe == "study"
    with Scores(score) as scores:
        method, _ = scores.maker
        if method in FIXED and not study:
            return FIXED[method]
        counts = np.zeros(BINS, np.int64)
        for strip in Grid(*scores.band.shape, CORE_PX, HALO_PX):
            for block in strip.blocks:
                values, valid = scores.read(block.padded)
                if not values.any():
                    counts[0] += np.count_nonzero(valid[block.crop])
                    continue
                values = smooth_score(values) if refined else values
                chosen = values[block.crop][valid[block.crop]].astype(np.float64)
                chosen = chosen.clip(max=scores.top)  # in float32 the top may lie above itself
                counts += np.histogram(chosen, BINS, (0, scores.top))[0]
        centres = (np.arange(BINS) + 0.5) * (scores.top / BINS)
    if study:  # it thresholds relevance, not its root
        return float(np.sqrt(isodata(counts, centres**2)))
    low, high = BOUNDS.get(scores.maker, (0.0, np.inf))
    return float(np.clip(isodata(counts, centres), low * scores.unit, high * scores.unit))


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
    with Scores(score) as scores, Raster(info) as raster:
        runs = find_runs(
            candidates(grid, scores, raster, masking, threshold, progress), info.rows, info.cols
        )
        kept = runs_of_cracks(runs, masking.least_px)
        crack_px = 0

        def strips() -> Iterator[Bytes]:
            nonlocal crack_px
            for strip in grid:
                _, valid = scores.read(strip.window)
                values = painted(kept, strip.window, masking)
                values[~valid] = NODATA
                crack_px += int((values == CRACK).sum())
                yield values

        tags = {"CRACKCLI_RECIPE": masking.recipe, "CRACKCLI_THRESHOLD": repr(threshold)}
        write_cog(mask, strips(), info, tags, resampling="mode")
    return crack_px


def candidates(
    grid: Grid,
    scores: Scores,
    raster: Raster,
    masking: Masking,
    threshold: float,
    progress: Progress,
) -> Iterator[tuple[Bytes, Bytes]]:
    """Of each strip the weak candidates, and as their score the strong ones."""
    for strip in grid:
        weak = np.zeros(strip.window.shape, np.uint8)
        strong = np.zeros(strip.window.shape, np.uint8)
        for block in strip.blocks:
            found = block_candidates(block, scores, raster, masking, threshold)
            if found is not None:
                within = block.core.within(strip.window)
                weak[within] = found.weak[block.crop]
                strong[within] = found.strong[block.crop] * np.uint8(SCORE_MAX)
        progress((strip.index + 1) / len(grid), f"{raster.info.path.name} mask")
        yield weak, strong


def block_candidates(
    block: Block, scores: Scores, raster: Raster, masking: Masking, threshold: float
) -> Candidates | None:
    """Candidates of a padded block, or None where the score does not point at its core."""
    score, valid = scores.read(block.padded)
    if not score.any():
        return None
    if masking.recipe == "study":
        return study_candidates(score, threshold)
    if masking.recipe == "plain":
        return plain_candidates(score, threshold)
    q = smooth_score(score)
    if not (q[block.crop] > threshold / 2).any():
        return None
    found = refine(fill(raster.read(block.padded).rgb, valid), q, threshold)
    return Candidates(found.weak & valid, found.strong & valid)


def runs_of_cracks(runs: Runs, min_area_px: int) -> Runs:
    """The runs of components that hold a strong candidate and are not too small."""
    component, count = number_cracks(runs)
    area = np.bincount(component, runs.length, count)
    strong = np.bincount(component, runs.score, count)
    return some_of(runs, ((area >= min_area_px) & (strong > 0))[component])


def some_of(runs: Runs, chosen: Flags) -> Runs:
    """The runs (R) that are ``chosen`` (R,)."""
    per_run = ("row", "start", "end", "score", "squared", "scored", "beside_nodata")
    return replace(runs, **{name: getattr(runs, name)[chosen] for name in per_run})


def paint(runs: Runs, window: Window) -> Bytes:
    """A full-width window with 1 where a run lies."""
    first, last = np.searchsorted(runs.row, (window.row, window.end_row))
    rows = (runs.row[first:last] - window.row) * window.cols
    steps = np.zeros(window.rows * window.cols + 1, np.int8)
    steps[rows + runs.start[first:last]] += 1  # a run may begin where the row above has ended
    steps[rows + runs.end[first:last]] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).astype(np.uint8).reshape(window.shape)


def painted(runs: Runs, window: Window, masking: Masking) -> Bytes:
    """The runs inside a full-width window as a mask; the study's last closing included."""
    halo_px = STUDY_CLOSINGS_PX[1] if masking.recipe == "study" else 0
    outer = Window(window.row - halo_px, 0, window.rows + 2 * halo_px, window.cols)
    mask = paint(runs, outer)
    if halo_px:
        framed = np.pad(mask, ((0, 0), (halo_px, halo_px))) > 0  # the same at all four edges
        mask = close(framed, STUDY_CLOSINGS_PX[1])[:, halo_px:-halo_px].astype(np.uint8)
    return mask[window.within(outer)]
