"""Shapes: what the mean profiles of stretches of cracks tell of the blur, without a depth.

A crack that is wide beside the blur has a flat bottom and edges; one that is narrow has the shape
of the blur itself.  In between, shape tells both: the darkness of a bar of some width and depth
under a Gaussian blur is fitted to each stretch, for every blur of a grid.  The blur is common to
the photograph, width and depth are free for each stretch, and how much worse a blur fits than the
best one, over the noise, is its improbability.  A stretch of which nothing fits well, as a real
crack may be shaded in any way, has no more than `MOST` to say.

Notation: K stretches of profiles of M values; B blurs and W widths of the grid.
"""

import math
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from crackcli.arrays import Bools, Float64
from crackcli.measuring.contrast import GAP_BLURS, GAP_PX, STEP_PX, Darkness
from crackcli.measuring.edges import BLUR_RANGE, LINE_BLUR, STRETCH, Blur

BLURS = np.geomspace(*BLUR_RANGE, 36)
WIDTHS = np.geomspace(0.3, 12.0, 48)
LEAST = 0.5  # of a stretch has to be clear
MOST = 4.0  # of what one stretch may say against a blur
INEXACT = 0.015  # of the depth: no real profile is a bar to more than that


def stretches(
    dark: Darkness,
    about: Float64,
    clear: Bools,
    line_offsets: list[int],
    blur_px: float,
    along: float,
) -> tuple[Float64, Float64, Float64]:
    """Mean profiles (K, M) of the clear samples of stretches, which of their values count (K, M),
    and the standard deviation (K,) of noise in them."""
    middle = dark.values.shape[1] // 2
    offsets = (np.arange(dark.values.shape[1]) - middle) * STEP_PX
    means, counted, noises = [], [], []
    for begin, end in pairwise(line_offsets):
        for first in range(begin, end, STRETCH):
            own = np.flatnonzero(clear[first : min(first + STRETCH, end)]) + first
            if len(own) < LEAST * STRETCH:
                continue
            means.append(dark.values[own].mean(axis=0))
            reach = about[own].mean() / 2 + GAP_BLURS * blur_px + GAP_PX
            counted.append(np.abs(offsets) <= reach)
            noises.append(math.sqrt((dark.noise[own] ** 2).mean() / max(1.0, len(own) / along)))
    size = (-1, dark.values.shape[1])
    return (
        np.array(means, np.float64).reshape(size),
        np.array(counted, np.float64).reshape(size),
        np.array(noises, np.float64),
    )


def against(means: Float64, counted: Float64, noises: Float64, across_px: float) -> Float64:
    """How much worse than the best one each of `BLURS` (B,) fits all stretches: twice the log of
    the ratio of likelihoods, from 0."""
    if len(means) == 0:
        return np.zeros(len(BLURS))
    middle = means.shape[1] // 2
    offsets = (np.arange(means.shape[1]) - middle) * STEP_PX
    half, blur = WIDTHS[None, :, None] / 2, BLURS[:, None, None]
    bars = ndtr((offsets + half) / blur) - ndtr((offsets - half) / blur)
    bars = bars.reshape(-1, len(offsets))
    dots = (means * counted) @ bars.T
    squares = counted @ (bars**2).T
    depths = (dots / squares).clip(0.05, 1.0)
    rest = ((means**2) * counted).sum(axis=1)[:, None] - 2 * depths * dots + depths**2 * squares
    rest = rest.reshape(len(means), len(BLURS), len(WIDTHS))
    best = rest.min(axis=2)
    deep = np.take_along_axis(
        depths.reshape(len(means), -1), rest.reshape(len(means), -1).argmin(axis=1)[:, None], 1
    )[:, 0]
    variance = (noises**2 + (INEXACT * deep) ** 2) * across_px / STEP_PX
    worse = (best - best.min(axis=1, keepdims=True)) / variance[:, None]
    total = np.minimum(worse, MOST).sum(axis=0)
    return total - total.min()


def with_shapes(blur: Blur, told: Float64, count: int) -> Blur:
    """A ``blur`` that was told by other means, and what the shapes of ``count`` stretches tell
    ``against`` it (B,)."""
    score = told + ((BLURS - blur.px) / blur.sigma) ** 2
    weights = np.exp(-0.5 * (score - score.min())) * BLURS  # the grid is geometric
    weights /= weights.sum()
    middle = float(weights @ BLURS)
    sigma = math.sqrt(float(weights @ (BLURS - middle) ** 2))
    return Blur(middle, math.hypot(sigma, LINE_BLUR * middle / math.sqrt(max(1, count))))
