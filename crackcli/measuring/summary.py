"""Widths measured on the photograph, summarised for one crack."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from crackcli.arrays import Float64
from crackcli.cracks.widths import (
    MASK_METHOD,
    MIN_WIDTH_PX,
    WINDOW_PX,
    Samples,
    Widths,
    quantiles,
    summarise,
    taper_of,
)

MIN_PHOTOMETRIC = 0.5  # fraction of the samples with a width that must have a photometric one


@dataclass(frozen=True, eq=False)
class Measured:
    """Widths (S,) that were measured, nan where there are none: ``noise`` is the part of their
    standard uncertainty that averages out along the crack, ``common`` the part that does not."""

    width: Float64
    noise: Float64
    common: Float64


def summarise_photometric(
    samples: Samples,
    found: Measured,
    mask: Float64,
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
    if known.sum() < max(MIN_PHOTOMETRIC * measurable.sum(), 1):
        return summarise(samples, mask, area_px, MASK_METHOD)
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
        spread=(p90 - p10) / max(median, MIN_WIDTH_PX),
        taper=taper_of(samples.points[known], shrunk, steps),
        mean_sigma_px=math.hypot(mean_noise, common),
        median_sigma_px=math.hypot(1.25 * mean_noise, common),
        p95_sigma_px=math.hypot(min(2.1 * mean_noise, noise), common),
        max_sigma_px=float(math.hypot(max(left[widest], mean_noise), found.common[known][widest])),
        profile=samples.profile(widths, sigma),
    )


def running(
    samples: Samples, found: Measured, along: float, window_px: float
) -> tuple[Float64, Float64]:
    """Running means (S,) of widths over ``window_px`` of each line, and their noise."""
    mean, noise = np.full(len(found.width), np.nan), np.full(len(found.width), np.nan)
    known = np.isfinite(found.width)
    total = np.zeros((3, len(known) + 1))
    for line, part in zip(total, (known, found.width, found.noise), strict=True):
        np.cumsum(np.where(known, part, 0), out=line[1:])
    first, last = np.zeros((2, len(known)), np.int64)
    for begin, end in pairwise(samples.line_offsets):
        step = max(MIN_WIDTH_PX, float(samples.steps[begin:end].mean()))  # a refined line's differ
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
