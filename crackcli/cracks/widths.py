"""Crack widths: a value at each point along a centreline, and statistics of them.

`sample` places points evenly on a centreline; a measure computes a width at each of them;
`summarise` returns mean, median, 95th percentile, and the maximum with its place.

The measure here is `area_length`: the area of a stretch of the crack over the length of the
stretch. It needs the mask only and is as correct as the mask: unlike twice the distance transform,
it has no bias on thin cracks.

Notation: S points on all lines of a centreline, P pixels of the crack; all lengths in px.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from crackcli.arrays import Float64, Int64
from crackcli.cracks.centreline import Centreline, Line

WINDOW_PX = 5.0  # window over which a width is averaged: this, or one local width if larger
MIN_WIDTH_PX = 0.1  # lower bound of divisors
MASK_METHOD = "area_length"  # method of widths that are measured on the mask: area over length
END_FRACTION = 0.15  # of the length; an end that may taper


@dataclass(frozen=True, eq=False)
class Samples:
    """Points of a centreline, line by line, each in the middle of its own ``step``.

    ``points`` and ``normals`` (S, 2); ``steps`` (S,) about 1 px; ``line_offsets`` the index of the
    first point of each line, and S. ``from_start`` and ``from_end`` (S,): distance along the line
    to the circle of the junction at its start or end, or to the free end; negative inside the
    circle.
    """

    points: Float64
    normals: Float64
    steps: Float64
    line_offsets: list[int]
    from_start: Float64
    from_end: Float64

    def of_lines(self, first: int, last: int) -> "Samples":
        """Return the samples of the lines from ``first`` to ``last``, end exclusive."""
        begin, end = self.line_offsets[first], self.line_offsets[last]
        arrays = (self.points, self.normals, self.steps, self.from_start, self.from_end)
        points, normals, steps, from_start, from_end = (array[begin:end] for array in arrays)
        line_offsets = [at - begin for at in self.line_offsets[first : last + 1]]
        return Samples(points, normals, steps, line_offsets, from_start, from_end)

    def profile(self, widths: Float64, sigma: Float64, systematic: Float64) -> "WidthProfile":
        """Return widths and their uncertainties (S,) as the profile of the crack."""
        counts = np.diff(self.line_offsets)
        first = np.repeat(np.asarray(self.line_offsets[:-1], np.int64), counts)
        end_of_step = np.cumsum(self.steps)
        middle = end_of_step - self.steps / 2
        along = middle - (end_of_step - self.steps)[first]
        line = np.repeat(np.arange(len(counts)), counts)
        return WidthProfile(line, along, self.points, widths, sigma, systematic)


@dataclass(frozen=True, eq=False)
class WidthProfile:
    """Width of a crack at each of its S samples.

    ``line`` (S,) index of the centreline's line; ``along_px`` (S,) distance from its start;
    ``points`` (S, 2); ``width_px`` (S,), nan where there is none; ``sigma_px`` (S,) standard
    uncertainty, nan where unknown; ``systematic_px`` (S,) the part of it that does not average out
    along the crack.
    """

    line: Int64
    along_px: Float64
    points: Float64
    width_px: Float64
    sigma_px: Float64
    systematic_px: Float64


@dataclass(frozen=True)
class Widths:
    """Statistics of the widths of a crack, in px.

    ``max_px`` is the maximum of a running mean, at pixel ``max_at`` (col, row); ``method`` names
    the measure. ``spread`` is the 90th less the 10th percentile, over the median; ``taper`` is by
    which fraction both ends are narrower than the rest. A ``_sigma_px`` is one standard
    uncertainty, without that of the scale; None if unknown.
    """

    mean_px: float
    median_px: float
    p95_px: float
    max_px: float
    max_at: tuple[float, float]
    method: str
    spread: float
    taper: float
    mean_sigma_px: float | None = None
    median_sigma_px: float | None = None
    p95_sigma_px: float | None = None
    max_sigma_px: float | None = None
    profile: WidthProfile | None = field(default=None, compare=False)


def sample(centreline: Centreline) -> Samples:
    """Return points about 1 px apart on all lines, at least one on each."""
    return sample_lines(centreline.lines)


def sample_lines(lines: Sequence[Line]) -> Samples:
    """Return the same for lines of one or several centrelines."""
    parts, line_offsets = [], [0]
    for line in lines:
        count = max(1, round(line.length))
        step = line.length / count
        arc = (np.arange(count) + 0.5) * step
        x, y = line.points.T
        grid = np.arange(count + 1) * step
        edge_x, edge_y = np.interp(grid, line.arc, x), np.interp(grid, line.arc, y)
        dx, dy = edge_x[1:] - edge_x[:-1], edge_y[1:] - edge_y[:-1]
        size = np.hypot(dx, dy)
        size[size == 0] = 1.0
        columns = (
            np.interp(arc, line.arc, x),
            np.interp(arc, line.arc, y),
            -dy / size,
            dx / size,
            np.full(count, step),
            arc - line.start_px,
            line.length - arc - line.end_px,
        )
        parts.append(np.array(columns))
        line_offsets.append(line_offsets[-1] + count)
    x, y, across_x, across_y, steps, from_start, from_end = np.concatenate(parts, axis=1)
    return Samples(
        points=np.stack([x, y], axis=1),
        normals=np.stack([across_x, across_y], axis=1),
        steps=steps,
        line_offsets=line_offsets,
        from_start=from_start,
        from_end=from_end,
    )


def area_length(samples: Samples, pixels: Float64) -> Float64:
    """Return the width (S,) at each sample: area over length of a running window, nan without one.

    Each pixel (P, 2) belongs to the nearest sample and, in part, to that sample's neighbour on the
    line. The window is about one local width long. There is no width near junctions, whose area
    belongs to several lines, and within half a window of free ends.
    """
    areas = sample_areas(samples, pixels)
    widths = np.full(len(areas), np.nan)
    for begin, end in zip(samples.line_offsets, samples.line_offsets[1:], strict=False):
        area, steps = areas[begin:end], samples.steps[begin:end]
        half = max(WINDOW_PX, area.sum() / steps.sum()) / 2
        reach = round(half / steps[0])
        total = np.concatenate([[0.0], np.cumsum(area)])
        first = np.arange(end - begin) - reach
        last = (first + 2 * reach + 1).clip(max=end - begin)
        first = first.clip(min=0)
        mean = (total[last] - total[first]) / ((last - first) * steps[0])
        clear = np.minimum(samples.from_start[begin:end], samples.from_end[begin:end]) >= half
        widths[begin:end][clear] = mean[clear]
    return widths


def sample_areas(samples: Samples, pixels: Float64) -> Float64:
    """Return the area (S,) of the crack that belongs to each sample, in square pixels."""
    count = len(samples.points)
    _, nearest = cKDTree(samples.points).query(pixels)
    away = pixels - samples.points[nearest]
    across = samples.normals[nearest]
    along = (away[:, 0] * across[:, 1] - away[:, 1] * across[:, 0]) / samples.steps[nearest]
    fraction = np.abs(along).clip(max=1.0)
    lowest, highest = (
        np.repeat(limit, np.diff(samples.line_offsets)) for limit in line_limits(samples)
    )
    other = (nearest + np.sign(along).astype(np.int64)).clip(lowest[nearest], highest[nearest])
    area = np.bincount(nearest, 1 - fraction, count)
    return np.asarray(area + np.bincount(other, fraction, count), np.float64)


def line_limits(samples: Samples) -> tuple[Int64, Int64]:
    """Return the first and the last sample of each line."""
    line_offsets = np.asarray(samples.line_offsets, np.int64)
    return line_offsets[:-1], line_offsets[1:] - 1


def summarise(samples: Samples, widths: Float64, area_px: float, method: str) -> Widths:
    """Return the statistics of the widths (S,) of one crack; nan are left out.

    A crack too short to have a width anywhere gets its area over its length.
    """
    unknown = np.full(len(widths), np.nan)
    profile = samples.profile(widths, unknown, unknown)
    clear = np.flatnonzero(np.isfinite(widths))
    if len(clear) == 0:
        mean = area_px / float(samples.steps.sum())
        middle = samples.points[len(samples.points) // 2]
        place = float(middle[0]), float(middle[1])
        return Widths(mean, mean, mean, mean, place, method, spread=0.0, taper=0.0, profile=profile)
    values, steps = widths[clear], samples.steps[clear]
    median, p95, p10, p90 = quantiles(values, steps, [0.5, 0.95, 0.1, 0.9])
    widest = samples.points[clear[np.argmax(values)]]
    return Widths(
        mean_px=float(values @ steps / steps.sum()),
        median_px=median,
        p95_px=p95,
        max_px=float(values.max()),
        max_at=(float(widest[0]), float(widest[1])),
        method=method,
        spread=float((p90 - p10) / max(median, MIN_WIDTH_PX)),
        taper=taper_of(samples.points[clear], values, steps),
        profile=profile,
    )


def quantiles(values: Float64, steps: Float64, fractions: Sequence[float]) -> list[float]:
    """Return quantiles of values (N,), weighted by length.

    A value counts at the middle of its step in the sorted order.
    """
    order = np.argsort(values, kind="stable")
    place = (np.cumsum(steps[order]) - steps[order] / 2) / steps.sum()
    return [float(value) for value in np.interp(fractions, place, values[order])]


def taper_of(points: Float64, values: Float64, steps: Float64) -> float:
    """Return by which fraction the widths (S,) at both ends are less than between them, 0 to 1.

    An end is the outer `END_FRACTION` of the extent of the points (S, 2) along their principal
    axis.
    """
    x, y = (points - steps @ points / steps.sum()).T
    turn = math.atan2(2 * float(steps @ (x * y)), float(steps @ (x * x - y * y))) / 2
    along = x * math.cos(turn) + y * math.sin(turn)
    low, high = along.min(), along.max()
    end_px = END_FRACTION * (high - low)
    inner = (along > low + end_px) & (along < high - end_px)
    if not inner.any():
        return 0.0
    between, *ends = (
        float(values[part] @ steps[part] / steps[part].sum())
        for part in (inner, along <= low + end_px, along >= high - end_px)
    )
    return min(1.0, max(0.0, 1 - sum(ends) / 2 / max(between, MIN_WIDTH_PX)))
