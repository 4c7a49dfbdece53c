"""What a whole photograph can show: the limits of `crackcli.detectability.limits` on a grid of
blocks.

The photograph is read in strips of blocks, so memory does not grow with its height.  Each block is
judged by a window of its own size; the last ones of rows and columns by a full window that reaches
back, so that a remainder of few pixels is not judged by them alone.  How many blocks a strip holds
changes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float64, Int64
from crackcli.detectability.limits import (
    BLOCK_PX,
    Surfaces,
    borrowed,
    joined,
    limits,
    surface_of,
    with_blur,
)
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo

ON_MOST = 0.9  # of the assessable wall: where a scene's limits hold
MERGED = 1.25  # blocks whose limits differ by less may be one polygon
STRIP_BLOCKS = 128  # that are read at once, at most


@dataclass(frozen=True, eq=False)
class Assessed:
    """A photograph of ``rows`` by ``cols`` px in R by C blocks of `BLOCK_PX`.

    ``valid_px`` (R, C) pixels that are not no data; ``detect_px`` and ``measure_px`` (R, C) the
    narrowest width that is seen (nine of ten times) and measured there, nan if none is; ``reason``
    (R, C) why nothing is, else empty; ``blur_px`` and ``level`` (R, C) sigma of the blur and
    brightness, nan where unknown.
    """

    rows: int
    cols: int
    valid_px: Int64
    detect_px: Float64
    measure_px: Float64
    reason: NDArray[np.str_]
    blur_px: Float64
    level: Float64

    @property
    def assessable(self) -> Bools:
        """The blocks (R, C) on which some crack would be seen."""
        return np.isfinite(self.detect_px)

    @property
    def assessed_px(self) -> int:
        """All pixels of the wall: what is no data does not count."""
        return int(self.valid_px.sum())

    @property
    def not_assessable_px(self) -> int:
        return int(self.valid_px[~self.assessable].sum())

    def seen_px(self, width_px: float) -> int:
        """On how many pixels of the wall cracks of ``width_px`` or more would be seen."""
        return int(self.valid_px[self.detect_px <= width_px].sum())

    @property
    def detect_limit_px(self) -> float | None:
        """The width from which on cracks would be seen on `ON_MOST` of the assessable wall."""
        return self.limit_on_most(self.detect_px)

    @property
    def measure_limit_px(self) -> float | None:
        """The width from which on they could be measured there; None if none could."""
        return self.limit_on_most(self.measure_px)

    def limit_on_most(self, limit_px: Float64) -> float | None:
        return limit_on_most(limit_px[self.assessable], self.valid_px[self.assessable])

    def reasons(self) -> list[str]:
        """Why parts of the wall are not assessable, what hides most of it first."""
        hidden: dict[str, int] = {}
        for reason, count in zip(self.reason.flat, self.valid_px.flat, strict=True):
            if reason and count:
                hidden[str(reason)] = hidden.get(str(reason), 0) + int(count)
        return sorted(hidden, key=lambda reason: -hidden[reason])

    def limits_along(self, points: Float64) -> tuple[float | None, float | None]:
        """The limits, seen and measured, of the blocks in which points (N, 2), x and y, lie: the
        median over the points; None if half of them or more have none."""
        col, row = (np.rint(points).astype(int) // BLOCK_PX).T
        row, col = row.clip(0, len(self.valid_px) - 1), col.clip(0, self.valid_px.shape[1] - 1)
        found = []
        for limit in (self.detect_px, self.measure_px):
            values = np.sort(np.where(np.isnan(limit), np.inf, limit)[row, col])
            middle = float(values[len(values) // 2])
            found.append(middle if np.isfinite(middle) else None)
        return found[0], found[1]


@dataclass(frozen=True)
class Area:
    """A rectangle of blocks on which about the same can be seen: its window in pixels, its pixels
    that are not no data, and of its limits the highest."""

    window: Window
    valid_px: int
    detect_px: float | None
    measure_px: float | None
    reason: str


def limit_on_most(limit_px: Float64, area: NDArray) -> float | None:
    """The least limit (N,), of those that share an ``area`` (N,), which `ON_MOST` of it keep to;
    None without an area, or where more than the rest has no limit (nan)."""
    order = np.argsort(limit_px)  # nan last
    covered = np.cumsum(area[order])
    if not len(covered) or covered[-1] <= 0:
        return None
    limit = float(limit_px[order[np.searchsorted(covered, ON_MOST * covered[-1])]])
    return limit if np.isfinite(limit) else None


def assess(
    info: RasterInfo,
    report: Callable[[float], None] = lambda share: None,
    strip_blocks: int = STRIP_BLOCKS,
) -> Assessed:
    """What can be seen on the photograph of ``info``; an `InputError` if it cannot be read."""
    parts: list[Surfaces] = []
    valid: list[int] = []
    shape = -(-info.rows // BLOCK_PX), -(-info.cols // BLOCK_PX)
    with Raster(info) as raster:
        for window, blocks in strips(info.rows, info.cols, strip_blocks):
            pixels = raster.read(window)
            for own, judged in blocks:
                place = judged.within(window)
                parts.append(surface_of(pixels.rgb[place], pixels.valid[place]))
                valid.append(int(np.count_nonzero(pixels.valid[own.within(window)])))
            report(len(parts) / (shape[0] * shape[1]))
    surfaces = joined(parts)
    surfaces = with_blur(surfaces, borrowed(surfaces.blur_px.reshape(shape)).ravel())
    found = limits(surfaces)
    return Assessed(
        rows=info.rows,
        cols=info.cols,
        valid_px=np.array(valid).reshape(shape),
        detect_px=found.detect_px.reshape(shape),
        measure_px=found.measure_px.reshape(shape),
        reason=found.reason.reshape(shape),
        blur_px=surfaces.blur_px.reshape(shape),
        level=surfaces.level.reshape(shape),
    )


def strips(
    rows: int, cols: int, strip_blocks: int
) -> Iterator[tuple[Window, list[tuple[Window, Window]]]]:
    """Windows of about ``strip_blocks`` blocks, one after the other in reading order, and in each
    of them the blocks: their own pixels, and those by which they are judged."""
    for row in range(0, rows, BLOCK_PX):
        for first in range(0, cols, strip_blocks * BLOCK_PX):
            last = min(first + strip_blocks * BLOCK_PX, cols)
            blocks = []
            for col in range(first, last, BLOCK_PX):
                own = Window(row, col, BLOCK_PX, BLOCK_PX).clipped(rows, cols)
                height, width = min(rows, BLOCK_PX), min(cols, BLOCK_PX)
                judged = Window(min(row, rows - height), min(col, cols - width), height, width)
                blocks.append((own, judged))
            begin = blocks[0][1]
            left = min(judged.col for _, judged in blocks)
            yield Window(begin.row, left, begin.rows, last - left), blocks


def areas_of(assessed: Assessed) -> list[Area]:
    """The blocks with data as few rectangles: neighbours in a row on which about the same can be
    seen are one, and so are such runs of equal ends below each other."""
    rows, cols = assessed.valid_px.shape
    kinds = [[kind_of(assessed, row, col) for col in range(cols)] for row in range(rows)]
    done: list[tuple[int, int, int, int]] = []  # rows and columns of blocks: from, up to
    open_: dict[tuple[int, int], tuple[int, object]] = {}  # columns: first row, and kind
    for row in range(rows + 1):
        runs = dict(runs_of(kinds[row])) if row < rows else {}
        for ends, (first, kind) in list(open_.items()):
            if runs.get(ends) != kind:
                done.append((first, row, *ends))
                del open_[ends]
        for ends, kind in runs.items():
            open_.setdefault(ends, (row, kind))
    return [area_of(assessed, *found) for found in sorted(done)]


def kind_of(assessed: Assessed, row: int, col: int) -> object:
    """What blocks of one rectangle have in common; None without data."""
    if assessed.valid_px[row, col] == 0:
        return None
    steps = (
        None if np.isnan(limit[row, col]) else int(np.log(limit[row, col]) // np.log(MERGED))
        for limit in (assessed.detect_px, assessed.measure_px)
    )
    return str(assessed.reason[row, col]), *steps


def runs_of(kinds: list[object]) -> Iterator[tuple[tuple[int, int], object]]:
    """First and last-but-one index of equal neighbours, and what they are; not of None."""
    first = 0
    for index in range(1, len(kinds) + 1):
        if index == len(kinds) or kinds[index] != kinds[first]:
            if kinds[first] is not None:
                yield (first, index), kinds[first]
            first = index


def area_of(assessed: Assessed, first: int, last: int, left: int, right: int) -> Area:
    block = slice(first, last), slice(left, right)
    whole = Window(
        first * BLOCK_PX, left * BLOCK_PX, (last - first) * BLOCK_PX, (right - left) * BLOCK_PX
    )
    detect, measure = (
        float(limit[block].max()) for limit in (assessed.detect_px, assessed.measure_px)
    )
    return Area(
        window=whole.clipped(assessed.rows, assessed.cols),
        valid_px=int(assessed.valid_px[block].sum()),
        detect_px=detect if np.isfinite(detect) else None,
        measure_px=measure if np.isfinite(measure) else None,
        reason=str(assessed.reason[first, left]),
    )
