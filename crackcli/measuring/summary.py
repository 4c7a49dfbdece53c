"""Statistics of photometric widths of one crack, with their uncertainties.

A width has a random and a systematic standard uncertainty (GUM, JCGM 100): noise averages out along
a crack, while errors of contrast, blur and tone curve are common to it. Both are combined in
quadrature. Neighbouring samples share noise: n samples count as n / noise_samples independent
values. The uncertainty of a median is 1.25 times, that of a 95th percentile 2.1 times that of a
mean of normal values.

Two photographs of one crack differ by more than that: their blur, tone curve and surface beside the
crack are not known exactly, and another part of the crack is found. Every uncertainty therefore
includes `PHOTOGRAPH` of the width and a fraction (`FOUND`) of the standard deviation of the widths
along the crack; that of the largest width a fraction (`FOUND_MAX`) of how far it exceeds the
median.

Percentiles and the maximum are taken from running means that are shrunk towards the mean of the
crack (empirical Bayes): with real variance R and random variance r a deviation is multiplied by R /
(R + r). The largest of many noisy widths is too large; the largest of these is not.

Notation: S samples; all lengths in px.
"""

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
# Fitted by benchmarks/repeatability.py to photographs of five places, checked on five others.
PHOTOGRAPH = 0.03  # of the width, from one photograph to another
FOUND = {"mean": 0.2, "median": 0.2, "p95": 0.5}  # of the standard deviation
FOUND_MAX = 0.3  # of the difference between the largest width and the median


@dataclass(frozen=True, eq=False)
class MeasuredWidths:
    """Measured widths (S,), nan where there are none, with their standard uncertainties.

    ``random_sigma`` (S,) averages out along the crack, ``systematic_sigma`` (S,) does not.
    """

    width: Float64
    random_sigma: Float64
    systematic_sigma: Float64


def summarise_photometric(
    samples: Samples,
    found: MeasuredWidths,
    mask_widths: Float64,
    area_px: float,
    noise_samples: float,
    window_px: float = WINDOW_PX,
) -> Widths:
    """Return the statistics of photometric widths.

    They are those of the mask widths (S,) where fewer than `MIN_PHOTOMETRIC` of the samples with a
    width have a photometric one. ``noise_samples`` is the number of samples over which noise is
    correlated. Means use photometric widths only; the profile has mask widths, without uncertainty,
    in the gaps.
    """
    known = np.isfinite(found.width)
    measurable = known | np.isfinite(mask_widths)
    if known.sum() < max(MIN_PHOTOMETRIC * measurable.sum(), 1):
        return summarise(samples, mask_widths, area_px, MASK_METHOD)
    widths = np.where(known, found.width, mask_widths)
    sigma = np.where(known, np.hypot(found.random_sigma, found.systematic_sigma), np.nan)

    steps, values = samples.steps[known], found.width[known]
    length = float(steps.sum())
    random, systematic = (
        float(part[known] @ steps / length) for part in (found.random_sigma, found.systematic_sigma)
    )
    window_mean, window_sigma = running(samples, found, noise_samples, window_px)
    mean = float(values @ steps / length)
    means, noises = window_mean[known], window_sigma[known]
    real = max(0.0, float(((means - mean) ** 2 - noises**2) @ steps / length))
    shrunk = mean + (means - mean) * real / (real + noises**2 + 1e-12)
    # Random uncertainty of a shrunk width.
    left = np.sqrt(real * noises**2 / (real + noises**2 + 1e-12))
    median, p95, p10, p90 = quantiles(shrunk, steps, [0.5, 0.95, 0.1, 0.9])
    widest = int(np.argmax(shrunk))
    at = samples.points[known][widest]
    pieces = max(1.0, len(values) / noise_samples)
    mean_random = random / math.sqrt(pieces)

    highest = float(shrunk[widest])

    def unrepeatable(statistic: str, width: float) -> float:
        return math.hypot(PHOTOGRAPH * width, FOUND[statistic] * math.sqrt(real))

    return Widths(
        mean_px=mean,
        median_px=median,
        p95_px=p95,
        max_px=highest,
        max_at=(float(at[0]), float(at[1])),
        method="photometric",
        spread=(p90 - p10) / max(median, MIN_WIDTH_PX),
        taper=taper_of(samples.points[known], shrunk, steps),
        mean_sigma_px=math.hypot(mean_random, systematic, unrepeatable("mean", mean)),
        median_sigma_px=math.hypot(1.25 * mean_random, systematic, unrepeatable("median", median)),
        p95_sigma_px=math.hypot(
            min(2.1 * mean_random, random), systematic, unrepeatable("p95", p95)
        ),
        max_sigma_px=math.hypot(
            max(left[widest], mean_random),
            found.systematic_sigma[known][widest],
            PHOTOGRAPH * highest,
            FOUND_MAX * (highest - median),
        ),
        profile=samples.profile(widths, sigma, np.where(known, found.systematic_sigma, np.nan)),
    )


def running(
    samples: Samples, found: MeasuredWidths, noise_samples: float, window_px: float
) -> tuple[Float64, Float64]:
    """Return running means (S,) over ``window_px`` of each line, and their random uncertainty."""
    mean, random = np.full(len(found.width), np.nan), np.full(len(found.width), np.nan)
    known = np.isfinite(found.width)
    total = np.zeros((3, len(known) + 1))
    for line, part in zip(total, (known, found.width, found.random_sigma), strict=True):
        np.cumsum(np.where(known, part, 0), out=line[1:])
    first, last = np.zeros((2, len(known)), np.int64)
    for begin, end in pairwise(samples.line_offsets):
        # Steps of a refined line differ, so the window follows their mean.
        step = max(MIN_WIDTH_PX, float(samples.steps[begin:end].mean()))
        reach = round(window_px / step / 2 - 0.5)
        at = np.arange(begin, end)
        first[begin:end] = np.maximum(at - reach, begin)
        last[begin:end] = np.minimum(at + reach + 1, end)
    count, widths, noises = total[:, last] - total[:, first]
    some = count > 0
    mean[some] = widths[some] / count[some]
    spread = np.sqrt(np.maximum(1, count[some] / noise_samples))
    random[some] = noises[some] / count[some] / spread
    return mean, random
