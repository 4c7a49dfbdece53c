"""Centrelines: smooth lines along the middle of a crack, and their length and direction.

A chain of pixels is up to 8 % longer than the line it stands for, and thinning stops short of a
blunt end or bends into one of its corners.  So chains are smoothed over about the local width,
free ends are cut back by about the local half width, and from there a straight line goes on to
where the crack ends.

Coordinates are (x, y) = (col, row) of pixel centres.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from crackcli.arrays import Bools, Float64
from crackcli.cracks.skeleton import Branch, Graph

SMOOTHING_PX = (2.0, 8.0)  # least and most standard deviation; between them half the half width
CORNER = 1.5  # half widths: a little more than the way from a corner to the middle of the crack
MARCH_PX = 0.25  # step on the way to the true end
GAP = 0.25  # of the local width, and 1 px: ragged edges and pinholes are crossed on that way

Inside = Callable[[Float64], Bools]


@dataclass(frozen=True, eq=False)
class Line:
    """A smoothed branch from node ``start`` to node ``end``: points (N, 2), about 1 px apart.

    ``start_px`` and ``end_px`` are the radii of the junctions that it comes from and leads to,
    0 at a free end: within them the line does not have a width of its own.
    """

    start: int
    end: int
    points: Float64
    start_px: float
    end_px: float

    @cached_property
    def arc(self) -> Float64:
        """Distance (N,) of each point from the start, along the line."""
        arc = np.zeros(len(self.points))
        steps = self.points[1:] - self.points[:-1]
        np.cumsum(np.hypot(steps[:, 0], steps[:, 1]), out=arc[1:])
        return arc

    @property
    def length(self) -> float:
        return float(self.arc[-1])


@dataclass(frozen=True, eq=False)
class Centreline:
    """All lines of one crack, and how often they meet and end."""

    lines: list[Line]
    junctions: int
    endpoints: int

    @property
    def length_px(self) -> float:
        """Main path and branches."""
        return sum(line.length for line in self.lines)

    @cached_property
    def main_path(self) -> tuple[float, float]:
        """Length and chord of the longest of the shortest ways between two nodes.

        Exact where there are no loops; a loop counts with its shorter side, a ring with half.
        """
        if len(self.lines) == 1 and self.lines[0].start != self.lines[0].end:
            points = self.lines[0].points
            return self.lines[0].length, math.dist(points[0], points[-1])
        return longest_way(self.lines)

    @property
    def tortuosity(self) -> float:
        """Length over chord of the main path, at least 1."""
        length, chord = self.main_path
        return max(1.0, length / max(chord, 1.0))

    @property
    def orientation_deg(self) -> float:
        """Mean direction of all lines, weighted with length: 0 to 180, from +x counter-clockwise.

        Directions are axial: they are doubled before they are averaged (Mardia 1972).
        """
        steps = np.concatenate([np.diff(line.points, axis=0) for line in self.lines])
        doubled = 2 * np.arctan2(-steps[:, 1], steps[:, 0])  # y points down
        mean = np.sum(np.hypot(*steps.T) * np.exp(1j * doubled))
        return float(np.degrees(np.angle(mean)) / 2 % 180)


def centreline(graph: Graph, inside: Inside, pixels: Float64) -> Centreline:
    """The centreline of a pruned skeleton.

    ``inside`` tells for points (N, 2) whether they are in the crack; ``pixels`` (P, 2) are the
    crack's pixels, which alone give the direction of a crack that is thinned to a dot.
    """
    if not graph.branches:
        return Centreline([across(pixels)], junctions=0, endpoints=2)
    degrees = graph.degrees()
    return Centreline(
        lines=[to_line(branch, graph, degrees, inside) for branch in graph.branches],
        junctions=sum(degree > 2 for degree in degrees.values()),
        endpoints=sum(degree == 1 for degree in degrees.values()),
    )


def across(pixels: Float64) -> Line:
    """The principal axis of a few pixels, from edge to edge."""
    middle = pixels.mean(axis=0)
    spread = (pixels - middle).T @ (pixels - middle) + np.diag([1e-9, 0.0])  # a dot lies level
    direction = np.linalg.eigh(spread).eigenvectors[:, -1]
    along = (pixels - middle) @ direction
    low, high = along.min() - 0.5, along.max() + 0.5
    return Line(0, 1, middle + np.outer([low, high], direction), 0.0, 0.0)


def to_line(branch: Branch, graph: Graph, degrees: dict[int, int], inside: Inside) -> Line:
    """A branch smoothed, its free ends cut back and drawn out."""
    half_px = float(np.median(branch.radii)) - 0.5
    free = degrees[branch.start] == 1, degrees[branch.end] == 1
    points, radii = branch.points, branch.radii
    if free[0]:
        points, radii = cut_back(points, radii)
    if free[1]:
        points, radii = (array[::-1] for array in cut_back(points[::-1], radii[::-1]))
    sigma = min(max(half_px / 2, SMOOTHING_PX[0]), SMOOTHING_PX[1])
    ring = branch.start == branch.end and degrees[branch.start] == 2
    points = smooth(points, sigma, ring=ring)
    reach = max(4.0, 2 * half_px)
    if free[0]:
        points = draw_out(points[::-1], reach, inside)[::-1]
    if free[1]:
        points = draw_out(points, reach, inside)
    start_px, end_px = (
        graph.nodes[node].radius if degrees[node] > 2 else 0.0
        for node in (branch.start, branch.end)
    )
    return Line(branch.start, branch.end, points, start_px, end_px)


def cut_back(points: Float64, radii: Float64) -> tuple[Float64, Float64]:
    """A line without its first points, which may lead into a corner of the crack's end.

    On the way out of a corner the half width is at least distance / sqrt(2); cut is up to where it
    is less, also at the next few points.
    """
    far = np.hypot(*(points - points[0]).T)
    first = 0
    while first < len(points):
        ahead = radii[first : first + 3 + int(radii[first] / 2)]
        if far[first] >= CORNER * (ahead.max() - 0.5):
            break
        first += 1
    keep = max(2, len(points) // 2)  # a line as wide as long keeps its direction
    first = min(first, len(points) - keep)
    return points[first:], radii[first:]


def smooth(points: Float64, sigma: float, *, ring: bool) -> Float64:
    """Points (N, 2) averaged by a Gaussian along the line; ends stay where they are."""
    if len(points) < 3:
        return points
    reach = min(math.ceil(3 * sigma), len(points) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    if ring:
        padded = np.concatenate([points[-1 - reach : -1], points, points[1 : 1 + reach]])
    else:  # point reflection at the ends keeps them, and a straight line straight
        before = 2 * points[0] - points[reach:0:-1]
        after = 2 * points[-1] - points[-2 : -2 - reach : -1]
        padded = np.concatenate([before, points, after])
    return np.column_stack([np.convolve(axis, kernel, "valid") for axis in padded.T])


def draw_out(points: Float64, reach: float, inside: Inside) -> Float64:
    """The line with one point more: where its straight continuation leaves the crack."""
    tip = points[-1]
    back = points[np.hypot(*(points - tip).T) <= reach]
    direction = tip - back[0] if len(back) > 1 else tip - points[0]
    size = math.hypot(*direction)
    if size == 0:
        return points
    ways = np.arange(MARCH_PX, 3 * reach, MARCH_PX)
    member = inside(tip + ways[:, None] * (direction / size))
    last, gap = -1, int(GAP * reach / MARCH_PX)
    for at in np.flatnonzero(member).tolist():
        if at - last > gap:
            break
        last = at
    way = MARCH_PX * (last + 1.5)  # half-way between the last point inside and the next
    return np.concatenate([points, [tip + way * (direction / size)]])


def longest_way(lines: list[Line]) -> tuple[float, float]:
    """Length and chord of the longest shortest way through the graph of ``lines``."""
    ways: dict[int, list[tuple[int, float]]] = defaultdict(list)
    places: dict[int, Float64] = {}
    for number, line in enumerate(lines):
        stops = [(line.start, 0.0, line.points[0]), (line.end, line.length, line.points[-1])]
        if line.start == line.end:  # a loop gets a stop at its far side
            middle = line.length / 2
            point = line.points[np.searchsorted(line.arc, middle)]
            stops.insert(1, (-10_000_000_000 - number, middle, point))
        for (here, begin, one), (there, finish, other) in pairwise(stops):
            ways[here].append((there, finish - begin))
            ways[there].append((here, finish - begin))
            places[here], places[there] = one, other
    end, length = farthest(ways, lines[0].start)
    while True:  # each sweep starts where the last one ended; the way can only become longer
        begin, (end, longer) = end, farthest(ways, end)
        if longer <= length * (1 + 1e-9):
            return length, math.dist(places[begin], places[end])
        length = longer


def farthest(ways: dict[int, list[tuple[int, float]]], start: int) -> tuple[int, float]:
    """The node that is farthest from ``start``, and how far (Dijkstra)."""
    distances: dict[int, float] = {}
    queue = [(0.0, start)]
    while queue:
        distance, here = heapq.heappop(queue)
        if here in distances:
            continue
        distances[here] = distance
        for there, way in ways[here]:
            if there not in distances:
                heapq.heappush(queue, (distance + way, there))
    return max(distances.items(), key=lambda item: (item[1], -item[0]))
