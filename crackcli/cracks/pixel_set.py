"""Set of pixels of a binary image, held as a list, so that memory follows the cracks.

Operations on neighbourhoods (thinning, distance to the edge) are computed on the list, exactly as
they would be on the whole image. There are no tiles, hence no seams. A crack that runs diagonally
across a gigapixel image costs as much as its pixels.

Notation: N set pixels; the eight neighbours in the order N, NE, E, SE, S, SW, W, NW.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from crackcli.arrays import Bools, Float64, Int64

# (row, col), in the order N, NE, E, SE, S, SW, W, NW
NEIGHBOUR_STEPS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
SIDES = (0, 2, 4, 6)  # indices of the neighbours that share a side


@dataclass(frozen=True, eq=False)
class PixelSet:
    """N different pixels, ``rows`` (N,) and ``cols`` (N,), in reading order."""

    rows: Int64
    cols: Int64

    @classmethod
    def from_mask(cls, mask: ArrayLike) -> "PixelSet":
        """Return the non-zero pixels of a mask (rows, cols)."""
        rows, cols = np.nonzero(np.asarray(mask))
        return cls(rows, cols)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Bools | Int64) -> "PixelSet":
        """Return some of the pixels, given by flags (N,) or by ascending indices."""
        return PixelSet(self.rows[chosen], self.cols[chosen])

    @cached_property
    def points(self) -> Float64:
        """Pixel centres (N, 2), x = col, y = row."""
        return np.column_stack([self.cols, self.rows]).astype(np.float64)

    @cached_property
    def col_range(self) -> tuple[int, int]:
        """First and last column."""
        return (int(self.cols.min()), int(self.cols.max())) if len(self) else (0, 0)

    def key(self, rows: Int64, cols: Int64) -> Int64:
        """Return one number per pixel, ascending in reading order.

        There is one spare column on either side, so that keys of neighbours never wrap around.
        """
        first, last = self.col_range
        return rows.astype(np.int64) * (last - first + 3) + (cols.astype(np.int64) - first + 1)

    @cached_property
    def keys(self) -> Int64:
        """The `key` of each pixel (N,)."""
        return self.key(self.rows, self.cols)

    @cached_property
    def padded_keys(self) -> Int64:
        """The keys, and one more that no pixel has."""
        return np.append(self.keys, np.iinfo(np.int64).max)

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """Indices (N, 8) of the neighbours, N where there is none."""
        count = len(self)
        found = np.full((count, 8), count, np.int32)
        keys = self.padded_keys
        stride = self.col_range[1] - self.col_range[0] + 3
        near = np.flatnonzero(np.diff(self.keys) == 1)
        found[near, 2], found[near + 1, 6] = near + 1, near
        wanted = self.keys + stride - 1  # south-west; south and south-east have the next two keys
        at = np.searchsorted(self.keys, wanted)
        for direction in (5, 4, 3):
            hit = np.flatnonzero(keys[at] == wanted)
            found[hit, direction] = at[hit]
            found[at[hit], (direction + 4) % 8] = hit
            at[hit] += 1
            wanted += 1
        return found

    def find(self, points: Float64) -> Int64:
        """Return the index (M,) of the pixel that contains each point (M, 2) of x and y, else N."""
        cols, rows = np.rint(points).astype(np.int64).T
        first, last = self.col_range
        wanted = self.key(rows, cols)
        at = np.searchsorted(self.keys, wanted)
        hit = self.padded_keys[at] == wanted
        return np.where(hit & (cols >= first) & (cols <= last), at, len(self))

    def radii(self, chosen: Bools) -> Float64:
        """Return the distance (M,) in px of each chosen pixel to the nearest pixel outside.

        This is the exact Euclidean distance transform, between pixel centres; all that is not in
        the list is outside.
        """
        edges = []
        for direction in SIDES:
            bare = np.flatnonzero(self.neighbours[:, direction] == len(self))
            step = np.array(NEIGHBOUR_STEPS[direction][::-1])
            edges.append(self.points[bare] + step)
        tree = cKDTree(np.concatenate(edges), balanced_tree=False, compact_nodes=False)
        return np.asarray(tree.query(self.points[chosen])[0], np.float64)


def deletable(phase: int) -> Bools:
    """Return which of the 256 neighbourhoods make sub-iteration ``phase`` (0, 1) delete the centre.

    The conditions are those of Guo and Hall 1989 (Comm. ACM 32, 359-373): the centre joins exactly
    one 8-connected component, is neither inside nor an end, and lies on the side of this phase.
    """
    n, ne, e, se, s, sw, w, nw = (np.arange(256) >> bit & 1 for bit in range(8))
    pieces = (1 - n) * (ne | e) + (1 - e) * (se | s) + (1 - s) * (sw | w) + (1 - w) * (nw | n)
    pairs = np.minimum(
        (nw | n) + (ne | e) + (se | s) + (sw | w), (n | ne) + (e | se) + (s | sw) + (w | nw)
    )
    side = (n | ne | (1 - se)) & e if phase == 0 else (s | sw | (1 - nw)) & w
    return np.asarray((pieces == 1) & (pairs >= 2) & (pairs <= 3) & (side == 0), np.bool_)


DELETABLE = (deletable(0), deletable(1))


def thin(pixels: PixelSet) -> Bools:
    """Return which pixels (N,) remain as the skeleton.

    Its lines are 1 px wide and connected as the pixels were. This is Guo-Hall thinning on a list. A
    pixel is examined again only after a neighbour was removed, so that a broad blob costs its area
    once, not once per layer.
    """
    alive = np.append(np.ones(len(pixels), bool), False)
    neighbours = pixels.neighbours
    rim: Int64 = np.flatnonzero((neighbours == len(pixels)).any(axis=1))
    pending = [rim, rim]  # for each sub-iteration: pixels to examine, as a neighbour was removed
    scratch = np.zeros(len(alive), np.int64)
    while len(pending[0]) or len(pending[1]):
        for phase, table in enumerate(DELETABLE):
            examined = pending[phase]
            around = np.packbits(alive[neighbours[examined]], axis=1, bitorder="little")[:, 0]
            removed = examined[table[around]]
            alive[removed] = False
            around_removed = neighbours[removed].ravel()
            affected = unique_indices(around_removed[alive[around_removed]], scratch)
            pending[phase] = affected
            pending[1 - phase] = unique_indices(
                np.concatenate([pending[1 - phase], affected]), scratch
            )
    return alive[:-1]


def unique_indices(indices: Int64, scratch: Int64) -> Int64:
    """Return the different ones of ``indices``.

    ``scratch`` has one place per index. Of equal indices only the last one written stays, which is
    faster than sorting.
    """
    positions = np.arange(len(indices))
    scratch[indices] = positions
    unique: Int64 = indices[scratch[indices] == positions]
    return unique
