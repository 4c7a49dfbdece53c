"""Straight pieces of cracks: stretches of a centreline that stay near a straight line.

A window frame, a grid of joints or the edge of a roof are several straight pieces in one component,
so branches do not matter here: a piece is found among all points of a centreline at once.  Of the
lines through two points the one near most of the others is taken, fitted, and cut off where it is
interrupted; then the next one is sought among the points that are left.
"""

import math
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Float64, Int64
from crackcli.cracks.crack import Crack

LEAST_PX = 60.0  # a shorter piece is straight by chance
LEAST_WIDTHS = 8.0  # so is one that is not longer than so many widths
LEAST_SHARE = 0.05  # of the crack's length: small pieces of a large net say nothing of it
STRAY_PX = 1.2  # how far the centreline may stray from the straight line, at least
STRAY_WIDTHS = 0.15  # and for wide cracks, whose edges are ragged
GAP_PX, GAP_WIDTHS = 6.0, 2.0  # a piece may be interrupted by the sum of both, and 2 points
SOLID = 0.7  # share of a piece along which there is a centreline
MOST_PIECES = 20  # of one crack
POINTS = 400  # at most so many stand for a centreline, so on long ones they are far apart
KNOTS = 32  # so many of them are joined in pairs to find straight lines


@dataclass(frozen=True, eq=False)
class Piece:
    """A straight piece of a crack: ``ends`` (2, 2) of (x, y), and the median width of the whole
    crack."""

    ends: Float64
    crack_width_px: float

    @property
    def length(self) -> float:
        return math.dist(*self.ends)

    @property
    def along(self) -> Float64:
        """A unit vector from the first to the second end."""
        return (self.ends[1] - self.ends[0]) / self.length


@dataclass(frozen=True, eq=False)
class Ray:
    """An endless line: a point and a unit vector, both (x, y)."""

    at: Float64
    along: Float64

    def way(self, points: Float64) -> Float64:
        """How far along the line each of the points (N, 2) lies."""
        return (points - self.at) @ self.along

    def aside(self, points: Float64) -> Float64:
        """How far to one side (positive) or the other each of the points (N, 2) lies."""
        return aside(points - self.at, self.along)


def aside(away: Float64, along: Float64) -> Float64:
    """The part of ``away`` (..., 2) that is square to the unit vectors ``along`` (..., 2)."""
    return along[..., 0] * away[..., 1] - along[..., 1] * away[..., 0]


def least_px(crack: Crack) -> float:
    """How long a straight piece must be to say anything."""
    return max(LEAST_PX, LEAST_WIDTHS * crack.widths.median_px)


def straight_pieces(crack: Crack) -> list[Piece]:
    """The straight pieces of a crack; none if it is short."""
    width = crack.widths.median_px
    if crack.length_px < least_px(crack):
        return []
    least = max(least_px(crack), LEAST_SHARE * crack.length_px)
    stray = max(STRAY_PX, STRAY_WIDTHS * width)
    points, lengths = points_of(crack)
    # Of a centreline of 40,000 px points are 100 px apart: shorter interruptions are not seen.
    gap = GAP_PX + GAP_WIDTHS * width + 2 * float(lengths.max())
    found: list[Piece] = []
    while lengths.sum() >= least and len(found) < MOST_PIECES:
        guess = best_line(points, lengths, stray, least)
        if guess is None:
            break
        line, members = fitted(points, lengths, guess, stray, gap)
        way = line.way(points[members])
        low, high = way.min(initial=np.inf), way.max(initial=-np.inf)
        if high - low < least or lengths[members].sum() < SOLID * (high - low):
            break
        found.append(Piece(line.at + np.outer([low, high], line.along), width))
        points, lengths = np.delete(points, members, 0), np.delete(lengths, members)
    return found


def points_of(crack: Crack) -> tuple[Float64, Float64]:
    """Points (N, 2) evenly on all lines of the centreline, and the length (N,) that each stands
    for; about 1 px, or more where there would be more than `POINTS`."""
    points = np.concatenate(crack.centreline)
    steps = np.hypot(*np.diff(points, axis=0).T)
    steps[np.cumsum([len(line) for line in crack.centreline[:-1]], dtype=int) - 1] = 0.0
    arc = np.concatenate([[0.0], np.cumsum(steps)])  # along all lines, one after the other
    count = max(1, min(POINTS, round(arc[-1])))
    at = (np.arange(count) + 0.5) * arc[-1] / count
    sampled = np.column_stack([np.interp(at, arc, axis) for axis in points.T])
    return sampled, np.full(count, arc[-1] / count)


def best_line(points: Float64, lengths: Float64, stray: float, least: float) -> Ray | None:
    """Of the lines through two of some `KNOTS` points the one near which most of the length lies;
    None if all of these points are close together."""
    far = np.cumsum(lengths)
    knots = np.searchsorted(far, (np.arange(KNOTS) + 0.5) / KNOTS * far[-1])
    knots = np.unique(knots.clip(max=len(points) - 1))
    one, other = np.triu_indices(len(knots), 1)
    begin = points[knots[one]]
    ways = points[knots[other]] - begin
    size = np.hypot(*ways.T)
    apart = size >= least / 3
    if not apart.any():
        return None
    begin, ways = begin[apart], ways[apart] / size[apart, None]
    square = ways[:, ::-1] * [-1, 1]
    off = square @ points.T - (square * begin).sum(axis=1)[:, None]  # as `aside`, but fast
    best = int(np.argmax((np.abs(off) <= 1.5 * stray) @ lengths))
    return Ray(begin[best], ways[best])


def fitted(
    points: Float64, lengths: Float64, line: Ray, stray: float, gap: float
) -> tuple[Ray, Int64]:
    """A line fitted to the longest run of points near ``line``, and which points lie on it."""
    for tolerance in (1.5 * stray, 1.5 * stray, stray):
        near = run_near(points, lengths, line, tolerance, gap)
        if len(near) < 2:
            break
        middle = np.average(points[near], axis=0, weights=lengths[near])
        spread = (points[near] - middle) * np.sqrt(lengths[near])[:, None]
        line = Ray(middle, np.linalg.eigh(spread.T @ spread).eigenvectors[:, -1])
    return line, run_near(points, lengths, line, stray, gap)


def run_near(points: Float64, lengths: Float64, line: Ray, tolerance: float, gap: float) -> Int64:
    """Of the points near a line those of the run without a gap that holds most of the length."""
    near = np.flatnonzero(np.abs(line.aside(points)) <= tolerance)
    way = line.way(points[near])
    order = np.argsort(way, kind="stable")
    runs = np.split(near[order], np.flatnonzero(np.diff(way[order]) > gap) + 1)
    return max(runs, key=lambda run: float(lengths[run].sum()))
