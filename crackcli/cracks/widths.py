"""Crack widths: a value at each point along a centreline, and what to say of them all.

`sample` places points evenly on a centreline; a measure turns points and normals into widths
there; `summarise` keeps mean, median, 95th percentile and the place of the maximum.  The measure
here is `area_length`: what a stretch of the crack covers, divided by its length.  It needs the
mask only and is right where the mask is: unlike twice the distance transform, it has no bias on
thin cracks.

Notation: S points on all lines of a centreline, P pixels of the crack.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from crackcli.arrays import Float64, Int64
from crackcli.cracks.centreline import Centreline, Line

WINDOW_PX = 5.0  # least length over which a width is averaged; else one local width
LEAST_PX = 0.1  # no width that others are compared with is less
MOST_OF_LENGTH = 0.5  # of what has a width: so much has to be photometric
END_SHARE = 0.15  # of the length: an end that may taper


@dataclass(frozen=True, eq=False)
class Samples:
    """Points of a centreline, line by line, each in the middle of its own ``step``.

    ``points`` and ``normals`` (S, 2); ``steps`` (S,) about 1 px; ``begins`` first point of each
    line, and S.  ``from_start`` and ``from_end`` (S,): distance along the line to the circle of
    the junction that it comes from or leads to, or to the free end; negative inside the circle.
    """

    points: Float64
    normals: Float64
    steps: Float64
    begins: list[int]
    from_start: Float64
    from_end: Float64

    def part(self, first: int, last: int) -> "Samples":
        """Those of the lines from ``first`` up to but not with ``last``."""
        begin, end = self.begins[first], self.begins[last]
        arrays = (self.points, self.normals, self.steps, self.from_start, self.from_end)
        points, normals, steps, from_start, from_end = (array[begin:end] for array in arrays)
        begins = [at - begin for at in self.begins[first : last + 1]]
        return Samples(points, normals, steps, begins, from_start, from_end)

    def profile(self, widths: Float64, sigma: Float64) -> "WidthProfile":
        """Widths and their uncertainties (S,) as the profile of the crack."""
        counts = np.diff(self.begins)
        first = np.repeat(np.asarray(self.begins[:-1], np.int64), counts)
        way = np.cumsum(self.steps)
        before = way - self.steps / 2
        along = before - (way - self.steps)[first]
        line = np.repeat(np.arange(len(counts)), counts)
        return WidthProfile(line, along, self.points, widths, sigma)


@dataclass(frozen=True, eq=False)
class WidthProfile:
    """The width of a crack all along its S samples: ``line`` (S,) the number of the centreline's
    line, ``along_px`` (S,) the way from its start, ``points`` (S, 2), ``width_px`` (S,) and its
    standard uncertainty ``sigma_px`` (S,), nan where there is none or it is unknown."""

    line: Int64
    along_px: Float64
    points: Float64
    width_px: Float64
    sigma_px: Float64


@dataclass(frozen=True)
class Widths:
    """Crack widths in pixels: ``max_px`` is that of a running window, at pixel ``max_at`` (col,
    row); ``method`` names the measure.  ``spread`` is how much they vary, 90th less 10th
    percentile over the median, and ``taper`` by what share of the rest both ends are narrower.
    A ``_sigma_px`` is one standard uncertainty, without that of the scale; None: unknown."""

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
    """Points about 1 px apart on all lines, at least one on each."""
    return sample_lines(centreline.lines)


def sample_lines(lines: Sequence[Line]) -> Samples:
    """The same for lines of one or several centrelines."""
    parts, begins = [], [0]
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
        begins.append(begins[-1] + count)
    x, y, across_x, across_y, steps, from_start, from_end = np.concatenate(parts, axis=1)
    return Samples(
        points=np.stack([x, y], axis=1),
        normals=np.stack([across_x, across_y], axis=1),
        steps=steps,
        begins=begins,
        from_start=from_start,
        from_end=from_end,
    )


def area_length(samples: Samples, pixels: Float64) -> Float64:
    """Width (S,) at each sample: area over length of a running window, nan where there is none.

    Each pixel (P, 2) belongs to the sample next to it and, in part, to that sample's neighbour on
    the line.  The window is about one local width long.  Near junctions, whose area belongs to
    several lines, and half a window from free ends, there is no width.
    """
    areas = share_areas(samples, pixels)
    widths = np.full(len(areas), np.nan)
    for begin, end in zip(samples.begins, samples.begins[1:], strict=False):
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


def share_areas(samples: Samples, pixels: Float64) -> Float64:
    """The area (S,) of the crack that belongs to each sample, in square pixels."""
    count = len(samples.points)
    _, nearest = cKDTree(samples.points).query(pixels)
    away = pixels - samples.points[nearest]
    across = samples.normals[nearest]
    along = (away[:, 0] * across[:, 1] - away[:, 1] * across[:, 0]) / samples.steps[nearest]
    share = np.abs(along).clip(max=1.0)
    lowest, highest = (np.repeat(limit, np.diff(samples.begins)) for limit in limits(samples))
    other = (nearest + np.sign(along).astype(np.int64)).clip(lowest[nearest], highest[nearest])
    area = np.bincount(nearest, 1 - share, count)
    return area + np.bincount(other, share, count)


def limits(samples: Samples) -> tuple[Int64, Int64]:
    """First and last sample of each line."""
    begins = np.asarray(samples.begins)
    return begins[:-1], begins[1:] - 1


def summarise(samples: Samples, widths: Float64, area_px: float, method: str) -> Widths:
    """What to say of the widths (S,) of one crack; nan are left out.

    A crack too short to have a width anywhere has its area over its length everywhere.
    """
    profile = samples.profile(widths, np.full(len(widths), np.nan))
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
        spread=float((p90 - p10) / max(median, LEAST_PX)),
        taper=taper_of(samples.points[clear], values, steps),
        profile=profile,
    )


def quantiles(values: Float64, steps: Float64, shares: list[float]) -> list[float]:
    """Quantiles of values (N,) by length: at the middle of each step of the sorted values."""
    order = np.argsort(values, kind="stable")
    place = (np.cumsum(steps[order]) - steps[order] / 2) / steps.sum()
    return [float(value) for value in np.interp(shares, place, values[order])]


def taper_of(points: Float64, values: Float64, steps: Float64) -> float:
    """By what share the widths (S,) at both ends are less than between them, 0 to 1; ends are
    the outer `END_SHARE` of how far the points (S, 2) reach along their principal axis."""
    x, y = (points - steps @ points / steps.sum()).T
    turn = math.atan2(2 * float(steps @ (x * y)), float(steps @ (x * x - y * y))) / 2
    along = x * math.cos(turn) + y * math.sin(turn)
    low, high = along.min(), along.max()
    end_px = END_SHARE * (high - low)
    inner = (along > low + end_px) & (along < high - end_px)
    if not inner.any():
        return 0.0
    between, *ends = (
        float(values[part] @ steps[part] / steps[part].sum())
        for part in (inner, along <= low + end_px, along >= high - end_px)
    )
    return min(1.0, max(0.0, 1 - sum(ends) / 2 / max(between, LEAST_PX)))


FROM_MASK = "area_length"  # what a stretch covers over its length: the one that sees no photograph
