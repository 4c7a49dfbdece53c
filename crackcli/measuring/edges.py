"""Optics: what a photograph's own edges tell of its blur and of how its pixels mix.

Across the edge of a crack that is wide beside the blur, darkness rises as the blur spreads an edge.
Counted from where it is a half, the area of the tail outside and the area that is lacking inside
are both sigma / sqrt(2 pi) of a Gaussian blur: their mean tells the blur, and where they differ,
the values are not those in which pixels mix (`crackcli.measuring.tone`).  The blur told so is that
of lens, pixel, processing and of the crack's own worn edges, all of which a crack's profile has.

Notation: S profiles of M values; E edges, at most two of a profile.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from crackcli.arrays import Float32, Float64, Int64
from crackcli.measuring.contrast import STEP_PX, Darkness
from crackcli.measuring.tone import KNOWN, Tone

TAIL_BLURS = 2.2  # on either side of an edge: what counts
TAIL_AREA = 0.3941  # of a Gaussian edge of sigma 1 px, so far
LEAST_CORE_PX = 1.0  # between both edges' tails, of a crack that tells
STRETCH = 40  # samples of a line that tell together
FEW = 3  # stretches: fewer tell no blur
CORE_BLURS = 1.5  # inside the edges, the plateau line_offsets so far away from them
BLUR_PX, BLUR_SIGMA = 0.8, 0.3  # where no edge tells: of ordinary sharp photographs
BLUR_RANGE = 0.35, 4.0
LINE_BLUR = 0.12  # relative: how far the blur of one stretch's edges may be wrong, at least
LINEAR = 0.9  # how likely linear light is before edges have told anything
ALIKE = 5, 0.04  # so many stretches, whose tails spread by no more px, tell the tone
CLEARLY = 0.95  # and encoded values have to be so probable
FITS = 2.0  # and only one in which their tails differ by no more than so many sigma
SHADED = 0.1  # of the spread of tails from stretch to stretch: what may be in all of them
EXACT_PX = 0.008  # tails of all edges together are not known better


@dataclass(frozen=True)
class Blur:
    """Standard deviation of the edges in a photograph, and its standard uncertainty."""

    px: float = BLUR_PX
    sigma: float = BLUR_SIGMA


@dataclass(frozen=True, eq=False)
class Edges:
    """Positions (S, 2) of both edges where darkness is half that of the plateau, nan where there
    is none, and the plateau (S,) of each profile."""

    at: Float64
    plateau: Float64


def response(widths: Float64, core: Float64, blur_px: float | Float64) -> Float64:
    """The mean darkness within ``core`` (S,) px of the middle of a crack of full contrast 1."""
    half = widths / 2

    def risen(at: Float64) -> Float64:
        z = at / blur_px
        return at * ndtr(z) + blur_px * np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)

    return (risen(half + core) - risen(half - core)) / core - 1


def core_of(widths: Float64, blur_px: float) -> Float64:
    """How far (S,) from the middle a crack is about as dark as it gets: to the end of a step."""
    steps = np.floor((widths / 2 - CORE_BLURS * blur_px) / STEP_PX - 0.5)
    return (np.maximum(steps, 1) + 0.5) * STEP_PX


def mean_within(dark: Float32, halves: Float64) -> Float64:
    """The mean (S,) of the values of profiles (S, M) within ``halves`` (S,) of their middle."""
    middle = dark.shape[1] // 2
    count = np.floor(halves / STEP_PX).astype(np.int64).clip(0, middle)
    most = int(count.max(initial=0))  # no more is looked at
    dark, middle = dark[:, middle - most : middle + most + 1], most
    total = np.zeros((len(dark), dark.shape[1] + 1))
    np.cumsum(dark, axis=1, out=total[:, 1:])
    rows = np.arange(len(dark))
    inside = total[rows, middle + count + 1] - total[rows, middle - count]
    return inside / (2 * count + 1)


def find_edges(dark: Float32, widths: Float64, plateau: Float64) -> Edges:
    """The edges of profiles (S, M) at half their ``plateau`` (S,), on either side the place next to
    where an edge of a crack ``widths`` (S,) wide would be."""
    middle = dark.shape[1] // 2
    above = dark - (plateau[:, None] / 2).astype(np.float32)
    at = np.full((len(dark), 2), np.nan)
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


def tails(dark: Float32, edges: Edges, tail_px: float) -> Float64:
    """Areas (S, 2, 2) in px at either edge (second axis): of the tail outside it, and of what
    lacks inside; nan where there is no edge."""
    middle = dark.shape[1] // 2
    relative = dark / np.maximum(edges.plateau, 1e-3)[:, None].astype(np.float32)
    step = tail_px / math.ceil(tail_px / STEP_PX * 4)
    way = np.arange(step / 2, tail_px, step)
    found = np.full((len(dark), 2, 2), np.nan)
    rows = np.flatnonzero((edges.at[:, 0] < 0) & (edges.at[:, 1] > 0))
    lane = rows[:, None]
    for side, sign in enumerate((-1, 1)):
        for end, outward in enumerate((1, -1)):
            place = (edges.at[rows, side, None] + sign * outward * way) / STEP_PX + middle
            place = place.clip(0, dark.shape[1] - 1.001)
            low = place.astype(np.int64)
            value = relative[lane, low]
            value = value + (place - low) * (relative[lane, low + 1] - value)
            found[rows, side, end] = (value if outward > 0 else 1 - value).sum(axis=1) * step
    return found


def tails_of(dark: Darkness, widths: Float64, line_offsets: list[int], blur_px: float) -> Float64:
    """Rows (N, 3) of the stretches of lines that are wide: mean tail outside, mean of what lacks
    inside, and from how many edges."""
    tail_px = TAIL_BLURS * blur_px
    core = np.maximum(STEP_PX, widths / 2 - tail_px)
    core = (np.floor(core / STEP_PX) + 0.5) * STEP_PX
    plateau = mean_within(dark.values, core) / response(widths, core, blur_px)
    clear = (widths >= 2 * tail_px + LEAST_CORE_PX) & (plateau > 3 * dark.noise)
    areas = tails(dark.values, find_edges(dark.values, widths, plateau), tail_px)
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
    """The mean of rows (N, 2) without the tenth with the least and with the largest difference."""
    order = np.argsort(values[:, 0] - values[:, 1])
    cut = len(values) // 10
    return values[order[cut : len(values) - cut]].mean(axis=0)


def blur_of(rows: Float64) -> Blur | None:
    """The blur that the tails of `tails_of` tell, if there are enough."""
    if len(rows) < FEW:
        return None
    px = (rows[:, 0] + rows[:, 1]) / 2 / TAIL_AREA
    middle, sigma = weighted_median(px, np.minimum(rows[:, 2], 100.0))
    if not middle > 0:
        return None
    sigma = math.hypot(sigma, LINE_BLUR * middle / math.sqrt(len(rows)))
    return Blur(float(np.clip(middle, *BLUR_RANGE)), float(sigma))


def tone_of(encoded: Float64, light: Float64) -> Tone:
    """The tone in which tails (`tails_of`) outside and inside are alike, given those in encoded
    values and in linear light.

    Linear light is assumed unless edges speak clearly.  Seen in the wrong tone, tails differ by no
    more than some hundredths of a px, although the width is off by half a px or more.  Real cracks
    are shaded inside, here more and there less, so that their tails differ in any tone and tell
    none: two campaigns of one wall must not be measured in different ones.
    """
    doubts = []
    for rows in (encoded, light):
        away = rows[:, 0] - rows[:, 1]
        spread = 1.4826 * float(np.median(np.abs(away - np.median(away)))) if len(rows) else 0.0
        if len(rows) < ALIKE[0] or spread > ALIKE[1]:
            return Tone(1.0, KNOWN, 1 - LINEAR)
        sigma = math.hypot(spread / math.sqrt(len(rows)), SHADED * spread, EXACT_PX)
        doubts.append((float(np.median(away)) / sigma) ** 2 / 2)
    if min(doubts) > FITS**2 / 2:
        return Tone(1.0, KNOWN, 1 - LINEAR)
    odds = (1 - LINEAR) / LINEAR * math.exp(min(50.0, max(-50.0, doubts[1] - doubts[0])))
    encoded = odds / (1 + odds)
    return Tone(0.0, KNOWN, 1 - encoded) if encoded > CLEARLY else Tone(1.0, KNOWN, encoded)


def weighted_median(values: Float64, weights: Float64) -> tuple[float, float]:
    """The middle of values (N,) by weight, and its standard uncertainty from their spread."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) - weights[order] / 2
    middle = float(np.interp(weights.sum() / 2, share, values[order]))
    spread = 1.4826 * float(np.interp(weights.sum() / 2, *ranked(np.abs(values - middle), weights)))
    return middle, 1.25 * spread / math.sqrt(len(values))


def ranked(values: Float64, weights: Float64) -> tuple[Float64, Float64]:
    order = np.argsort(values)
    return np.cumsum(weights[order]) - weights[order] / 2, values[order]


def medians_of(values: Float64, weights: Float64, group: Int64) -> Float64:
    """The middle by weight of the values (N,) of each ``group`` (N,), 0 to G - 1, none of which is
    empty: of each what `weighted_median` says."""
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
    return values[ahead] + part * (values[after] - values[ahead])
