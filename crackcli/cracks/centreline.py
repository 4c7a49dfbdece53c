"""Centrelines: smooth lines along the middle of a crack, with their length and direction.

A chain of pixels is up to 8 % longer than the line it stands for, and thinning stops short of a
blunt end or bends into one of its corners. So chains are smoothed by a Gaussian of about half the
local half width, free ends are trimmed by about the local half width, and from there a straight
line goes on to where the crack ends.

Coordinates are (x, y) = (col, row) of pixel centres, in px.
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

SMOOTHING_PX = (2.0, 8.0)  # range of the standard deviation, which is a quarter of the width
CORNER_RADII = 1.5  # half widths; a corner is sqrt(2) of them from the middle of the crack
MARCH_PX = 0.25  # step in the search for the true end
MAX_GAP = 0.25  # of the reach; ragged edges and pinholes up to that length are crossed

Inside = Callable[[Float64], Bools]


@dataclass(frozen=True, eq=False)
class Line:
    """Smoothed branch from node ``start`` to node ``end``: points (N, 2), about 1 px apart.

    ``start_px`` and ``end_px`` are the radii of the junctions at its ends, 0 at a free end. Within
    them the line has no width of its own.
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
        """Length in px along the line."""
        return float(self.arc[-1])


@dataclass(frozen=True, eq=False)
class Centreline:
    """All lines of one crack, with the numbers of its junctions and free ends."""

    lines: list[Line]
    junctions: int
    endpoints: int

    @property
    def length_px(self) -> float:
        """Total length of all lines."""
        return sum(line.length for line in self.lines)

    @cached_property
    def main_path(self) -> tuple[float, float]:
        """Length and chord of the longest of the shortest paths between two nodes.

        It is exact without loops; a loop counts with its shorter side, a ring with half its length.
        """
        if len(self.lines) == 1 and self.lines[0].start != self.lines[0].end:
            points = self.lines[0].points
            return self.lines[0].length, math.dist(points[0], points[-1])
        return longest_path(self.lines)

    @property
    def tortuosity(self) -> float:
        """Length over chord of the main path, at least 1."""
        length, chord = self.main_path
        return max(1.0, length / max(chord, 1.0))

    @property
    def orientation_deg(self) -> float:
        """Mean direction of all lines, weighted by length: 0 to 180, from +x counter-clockwise.

        Directions are axial, so angles are doubled before they are averaged (Mardia 1972).
        """
        steps = np.concatenate([np.diff(line.points, axis=0) for line in self.lines])
        doubled = 2 * np.arctan2(-steps[:, 1], steps[:, 0])  # y points down
        mean = np.sum(np.hypot(*steps.T) * np.exp(1j * doubled))
        return float(np.degrees(np.angle(mean)) / 2 % 180)


def centreline(graph: Graph, inside: Inside, pixels: Float64) -> Centreline:
    """Return the centreline of a pruned skeleton.

    ``inside`` returns for points (N, 2) if they are in the crack. ``pixels`` (P, 2) are the crack's
    pixels, which alone give the direction of a crack that is thinned to a dot.
    """
    if not graph.branches:
        return Centreline([principal_axis(pixels)], junctions=0, endpoints=2)
    degrees = graph.degrees()
    return Centreline(
        lines=[smooth_branch(branch, graph, degrees, inside) for branch in graph.branches],
        junctions=sum(degree > 2 for degree in degrees.values()),
        endpoints=sum(degree == 1 for degree in degrees.values()),
    )


def principal_axis(pixels: Float64) -> Line:
    """Return the principal axis of a few pixels (P, 2), from edge to edge."""
    middle = pixels.mean(axis=0)
    spread = (pixels - middle).T @ (pixels - middle) + np.diag([1e-9, 0.0])  # a dot: horizontal
    direction = np.linalg.eigh(spread).eigenvectors[:, -1]
    along = (pixels - middle) @ direction
    low, high = along.min() - 0.5, along.max() + 0.5
    return Line(0, 1, middle + np.outer([low, high], direction), 0.0, 0.0)


def smooth_branch(branch: Branch, graph: Graph, degrees: dict[int, int], inside: Inside) -> Line:
    """Return a branch as a smoothed line, with its free ends trimmed and extended."""
    half_px = float(np.median(branch.radii)) - 0.5
    free = degrees[branch.start] == 1, degrees[branch.end] == 1
    points, radii = branch.points, branch.radii
    if free[0]:
        points, radii = trim_end(points, radii)
    if free[1]:
        points, radii = (array[::-1] for array in trim_end(points[::-1], radii[::-1]))
    sigma = min(max(half_px / 2, SMOOTHING_PX[0]), SMOOTHING_PX[1])
    ring = branch.start == branch.end and degrees[branch.start] == 2
    points = smooth(points, sigma, ring=ring)
    reach = max(4.0, 2 * half_px)
    if free[0]:
        points = extend_end(points[::-1], reach, inside)[::-1]
    if free[1]:
        points = extend_end(points, reach, inside)
    start_px, end_px = (
        graph.nodes[node].radius if degrees[node] > 2 else 0.0
        for node in (branch.start, branch.end)
    )
    return Line(branch.start, branch.end, points, start_px, end_px)


def trim_end(points: Float64, radii: Float64) -> tuple[Float64, Float64]:
    """Return a line without its first points, which may lead into a corner of the crack's end.

    On the way out of a corner the radius is at least distance / sqrt(2). Points are removed up to
    the first where it is less, there and at the next few points.
    """
    far = np.hypot(*(points - points[0]).T)
    first = 0
    while first < len(points):
        ahead = radii[first : first + 3 + int(radii[first] / 2)]
        if far[first] >= CORNER_RADII * (ahead.max() - 0.5):
            break
        first += 1
    keep = max(2, len(points) // 2)  # so that a line as wide as long keeps its direction
    first = min(first, len(points) - keep)
    return points[first:], radii[first:]


def smooth(points: Float64, sigma: float, *, ring: bool) -> Float64:
    """Return points (N, 2) averaged by a Gaussian along the line; its ends stay in place."""
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


def extend_end(points: Float64, reach: float, inside: Inside) -> Float64:
    """Return the line with one more point: where its straight continuation leaves the crack."""
    tip = points[-1]
    back = points[np.hypot(*(points - tip).T) <= reach]
    direction = tip - back[0] if len(back) > 1 else tip - points[0]
    size = math.hypot(*direction)
    if size == 0:
        return points
    distances = np.arange(MARCH_PX, 3 * reach, MARCH_PX)
    member = inside(tip + distances[:, None] * (direction / size))
    last, gap = -1, int(MAX_GAP * reach / MARCH_PX)
    for at in np.flatnonzero(member).tolist():
        if at - last > gap:
            break
        last = at
    distance = MARCH_PX * (last + 1.5)  # halfway between the last point inside and the next
    return np.concatenate([points, [tip + distance * (direction / size)]])


def longest_path(lines: list[Line]) -> tuple[float, float]:
    """Return length and chord of the longest shortest path through the graph of ``lines``."""
    links: dict[int, list[tuple[int, float]]] = defaultdict(list)
    places: dict[int, Float64] = {}
    for number, line in enumerate(lines):
        stops = [(line.start, 0.0, line.points[0]), (line.end, line.length, line.points[-1])]
        if line.start == line.end:  # a loop gets a node at its far side
            middle = line.length / 2
            point = line.points[np.searchsorted(line.arc, middle)]
            stops.insert(1, (-10_000_000_000 - number, middle, point))
        for (here, begin, one), (there, finish, other) in pairwise(stops):
            links[here].append((there, finish - begin))
            links[there].append((here, finish - begin))
            places[here], places[there] = one, other
    end, length = farthest_node(links, lines[0].start)
    while True:  # each sweep starts where the last one ended; the path can only grow
        begin, (end, longer) = end, farthest_node(links, end)
        if longer <= length * (1 + 1e-9):
            return length, math.dist(places[begin], places[end])
        length = longer


def farthest_node(links: dict[int, list[tuple[int, float]]], start: int) -> tuple[int, float]:
    """Return the node that is farthest from ``start``, and its distance (Dijkstra)."""
    distances: dict[int, float] = {}
    queue = [(0.0, start)]
    while queue:
        distance, here = heapq.heappop(queue)
        if here in distances:
            continue
        distances[here] = distance
        for there, length in links[here]:
            if there not in distances:
                heapq.heappush(queue, (distance + length, there))
    return max(distances.items(), key=lambda item: (item[1], -item[0]))
