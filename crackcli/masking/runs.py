"""A mask of any size, read strip by strip and kept as runs of crack pixels.

A run is a stretch of crack pixels in one row.  Runs of neighbouring rows that touch, diagonals
included, belong to one crack; which ones do is decided on the whole list at once, so that strips
leave no trace.  Memory grows with the number of runs, not with the raster.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackcli.arrays import Bools, Float64, Int64, UInt8
from crackcli.rasters.reader import CRACK, NODATA, SCORE_MAX


@dataclass(frozen=True, eq=False)
class Runs:
    """R runs in reading order, each from ``start`` up to but not with ``end`` of its ``row``.

    ``score`` is the sum of the scores (0 to 1) of the run's pixels, ``squared`` that of their
    squares, ``scored`` their number; ``beside_nodata`` tells whether one of them touches no data.
    ``assessed_px`` counts the pixels of the mask that are not no data.
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
        return self.end - self.start

    @property
    def at_edge(self) -> Bools:
        """Whether a run touches the edge of the raster."""
        outer = (self.row == 0) | (self.row == self.rows - 1)
        return outer | (self.start == 0) | (self.end == self.cols)


def find_runs(strips: Iterable[tuple[UInt8, UInt8 | None]], rows: int, cols: int) -> Runs:
    """The runs of a mask that comes in ``strips``, from top to bottom: mask and score (h, cols).

    A strip without crack pixels may come without its score.
    """
    parts: list[tuple[NDArray, ...]] = []
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
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Runs(*columns, rows=rows, cols=cols, assessed_px=assessed)


def runs_of(
    mask: UInt8, score: UInt8 | None, above: UInt8, below: UInt8, first_row: int
) -> tuple[NDArray, ...]:
    """Row, start, end, score, squared, scored and beside_nodata of the runs of one strip, given the
    row above it and the row below."""
    crack = mask == CRACK if mask.any() else np.zeros((0, mask.shape[1]), bool)
    used = np.flatnonzero(crack.any(axis=1))
    cols = mask.shape[1]
    fenced = np.zeros((len(used), cols + 2), bool)
    fenced[:, 1:-1] = crack[used]
    line, at = np.nonzero(fenced[:, 1:] != fenced[:, :-1])  # starts and ends take turns
    line, start, end = line[::2], at[::2], at[1::2]

    values = np.zeros(0, np.uint8) if score is None else score[used][crack[used]]
    valid = values != NODATA
    begins = np.concatenate([[0], np.cumsum(end - start)[:-1]]).astype(np.int64)
    if len(values) == 0:
        sums, squares = np.zeros((2, len(start)))
        counts = np.zeros(len(start), np.int64)
    else:
        known = np.where(valid, values / SCORE_MAX, 0.0)
        sums, squares = (np.add.reduceat(part, begins) for part in (known, known**2))
        counts = np.add.reduceat(valid.astype(np.int64), begins)

    beside = np.zeros(len(start), bool)
    framed = np.concatenate([above, mask, below]) == NODATA if len(used) else crack
    if framed.any():
        near = cv2.dilate(framed.astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1][used] > 0
        touching = near[crack[used]]
        beside = np.logical_or.reduceat(touching, begins)
    return first_row + used[line], start, end, sums, squares, counts, beside


def number_cracks(runs: Runs) -> tuple[Int64, int]:
    """The crack (R,) that each run belongs to, numbered by first pixel, and how many there are."""
    count = len(runs)
    stride = runs.cols + 2
    starts, ends = runs.row * stride + runs.start, runs.row * stride + runs.end
    # Runs of the next row that touch run i end at or after its start and start at or before its
    # end: a stretch of the list.
    first = np.searchsorted(ends, starts + stride, "left")
    last = np.searchsorted(starts, ends + stride, "right")
    touching = (last - first).clip(min=0)
    upper = np.repeat(np.arange(count), touching)
    skipped = np.repeat(np.cumsum(touching) - touching, touching)
    lower = np.arange(len(upper)) - skipped + np.repeat(first, touching)
    edges = coo_array((np.ones(len(upper), bool), (upper, lower)), (count, count))
    cracks, label = connected_components(edges, directed=False)
    _, seen = np.unique(label, return_index=True)
    rank = np.empty(cracks, np.int64)
    rank[np.argsort(seen)] = np.arange(cracks)
    return rank[label], cracks
