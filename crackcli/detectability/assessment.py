"""Detection limits of a whole photograph, on a grid of square blocks.

The photograph is read in strips of blocks, so memory does not grow with its height. Each block is
assessed by a window of its own size. The last windows of rows and columns reach back to be full, so
that a remainder of few pixels is not assessed by these alone. The number of blocks in a strip has
no effect on the result.

Notation: R by C blocks of `BLOCK_PX`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float64, Int64
from crackcli.detectability.block_quality import (
    BLOCK_PX,
    BlockQuality,
    borrow_blur,
    concatenate,
    measure_block,
    with_blur,
)
from crackcli.detectability.limits import (
    CLIPPED,
    FLAT,
    REPEATED,
    Limits,
    find_limits,
    observer_of,
)
from crackcli.detectability.own_texture import (
    LEAST,
    Hashes,
    copied_fractions,
    find_texture,
    sampled_hashes,
)
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo

COVERED = 0.9  # fraction of the assessable area on which the limits of a scene hold
MERGE_RATIO = 1.25  # width of a class of limits; blocks of one class may be one rectangle
STRIP_BLOCKS = 128  # blocks that are read at once, at most


@dataclass(frozen=True, eq=False)
class Assessed:
    """Limits and quality of a photograph of ``rows`` by ``cols`` px.

    ``valid_px`` (R, C) number of valid pixels; ``hollow_px`` (R, C) how many of them have no
    texture of their own, and ``hollow_reason`` (R, C) why, else empty; ``detection_px`` and
    ``quantification_px`` (R, C) the limits in px (`crackcli.detectability.limits`), nan where there
    is none; ``reason`` (R, C) why there is no detection limit, else empty; ``blur_px`` and
    ``level`` (R, C) sigma of the blur and brightness, nan where unknown.
    """

    rows: int
    cols: int
    valid_px: Int64
    hollow_px: Int64
    hollow_reason: NDArray[np.str_]
    detection_px: Float64
    quantification_px: Float64
    reason: NDArray[np.str_]
    blur_px: Float64
    level: Float64

    @property
    def assessable(self) -> Bools:
        """Blocks (R, C) that have a detection limit."""
        return np.isfinite(self.detection_px)

    @property
    def assessed_px(self) -> int:
        """Number of valid pixels."""
        return int(self.valid_px.sum())

    @property
    def not_assessable_px(self) -> int:
        """Number of valid pixels in blocks without a detection limit, and of those elsewhere that
        have no texture of their own."""
        return self.assessed_px - int(self.shown_px.sum())

    @property
    def shown_px(self) -> Int64:
        """Number of pixels (R, C) to which the limits of their block apply."""
        return np.where(self.assessable, self.valid_px - self.hollow_px, 0)

    def with_limits_times(self, factor: float) -> "Assessed":
        """Return the same with all limits multiplied by ``factor``."""
        return replace(
            self,
            detection_px=self.detection_px * factor,
            quantification_px=self.quantification_px * factor,
        )

    def detectable_px(self, width_px: float) -> int:
        """Return the number of valid pixels on which cracks of ``width_px`` would be found."""
        return int(self.shown_px[self.detection_px <= width_px].sum())

    @property
    def detection_limit_px(self) -> float | None:
        """Smallest width at which cracks are found on `COVERED` of the assessable area."""
        return self.limit_on_most(self.detection_px)

    @property
    def quantification_limit_px(self) -> float | None:
        """Smallest width at which they can be measured there; None if none can."""
        return self.limit_on_most(self.quantification_px)

    def limit_on_most(self, limit_px: Float64) -> float | None:
        """Return the limit that holds on `COVERED` of the assessable area, or None."""
        return limit_on_most(limit_px[self.assessable], self.shown_px[self.assessable])

    def reasons(self) -> list[str]:
        """Return why parts are not assessable, in descending order of their area."""
        hidden: dict[str, int] = {}
        hollow = np.where(self.assessable, self.hollow_px, 0)
        for reason, count in (
            *zip(self.reason.flat, self.valid_px.flat, strict=True),
            *zip(self.hollow_reason.flat, hollow.flat, strict=True),
        ):
            if reason and count:
                hidden[str(reason)] = hidden.get(str(reason), 0) + int(count)
        return sorted(hidden, key=lambda reason: -hidden[reason])

    def limits_along(self, points: Float64) -> tuple[float | None, float | None]:
        """Return the detection and quantification limit along points (N, 2) of x and y.

        Each is the median of the limits of the blocks that contain the points; None if half of the
        points or more have no limit.
        """
        col, row = (np.rint(points).astype(int) // BLOCK_PX).T
        row, col = row.clip(0, len(self.valid_px) - 1), col.clip(0, self.valid_px.shape[1] - 1)
        found = []
        for limit in (self.detection_px, self.quantification_px):
            values = np.sort(np.where(np.isnan(limit), np.inf, limit)[row, col])
            middle = float(values[len(values) // 2])
            found.append(middle if np.isfinite(middle) else None)
        return found[0], found[1]


@dataclass(frozen=True)
class Area:
    """Rectangle of blocks with limits of one class.

    ``window`` is in pixels, ``valid_px`` the number of valid pixels; the limits are the largest of
    its blocks.
    """

    window: Window
    valid_px: int
    detection_px: float | None
    quantification_px: float | None
    reason: str


def limit_on_most(limit_px: Float64, area: Int64 | Float64) -> float | None:
    """Return the least limit that covers `COVERED` of the total ``area``.

    ``limit_px`` (N,) are the limits on areas (N,). None if the total is 0, or if more than the rest
    has no limit (nan).
    """
    order = np.argsort(limit_px)  # nan last
    covered = np.cumsum(area[order])
    if not len(covered) or covered[-1] <= 0:
        return None
    limit = float(limit_px[order[np.searchsorted(covered, COVERED * covered[-1])]])
    return limit if np.isfinite(limit) else None


def assess(
    info: RasterInfo,
    method: str | None = None,
    report: FractionDone = ignore,
    strip_blocks: int = STRIP_BLOCKS,
) -> Assessed:
    """Return the limits of the photograph of ``info`` in scans by ``method``, block by block.

    Raises `InputError` if the photograph cannot be read.
    """
    parts: list[BlockQuality] = []
    hashes: list[Hashes] = []
    counts: list[tuple[int, ...]] = []  # of valid, flat and stuck pixels
    shape = -(-info.rows // BLOCK_PX), -(-info.cols // BLOCK_PX)
    with Raster(info) as raster:
        for window, blocks in strips(info.rows, info.cols, strip_blocks):
            pixels = raster.read(window)
            for own, assessed_by in blocks:
                place, inner = assessed_by.within(window), own.within(assessed_by)
                rgb, valid = pixels.rgb[place], pixels.valid[place]
                texture = find_texture(rgb, valid)
                parts.append(measure_block(rgb, valid, texture.own))
                hashes.append(sampled_hashes(rgb[inner], (valid & texture.own)[inner]))
                counts.append(
                    tuple(
                        int(np.count_nonzero(flags[inner]))
                        for flags in (valid, texture.flat, texture.stuck)
                    )
                )
            report(len(parts) / (shape[0] * shape[1]))
    quality = concatenate(parts)
    quality = with_blur(quality, borrow_blur(quality.blur_px.reshape(shape)).ravel())
    valid_px, flat_px, stuck_px = np.array(counts).T
    copied_px = np.rint(copied_fractions(hashes) * (valid_px - flat_px - stuck_px)).astype(np.int64)
    hollow_px = flat_px + stuck_px + copied_px
    hollow_px[hollow_px < LEAST * valid_px] = 0
    why = np.where(2 * flat_px >= hollow_px, FLAT, REPEATED)
    found = find_limits(quality, observer_of(method))
    found = without_hollow(found, 2 * hollow_px > valid_px, why)
    return Assessed(
        rows=info.rows,
        cols=info.cols,
        valid_px=valid_px.reshape(shape),
        hollow_px=hollow_px.reshape(shape),
        hollow_reason=np.where(hollow_px > 0, why, "").reshape(shape),
        detection_px=found.detection_px.reshape(shape),
        quantification_px=found.quantification_px.reshape(shape),
        reason=found.reason.reshape(shape),
        blur_px=quality.blur_px.reshape(shape),
        level=quality.level.reshape(shape),
    )


def without_hollow(limits: Limits, hollow: Bools, why: NDArray[np.str_]) -> Limits:
    """Return the limits without those of blocks (B,) that are mostly ``hollow``, for the reasons
    ``why`` (B,); black or white blocks keep theirs."""
    reason = np.where(hollow & ~np.isin(limits.reason, CLIPPED), why, limits.reason)
    detection, quantification = (
        np.where(hollow, np.nan, limit) for limit in (limits.detection_px, limits.quantification_px)
    )
    return Limits(detection, quantification, reason)


def strips(
    rows: int, cols: int, strip_blocks: int
) -> Iterator[tuple[Window, list[tuple[Window, Window]]]]:
    """Yield windows of up to ``strip_blocks`` blocks, in reading order, with their blocks.

    A block is a pair of windows: its own pixels, and those by which it is assessed.
    """
    for row in range(0, rows, BLOCK_PX):
        for first in range(0, cols, strip_blocks * BLOCK_PX):
            last = min(first + strip_blocks * BLOCK_PX, cols)
            blocks = []
            for col in range(first, last, BLOCK_PX):
                own = Window(row, col, BLOCK_PX, BLOCK_PX).clipped(rows, cols)
                height, width = min(rows, BLOCK_PX), min(cols, BLOCK_PX)
                assessed_by = Window(min(row, rows - height), min(col, cols - width), height, width)
                blocks.append((own, assessed_by))
            begin = blocks[0][1]
            left = min(assessed_by.col for _, assessed_by in blocks)
            yield Window(begin.row, left, begin.rows, last - left), blocks


def areas_of(assessed: Assessed) -> list[Area]:
    """Return the blocks that have valid pixels as few rectangles.

    Neighbours in a row of blocks with limits of one class are merged, then equal runs below each
    other.
    """
    rows, cols = assessed.valid_px.shape
    classes = [[limit_class(assessed, row, col) for col in range(cols)] for row in range(rows)]
    done: list[tuple[int, int, int, int]] = []  # row and column ranges of blocks, ends exclusive
    open_: dict[tuple[int, int], tuple[int, object]] = {}  # column range: first row, and class
    for row in range(rows + 1):
        runs = dict(equal_runs(classes[row])) if row < rows else {}
        for ends, (first, opened) in list(open_.items()):
            if runs.get(ends) != opened:
                done.append((first, row, *ends))
                del open_[ends]
        for ends, opened in runs.items():
            open_.setdefault(ends, (row, opened))
    return [merged_area(assessed, *ranges) for ranges in sorted(done)]


def limit_class(assessed: Assessed, row: int, col: int) -> object:
    """Return what blocks of one rectangle have in common; None without valid pixels."""
    if assessed.valid_px[row, col] == 0:
        return None
    steps = (
        None if np.isnan(limit[row, col]) else int(np.log(limit[row, col]) // np.log(MERGE_RATIO))
        for limit in (assessed.detection_px, assessed.quantification_px)
    )
    return str(assessed.reason[row, col]), *steps


def equal_runs(classes: list[object]) -> Iterator[tuple[tuple[int, int], object]]:
    """Yield the range, end exclusive, and the value of each run of equal classes but None."""
    first = 0
    for index in range(1, len(classes) + 1):
        if index == len(classes) or classes[index] != classes[first]:
            if classes[first] is not None:
                yield (first, index), classes[first]
            first = index


def merged_area(assessed: Assessed, top: int, bottom: int, left: int, right: int) -> Area:
    """Return the rectangle of the blocks of these rows and columns, ends exclusive."""
    block = slice(top, bottom), slice(left, right)
    whole = Window(
        top * BLOCK_PX, left * BLOCK_PX, (bottom - top) * BLOCK_PX, (right - left) * BLOCK_PX
    )
    detect, measure = (
        float(limit[block].max()) for limit in (assessed.detection_px, assessed.quantification_px)
    )
    return Area(
        window=whole.clipped(assessed.rows, assessed.cols),
        valid_px=int(assessed.valid_px[block].sum()),
        detection_px=detect if np.isfinite(detect) else None,
        quantification_px=measure if np.isfinite(measure) else None,
        reason=str(assessed.reason[top, left]),
    )
