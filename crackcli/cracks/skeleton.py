"""Skeletons as graphs: branches between nodes, and the pruning of what is not a branch.

Notation: M skeleton pixels; each has a radius, its distance to the nearest pixel outside.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackcli.arrays import Float64, Int64
from crackcli.cracks.pixel_set import PixelSet

SPUR = 2.0  # a branch with a free end is a spur if shorter than this many radii of its junction
LOOP = 3 * math.pi  # a loop is a flaw if shorter than this many of its radii: a hole in the mask
SLACK_PX = 1.0  # of a spur, and per side of a loop: what rough edges add


@dataclass(frozen=True, eq=False)
class Node:
    """Where branches end or meet; at junctions the mean of all pixels that meet."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True, eq=False)
class Branch:
    """A run of points (K, 2), x and y, with radii (K,), from node ``start`` to node ``end``."""

    start: int
    end: int
    points: Float64
    radii: Float64

    @cached_property
    def length(self) -> float:
        """Along the pixels, from node to node."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    def reversed(self) -> "Branch":
        return Branch(self.end, self.start, self.points[::-1], self.radii[::-1])


@dataclass(frozen=True, eq=False)
class Graph:
    """The skeleton of one crack; a closed ring has one node of degree two, a dot one of none."""

    nodes: dict[int, Node]
    branches: list[Branch]

    def degrees(self) -> dict[int, int]:
        """How many branch ends each node has; the nodes without any are missing."""
        degrees: dict[int, int] = defaultdict(int)
        for branch in self.branches:
            degrees[branch.start] += 1
            degrees[branch.end] += 1
        return dict(degrees)


def graphs(pixels: PixelSet, radii: Float64, owner: Int64, owners: int) -> list[Graph]:
    """The skeleton ``pixels`` (M) of several cracks, as one graph per owner."""
    links = pixel_links(pixels)
    degree = (links < len(pixels)).sum(axis=1)
    node_of = number_nodes(links, degree)

    members = np.flatnonzero(node_of >= 0)
    order = members[np.argsort(node_of[members], kind="stable")]
    begins = np.flatnonzero(np.diff(node_of[order], prepend=-1))
    if len(order):
        counts = np.diff(np.append(begins, len(order)))[:, None]
        centres = np.add.reduceat(pixels.points[order], begins) / counts
        largest = np.maximum.reduceat(radii[order], begins)
    found = [Graph({}, []) for _ in range(owners)]
    for number, first in enumerate(begins):
        node = Node(*centres[number], largest[number])
        found[owner[order[first]]].nodes[number] = node

    for chain in chains(links, degree, node_of):
        graph = found[owner[chain[0]]]
        start, end = int(node_of[chain[0]]), int(node_of[chain[-1]])
        points, widths = pixels.points[chain], radii[chain]
        if start < 0:  # a ring: any of its pixels becomes its node
            start = end = -1 - chain[0]
            graph.nodes[start] = Node(*points[0], widths[0])
        for at, node in ((0, start), (-1, end)):
            points[at] = graph.nodes[node].x, graph.nodes[node].y
        graph.branches.append(Branch(start, end, points, widths))
    return found


def pixel_links(pixels: PixelSet) -> NDArray[np.int32]:
    """Neighbours (M, 8) without the diagonals that a way round a corner makes superfluous; M where
    there is none.  What remains branches only where the line does."""
    links = pixels.neighbours.copy()
    there = links < len(pixels)
    for direction in (1, 3, 5, 7):
        round_a_corner = there[:, direction - 1] | there[:, (direction + 1) % 8]
        links[round_a_corner, direction] = len(pixels)
    return links


def number_nodes(links: NDArray[np.int32], degree: Int64) -> Int64:
    """The node (M,) that each pixel belongs to, -1 for those between nodes.  Junction pixels that
    are linked are one node."""
    is_node = degree != 2
    crowded = np.append(degree > 2, False)
    pixel, direction = np.nonzero(crowded[links] & crowded[:-1, None])
    edges = (np.ones(len(pixel), bool), (pixel, links[pixel, direction]))
    joined = connected_components(coo_array(edges, (len(degree),) * 2), directed=False)[1]
    node_of = np.full(len(degree), -1, np.int64)
    node_of[is_node] = np.unique(joined[is_node], return_inverse=True)[1]
    return node_of


def chains(links: NDArray[np.int32], degree: Int64, node_of: Int64) -> list[list[int]]:
    """Runs of pixels from node to node, both included; rings begin and end with the same pixel."""
    ordered = np.sort(links, axis=1)
    one, other = ordered[:, 0].tolist(), ordered[:, 1].tolist()
    node = node_of.tolist()
    found, walked = [], set()
    passed = bytearray(len(node))

    def walk(start: int, step: int) -> list[int]:
        chain, last, here = [start, step], start, step
        while node[here] < 0 and here != start:
            passed[here] = 1
            last, here = here, one[here] if one[here] != last else other[here]
            chain.append(here)
        walked.add((here, last))
        return chain

    for start in np.flatnonzero((node_of >= 0) & (degree > 0)).tolist():
        for step in ordered[start, : degree[start]].tolist():
            if (start, step) in walked or node[step] == node[start]:
                continue
            found.append(walk(start, step))
    for start in np.flatnonzero(node_of < 0).tolist():
        if not passed[start]:
            passed[start] = 1
            found.append(walk(start, one[start]))
    return found


def prune(graph: Graph) -> Graph:
    """The graph without spurs and flaws, branches that then meet only each other joined.

    A spur leads from a junction to the crack's edge, half a width away, and beyond it by no more
    than about half a width.  Spurs of one junction go together, as at the corners of a blunt end;
    where nothing but spurs meets, the longest two stay.  A flaw is a loop round a hole that is
    small beside the width; its longer side goes.
    """
    while len(graph.branches) > 1:
        noise = set(flaws(graph) or spurs(graph))  # the end beyond a pinhole is no spur
        if not noise:
            return graph
        kept = [branch for branch in graph.branches if branch not in noise]
        graph = join(Graph(graph.nodes, kept))
    return graph


def spurs(graph: Graph) -> list[Branch]:
    degrees = graph.degrees()
    ends_at: dict[int, list[Branch]] = defaultdict(list)
    for branch in graph.branches:
        for here, there in ((branch.start, branch.end), (branch.end, branch.start)):
            short = branch.length <= SPUR * graph.nodes[here].radius + SLACK_PX
            if degrees[here] > 2 and degrees[there] == 1 and short:
                ends_at[here].append(branch)
    noise = []
    for node, short in ends_at.items():
        spare = 2 if len(short) == degrees[node] else 0
        noise += sorted(short, key=lambda branch: -branch.length)[spare:]
    return noise


def flaws(graph: Graph) -> list[Branch]:
    noise = []
    sides: dict[tuple[int, int], list[Branch]] = defaultdict(list)
    for branch in graph.branches:
        sides[min(branch.start, branch.end), max(branch.start, branch.end)].append(branch)
    for (start, end), parallel in sides.items():
        if start != end and len(parallel) == 1:
            continue
        parallel.sort(key=lambda branch: branch.length)
        shorter = None if start == end else parallel.pop(0)
        for branch in parallel:
            loop = [branch] if shorter is None else [shorter, branch]
            radius = np.concatenate([side.radii for side in loop]).mean()
            length = sum(side.length for side in loop)
            if length <= LOOP * radius + 4 * SLACK_PX:
                noise.append(branch)
    return noise


def join(graph: Graph) -> Graph:
    """Two different branches that are alone at a node become one branch."""
    ends_at: dict[int, list[Branch]] = defaultdict(list)
    for branch in graph.branches:
        ends_at[branch.start].append(branch)
        ends_at[branch.end].append(branch)
    for node in list(ends_at):
        if len(ends_at[node]) != 2 or ends_at[node][0] is ends_at[node][1]:
            continue
        first, second = ends_at.pop(node)
        before = first if first.end == node else first.reversed()
        after = second if second.start == node else second.reversed()
        whole = Branch(
            before.start,
            after.end,
            np.concatenate([before.points, after.points[1:]]),
            np.concatenate([before.radii, after.radii[1:]]),
        )
        for old, far in ((first, before.start), (second, after.end)):
            ends_at[far][ends_at[far].index(old)] = whole
    branches = {id(branch): branch for ends in ends_at.values() for branch in ends}
    return Graph(graph.nodes, list(branches.values()))
