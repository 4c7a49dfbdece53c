"""Matches a drawn crack with the cracks found in its copy: hit or miss, widths, false calls.

A drawn crack is *detected* if at least `DETECTED_FRACTION` of its centreline lies within `REACH_PX`
(or its own width, if that is more) of the centrelines of the cracks in the report. Lines that the
report classified as joints do not count.

The true width is measured along a smooth centreline, as the measured width is. A drawn crack is
rough, a measured centreline is smooth and therefore shorter, so that the same area is wider along
it. `smooth_course` gives the true width: the drawn area over the length of a smooth course.

A *false call* is a found crack of which most lies neither at the drawn crack nor at what the scan
of the unchanged photograph had marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from crackcli.arrays import Bools, Float64, Int64, UInt8
from crackcli.cracks.crack import Crack
from crackcli.rasters.score_mask import CRACK, NODATA
from crackcli.synthesis.cover import CrackPath, coverage

DETECTED_FRACTION = 0.5  # of a drawn centreline
REACH_PX = 4.0
BESIDE_PX = 12.0  # a found crack within this of a drawn or an earlier one belongs to it
EXPLAINED_FRACTION = 0.5  # of a found centreline; below it the crack is a false call
SMOOTH_PX = 3.0  # sigma; about as smooth as measured centrelines
FINE_PX = 0.25  # spacing of the points that are smoothed
WIDTH_SIGMA_PX = 2.0  # along the course; a width is about the mean of 5 px
OPEN_PX = 0.2  # smallest width at which a point of a path is open


@dataclass(frozen=True)
class Hit:
    """The result for one drawn crack.

    found_fraction  of its centreline
    detected        True if that is enough
    set_aside       True if it would be detected, but was classified as a joint
    true_px         median true width along the found crack that covers most of it
    measured_px     median width of that found crack
    sigma_px        standard uncertainty of ``measured_px``
    false_calls     found cracks that are neither drawn nor known from before
    checked_px      area in which false calls are counted, in pixels

    A width is None if it is unknown.
    """

    found_fraction: float
    detected: bool
    set_aside: bool
    true_px: float | None
    measured_px: float | None
    sigma_px: float | None
    false_calls: int
    checked_px: int

    @property
    def error_px(self) -> float | None:
        """Measured minus true width."""
        if self.measured_px is None or self.true_px is None:
            return None
        return self.measured_px - self.true_px


def match_crack(
    path: CrackPath,
    width_px: float,
    cracks: Sequence[Crack],
    joints: Sequence[Crack],
    before: UInt8,
) -> Hit:
    """Match a drawn ``path`` with the ``cracks`` and ``joints`` found in its copy.

    ``before`` (rows, cols) is the mask of the same pixels without the drawn crack.
    """
    points = open_points(path).points
    reach_px = max(REACH_PX, width_px)
    nearest = nearest_crack(points, cracks, reach_px)
    found_fraction = float((nearest >= 0).mean())
    with_joints = nearest_crack(points, [*cracks, *joints], reach_px)
    detected = found_fraction >= DETECTED_FRACTION
    true_px = measured_px = sigma_px = None
    if detected:
        main = int(np.bincount(nearest[nearest >= 0]).argmax())
        true_px = width_along(smooth_course(path, before.shape), cracks[main])
        measured_px = cracks[main].widths.median_px
        sigma_px = cracks[main].widths.median_sigma_px
    known = cv2.dilate((before == CRACK).astype(np.uint8), disc(BESIDE_PX)) > 0
    drawn = cKDTree(points)
    beside_px = BESIDE_PX + width_px / 2
    return Hit(
        found_fraction=found_fraction,
        detected=detected,
        set_aside=not detected and float((with_joints >= 0).mean()) >= DETECTED_FRACTION,
        true_px=true_px,
        measured_px=measured_px,
        sigma_px=sigma_px,
        false_calls=sum(is_false_call(crack, drawn, known, beside_px) for crack in cracks),
        checked_px=int(((before != NODATA) & ~known).sum()),
    )


def smooth_course(path: CrackPath, shape: tuple[int, ...]) -> CrackPath:
    """Return the middle of a drawn crack, smoothed by `SMOOTH_PX`, with a point for each pixel.

    Its widths are the area that the crack covers on an image of this ``shape``, over the length of
    the course.
    """
    even = path.sampled(np.arange(FINE_PX / 2, path.along_px[-1], FINE_PX))
    x, y = np.gradient(even.points, axis=0).T
    across = np.column_stack([-y, x]) / np.hypot(x, y).clip(min=1e-9)[:, None]
    middle = even.points + even.shift_px[:, None] * across
    smooth = gaussian_filter1d(middle, SMOOTH_PX / FINE_PX, axis=0, mode="nearest")
    line = CrackPath(smooth, even.width_px, np.zeros(len(smooth)))
    line = line.sampled(np.arange(0.5, max(1.0, line.along_px[-1]), 1.0))
    cover = coverage([path], (shape[0], shape[1]))
    rows, cols = np.nonzero(cover)
    _, nearest = cKDTree(line.points).query(np.column_stack([cols, rows]))
    area = np.bincount(nearest, cover[rows, cols], len(line.points)).astype(np.float64)
    return replace(line, width_px=gaussian_filter1d(area, WIDTH_SIGMA_PX, mode="nearest"))


def width_along(course: CrackPath, crack: Crack) -> float:
    """Return the median width of a `smooth_course` where a found crack has a measured width."""
    profile = crack.widths.profile
    known = np.zeros(0, bool) if profile is None else np.isfinite(profile.width_px)
    if profile is not None and np.isfinite(profile.sigma_px).any():
        known = np.isfinite(profile.sigma_px)
    if profile is not None and known.any():
        points = profile.points[known]
    else:
        points = sample_lines(crack.centreline)
    return float(np.median(course.width_px[cKDTree(course.points).query(points)[1]]))


def open_points(path: CrackPath) -> CrackPath:
    """Return the open parts of a path, with a point for each pixel along it."""
    even = path.sampled(np.arange(0.5, path.along_px[-1], 1.0))
    open_ = even.width_px >= min(OPEN_PX, path.width_px.max() / 2)
    return CrackPath(even.points[open_], even.width_px[open_], even.shift_px[open_])


def nearest_crack(points: Float64, cracks: Sequence[Crack], reach_px: float) -> Int64:
    """Return the index (N) of the crack nearest to each point (N, 2); -1 if none is in reach."""
    lines = [sample_lines(crack.centreline) for crack in cracks]
    if not lines:
        return np.full(len(points), -1)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    distance, found = cKDTree(np.concatenate(lines)).query(points)
    return np.where(distance <= reach_px, owner[found], -1)


def covered(points: Float64, lines: Sequence[Float64], reach_px: float) -> Bools:
    """Return which of the points (N, 2) lie within ``reach_px`` of a line."""
    if not lines:
        return np.zeros(len(points), bool)
    return np.asarray(cKDTree(sample_lines(lines)).query(points)[0] <= reach_px, bool)


def sample_lines(lines: Sequence[Float64]) -> Float64:
    """Return points (N, 2) along all lines, at most about a pixel apart."""
    parts = []
    for line in lines:
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        even = np.linspace(0, along[-1], int(np.ceil(along[-1])) + 1)
        parts.append(np.column_stack([np.interp(even, along, axis) for axis in line.T]))
    return np.concatenate(parts)


def is_false_call(crack: Crack, drawn: cKDTree, known: Bools, reach_px: float) -> bool:
    """Return True if most of a found crack lies neither near the ``drawn`` points nor at ``known``
    pixels (rows, cols)."""
    points = sample_lines(crack.centreline)
    cols, rows = np.rint(points).astype(int).T
    rows, cols = rows.clip(0, known.shape[0] - 1), cols.clip(0, known.shape[1] - 1)
    explained = known[rows, cols] | (drawn.query(points)[0] <= reach_px)
    return float(explained.mean()) < EXPLAINED_FRACTION


def disc(radius_px: float) -> UInt8:
    """Return a disc as a structuring element."""
    side = 2 * int(radius_px) + 1
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(element, np.uint8)
