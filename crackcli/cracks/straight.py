"""Straight pieces of cracks: stretches of a centreline that stay near a straight line.

A window frame, a grid of joints or the edge of a roof are several straight pieces in one component,
so branches do not matter here: a piece is searched for among all points of a centreline at once. Of
the lines through two points the one near most of the others is chosen, fitted, and cut off where it
is interrupted; then the next one is searched for among the remaining points.
"""

import math
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Float64, Int64
from crackcli.cracks.crack import Crack

MIN_PX = 60.0  # a shorter piece may be straight by chance
MIN_WIDTHS = 8.0  # widths of the crack; so may a piece shorter than that
MIN_FRACTION = 0.05  # of the crack's length; smaller pieces of a large net do not characterise it
TOLERANCE_PX = 1.2  # least distance of the centreline from the straight line that is tolerated
TOLERANCE_WIDTHS = 0.15  # widths; tolerance for wide cracks, whose edges are ragged
GAP_PX, GAP_WIDTHS = 6.0, 2.0  # a gap in a piece is at most the sum of both, and 2 points
MIN_COVERED = 0.7  # fraction of a piece along which there is a centreline
MAX_PIECES = 20  # per crack
MAX_POINTS = 400  # per centreline; on long ones they are far apart
KNOTS = 32  # points that are joined in pairs to find straight lines


@dataclass(frozen=True, eq=False)
class Piece:
    """Straight piece of a crack.

    ``ends`` (2, 2) are (x, y); ``crack_width_px`` is the median width of the whole crack.
    """

    ends: Float64
    crack_width_px: float

    @property
    def length(self) -> float:
        """Length in px."""
        return math.dist(*self.ends)

    @property
    def along(self) -> Float64:
        """Unit vector from the first to the second end."""
        unit: Float64 = (self.ends[1] - self.ends[0]) / self.length
        return unit


@dataclass(frozen=True, eq=False)
class InfiniteLine:
    """Straight line: a point and a unit vector, both (x, y)."""

    origin: Float64
    along: Float64

    def position(self, points: Float64) -> Float64:
        """Return the position (N,) in px of points (N, 2) along the line."""
        return (points - self.origin) @ self.along

    def cross_track(self, points: Float64) -> Float64:
        """Return the signed distance (N,) in px of points (N, 2) from the line."""
        return cross_track(points - self.origin, self.along)


def cross_track(vectors: Float64, along: Float64) -> Float64:
    """Return the component of vectors (..., 2) perpendicular to unit vectors ``along`` (..., 2)."""
    return along[..., 0] * vectors[..., 1] - along[..., 1] * vectors[..., 0]


def min_piece_px(crack: Crack) -> float:
    """Return the least length at which a straight piece of a crack is significant."""
    return max(MIN_PX, MIN_WIDTHS * crack.widths.median_px)


def straight_pieces(crack: Crack) -> list[Piece]:
    """Return the straight pieces of a crack; none if it is short."""
    width = crack.widths.median_px
    if crack.length_px < min_piece_px(crack):
        return []
    min_px = max(min_piece_px(crack), MIN_FRACTION * crack.length_px)
    tolerance_px = max(TOLERANCE_PX, TOLERANCE_WIDTHS * width)
    points, lengths = resample(crack)
    # Points of a centreline of 40,000 px are 100 px apart: shorter gaps cannot be detected.
    gap = GAP_PX + GAP_WIDTHS * width + 2 * float(lengths.max())
    found: list[Piece] = []
    while lengths.sum() >= min_px and len(found) < MAX_PIECES:
        initial = best_line(points, lengths, tolerance_px, min_px)
        if initial is None:
            break
        line, members = fit_line(points, lengths, initial, tolerance_px, gap)
        position = line.position(points[members])
        low, high = position.min(initial=np.inf), position.max(initial=-np.inf)
        if high - low < min_px or lengths[members].sum() < MIN_COVERED * (high - low):
            break
        found.append(Piece(line.origin + np.outer([low, high], line.along), width))
        points, lengths = np.delete(points, members, 0), np.delete(lengths, members)
    return found


def resample(crack: Crack) -> tuple[Float64, Float64]:
    """Return evenly spaced points (N, 2) on all lines of the centreline.

    Also return the length (N,) in px of each: about 1, or more where there would be more than
    `MAX_POINTS`.
    """
    points = np.concatenate(crack.centreline)
    steps = np.hypot(*np.diff(points, axis=0).T)
    steps[np.cumsum([len(line) for line in crack.centreline[:-1]], dtype=int) - 1] = 0.0
    arc = np.concatenate([[0.0], np.cumsum(steps)])  # along all lines, one after the other
    count = max(1, min(MAX_POINTS, round(arc[-1])))
    at = (np.arange(count) + 0.5) * arc[-1] / count
    sampled = np.column_stack([np.interp(at, arc, axis) for axis in points.T])
    return sampled, np.full(count, arc[-1] / count)


def best_line(
    points: Float64, lengths: Float64, tolerance_px: float, min_px: float
) -> InfiniteLine | None:
    """Return the line through two of `KNOTS` points that is near most of the length.

    None if all of these points are close together.
    """
    travelled = np.cumsum(lengths)
    knots = np.searchsorted(travelled, (np.arange(KNOTS) + 0.5) / KNOTS * travelled[-1])
    knots = np.unique(knots.clip(max=len(points) - 1))
    one, other = np.triu_indices(len(knots), 1)
    begin = points[knots[one]]
    directions = points[knots[other]] - begin
    size = np.hypot(*directions.T)
    apart = size >= min_px / 3
    if not apart.any():
        return None
    begin, directions = begin[apart], directions[apart] / size[apart, None]
    square = directions[:, ::-1] * [-1, 1]
    off = square @ points.T - (square * begin).sum(axis=1)[:, None]  # as `cross_track`, but faster
    best = int(np.argmax((np.abs(off) <= 1.5 * tolerance_px) @ lengths))
    return InfiniteLine(begin[best], directions[best])


def fit_line(
    points: Float64, lengths: Float64, line: InfiniteLine, tolerance_px: float, gap: float
) -> tuple[InfiniteLine, Int64]:
    """Return a line fitted to the longest run of points near ``line``, and the points on it."""
    for tolerance in (1.5 * tolerance_px, 1.5 * tolerance_px, tolerance_px):
        near = longest_run_near(points, lengths, line, tolerance, gap)
        if len(near) < 2:
            break
        middle = np.average(points[near], axis=0, weights=lengths[near])
        spread = (points[near] - middle) * np.sqrt(lengths[near])[:, None]
        line = InfiniteLine(middle, np.linalg.eigh(spread.T @ spread).eigenvectors[:, -1])
    return line, longest_run_near(points, lengths, line, tolerance_px, gap)


def longest_run_near(
    points: Float64, lengths: Float64, line: InfiniteLine, tolerance: float, gap: float
) -> Int64:
    """Return the points near a line that form the longest run without a gap."""
    near = np.flatnonzero(np.abs(line.cross_track(points)) <= tolerance)
    position = line.position(points[near])
    order = np.argsort(position, kind="stable")
    runs = np.split(near[order], np.flatnonzero(np.diff(position[order]) > gap) + 1)
    return max(runs, key=lambda run: float(lengths[run].sum()))
