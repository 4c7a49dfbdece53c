"""Optics: what a photograph's own edges tell of its blur and of how its pixels mix.

Across the edge of a crack that is wide beside the blur, darkness rises as the blur spreads an edge.
Counted from where it is a half, the area of the tail outside and the area that is lacking inside are
both sigma / sqrt(2 pi) of a Gaussian blur: their mean tells the blur, and where they differ, the
values are not those in which pixels mix (`crackcli.tone`).  The blur told so is that of lens, pixel,
processing and of the crack's own worn edges, all of which a crack's profile has.

Notation: S profiles of M values; E edges, at most two of a profile.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from crackcli.darkness import STEP_PX, Darkness

LEAST_PX = 6.0  # width of a crack whose edges tell
TAIL_PX = 3.0  # on either side of an edge: what counts
CORE_BLURS = 1.5  # inside the edges, the plateau begins so far away from them
BLUR_PX, BLUR_SIGMA = 0.8, 0.3  # where no edge tells: of ordinary sharp photographs
BLUR_RANGE = 0.35, 4.0
LINE_BLUR = 0.12  # relative: how far the blur of one line's edges may be wrong, at least
LINE_TAILS_PX = 0.1  # and the difference of its tails, as cracks are shaded inside

Numbers = NDArray[np.float64]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Blur:
    """Standard deviation of the edges in a photograph, and its standard uncertainty."""

    px: float = BLUR_PX
    sigma: float = BLUR_SIGMA


@dataclass(frozen=True, eq=False)
class Edges:
    """Positions (S, 2) of both edges where darkness is half that of the plateau, nan where there
    is none, and the plateau (S,) of each profile."""

    at: Numbers
    plateau: Numbers


def response(widths: Numbers, core: Numbers, blur_px: float | Numbers) -> Numbers:
    """The mean darkness within ``core`` (S,) px of the middle of a crack of full contrast 1."""
    half = widths / 2

    def risen(at: Numbers) -> Numbers:
        z = at / blur_px
        return at * ndtr(z) + blur_px * np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)

    return (risen(half + core) - risen(half - core)) / core - 1


def core_of(widths: Numbers, blur_px: float) -> Numbers:
    """How far (S,) from the middle a crack is about as dark as it gets: to the end of a step."""
    steps = np.floor((widths / 2 - CORE_BLURS * blur_px) / STEP_PX - 0.5)
    return (np.maximum(steps, 1) + 0.5) * STEP_PX


def mean_within(dark: Values, halves: Numbers) -> Numbers:
    """The mean (S,) of the values of profiles (S, M) within ``halves`` (S,) of their middle."""
    middle = dark.shape[1] // 2
    count = np.floor(halves / STEP_PX).astype(np.int64).clip(0, middle)
    total = np.zeros((len(dark), dark.shape[1] + 1))
    np.cumsum(dark, axis=1, out=total[:, 1:])
    rows = np.arange(len(dark))
    inside = total[rows, middle + count + 1] - total[rows, middle - count]
    return inside / (2 * count + 1)


def find_edges(dark: Values, widths: Numbers, plateau: Numbers) -> Edges:
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


def tails(dark: Values, edges: Edges) -> tuple[Numbers, Numbers]:
    """Areas (S, 2) of the tail outside each edge and of what lacks inside, in px; nan where
    there is no edge or the crack is narrower than both tails."""
    middle = dark.shape[1] // 2
    relative = dark / np.maximum(edges.plateau, 1e-3)[:, None].astype(np.float32)
    way = (np.arange(round(TAIL_PX / STEP_PX) * 2) + 0.5) * STEP_PX / 2
    outside, inside = np.full_like(edges.at, np.nan), np.full_like(edges.at, np.nan)
    wide = edges.at[:, 1] - edges.at[:, 0] >= LEAST_PX
    rows = np.flatnonzero(wide & (edges.at[:, 0] < 0) & (edges.at[:, 1] > 0))
    for side, sign in enumerate((-1, 1)):
        for out, total in ((1, outside), (-1, inside)):
            place = (edges.at[rows, side, None] + sign * out * way) / STEP_PX + middle
            place = place.clip(0, dark.shape[1] - 1.001)
            low = place.astype(np.int64)
            lane = rows[:, None]
            value = relative[lane, low]
            value = value + (place - low) * (relative[lane, low + 1] - value)
            if out < 0:
                value = 1 - value
            total[rows, side] = value.sum(axis=1) * STEP_PX / 2
    return outside, inside


def tails_by_line(dark: Darkness, widths: Numbers, begins: list[int], blur_px: float) -> Numbers:
    """Rows (L, 3) of the lines that have wide places: mean tail outside, inside, and how many
    edges they are from."""
    plateau = mean_within(dark.values, core_of(widths, blur_px))
    edges = find_edges(dark.values, widths, plateau)
    clear = plateau > 3 * dark.noise
    found = []
    outside, inside = tails(dark.values, edges)
    known = np.isfinite(outside) & np.isfinite(inside) & clear[:, None]
    for begin, end in zip(begins, begins[1:], strict=False):
        own = known[begin:end]
        if own.sum() >= 10:
            found.append(
                (
                    float(np.median(outside[begin:end][own])),
                    float(np.median(inside[begin:end][own])),
                    int(own.sum()),
                )
            )
    return np.array(found, np.float64).reshape(-1, 3)


def blur_of(rows: Numbers) -> Blur | None:
    """The blur that the tails of `tails_by_line` tell, if there are any."""
    if len(rows) == 0:
        return None
    px = math.sqrt(2 * math.pi) * (rows[:, 0] + rows[:, 1]) / 2
    middle, sigma = weighted_median(px, np.minimum(rows[:, 2], 100.0))
    if not middle > 0:
        return None
    sigma = math.hypot(sigma, LINE_BLUR * middle / math.sqrt(len(rows)))
    return Blur(float(np.clip(middle, *BLUR_RANGE)), float(sigma))


def weighted_median(values: Numbers, weights: Numbers) -> tuple[float, float]:
    """The middle of values (N,) by weight, and its standard uncertainty from their spread."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) - weights[order] / 2
    middle = float(np.interp(weights.sum() / 2, share, values[order]))
    spread = 1.4826 * float(np.interp(weights.sum() / 2, *ranked(np.abs(values - middle), weights)))
    return middle, 1.25 * spread / math.sqrt(len(values))


def ranked(values: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
    order = np.argsort(values)
    return np.cumsum(weights[order]) - weights[order] / 2, values[order]
