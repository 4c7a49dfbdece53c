"""Blur and tone curve of a photograph, from the edges of its wide cracks.

Across the edge of a crack that is wide compared with the blur, contrast rises like an edge under a
Gaussian point-spread function of sigma b. Counted from where contrast is half that of the plateau,
the tail outside the edge and the deficit inside both have the area b / sqrt(2 pi). Their mean gives
the blur. If they differ, the values are not those in which pixels mix (`crackcli.measuring.tone`).
This blur includes lens, pixel, processing and the crack's own worn edges, as does the profile of a
crack.

Notation: S profiles of M values; E edges, at most two per profile; lengths in px.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from crackcli.arrays import Float32, Float64, Int64
from crackcli.measuring.contrast import STEP_PX, ContrastProfiles
from crackcli.measuring.tone import KIND_SIGMA, ToneCurve

TAIL_BLURS = 2.2  # blurs on either side of an edge over which tails are integrated
TAIL_AREA = 0.3941  # px; tail of a Gaussian edge of sigma 1 px, up to there
MIN_CORE_PX = 1.0  # between the tails of both edges of a crack that is used
STRETCH = 40  # samples of a line that are averaged
MIN_STRETCHES = 3  # fewer give no estimate of the blur
CORE_BLURS = 1.5  # blurs inside the edges, where the plateau begins
BLUR_PX, BLUR_SIGMA = 0.8, 0.3  # of ordinary sharp photographs; used without an estimate
BLUR_RANGE = 0.35, 4.0  # px
STRETCH_SIGMA = 0.12  # least relative uncertainty of the blur of one stretch
PRIOR_LINEAR = 0.9  # prior probability of linear light
MIN_ALIKE, MAX_SPREAD_PX = 5, 0.04  # stretches, and spread of their tails, to estimate the tone
MIN_PROBABILITY = 0.95  # of encoded values, for these to be chosen
MAX_DEVIATIONS = 2.0  # sigmas by which the tails may differ in the tone that is chosen
COMMON_SHADING = 0.1  # of the spread between stretches; it may be in all of them alike
MODEL_SIGMA_PX = 0.008  # least uncertainty of the tails of all edges together


@dataclass(frozen=True)
class Blur:
    """Standard deviation of the edges in a photograph, in px, and its standard uncertainty."""

    px: float = BLUR_PX
    sigma: float = BLUR_SIGMA


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of S profiles.

    ``at`` (S, 2) are the positions in px where contrast is half that of the plateau, nan where
    there is none; ``plateau`` (S,) is the contrast between the edges.
    """

    at: Float64
    plateau: Float64


def core_response(widths: Float64, core: Float64, blur_px: float | Float64) -> Float64:
    """Return the mean contrast within ``core`` (S,) px of the middle, for a full contrast of 1.

    With I(x) = x F(x / b) + b f(x / b), F and f the normal distribution and its density, and h half
    the width, it is (I(h + core) - I(h - core)) / core - 1.
    """
    half = widths / 2

    def integrated_edge(at: Float64) -> Float64:
        z = at / blur_px
        bell = blur_px * np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
        return np.asarray(at * ndtr(z) + bell, np.float64)

    mean: Float64 = (integrated_edge(half + core) - integrated_edge(half - core)) / core - 1
    return mean


def core_half_width(widths: Float64, blur_px: float) -> Float64:
    """Return how far (S,) from the middle a crack has its full contrast, to the end of a step."""
    steps = np.floor((widths / 2 - CORE_BLURS * blur_px) / STEP_PX - 0.5)
    return (np.maximum(steps, 1) + 0.5) * STEP_PX


def mean_within(contrast: Float32, halves: Float64) -> Float64:
    """Return the mean (S,) of profiles (S, M) within ``halves`` (S,) px of their middle."""
    middle = contrast.shape[1] // 2
    count = np.floor(halves / STEP_PX).astype(np.int64).clip(0, middle)
    most = int(count.max(initial=0))  # no value beyond is needed
    contrast, middle = contrast[:, middle - most : middle + most + 1], most
    total = np.zeros((len(contrast), contrast.shape[1] + 1))
    np.cumsum(contrast, axis=1, out=total[:, 1:])
    rows = np.arange(len(contrast))
    inside = total[rows, middle + count + 1] - total[rows, middle - count]
    return np.asarray(inside / (2 * count + 1), np.float64)


def find_edges(contrast: Float32, widths: Float64, plateau: Float64) -> Edges:
    """Return the edges of profiles (S, M) at half their ``plateau`` (S,).

    On either side it is the place nearest to the edge of a crack ``widths`` (S,) wide.
    """
    middle = contrast.shape[1] // 2
    above = contrast - (plateau[:, None] / 2).astype(np.float32)
    at = np.full((len(contrast), 2), np.nan)
    reach = np.arange(middle) * STEP_PX
    for side, lanes in enumerate((above[:, middle::-1], above[:, middle:])):
        falls = (lanes[:, :-1] > 0) & (lanes[:, 1:] <= 0)
        away = np.where(falls, np.abs(reach + STEP_PX / 2 - widths[:, None] / 2), np.inf)
        best = away.argmin(axis=1)
        rows = np.flatnonzero(falls.any(axis=1))
        first = best[rows]
        one, two = lanes[rows, first], lanes[rows, first + 1]
        at[rows, side] = (first + one / (one - two)) * STEP_PX
    at[:, 0] *= -1
    return Edges(at, plateau)


def tail_areas(contrast: Float32, edges: Edges, tail_px: float) -> Float64:
    """Return the areas (S, 2, 2) in px of the tail outside and the deficit inside either edge.

    The second axis is the edge; nan where there is none.
    """
    middle = contrast.shape[1] // 2
    relative = contrast / np.maximum(edges.plateau, 1e-3)[:, None].astype(np.float32)
    step = tail_px / math.ceil(tail_px / STEP_PX * 4)
    way = np.arange(step / 2, tail_px, step)
    found = np.full((len(contrast), 2, 2), np.nan)
    rows = np.flatnonzero((edges.at[:, 0] < 0) & (edges.at[:, 1] > 0))
    lane = rows[:, None]
    for side, sign in enumerate((-1, 1)):
        for end, outward in enumerate((1, -1)):
            place = (edges.at[rows, side, None] + sign * outward * way) / STEP_PX + middle
            place = place.clip(0, contrast.shape[1] - 1.001)
            low = place.astype(np.int64)
            value = relative[lane, low]
            value = value + (place - low) * (relative[lane, low + 1] - value)
            found[rows, side, end] = (value if outward > 0 else 1 - value).sum(axis=1) * step
    return found


def stretch_tails(
    contrast: ContrastProfiles, widths: Float64, line_offsets: list[int], blur_px: float
) -> Float64:
    """Return rows (N, 3) of those stretches of lines where the crack is wide.

    A row is the mean tail outside, the mean deficit inside, and the number of edges.
    """
    tail_px = TAIL_BLURS * blur_px
    core = np.maximum(STEP_PX, widths / 2 - tail_px)
    core = (np.floor(core / STEP_PX) + 0.5) * STEP_PX
    plateau = mean_within(contrast.values, core) / core_response(widths, core, blur_px)
    clear = (widths >= 2 * tail_px + MIN_CORE_PX) & (plateau > 3 * contrast.noise)
    areas = tail_areas(contrast.values, find_edges(contrast.values, widths, plateau), tail_px)
    areas[~clear] = np.nan
    found = []
    for begin, end in pairwise(line_offsets):
        for first in range(begin, end, STRETCH):
            own = areas[first : min(first + STRETCH, end)].reshape(-1, 2)
            own = own[np.isfinite(own).all(axis=1)]
            if len(own) >= STRETCH / 2:
                found.append((*trimmed_mean(own), len(own)))
    return np.array(found, np.float64).reshape(-1, 3)


def trimmed_mean(values: Float64) -> Float64:
    """Return the mean of rows (N, 2) without the tenths with the least and largest difference."""
    order = np.argsort(values[:, 0] - values[:, 1])
    cut = len(values) // 10
    return np.asarray(values[order[cut : len(values) - cut]].mean(axis=0), np.float64)


def blur_from_tails(rows: Float64) -> Blur | None:
    """Return the blur from rows of `stretch_tails`, None if there are too few."""
    if len(rows) < MIN_STRETCHES:
        return None
    px = (rows[:, 0] + rows[:, 1]) / 2 / TAIL_AREA
    middle, sigma = weighted_median(px, np.minimum(rows[:, 2], 100.0))
    if not middle > 0:
        return None
    sigma = math.hypot(sigma, STRETCH_SIGMA * middle / math.sqrt(len(rows)))
    return Blur(float(np.clip(middle, *BLUR_RANGE)), float(sigma))


def tone_from_tails(encoded: Float64, linear: Float64) -> ToneCurve:
    """Return the tone curve in which tails outside and inside are alike.

    ``encoded`` and ``linear`` are rows of `stretch_tails` in encoded values and in linear light.
    Linear light is assumed unless the evidence is clear. In the wrong tone, tails differ by no more
    than some hundredths of a px, although the width is off by half a px or more. Real cracks are
    shaded inside, by different amounts, so that their tails differ in any tone; then there is no
    estimate, as two campaigns of one surface must not be measured in different tones.
    """
    doubts = []
    for rows in (encoded, linear):
        away = rows[:, 0] - rows[:, 1]
        spread = 1.4826 * float(np.median(np.abs(away - np.median(away)))) if len(rows) else 0.0
        if len(rows) < MIN_ALIKE or spread > MAX_SPREAD_PX:
            return ToneCurve(1.0, KIND_SIGMA, 1 - PRIOR_LINEAR)
        sigma = math.hypot(spread / math.sqrt(len(rows)), COMMON_SHADING * spread, MODEL_SIGMA_PX)
        doubts.append((float(np.median(away)) / sigma) ** 2 / 2)
    if min(doubts) > MAX_DEVIATIONS**2 / 2:
        return ToneCurve(1.0, KIND_SIGMA, 1 - PRIOR_LINEAR)
    odds = (
        (1 - PRIOR_LINEAR) / PRIOR_LINEAR * math.exp(min(50.0, max(-50.0, doubts[1] - doubts[0])))
    )
    p_encoded = odds / (1 + odds)
    if p_encoded > MIN_PROBABILITY:
        return ToneCurve(0.0, KIND_SIGMA, 1 - p_encoded)
    return ToneCurve(1.0, KIND_SIGMA, p_encoded)


def weighted_median(values: Float64, weights: Float64) -> tuple[float, float]:
    """Return the weighted median of values (N,), and its standard uncertainty from their spread.

    The spread is 1.4826 times the weighted median absolute deviation; the uncertainty of a median
    of N normal values is 1.25 spread / sqrt(N).
    """
    middle = float(np.interp(weights.sum() / 2, *ranks(values, weights)))
    spread = 1.4826 * float(np.interp(weights.sum() / 2, *ranks(np.abs(values - middle), weights)))
    return middle, 1.25 * spread / math.sqrt(len(values))


def ranks(values: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """Return the cumulative weights at the middle of each value, and the values, both sorted."""
    order = np.argsort(values)
    return np.cumsum(weights[order]) - weights[order] / 2, values[order]


def group_medians(values: Float64, weights: Float64, group: Int64) -> Float64:
    """Return the weighted median, as `weighted_median`, of the values (N,) of each group.

    ``group`` (N,) is 0 to G - 1; no group is empty.
    """
    order = np.lexsort((values, group))
    values, weights, group = values[order], weights[order], group[order]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(group)) - 1
    total = np.cumsum(weights)
    before = np.append(0.0, total[last[:-1]])
    half = (before + total[last]) / 2
    share = total - weights / 2
    after = np.searchsorted(share, half).clip(first + (last > first), last)
    ahead = np.maximum(after - 1, first)
    step = share[after] - share[ahead]
    part = ((half - share[ahead]) / np.where(step > 0, step, 1)).clip(0, 1)
    return np.asarray(values[ahead] + part * (values[after] - values[ahead]), np.float64)
