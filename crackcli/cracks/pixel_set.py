"""A picture held as the list of its set pixels: memory follows the cracks, not the wall.

Everything that a neighbourhood decides (thinning, distance to the edge) is computed on the list,
exactly as it would be on the whole picture: there are no tiles, hence no seams, and a crack that
runs diagonally across a gigapixel wall costs what its pixels cost.

Notation: N set pixels; the eight neighbours in the order N, NE, E, SE, S, SW, W, NW.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from crackcli.arrays import Bools, Float64, Int64

RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # (row, col)
SIDES = (0, 2, 4, 6)  # of the ring: the neighbours that share a side


@dataclass(frozen=True, eq=False)
class PixelSet:
    """N different pixels, ``rows`` (N,) and ``cols`` (N,), from top to bottom, left to right."""

    rows: Int64
    cols: Int64

    @classmethod
    def of(cls, picture: ArrayLike) -> "PixelSet":
        """The set pixels of a picture (rows, cols)."""
        rows, cols = np.nonzero(np.asarray(picture))
        return cls(rows, cols)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Bools | Int64) -> "PixelSet":
        """Some of the pixels, given by flags or by rising indices."""
        return PixelSet(self.rows[chosen], self.cols[chosen])

    @cached_property
    def points(self) -> Float64:
        """Pixel centres (N, 2), x = col, y = row."""
        return np.column_stack([self.cols, self.rows]).astype(np.float64)

    @cached_property
    def span(self) -> tuple[int, int]:
        """The first and the last column."""
        return (int(self.cols.min()), int(self.cols.max())) if len(self) else (0, 0)

    def key(self, rows: NDArray, cols: NDArray) -> Int64:
        """One number per pixel, rising in reading order; a column of room on either side."""
        first, last = self.span
        return rows.astype(np.int64) * (last - first + 3) + (cols.astype(np.int64) - first + 1)

    @cached_property
    def keys(self) -> Int64:
        return self.key(self.rows, self.cols)

    @cached_property
    def fenced_keys(self) -> Int64:
        """The keys and one more that no pixel has."""
        return np.append(self.keys, np.iinfo(np.int64).max)

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """Indices (N, 8) of the neighbours, N where there is none."""
        count = len(self)
        found = np.full((count, 8), count, np.int32)
        keys = self.fenced_keys
        stride = self.span[1] - self.span[0] + 3
        near = np.flatnonzero(np.diff(self.keys) == 1)
        found[near, 2], found[near + 1, 6] = near + 1, near
        wanted = self.keys + stride - 1  # south-west; south and south-east follow it in the list
        at = np.searchsorted(self.keys, wanted)
        for direction in (5, 4, 3):
            hit = np.flatnonzero(keys[at] == wanted)
            found[hit, direction] = at[hit]
            found[at[hit], (direction + 4) % 8] = hit
            at[hit] += 1
            wanted += 1
        return found

    def find(self, points: Float64) -> Int64:
        """Index (M,) of the pixel on which each of the points (M, 2), x and y, lies, else N."""
        cols, rows = np.rint(points).astype(np.int64).T
        first, last = self.span
        wanted = self.key(rows, cols)
        at = np.searchsorted(self.keys, wanted)
        hit = self.fenced_keys[at] == wanted
        return np.where(hit & (cols >= first) & (cols <= last), at, len(self))

    def radii(self, chosen: Bools) -> Float64:
        """Distance (M,) of each chosen pixel to the nearest pixel that is not set, between
        centres: the exact Euclidean distance transform.  What is not in the list is not set."""
        edges = []
        for direction in SIDES:
            bare = np.flatnonzero(self.neighbours[:, direction] == len(self))
            step = np.array(RING[direction][::-1])
            edges.append(self.points[bare] + step)
        tree = cKDTree(np.concatenate(edges), balanced_tree=False, compact_nodes=False)
        return tree.query(self.points[chosen])[0]


def deletable(turn: int) -> Bools:
    """For each of the 256 neighbourhoods whether sub-iteration ``turn`` (0, 1) deletes its centre.

    The conditions of Guo and Hall 1989 (Comm. ACM 32, 359-373): the centre joins exactly one
    8-connected piece, is neither inside nor an end, and lies on the side whose turn it is.
    """
    n, ne, e, se, s, sw, w, nw = (np.arange(256) >> bit & 1 for bit in range(8))
    pieces = (1 - n) * (ne | e) + (1 - e) * (se | s) + (1 - s) * (sw | w) + (1 - w) * (nw | n)
    pairs = np.minimum(
        (nw | n) + (ne | e) + (se | s) + (sw | w), (n | ne) + (e | se) + (s | sw) + (w | nw)
    )
    side = (n | ne | (1 - se)) & e if turn == 0 else (s | sw | (1 - nw)) & w
    return (pieces == 1) & (pairs >= 2) & (pairs <= 3) & (side == 0)


DELETABLE = (deletable(0), deletable(1))


def thin(pixels: PixelSet) -> Bools:
    """Which pixels (N,) remain as the skeleton: lines 1 px wide, connected as the pixels were.

    The list version of Guo-Hall thinning.  A pixel is judged again only after something beside it
    has gone, so that a broad blot costs its area once, not once per layer.
    """
    alive = np.append(np.ones(len(pixels), bool), False)
    neighbours = pixels.neighbours
    rim = np.flatnonzero((neighbours == len(pixels)).any(axis=1))
    waiting = [rim, rim]  # for either sub-iteration: what has changed since it last looked
    stamps = np.zeros(len(alive), np.int64)
    while len(waiting[0]) or len(waiting[1]):
        for turn, table in enumerate(DELETABLE):
            judged = waiting[turn]
            around = np.packbits(alive[neighbours[judged]], axis=1, bitorder="little")[:, 0]
            gone = judged[table[around]]
            alive[gone] = False
            touched = neighbours[gone].ravel()
            touched = once(touched[alive[touched]], stamps)
            waiting[turn] = touched
            waiting[1 - turn] = once(np.concatenate([waiting[1 - turn], touched]), stamps)
    return alive[:-1]


def once(indices: Int64, stamps: Int64) -> Int64:
    """The different ones among ``indices``.  ``stamps`` is scratch space, one place per index: of
    equal indices only the one that wrote there last stays, which is faster than sorting."""
    turns = np.arange(len(indices))
    stamps[indices] = turns
    return indices[stamps[indices] == turns]
