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
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crackcli.cracks.centreline import Centreline, Line
from crackcli.cracks.width_methods import FROM_MASK

WINDOW_PX = 5.0  # least length over which a width is averaged; else one local width
LEAST_PX = 0.1  # no width that others are compared with is less
MOST_OF_LENGTH = 0.5  # of what has a width: so much has to be photometric
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

    def part(self, first: int, last: int) -> "Samples":
        """Those of the lines from ``first`` up to but not with ``last``."""
        begin, end = self.begins[first], self.begins[last]
        arrays = (self.points, self.normals, self.steps, self.from_start, self.from_end)
        points, normals, steps, from_start, from_end = (array[begin:end] for array in arrays)
        begins = [at - begin for at in self.begins[first : last + 1]]
        return Samples(points, normals, steps, begins, from_start, from_end)

    def profile(self, widths: Numbers, sigma: Numbers) -> "Profile":
        """Widths and their uncertainties (S,) as the profile of the crack."""
        counts = np.diff(self.begins)
        first = np.repeat(np.asarray(self.begins[:-1], np.int64), counts)
        way = np.cumsum(self.steps)
        before = way - self.steps / 2
        along = before - (way - self.steps)[first]
        line = np.repeat(np.arange(len(counts)), counts)
        return Profile(line, along, self.points, widths, sigma)


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


@dataclass(frozen=True, eq=False)
class Measured:
    """Widths (S,) that were measured, nan where there are none: ``noise`` is the part of their
    standard uncertainty that averages out along the crack, ``common`` the part that does not."""

    width: Numbers
    noise: Numbers
    common: Numbers


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


def quantiles(values: Numbers, steps: Numbers, shares: list[float]) -> list[float]:
    """Quantiles of values (N,) by length: at the middle of each step of the sorted values."""
    order = np.argsort(values, kind="stable")
    place = (np.cumsum(steps[order]) - steps[order] / 2) / steps.sum()
    return [float(value) for value in np.interp(shares, place, values[order])]


def summarise_photometric(
    samples: Samples,
    found: Measured,
    mask: Numbers,
    area_px: float,
    along: float,
    window_px: float = WINDOW_PX,
) -> Widths:
    """What to say of photometric widths, or of those (S,) of the mask where most of the length has
    no other.

    ``along`` is over how many samples noise is one number.  Means are of what is photometric; the
    profile has the widths of the mask in between, without sigma.  Percentiles and the maximum are
    those of running means that are drawn towards the mean of the crack by as much as noise explains
    their spread: the largest of many noisy widths is too large, the largest of these is not.
    """
    known = np.isfinite(found.width)
    measurable = known | np.isfinite(mask)
    if known.sum() < max(MOST_OF_LENGTH * measurable.sum(), 1):
        return summarise(samples, mask, area_px, FROM_MASK)
    widths = np.where(known, found.width, mask)
    sigma = np.where(known, np.hypot(found.noise, found.common), np.nan)

    steps, values = samples.steps[known], found.width[known]
    length = float(steps.sum())
    noise, common = (float(part[known] @ steps / length) for part in (found.noise, found.common))
    steady, steady_noise = running(samples, found, along, window_px)
    mean = float(values @ steps / length)
    means, noises = steady[known], steady_noise[known]
    real = max(0.0, float(((means - mean) ** 2 - noises**2) @ steps / length))
    shrunk = mean + (means - mean) * real / (real + noises**2 + 1e-12)
    left = np.sqrt(real * noises**2 / (real + noises**2 + 1e-12))  # of noise, after that
    median, p95, p10, p90 = quantiles(shrunk, steps, [0.5, 0.95, 0.1, 0.9])
    widest = int(np.argmax(shrunk))
    at = samples.points[known][widest]
    pieces = max(1.0, len(values) / along)
    mean_noise = noise / math.sqrt(pieces)
    return Widths(
        mean_px=mean,
        median_px=median,
        p95_px=p95,
        max_px=float(shrunk[widest]),
        max_at=(float(at[0]), float(at[1])),
        method="photometric",
        spread=(p90 - p10) / max(median, LEAST_PX),
        taper=taper_of(samples.points[known], shrunk, steps),
        mean_sigma_px=math.hypot(mean_noise, common),
        median_sigma_px=math.hypot(1.25 * mean_noise, common),
        p95_sigma_px=math.hypot(min(2.1 * mean_noise, noise), common),
        max_sigma_px=float(math.hypot(max(left[widest], mean_noise), found.common[known][widest])),
        profile=samples.profile(widths, sigma),
    )


def running(
    samples: Samples, found: Measured, along: float, window_px: float
) -> tuple[Numbers, Numbers]:
    """Running means (S,) of widths over ``window_px`` of each line, and their noise."""
    mean, noise = np.full(len(found.width), np.nan), np.full(len(found.width), np.nan)
    known = np.isfinite(found.width)
    total = np.zeros((3, len(known) + 1))
    for line, part in zip(total, (known, found.width, found.noise), strict=True):
        np.cumsum(np.where(known, part, 0), out=line[1:])
    first, last = np.zeros((2, len(known)), np.int64)
    for begin, end in pairwise(samples.begins):
        step = max(LEAST_PX, float(samples.steps[begin:end].mean()))  # a refined line's differ
        reach = round(window_px / step / 2 - 0.5)
        at = np.arange(begin, end)
        first[begin:end] = np.maximum(at - reach, begin)
        last[begin:end] = np.minimum(at + reach + 1, end)
    count, widths, noises = total[:, last] - total[:, first]
    some = count > 0
    mean[some] = widths[some] / count[some]
    spread = np.sqrt(np.maximum(1, count[some] / along))
    noise[some] = noises[some] / count[some] / spread
    return mean, noise


def taper_of(points: Numbers, values: Numbers, steps: Numbers) -> float:
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
