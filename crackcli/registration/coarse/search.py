"""The first step of an alignment: a homography from features of the reduced photographs."""

from dataclasses import dataclass, replace

import numpy as np

from crackcli.arrays import Float64
from crackcli.progress import Progress
from crackcli.registration.coarse.features import (
    Features,
    Search,
    find_features,
    match_features,
    vote,
)
from crackcli.registration.coarse.plane import (
    apply_homography,
    find_homography,
    is_plausible,
    local_scale,
    overlap,
)
from crackcli.registration.coarse.repeats import Correlations, correlate_blocks
from crackcli.registration.levels import Level, Levels
from crackcli.registration.mapping import Mapping
from crackcli.registration.not_aligned import NotAligned

SEARCHES = (Search(800, 8000, 0.95), Search(1600, 8000, 0.85), Search(500, 6000, 0.98))
MIRROR_SEARCH = Search(500, 3000, 0.9)
REACH_PX = 2.5  # px of the reduced photograph; inliers of a plane
MIN_FEATURES = 30
MIN_INLIERS = 12
CERTAIN_INLIERS = 60  # no further search is needed
GRID = 6  # cells along each side
MIN_SPREAD = 0.12  # of the cells that have an inlier
MIN_OVERLAP = 0.3
CHECK_SIDE_PX = 640  # longer side of the photographs whose blocks are compared
CORRECTIONS = 2  # of a start, or of a lock beside the right place

ADVICE = "give two sharp photographs of the same part of the wall that overlap by 70 %"


@dataclass(frozen=True, eq=False)
class Coarse:
    """A homography (3, 3), the number of its inliers, the overlap as a fraction of the smaller
    photograph, and px of the later photograph for one of the earlier."""

    homography: Float64
    inliers: int
    overlap: float
    scale: float

    @classmethod
    def of(cls, homography: Float64, inliers: int, before: Levels, after: Levels) -> "Coarse":
        """Return the facts of a homography between two photographs."""
        middle = middle_of_overlap(homography, before.shape, after.shape)
        scale = float(local_scale(homography, middle[None])[0])
        return cls(homography, inliers, overlap(homography, before.shape, after.shape), scale)


def find_plane(before: Levels, after: Levels, start: Float64 | None, progress: Progress) -> Coarse:
    """Return the homography between two photographs.

    ``start`` (3, 3) is tried first, corrected by a shift. Raises `NotAligned` if there is none.
    """
    if start is not None:
        check_overlap(start, before, after)
        try:
            return checked(Coarse.of(start, 0, before, after), before, after)
        except NotAligned:
            progress(0.0, "Searching for common points")  # the maps may be too far off
    found = search_plane(before, after, progress)
    return checked(found, before, after)


def search_plane(before: Levels, after: Levels, progress: Progress) -> Coarse:
    """Return the homography of most inliers; raises `NotAligned` if all searches fail."""
    best: Coarse | None = None
    most, little_overlap = 0, False
    for step, search in enumerate(SEARCHES):
        progress(step / len(SEARCHES), "Searching for common points")
        homography, points = match_levels(
            before.of_side(search.side_px), after.of_side(search.side_px), search
        )
        most = max(most, len(points))
        if not is_likely(homography, points, before.shape):
            continue
        if overlap(homography, before.shape, after.shape) < MIN_OVERLAP:
            little_overlap = True
            continue
        if best is None or len(points) > best.inliers:
            best = Coarse.of(homography, len(points), before, after)
        if best.inliers >= CERTAIN_INLIERS:
            break
    if best is not None:
        return best
    names = f"{after.info.path}: cannot be aligned with {before.info.path.name}"
    if little_overlap:
        raise NotAligned(f"{names}: they overlap by less than {MIN_OVERLAP:.0%}; {ADVICE}")
    if is_mirrored(before, after):
        raise NotAligned(f"{names}: one of them is mirrored; flip it and scan it again")
    raise NotAligned(
        f"{names}: they have only {most} points in common, {MIN_INLIERS} spread over both are "
        f"needed; {ADVICE}"
    )


def match_levels(
    before: Level, after: Level, search: Search, *, mirrored: bool = False
) -> tuple[Float64, Float64]:
    """Return the homography (3, 3) between two photographs and its inliers (N, 2), in px of the
    earlier photograph. With ``mirrored`` the earlier one is mirrored first.

    Raises `NotAligned` if a photograph has no texture.
    """
    own = find_features(before, search.features, mirrored=mirrored)
    other = find_features(after, search.features)
    for level, found in ((before, own), (after, other)):
        if len(found) < MIN_FEATURES:
            raise NotAligned(
                f"{level.photograph.info.path}: has too little texture to be aligned "
                f"({len(found)} features of {MIN_FEATURES}); give a sharp photograph of the wall"
            )
    info = after.photograph.info
    return match_found(own, other, search.ratio, (info.rows, info.cols), float(after.px.mean()))


def match_found(
    before: Features, after: Features, ratio: float, shape: tuple[int, int], px: float
) -> tuple[Float64, Float64]:
    """Return the homography (3, 3) between the features of two photographs and its inliers (N, 2),
    in px of the earlier one.

    ``shape`` is that of the later one, and ``px`` how many of its px are one of the reduced one.
    """
    pairs = match_features(before, after, ratio)
    agree = vote(before, after, pairs, float(np.hypot(*shape)))
    points = before.points[pairs[0][agree]]
    homography, inliers = find_homography(points, after.points[pairs[1][agree]], REACH_PX * px)
    return homography, points[inliers]


def is_likely(homography: Float64, points: Float64, shape: tuple[int, int]) -> bool:
    """Return True if a homography of a photograph of ``shape`` with inliers ``points`` (N, 2) can
    be that of a wall."""
    if len(points) < MIN_INLIERS or not is_plausible(homography, shape):
        return False
    cells = np.floor(points / shape[::-1] * GRID).clip(0, GRID - 1)
    return len(np.unique(cells, axis=0)) / GRID**2 >= MIN_SPREAD


def is_mirrored(before: Levels, after: Levels) -> bool:
    """Return True if the photographs can be aligned when one of them is mirrored."""
    levels = before.of_side(MIRROR_SEARCH.side_px), after.of_side(MIRROR_SEARCH.side_px)
    homography, points = match_levels(*levels, MIRROR_SEARCH, mirrored=True)
    return len(points) >= CERTAIN_INLIERS and is_likely(homography, points, before.shape)


def checked(coarse: Coarse, before: Levels, after: Levels) -> Coarse:
    """Return a homography, moved to where the photographs are most alike.

    Raises `NotAligned` if they are not alike, or as much so one repeat of a pattern away.
    """
    for _ in range(CORRECTIONS):
        found = correlate(before, after, Mapping(coarse.homography), coarse.scale)
        if np.hypot(*found.shift) < before.of_side(CHECK_SIDE_PX).px.mean():
            break
        shift = np.eye(3)
        shift[:2, 2] = found.shift
        coarse = replace(coarse, homography=coarse.homography @ shift)
        check_overlap(coarse.homography, before, after)
    check_unique(before, after, Mapping(coarse.homography), coarse.scale)
    return coarse


def correlate(before: Levels, after: Levels, mapping: Mapping, scale: float) -> Correlations:
    """Compare blocks of two photographs that are aligned by ``mapping``."""
    own = before.of_side(CHECK_SIDE_PX)
    return correlate_blocks(own, after.at(max(1, round(own.reduction * scale))), mapping)


def check_unique(before: Levels, after: Levels, mapping: Mapping, scale: float) -> None:
    """Raise `NotAligned` if two photographs are not alike as they are aligned by ``mapping``, or
    about as much so one repeat of a pattern away."""
    found = correlate(before, after, mapping, scale)
    names = f"{after.info.path}: cannot be aligned with {before.info.path.name}"
    if not found.alike:
        raise NotAligned(f"{names}: they do not show the same where they overlap; {ADVICE}")
    if found.ambiguous:
        raise NotAligned(
            f"{names}: the wall repeats itself, and which repeat is which cannot be told; "
            "give photographs with an edge, a window or a mark in both"
        )


def check_overlap(homography: Float64, before: Levels, after: Levels) -> None:
    """Raise `NotAligned` if two photographs overlap by less than `MIN_OVERLAP`."""
    common = overlap(homography, before.shape, after.shape)
    if common < MIN_OVERLAP:
        raise NotAligned(
            f"{after.info.path}: cannot be aligned with {before.info.path.name}: by their maps "
            f"they overlap by {common:.0%}, at least {MIN_OVERLAP:.0%} is needed; {ADVICE}"
        )


def middle_of_overlap(
    homography: Float64, before: tuple[int, int], after: tuple[int, int]
) -> Float64:
    """Return the middle (2,) of what both photographs show, in the earlier one."""
    x, y = np.meshgrid(*(np.linspace(0, side, 9) for side in before[::-1]))
    points = np.column_stack([x.ravel(), y.ravel()])
    mapped = apply_homography(homography, points)
    inside = ((mapped >= 0) & (mapped <= after[::-1])).all(axis=1)
    return np.asarray(points[inside].mean(axis=0) if inside.any() else points.mean(axis=0))
