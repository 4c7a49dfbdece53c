"""Skeletons as graphs of nodes and branches, and the pruning of spurs and small loops.

Notation: M skeleton pixels; each has a radius, its distance in px to the nearest pixel outside.
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

SPUR = 2.0  # radii of the junction; a branch with a free end is a spur if it is shorter
LOOP = 3 * math.pi  # mean radii of a loop; a shorter one is caused by a hole in the mask
TOLERANCE_PX = 1.0  # length that rough edges add to a spur, and to each side of a loop


@dataclass(frozen=True, eq=False)
class Node:
    """Place where branches end or meet; a junction is the mean of all pixels that meet there."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True, eq=False)
class Branch:
    """Points (K, 2) of x and y, with radii (K,), from node ``start`` to node ``end``."""

    start: int
    end: int
    points: Float64
    radii: Float64

    @cached_property
    def length(self) -> float:
        """Length in px along the pixels, from node to node."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    def reversed(self) -> "Branch":
        """Return the branch from ``end`` to ``start``."""
        return Branch(self.end, self.start, self.points[::-1], self.radii[::-1])


@dataclass(frozen=True, eq=False)
class Graph:
    """Skeleton of one crack; a closed ring has one node of degree 2, a dot one of degree 0."""

    nodes: dict[int, Node]
    branches: list[Branch]

    def degrees(self) -> dict[int, int]:
        """Return the number of branch ends at each node; nodes without any are missing."""
        degrees: dict[int, int] = defaultdict(int)
        for branch in self.branches:
            degrees[branch.start] += 1
            degrees[branch.end] += 1
        return dict(degrees)


def skeleton_graphs(pixels: PixelSet, radii: Float64, labels: Int64, count: int) -> list[Graph]:
    """Return one graph per crack from the skeleton ``pixels`` (M) of several cracks.

    ``labels`` (M,) is the crack of each pixel, 0 to ``count`` - 1.
    """
    links = pixel_links(pixels)
    degree = (links < len(pixels)).sum(axis=1)
    node_of = assign_nodes(links, degree)

    members = np.flatnonzero(node_of >= 0)
    order = members[np.argsort(node_of[members], kind="stable")]
    node_offsets = np.flatnonzero(np.diff(node_of[order], prepend=-1))
    if len(order):
        sizes = np.diff(np.append(node_offsets, len(order)))[:, None]
        centres = np.add.reduceat(pixels.points[order], node_offsets) / sizes
        largest = np.maximum.reduceat(radii[order], node_offsets)
    found = [Graph({}, []) for _ in range(count)]
    for number, first in enumerate(node_offsets):
        x, y = centres[number]
        found[labels[order[first]]].nodes[number] = Node(x, y, largest[number])

    for chain in pixel_chains(links, degree, node_of):
        graph = found[labels[chain[0]]]
        start, end = int(node_of[chain[0]]), int(node_of[chain[-1]])
        points, chain_radii = pixels.points[chain], radii[chain]
        if start < 0:  # ring: its first pixel becomes its node
            start = end = -1 - chain[0]
            x, y = points[0]
            graph.nodes[start] = Node(x, y, chain_radii[0])
        for at, node in ((0, start), (-1, end)):
            points[at] = graph.nodes[node].x, graph.nodes[node].y
        graph.branches.append(Branch(start, end, points, chain_radii))
    return found


def pixel_links(pixels: PixelSet) -> NDArray[np.int32]:
    """Return the neighbours (M, 8) without superfluous diagonals; M where there is none.

    A diagonal is superfluous if a side neighbour leads to the same pixel. What remains branches
    only where the line does.
    """
    links = pixels.neighbours.copy()
    there = links < len(pixels)
    for direction in (1, 3, 5, 7):
        round_a_corner = there[:, direction - 1] | there[:, (direction + 1) % 8]
        links[round_a_corner, direction] = len(pixels)
    return links


def assign_nodes(links: NDArray[np.int32], degree: Int64) -> Int64:
    """Return the node (M,) of each pixel, -1 for pixels between nodes.

    Linked junction pixels form one node.
    """
    is_node = degree != 2
    junction = np.append(degree > 2, False)
    pixel, direction = np.nonzero(junction[links] & junction[:-1, None])
    edges = (np.ones(len(pixel), bool), (pixel, links[pixel, direction]))
    joined = connected_components(coo_array(edges, (len(degree),) * 2), directed=False)[1]
    node_of = np.full(len(degree), -1, np.int64)
    node_of[is_node] = np.unique(joined[is_node], return_inverse=True)[1]
    return node_of


def pixel_chains(links: NDArray[np.int32], degree: Int64, node_of: Int64) -> list[list[int]]:
    """Return the runs of pixels from node to node, both included.

    Rings begin and end with the same pixel.
    """
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
    """Return the graph without spurs and small loops.

    Branches that then only meet each other are joined. A spur leads from a junction to the crack's
    edge, half a width away, and beyond it by no more than about half a width. Spurs of one junction
    are removed together, as at the corners of a blunt end; where only spurs meet, the longest two
    stay. A small loop runs round a hole that is small beside the width; its longer side is removed.
    """
    while len(graph.branches) > 1:
        # Loops first: the end of a crack beyond a pinhole would look like a spur.
        removed = set(small_loops(graph) or spurs(graph))
        if not removed:
            return graph
        kept = [branch for branch in graph.branches if branch not in removed]
        graph = join(Graph(graph.nodes, kept))
    return graph


def spurs(graph: Graph) -> list[Branch]:
    """Return the branches to remove as spurs."""
    degrees = graph.degrees()
    ends_at: dict[int, list[Branch]] = defaultdict(list)
    for branch in graph.branches:
        for here, there in ((branch.start, branch.end), (branch.end, branch.start)):
            short = branch.length <= SPUR * graph.nodes[here].radius + TOLERANCE_PX
            if degrees[here] > 2 and degrees[there] == 1 and short:
                ends_at[here].append(branch)
    removed = []
    for node, candidates in ends_at.items():
        kept = 2 if len(candidates) == degrees[node] else 0
        removed += sorted(candidates, key=lambda branch: -branch.length)[kept:]
    return removed


def small_loops(graph: Graph) -> list[Branch]:
    """Return the branches to remove as the longer sides of small loops."""
    removed = []
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
            if length <= LOOP * radius + 4 * TOLERANCE_PX:
                removed.append(branch)
    return removed


def join(graph: Graph) -> Graph:
    """Return the graph with pairs of branches joined that are alone at a node."""
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
