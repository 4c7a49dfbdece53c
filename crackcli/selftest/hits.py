"""Whether a crack that was drawn is among those that were found, and what was found beside it.

A drawn crack counts as *detected* if at least `DETECTED` of its centreline lies within `REACH_PX`,
or its own width if that is more, of the centreline of cracks that the report lists.  A line that
was set aside as a joint is none of these.

What is drawn is rough, and what is measured runs smoothly along it: the same area on a shorter
line is wider.  So the true width is taken as the measured one is: the area that is drawn along a
smooth course, over the length of that course (`course`), where the found crack has a width.

A crack that was found and lies mostly neither at the drawn one nor at what the scan of the
photograph as it is had marked is a *false call*: nothing was drawn there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from crackcli.arrays import Bools, Float64, Int64, UInt8
from crackcli.cracks.crack import Crack
from crackcli.rasters.reader import CRACK, NODATA
from crackcli.synthesis.cover import CrackPath, coverage

DETECTED = 0.5  # share of a drawn centreline
REACH_PX = 4.0
BESIDE_PX = 12.0  # a find within this of what was there or was drawn belongs to it
MOSTLY = 0.5  # of a found centreline
SMOOTH_PX = 3.0  # deviation: about as smooth as measured centrelines
FINE_PX = 0.25  # between points that are smoothed
WINDOW_PX = 2.0  # deviation: a width is about that of 5 px of the way
OPEN_PX = 0.2  # width from which on a place of the path is open


@dataclass(frozen=True)
class Hit:
    """What became of a drawn crack: the share of it that was found, and whether that makes it
    detected; ``set_aside``: it would be, but as a joint.  ``true_px`` is its median width across
    a smooth course where the found crack that covers most of it has a width, ``measured_px`` the
    median of that one and ``sigma_px`` its standard uncertainty, None where there is none.
    ``false_calls`` are counted on ``checked_px`` pixels."""

    share: float
    detected: bool
    set_aside: bool
    true_px: float | None
    measured_px: float | None
    sigma_px: float | None
    false_calls: int
    checked_px: int


def hit_of(
    path: CrackPath,
    width_px: float,
    cracks: Sequence[Crack],
    joints: Sequence[Crack],
    before: UInt8,
) -> Hit:
    """The hit of a drawn ``path`` among ``cracks`` and ``joints`` of its scene; ``before`` (rows,
    cols) is the mask of the same pixels as they were."""
    drawn = dense(path)
    points = drawn.points
    reach_px = max(REACH_PX, width_px)
    nearest = covering(points, cracks, reach_px)
    share = float((nearest >= 0).mean())
    aside = covering(points, [*cracks, *joints], reach_px)
    detected = share >= DETECTED
    true_px = measured_px = sigma_px = None
    if detected:
        main = int(np.bincount(nearest[nearest >= 0]).argmax())
        true_px = width_along(course(path, before.shape), cracks[main])
        measured_px = cracks[main].widths.median_px
        sigma_px = cracks[main].widths.median_sigma_px
    known = cv2.dilate((before == CRACK).astype(np.uint8), disc(BESIDE_PX)) > 0
    beside = cKDTree(points)
    false_calls = sum(is_false(crack, beside, known, BESIDE_PX + width_px / 2) for crack in cracks)
    return Hit(
        share=share,
        detected=detected,
        set_aside=not detected and float((aside >= 0).mean()) >= DETECTED,
        true_px=true_px,
        measured_px=measured_px,
        sigma_px=sigma_px,
        false_calls=false_calls,
        checked_px=int(((before != NODATA) & ~known).sum()),
    )


def course(path: CrackPath, shape: tuple[int, int]) -> CrackPath:
    """The middle of what is drawn on a picture of this ``shape``, smoothed by `SMOOTH_PX`, with the
    drawn area along it over its length as widths, a point for each pixel of the way."""
    even = path.sampled(np.arange(FINE_PX / 2, path.along_px[-1], FINE_PX))
    x, y = np.gradient(even.points, axis=0).T
    across = np.column_stack([-y, x]) / np.hypot(x, y).clip(min=1e-9)[:, None]
    middle = even.points + even.shift_px[:, None] * across
    smooth = gaussian_filter1d(middle, SMOOTH_PX / FINE_PX, axis=0, mode="nearest")
    line = CrackPath(smooth, even.width_px, np.zeros(len(smooth)))
    line = line.sampled(np.arange(0.5, max(1.0, line.along_px[-1]), 1.0))
    cover = coverage([path], shape)
    rows, cols = np.nonzero(cover)
    _, nearest = cKDTree(line.points).query(np.column_stack([cols, rows]))
    area = np.bincount(nearest, cover[rows, cols], len(line.points))
    return replace(line, width_px=gaussian_filter1d(area, WINDOW_PX, mode="nearest"))


def width_along(true: CrackPath, crack: Crack) -> float:
    """The median of the widths of a `course` where a found crack has a width of its own."""
    profile = crack.widths.profile
    known = np.zeros(0, bool) if profile is None else np.isfinite(profile.width_px)
    if profile is not None and np.isfinite(profile.sigma_px).any():
        known = np.isfinite(profile.sigma_px)
    at = profile.points[known] if profile is not None and known.any() else samples(crack.centreline)
    return float(np.median(true.width_px[cKDTree(true.points).query(at)[1]]))


def dense(path: CrackPath) -> CrackPath:
    """The open parts of a path at every pixel along it."""
    way = path.along_px
    even = path.sampled(np.arange(0.5, way[-1], 1.0))
    open_ = even.width_px >= min(OPEN_PX, path.width_px.max() / 2)
    return CrackPath(even.points[open_], even.width_px[open_], even.shift_px[open_])


def covering(points: Float64, cracks: Sequence[Crack], reach_px: float) -> Int64:
    """Of each point (N, 2) the index of the crack (N,) next to it, -1 where none is near enough."""
    lines = [samples(crack.centreline) for crack in cracks]
    if not lines:
        return np.full(len(points), -1)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    distance, found = cKDTree(np.concatenate(lines)).query(points)
    return np.where(distance <= reach_px, owner[found], -1)


def covered(points: Float64, lines: Sequence[Float64], reach_px: float) -> Bools:
    """Which points (N, 2) lie near any of the lines."""
    if not lines:
        return np.zeros(len(points), bool)
    return cKDTree(samples(lines)).query(points)[0] <= reach_px


def samples(lines: Sequence[Float64]) -> Float64:
    """Points (N, 2) at most about a pixel apart on all of the lines."""
    parts = []
    for line in lines:
        way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        even = np.linspace(0, way[-1], int(np.ceil(way[-1])) + 1)
        parts.append(np.column_stack([np.interp(even, way, axis) for axis in line.T]))
    return np.concatenate(parts)


def is_false(crack: Crack, drawn: cKDTree, known: Bools, reach_px: float) -> bool:
    """Whether a found crack lies mostly away from the drawn one and from what was known."""
    points = samples(crack.centreline)
    cols, rows = np.rint(points).astype(int).T
    rows, cols = rows.clip(0, known.shape[0] - 1), cols.clip(0, known.shape[1] - 1)
    explained = known[rows, cols] | (drawn.query(points)[0] <= reach_px)
    return float(explained.mean()) < MOSTLY


def disc(radius_px: float) -> UInt8:
    side = 2 * int(radius_px) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
