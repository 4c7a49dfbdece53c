"""Whether a crack that was drawn is among those that were found, and what was found beside it.

A drawn crack counts as *detected* if at least `DETECTED` of its centreline lies within `REACH_PX`,
or its own width if that is more, of the centreline of cracks that the report lists.  A line that
was set aside as a joint is none of these.

A crack that was found and lies mostly neither at the drawn one nor at what the scan of the
photograph as it is had marked is a *false call*: nothing was drawn there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crackcli.cracks import Crack
from crackcli.drawing.cover import CrackPath
from crackcli.raster import NODATA, Bytes
from crackcli.runs import CRACK

DETECTED = 0.5  # share of a drawn centreline
REACH_PX = 4.0
BESIDE_PX = 12.0  # a find within this of what was there or was drawn belongs to it
MOSTLY = 0.5  # of a found centreline
OPEN_PX = 0.2  # width from which on a place of the path is open

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Hit:
    """What became of a drawn crack: the share of it that was found, and whether that makes it
    detected; ``set_aside``: it would be, but as a joint.  ``true_px`` is its median width where
    the found crack that covers most of it runs, ``measured_px`` the median of that one and
    ``sigma_px`` its standard uncertainty, None where there is none.  ``false_calls`` are counted
    on ``checked_px`` pixels."""

    share: float
    detected: bool
    set_aside: bool
    true_px: float | None
    measured_px: float | None
    sigma_px: float | None
    false_calls: int
    checked_px: int


def judge(
    path: CrackPath,
    width_px: float,
    cracks: Sequence[Crack],
    joints: Sequence[Crack],
    before: Bytes,
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
        true_px = float(np.median(drawn.width_px[nearest == main]))
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


def dense(path: CrackPath) -> CrackPath:
    """The open parts of a path at every pixel along it."""
    way = path.along_px
    even = path.sampled(np.arange(0.5, way[-1], 1.0))
    open_ = even.width_px >= min(OPEN_PX, path.width_px.max() / 2)
    return CrackPath(even.points[open_], even.width_px[open_], even.shift_px[open_])


def covering(points: Points, cracks: Sequence[Crack], reach_px: float) -> NDArray[np.int64]:
    """Of each point (N, 2) the index of the crack (N,) next to it, -1 where none is near enough."""
    lines = [samples(crack.centreline) for crack in cracks]
    if not lines:
        return np.full(len(points), -1)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    distance, found = cKDTree(np.concatenate(lines)).query(points)
    return np.where(distance <= reach_px, owner[found], -1)


def covered(points: Points, lines: Sequence[Points], reach_px: float) -> NDArray[np.bool_]:
    """Which points (N, 2) lie near any of the lines."""
    if not lines:
        return np.zeros(len(points), bool)
    return cKDTree(samples(lines)).query(points)[0] <= reach_px


def samples(lines: Sequence[Points]) -> Points:
    """Points (N, 2) at most about a pixel apart on all of the lines."""
    parts = []
    for line in lines:
        way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        even = np.linspace(0, way[-1], int(np.ceil(way[-1])) + 1)
        parts.append(np.column_stack([np.interp(even, way, axis) for axis in line.T]))
    return np.concatenate(parts)


def is_false(crack: Crack, drawn: cKDTree, known: NDArray[np.bool_], reach_px: float) -> bool:
    """Whether a found crack lies mostly away from the drawn one and from what was known."""
    points = samples(crack.centreline)
    cols, rows = np.rint(points).astype(int).T
    rows, cols = rows.clip(0, known.shape[0] - 1), cols.clip(0, known.shape[1] - 1)
    explained = known[rows, cols] | (drawn.query(points)[0] <= reach_px)
    return float(explained.mean()) < MOSTLY


def disc(radius_px: float) -> NDArray[np.uint8]:
    side = 2 * int(radius_px) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
