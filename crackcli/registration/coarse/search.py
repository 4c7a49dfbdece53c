"""The first step of an alignment: a homography from features of the reduced photographs."""

from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Bools, Float64
from crackcli.progress import Progress
from crackcli.registration.coarse.features import Search, find_features, match_features, vote
from crackcli.registration.coarse.plane import (
    apply_homography,
    find_homography,
    is_plausible,
    local_scale,
    overlap,
)
from crackcli.registration.levels import Levels
from crackcli.registration.not_aligned import NotAligned

SEARCHES = (Search(800, 8000, 0.95), Search(1600, 8000, 0.85), Search(500, 6000, 0.98))
REACH_PX = 2.5  # px of the reduced photograph; inliers of a plane
MIN_INLIERS = 12
CERTAIN_INLIERS = 60  # no further search is needed
GRID = 6  # cells along each side
MIN_SPREAD = 0.12  # of the cells that have an inlier
MIN_OVERLAP = 0.25
MIN_FEATURES = 30


@dataclass(frozen=True, eq=False)
class Coarse:
    """A homography (3, 3), the number of its inliers, the overlap as a fraction of the smaller
    photograph, and px of the later photograph for one of the earlier."""

    homography: Float64
    inliers: int
    overlap: float
    scale: float


def find_plane(before: Levels, after: Levels, start: Float64 | None, progress: Progress) -> Coarse:
    """Return the homography between two photographs; raises `NotAligned` if there is none."""
    if start is not None:
        return of_homography(start, 0, before, after)
    best: Coarse | None = None
    most = 0
    for step, search in enumerate(SEARCHES):
        progress(step / len(SEARCHES), "Searching for common points")
        levels = before.of_side(search.side_px), after.of_side(search.side_px)
        own, other = (find_features(level, search.features) for level in levels)
        for level, found in ((before, own), (after, other)):
            if len(found) < MIN_FEATURES:
                raise NotAligned(
                    f"{level.info.path}: has no texture to align it by ({len(found)} features); "
                    "give a sharp photograph of the wall"
                )
        pairs = match_features(own, other, search.ratio)
        diagonal = float(np.hypot(*after.shape))
        agree = vote(own, other, pairs, diagonal)
        points = own.points[pairs[0][agree]], other.points[pairs[1][agree]]
        reach = REACH_PX * float(levels[1].px.mean())
        homography, inliers = find_homography(*points, reach)
        count = int(inliers.sum())
        most = max(most, count)
        if not acceptable(homography, points[0][inliers], before, after):
            continue
        if best is None or count > best.inliers:
            best = of_homography(homography, count, before, after)
        if best.inliers >= CERTAIN_INLIERS:
            break
    if best is None:
        raise NotAligned(
            f"{after.info.path.name}: cannot be aligned with {before.info.path.name} "
            f"({most} common points found, {MIN_INLIERS} are needed); give two photographs of the "
            "same part of the wall with an overlap of at least 70 %"
        )
    return best


def acceptable(homography: Float64, points: Float64, before: Levels, after: Levels) -> bool:
    """Return True if a homography with inliers ``points`` (N, 2) of ``before`` can be right."""
    if len(points) < MIN_INLIERS or not is_plausible(homography, before.shape):
        return False
    if overlap(homography, before.shape, after.shape) < MIN_OVERLAP:
        return False
    rows, cols = before.shape
    cells = np.floor(points / (cols, rows) * GRID).clip(0, GRID - 1)
    return len(np.unique(cells, axis=0)) / GRID**2 >= MIN_SPREAD


def of_homography(homography: Float64, inliers: int, before: Levels, after: Levels) -> Coarse:
    """Return the facts of a homography between two photographs."""
    middle = middle_of_overlap(homography, before.shape, after.shape)
    scale = float(local_scale(homography, middle[None])[0])
    common = overlap(homography, before.shape, after.shape)
    return Coarse(homography, inliers, common, scale)


def middle_of_overlap(
    homography: Float64, before: tuple[int, int], after: tuple[int, int]
) -> Float64:
    """Return the middle (2,) of what both photographs show, in the earlier one."""
    x, y = np.meshgrid(*(np.linspace(0, side, 9) for side in before[::-1]))
    points = np.column_stack([x.ravel(), y.ravel()])
    inside: Bools = np.asarray(
        ((mapped := apply_homography(homography, points)) >= 0).all(axis=1)
        & (mapped <= after[::-1]).all(axis=1)
    )
    return np.asarray(points[inside].mean(axis=0) if inside.any() else points.mean(axis=0))
