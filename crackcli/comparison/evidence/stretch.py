"""The change of a crack on the stretch that two photographs show, sample by sample.

Whole cracks of two photographs differ for no other reason than that another part of them was found
(`benchmarks/repeatability.py`: that doubles the spread of mean widths). So each sample of the later
crack is compared with the sample of the earlier one at the same place, and samples without such a
partner count as length that came or went, if the other photograph could have shown them.

Samples of both are in px of the later photograph.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crackcli.arrays import Bools, Float64, Int64
from crackcli.comparison.evidence.samples import Samples
from crackcli.comparison.evidence.visibility import CONTINUES

MIN_COMMON = 10  # samples that a common stretch needs
NOISE_SAMPLES = 10.0  # over which the noise of widths is correlated, cautiously
LARGEST = 0.95  # quantile of the running means along a stretch
SCALE_BASE_PX = 64.0  # distance over which an error of alignment is one of scale
SHARED = 0.7  # of the systematic uncertainties; the rest of an error is the same in both
# Relative standard uncertainty of a mean width from one photograph to another, beside the stated
# ones; px of length that is found or not at the ends. Both by benchmarks/repeatability.py.
PHOTOGRAPH = 0.03
FOUND_PX, FOUND_FRACTION = 5.0, 0.02
ROBUST = 1.4826  # standard deviation of normal values over their median absolute deviation


@dataclass(frozen=True)
class Difference:
    """Later less earlier value, and its standard uncertainty; None if unknown."""

    value: float
    sigma: float | None


@dataclass(frozen=True)
class Stretch:
    """Differences of a crack between two photographs, in px of the later one.

    ``common_px`` is the length on which both have a width; without one, ``width_mean`` and
    ``width_max`` are None. ``tip_px`` is the longest unbroken part that was not there before.
    """

    common_px: float
    length: Difference
    tip_px: float
    width_mean: Difference | None
    width_max: Difference | None
    area: Difference | None


def partners(own: Samples, other: Samples, tolerance_px: float) -> Int64:
    """Return for each sample of ``own`` the sample of ``other`` at the same place, or -1.

    That is the nearest one within the tolerance, unless the sample lies past an end of its line.
    """
    if not len(own) or not len(other):
        return np.full(len(own), -1, np.int64)
    distance, nearest = cKDTree(other.points).query(own.points, distance_upper_bound=tolerance_px)
    found = np.isfinite(distance)
    nearest = np.where(found, nearest, 0)
    along = np.einsum("sk,sk->s", own.points - other.points[nearest], other.directions[nearest])
    past_end = other.ends[nearest] & (np.abs(along) > other.steps[nearest] / 2)
    return np.where(found & ~past_end, nearest, -1).astype(np.int64)


def compare_stretch(
    before: Samples,
    after: Samples,
    hidden_before: NDArray[np.object_],
    hidden_after: NDArray[np.object_],
    tolerance_px: float,
    window_px: float,
    alignment_px: float,
) -> Stretch:
    """Return the change of a matched crack.

    ``hidden_before`` is, for each sample of ``before``, the reason why the later photograph could
    not have shown it, and ``hidden_after`` for each sample of ``after`` the same of the earlier
    photograph (`crackcli.comparison.evidence.visibility`). ``window_px`` is the length of the
    running mean of the largest width, ``alignment_px`` the standard deviation of the alignment per
    axis.
    """
    of_after = partners(after, before, tolerance_px)
    of_before = partners(before, after, tolerance_px)
    came = (of_after < 0) & np.isin(hidden_after, CONTINUES)
    went = (of_before < 0) & np.isin(hidden_before, CONTINUES)
    came_px, went_px = float(after.steps[came].sum()), float(before.steps[went].sum())
    whole_px = min(float(before.steps.sum()), float(after.steps.sum()))
    length = Difference(
        came_px - went_px,
        math.sqrt(FOUND_PX**2 + (FOUND_FRACTION * whole_px) ** 2 + 4 * alignment_px**2),
    )
    common = (of_after >= 0) & after.measured
    common[common] = before.measured[of_after[common]]
    tip_px = longest_run(after, came)
    if common.sum() < MIN_COMMON:
        return Stretch(0.0, length, tip_px, None, None, None)
    earlier, later = before.of(of_after[common]), after.of(common)
    steps = later.steps
    common_px = float(steps.sum())
    mean = Difference(
        float((later.width - earlier.width) @ steps / common_px),
        mean_sigma(earlier, later, alignment_px),
    )
    largest = difference_of_largest(earlier, later, mean, window_px)
    width_px = float(later.width @ steps / common_px)
    assert mean.sigma is not None
    assert length.sigma is not None
    area = Difference(
        mean.value * common_px + length.value * width_px,
        math.hypot(mean.sigma * common_px, length.sigma * width_px),
    )
    return Stretch(common_px, length, tip_px, mean, largest, area)


def mean_sigma(earlier: Samples, later: Samples, alignment_px: float) -> float:
    """Return the standard uncertainty of the difference of two mean widths on one stretch."""
    pieces = max(1.0, len(later) / NOISE_SAMPLES)
    variance = 0.0
    for one in (earlier, later):
        systematic = SHARED * float(one.systematic.mean())
        random = np.sqrt(np.maximum(one.sigma**2 - one.systematic**2, 0)).mean()
        width = float(one.width.mean())
        variance += systematic**2 + float(random) ** 2 / pieces + (PHOTOGRAPH * width) ** 2
    scale = math.sqrt(2) * alignment_px / SCALE_BASE_PX * float(later.width.mean())
    return math.sqrt(variance + scale**2)


def difference_of_largest(
    earlier: Samples, later: Samples, mean: Difference, window_px: float
) -> Difference:
    """Return the difference of the largest widths of two photographs on one stretch.

    These are the quantile `LARGEST` of the running means: a speck or shadow in one photograph moves
    the very largest one (benchmarks/growth.py: r of 0.5 instead of 0.8). The uncertainty is that of
    the mean, and the spread of the differences along the stretch.
    """
    window = max(1, round(window_px / max(float(later.steps.mean()), 0.1)))
    now = np.concatenate([running_mean(later.width[part], window) for part in later.runs()])
    was = np.concatenate([running_mean(earlier.width[part], window) for part in later.runs()])
    change = now - was
    spread = ROBUST * float(np.median(np.abs(change - np.median(change))))
    assert mean.sigma is not None
    largest = float(np.quantile(now, LARGEST) - np.quantile(was, LARGEST))
    return Difference(largest, math.hypot(mean.sigma, spread))


def running_mean(values: Float64, window: int) -> Float64:
    """Return the mean (S,) of up to ``window`` neighbours around each value."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first = np.maximum(at - (window - 1) // 2, 0)
    last = np.minimum(at + window // 2 + 1, len(values))
    mean: Float64 = (total[last] - total[first]) / (last - first)
    return mean


def longest_run(samples: Samples, chosen: Bools) -> float:
    """Return the length of the longest unbroken part of the ``chosen`` samples, in px."""
    longest = 0.0
    for part in samples.runs():
        inside = chosen[part]
        label = np.cumsum(~inside)  # constant along an unbroken part
        lengths = np.bincount(label, np.where(inside, samples.steps[part], 0.0))
        longest = max(longest, float(lengths.max()))
    return longest
