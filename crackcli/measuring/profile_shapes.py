"""Blur from the shape of mean profiles of stretches of cracks, whatever their contrast.

A crack that is wide compared with the blur has a flat bottom and edges; a narrow one has the shape
of the blur itself. In between, the shape depends on both. The contrast of a bar of width w and full
contrast K under a Gaussian blur b,

    K (F((x + w/2) / b) - F((x - w/2) / b)),    F the normal distribution,

is fitted to each stretch by least squares, for every b of a grid. The blur is common to the
photograph; w and K are free for each stretch. The misfit of a blur is minus twice the log of its
likelihood ratio to the best one. A stretch that no bar fits well, as real cracks can be shaded in
any way, counts at most `MAX_MISFIT`.

Notation: K stretches of profiles of M values; B blurs and W widths of the grid.
"""

import math
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from crackcli.arrays import Bools, Float64
from crackcli.measuring.contrast import GAP_BLURS, GAP_PX, STEP_PX, ContrastProfiles
from crackcli.measuring.edges import BLUR_RANGE, STRETCH, STRETCH_SIGMA, Blur

BLURS = np.geomspace(*BLUR_RANGE, 36)  # px
WIDTHS = np.geomspace(0.3, 12.0, 48)  # px
MIN_CLEAR = 0.5  # fraction of the samples of a stretch
MAX_MISFIT = 4.0  # of one stretch; larger values are clipped
MODEL_ERROR = 0.015  # of the full contrast; real profiles deviate from a bar by that


def mean_stretches(
    contrast: ContrastProfiles,
    approx_widths: Float64,
    clear: Bools,
    line_offsets: list[int],
    blur_px: float,
    noise_samples: float,
) -> tuple[Float64, Float64, Float64]:
    """Return the mean profiles (K, M) of stretches, of their clear samples.

    Also return which of their values count (K, M), and the standard deviation (K,) of their noise.
    ``noise_samples`` is the number of samples over which noise is correlated.
    """
    middle = contrast.values.shape[1] // 2
    offsets = (np.arange(contrast.values.shape[1]) - middle) * STEP_PX
    means, counted, noises = [], [], []
    for begin, end in pairwise(line_offsets):
        for first in range(begin, end, STRETCH):
            own = np.flatnonzero(clear[first : min(first + STRETCH, end)]) + first
            if len(own) < MIN_CLEAR * STRETCH:
                continue
            means.append(contrast.values[own].mean(axis=0))
            reach = approx_widths[own].mean() / 2 + GAP_BLURS * blur_px + GAP_PX
            counted.append(np.abs(offsets) <= reach)
            noises.append(
                math.sqrt((contrast.noise[own] ** 2).mean() / max(1.0, len(own) / noise_samples))
            )
    size = (-1, contrast.values.shape[1])
    return (
        np.array(means, np.float64).reshape(size),
        np.array(counted, np.float64).reshape(size),
        np.array(noises, np.float64),
    )


def misfit(means: Float64, counted: Float64, noises: Float64, noise_px: float) -> Float64:
    """Return the misfit (B,) of each of `BLURS` to all stretches, 0 for the best one."""
    if len(means) == 0:
        return np.zeros(len(BLURS))
    middle = means.shape[1] // 2
    offsets = (np.arange(means.shape[1]) - middle) * STEP_PX
    half, blur = WIDTHS[None, :, None] / 2, BLURS[:, None, None]
    bars = ndtr((offsets + half) / blur) - ndtr((offsets - half) / blur)
    bars = bars.reshape(-1, len(offsets))
    dots = (means * counted) @ bars.T
    squares = counted @ (bars**2).T
    full_contrasts = (dots / squares).clip(0.05, 1.0)
    residual = (
        ((means**2) * counted).sum(axis=1)[:, None]
        - 2 * full_contrasts * dots
        + full_contrasts**2 * squares
    )
    residual = residual.reshape(len(means), len(BLURS), len(WIDTHS))
    best = residual.min(axis=2)
    best_contrast = np.take_along_axis(
        full_contrasts.reshape(len(means), -1),
        residual.reshape(len(means), -1).argmin(axis=1)[:, None],
        1,
    )[:, 0]
    variance = (noises**2 + (MODEL_ERROR * best_contrast) ** 2) * noise_px / STEP_PX
    excess = (best - best.min(axis=1, keepdims=True)) / variance[:, None]
    total = np.minimum(excess, MAX_MISFIT).sum(axis=0)
    return np.asarray(total - total.min(), np.float64)


def combine_with_shapes(blur: Blur, shape_misfit: Float64, count: int) -> Blur:
    """Return a known ``blur`` combined with the misfit (B,) of ``count`` stretches.

    The known blur is a normal prior; the result is the posterior mean and deviation.
    """
    score = shape_misfit + ((BLURS - blur.px) / blur.sigma) ** 2
    weights = np.exp(-0.5 * (score - score.min())) * BLURS  # density of the geometric grid
    weights /= weights.sum()
    middle = float(weights @ BLURS)
    sigma = math.sqrt(float(weights @ (BLURS - middle) ** 2))
    return Blur(middle, math.hypot(sigma, STRETCH_SIGMA * middle / math.sqrt(max(1, count))))
