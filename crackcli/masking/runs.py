"""Run-length encoding of a mask of any size, and its connected components.

A run is a stretch of crack pixels in one row. Runs of neighbouring rows that touch, diagonals
included, belong to one crack. Components are found on the whole list of runs, so they do not
depend on the strips. Memory grows with the number of runs, not with the raster.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackcli.arrays import Bools, Float64, Int64, UInt8
from crackcli.rasters.score_mask import CRACK, NODATA, SCORE_MAX


@dataclass(frozen=True, eq=False)
class Runs:
    """R runs in reading order, each from column ``start`` of its ``row`` up to before ``end``.

    ``score`` is the sum of the scores (0 to 1) of the run's pixels, ``squared`` the sum of their
    squares, ``scored`` the number of pixels with a score; ``beside_nodata`` is set if one of them
    touches nodata. ``assessed_px`` is the number of valid pixels of the mask.
    """

    row: Int64
    start: Int64
    end: Int64
    score: Float64
    squared: Float64
    scored: Int64
    beside_nodata: Bools
    rows: int
    cols: int
    assessed_px: int

    def __len__(self) -> int:
        return len(self.row)

    @property
    def length(self) -> Int64:
        """Pixels of each run."""
        return self.end - self.start

    @property
    def at_edge(self) -> Bools:
        """True for runs that touch the edge of the raster."""
        outer = (self.row == 0) | (self.row == self.rows - 1)
        touching: Bools = outer | (self.start == 0) | (self.end == self.cols)
        return touching

    def select(self, chosen: Bools) -> "Runs":
        """Return the runs for which ``chosen`` (R,) is set."""
        return replace(
            self,
            row=self.row[chosen],
            start=self.start[chosen],
            end=self.end[chosen],
            score=self.score[chosen],
            squared=self.squared[chosen],
            scored=self.scored[chosen],
            beside_nodata=self.beside_nodata[chosen],
        )


class StripRuns(NamedTuple):
    """The columns of `Runs` for one strip."""

    row: Int64
    start: Int64
    end: Int64
    score: Float64
    squared: Float64
    scored: Int64
    beside_nodata: Bools


def find_runs(strips: Iterable[tuple[UInt8, UInt8 | None]], rows: int, cols: int) -> Runs:
    """Find the runs of a mask given in ``strips`` from top to bottom: mask and score (h, cols).

    The score of a strip without crack pixels may be None.
    """
    parts: list[StripRuns] = []
    assessed, row = 0, 0
    above, held = np.zeros((1, cols), np.uint8), None
    for mask, score in strips:
        if held is not None:
            parts.append(runs_of(*held, above, mask[:1], row - len(held[0])))
            above = held[0][-1:]
        held = mask, score
        assessed += mask.size - (int(np.count_nonzero(mask == NODATA)) if mask.any() else 0)
        row += len(mask)
    if held is not None:
        parts.append(runs_of(*held, above, np.zeros((1, cols), np.uint8), row - len(held[0])))
    return Runs(
        row=np.concatenate([part.row for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        squared=np.concatenate([part.squared for part in parts]),
        scored=np.concatenate([part.scored for part in parts]),
        beside_nodata=np.concatenate([part.beside_nodata for part in parts]),
        rows=rows,
        cols=cols,
        assessed_px=assessed,
    )


def runs_of(
    mask: UInt8, score: UInt8 | None, above: UInt8, below: UInt8, first_row: int
) -> StripRuns:
    """Find the runs of one strip, given the row of the mask above it and the row below."""
    crack = mask == CRACK if mask.any() else np.zeros((0, mask.shape[1]), bool)
    used = np.flatnonzero(crack.any(axis=1))
    cols = mask.shape[1]
    fenced = np.zeros((len(used), cols + 2), bool)
    fenced[:, 1:-1] = crack[used]
    line, at = np.nonzero(fenced[:, 1:] != fenced[:, :-1])  # starts and ends alternate
    line, start, end = line[::2], at[::2], at[1::2]

    values = np.zeros(0, np.uint8) if score is None else score[used][crack[used]]
    valid = values != NODATA
    first = np.concatenate([[0], np.cumsum(end - start)[:-1]]).astype(np.int64)
    if len(values) == 0:
        sums, squares = np.zeros((2, len(start)))
        counts = np.zeros(len(start), np.int64)
    else:
        known = np.where(valid, values / SCORE_MAX, 0.0)
        sums, squares = (np.add.reduceat(part, first) for part in (known, known**2))
        counts = np.add.reduceat(valid.astype(np.int64), first)

    beside = np.zeros(len(start), bool)
    framed = np.concatenate([above, mask, below]) == NODATA if len(used) else crack
    if framed.any():
        near = cv2.dilate(framed.astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1][used] > 0
        touching = near[crack[used]]
        beside = np.logical_or.reduceat(touching, first)
    return StripRuns(first_row + used[line], start, end, sums, squares, counts, beside)


def number_cracks(runs: Runs) -> tuple[Int64, int]:
    """Return the number (R,) of the crack that each run belongs to, and how many cracks there are.

    Cracks are numbered by their first pixels in reading order.
    """
    count = len(runs)
    stride = runs.cols + 2
    starts, ends = runs.row * stride + runs.start, runs.row * stride + runs.end
    # Runs of the next row that touch run i end at or after its start and start at or before its
    # end; they are neighbours in the list.
    first = np.searchsorted(ends, starts + stride, "left")
    last = np.searchsorted(starts, ends + stride, "right")
    touching = (last - first).clip(min=0)
    upper = np.repeat(np.arange(count), touching)
    skipped = np.repeat(np.cumsum(touching) - touching, touching)
    lower = np.arange(len(upper)) - skipped + np.repeat(first, touching)
    edges = coo_array((np.ones(len(upper), bool), (upper, lower)), (count, count))
    cracks, label = connected_components(edges, directed=False)
    _, first_run = np.unique(label, return_index=True)
    rank = np.empty(cracks, np.int64)
    rank[np.argsort(first_run)] = np.arange(cracks)
    return rank[label], cracks
