"""Crack widths: a value at each point along a centreline, and what to say of them all.

`sample` places points evenly on a centreline; a measure turns points and normals into widths
there; `summarise` keeps mean, median, 95th percentile and the place of the maximum.  The measure
here is `area_length`: what a stretch of the crack covers, divided by its length.  It needs the
mask only and is right where the mask is: unlike twice the distance transform, it has no bias on
thin cracks.

Notation: S points on all lines of a centreline, P pixels of the crack.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crackcli.centerline import Centreline, Line

WINDOW_PX = 5.0  # least length over which a width is averaged; else one local width
LEAST_PX = 0.1  # no width that others are compared with is less
END_SHARE = 0.15  # of the length: an end that may taper
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Points of a centreline, line by line, each in the middle of its own ``step``.

    ``points`` and ``normals`` (S, 2); ``steps`` (S,) about 1 px; ``begins`` first point of each
    line, and S.  ``from_start`` and ``from_end`` (S,): distance along the line to the circle of
    the junction that it comes from or leads to, or to the free end; negative inside the circle.
    """

    points: Numbers
    normals: Numbers
    steps: Numbers
    begins: list[int]
    from_start: Numbers
    from_end: Numbers


@dataclass(frozen=True, eq=False)
class Profile:
    """The width of a crack all along its S samples: ``line`` (S,) the number of the centreline's
    line, ``along_px`` (S,) the way from its start, ``points`` (S, 2), ``width_px`` (S,) and its
    standard uncertainty ``sigma_px`` (S,), nan where there is none or it is unknown."""

    line: NDArray[np.int64]
    along_px: Numbers
    points: Numbers
    width_px: Numbers
    sigma_px: Numbers


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
    profile: Profile | None = field(default=None, compare=False)


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


def area_length(samples: Samples, pixels: Numbers) -> Numbers:
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


def share_areas(samples: Samples, pixels: Numbers) -> Numbers:
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


def limits(samples: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last sample of each line."""
    begins = np.asarray(samples.begins)
    return begins[:-1], begins[1:] - 1


def summarise(samples: Samples, widths: Numbers, area_px: float, method: str) -> Widths:
    """What to say of the widths (S,) of one crack; nan are left out.

    A crack too short to have a width anywhere has its area over its length everywhere.
    """
    clear = np.flatnonzero(np.isfinite(widths))
    if len(clear) == 0:
        mean = area_px / float(samples.steps.sum())
        middle = samples.points[len(samples.points) // 2]
        place = float(middle[0]), float(middle[1])
        return Widths(mean, mean, mean, mean, place, method, spread=0.0, taper=0.0)
    values, steps = widths[clear], samples.steps[clear]
    order = np.argsort(values, kind="stable")
    # Weighted by length: at the middle of each step of the sorted values.
    shares = (np.cumsum(steps[order]) - steps[order] / 2) / steps.sum()
    median, p95, p10, p90 = np.interp([0.5, 0.95, 0.1, 0.9], shares, values[order])
    widest = samples.points[clear[np.argmax(values)]]
    return Widths(
        mean_px=float(values @ steps / steps.sum()),
        median_px=float(median),
        p95_px=float(p95),
        max_px=float(values.max()),
        max_at=(float(widest[0]), float(widest[1])),
        method=method,
        spread=float((p90 - p10) / max(median, LEAST_PX)),
        taper=taper_of(samples.points[clear], values, steps),
    )


def taper_of(points: Numbers, values: Numbers, steps: Numbers) -> float:
    """By what share the widths (S,) at both ends are less than between them, 0 to 1; ends are
    the outer `END_SHARE` of how far the points (S, 2) reach along their principal axis."""
    middle = np.average(points, axis=0, weights=steps)
    away = (points - middle) * np.sqrt(steps)[:, None]
    along = (points - middle) @ np.linalg.eigh(away.T @ away).eigenvectors[:, -1]
    low, high = along.min(), along.max()
    end_px = END_SHARE * (high - low)
    inner = (along > low + end_px) & (along < high - end_px)
    if not inner.any():
        return 0.0
    between = np.average(values[inner], weights=steps[inner])
    ends = [
        np.average(values[end], weights=steps[end])
        for end in (along <= low + end_px, along >= high - end_px)
    ]
    return float(np.clip(1 - np.mean(ends) / max(between, LEAST_PX), 0, 1))
