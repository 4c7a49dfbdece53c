"""Contrast profiles: how much darker than the surface beside it a crack is, across the crack.

The contrast at an offset x is C(x) = 1 - v(x) / B(x), with v the value of the profile (linear light
or encoded, see `crackcli.measuring.tone`) and B the brightness of the uncracked surface: C is 0 on
the surface and 1 where it is black. As C is relative, light and shade along a crack do not matter.

B is estimated from a near band on either side of the crack, just beyond its blurred edges, and is
linear in between: so slow shading, and a crack between brick and mortar, cancel out. The median of
a band ignores grains and pores. A far band counts too if it agrees with the near one. The level of
a side that jumps away from its running level along the crack, as where a joint or another crack
comes near, is limited to it.

Notation: S profiles of M values at ``offsets`` (M,) in px, evenly spaced and symmetric about 0;
``line_offsets`` are the first profile of each line, and S.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Float32, Float64

Real = TypeVar("Real", bound=np.floating[Any])

STEP_PX = 0.5  # between the values of a profile
BAND_PX = 4.0  # length of a near band, and of a far band
GAP_BLURS, GAP_PX = 2.5, 0.5  # gap between a crack's edge and the near band: the sum of both
AGREE = 0.15  # of the brightness drop; bands that differ by less are one surface
STRETCH = 32  # profiles per median of the running level of a side
JUMP = 0.25  # of the brightness drop; a level is held to its running level within this
MAX_PER_BLOCK = 1024  # profiles that fit into the processor's cache
MIN_LEVEL = 0.004  # brightness, 0 to 1; a darker surface has no usable contrast
MEAN_ABSOLUTE = 1.2533  # standard over mean absolute deviation of a normal distribution


@dataclass(frozen=True, eq=False)
class ContrastProfiles:
    """Contrast of S profiles.

    ``values`` (S, M); ``noise`` (S,) their standard deviation beside the crack; ``asymmetry`` (S,)
    difference of the brightness of both sides, as a contrast; ``residuals`` (S, 2, K) contrast of
    the near and far band of either side less their level, for noise statistics.
    """

    values: Float32
    noise: Float64
    asymmetry: Float64
    residuals: Float32


def profile_offsets(reach_px: float) -> Float64:
    """Return offsets (M,) from -reach to reach."""
    count = int(np.ceil(reach_px / STEP_PX))
    return np.arange(-count, count + 1, dtype=np.float64) * STEP_PX


def profile_reach(width_px: float, blur_px: float) -> float:
    """Return how far in px a profile must reach for a crack of this width."""
    return width_px / 2 + GAP_BLURS * blur_px + GAP_PX + 2 * BAND_PX + 2 * STEP_PX


def contrast_profiles(
    values: Float32, offsets: Float64, widths: Float64, blur_px: float, line_offsets: list[int]
) -> ContrastProfiles:
    """Return the contrast of profiles ``values`` (S, M) across cracks.

    ``widths`` (S,) are approximate widths in px, beyond which the bands begin.
    """
    middle = len(offsets) // 2
    length = round(BAND_PX / STEP_PX)
    first = np.ceil((widths / 2 + GAP_BLURS * blur_px + GAP_PX) / STEP_PX).astype(np.int64)
    first = first.clip(max=middle - 2 * length + 1)
    columns = first[:, None] + np.arange(2 * length)
    rows = np.arange(len(values))[:, None]
    bands = np.stack([values[rows, middle - columns], values[rows, middle + columns]], axis=1)
    near, far = median_of_even(bands[..., :length]), median_of_even(bands[..., length:])
    core = values[:, middle - 1 : middle + 2].mean(axis=1)
    drop = np.maximum(near.mean(axis=1) - core, 0)[:, None]
    level = np.where(np.abs(near - far) < AGREE * drop, (near + far) / 2, near).astype(np.float64)
    running = running_level(level, line_offsets)
    level = level.clip(running - JUMP * drop, running + JUMP * drop)
    surface = level.mean(axis=1).clip(min=MIN_LEVEL)
    away = (first + length) * STEP_PX  # px from the middle of the crack to that of the bands
    slope = (level[:, 1] - level[:, 0]) / (2 * away)
    single = np.float32
    slope, base, low, high = (
        part[:, None].astype(single)
        for part in (
            slope,
            level.mean(axis=1),
            level.min(axis=1).clip(min=MIN_LEVEL),
            level.max(axis=1).clip(min=MIN_LEVEL),
        )
    )
    contrast = np.empty(values.shape, single)
    for begin in range(0, len(values), MAX_PER_BLOCK):
        part = slice(begin, begin + MAX_PER_BLOCK)
        background = slope[part] * offsets.astype(single) + base[part]
        np.minimum(np.maximum(background, low[part], out=background), high[part], out=background)
        np.divide(background - values[part], background, out=contrast[part])
    residuals = bands - level[..., None].astype(single)
    residuals /= surface[:, None, None].astype(single)
    noise = MEAN_ABSOLUTE * np.abs(residuals - residuals.mean(axis=2, keepdims=True)).mean(
        axis=(1, 2)
    )
    return ContrastProfiles(
        values=contrast,
        noise=noise.astype(np.float64),
        asymmetry=np.abs(level[:, 1] - level[:, 0]) / surface,
        residuals=residuals,
    )


def median_of_even(values: NDArray[Real]) -> NDArray[Real]:
    """Return the medians along the last axis, which has an even length."""
    half = values.shape[-1] // 2
    middle: NDArray[Real] = np.sort(values, axis=-1)[..., half - 1 : half + 1].mean(axis=-1)
    return middle


def running_level(level: Float64, line_offsets: list[int]) -> Float64:
    """Return the running level (S, 2) of both sides, from the levels (S, 2) of the profiles.

    It is the median of stretches of about `STRETCH` profiles of a line, interpolated linearly
    between the middles of stretches.
    """
    counts = np.diff(line_offsets)
    parts = np.maximum(1, counts // STRETCH)  # the last of a line may be longer; its end counts
    part = np.minimum(
        (np.arange(line_offsets[-1]) - np.repeat(line_offsets[:-1], counts)) // STRETCH,
        np.repeat(parts - 1, counts),
    )
    number = part + np.repeat(np.cumsum(parts) - parts, counts)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    last = np.append(first[1:], line_offsets[-1])
    columns = first[:, None] + np.arange(STRETCH)
    columns = np.where(
        (last - first >= STRETCH)[:, None],
        np.maximum(columns, (last - STRETCH)[:, None] * (columns >= last[:, None])),
        first[:, None] + np.arange(STRETCH) % (last - first)[:, None],
    )
    medians = median_of_even(np.moveaxis(level[columns], 1, 2))
    middle = (first + last - 1) / 2
    at = np.arange(line_offsets[-1])
    other = (number + np.sign(at - middle[number]).astype(np.int64)).clip(0, len(middle) - 1)
    line = np.repeat(np.arange(len(counts)), parts)
    other = np.where(line[other] == line[number], other, number)
    span = middle[other] - middle[number]
    fraction = np.where(span == 0, 0, (at - middle[number]) / np.where(span == 0, 1, span))
    return np.asarray(
        medians[number] + fraction[:, None] * (medians[other] - medians[number]), np.float64
    )


def integral(values: Float32, halves: Float64) -> Float64:
    """Return the integral (S,) in px of profiles (S, M) from -half to half.

    ``halves`` (S,) are in px.
    """
    middle = values.shape[1] // 2
    most = min(middle, int(halves.max(initial=0.0) / STEP_PX + 2))  # no value beyond is needed
    values, middle = values[:, middle - most : middle + most + 1], most
    total = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])  # total[k]: up to half a step before value k
    rows = np.arange(len(values))

    def up_to(at: Float64) -> Float64:
        at = (at / STEP_PX + middle + 0.5).clip(0, values.shape[1])
        low = np.minimum(at.astype(np.int64), values.shape[1] - 1)
        partial: Float64 = (at - low) * (total[rows, low + 1] - total[rows, low])
        return np.asarray(total[rows, low] + partial, np.float64)

    return STEP_PX * (up_to(halves) - up_to(-halves))


def smooth_along(
    values: NDArray[Real], line_offsets: list[int], sigma: float, weights: Float64 | None = None
) -> NDArray[Real]:
    """Return profiles or numbers (S, ...) averaged along their line by a Gaussian.

    ``sigma`` is in samples; each sample has its weight (S,). Lines do not mix. The result is 0
    where all weights are 0.
    """
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    lines = np.repeat(np.arange(len(line_offsets) - 1), np.diff(line_offsets))
    place = np.arange(len(values)) + reach * lines
    wide = np.zeros((len(values) + reach * len(line_offsets), *values.shape[1:]), values.dtype)
    weight_sum = np.zeros(len(wide))
    weight_sum[place] = 1.0 if weights is None else weights
    wide[place] = values if weights is None else values * broadcastable(weights, values)
    smooth = convolve(wide, kernel).take(place, axis=0)
    total = convolve(weight_sum, kernel)[place]
    smooth /= broadcastable(np.where(total > 0, total, 1.0), values)
    return smooth


def convolve(values: NDArray[Real], kernel: Float64) -> NDArray[Real]:
    """Return rows or numbers (N, ...) convolved along the first axis; beyond it they are 0."""
    one = np.ones(1)
    if values.ndim == 1:  # one row is faster than one column
        flat = cv2.sepFilter2D(values[None], -1, kernel, one, borderType=cv2.BORDER_CONSTANT)
    else:
        rows = values.reshape(len(values), -1)
        flat = cv2.sepFilter2D(rows, -1, one, kernel, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(flat, values.dtype).reshape(values.shape)


def broadcastable(numbers: Float64, like: NDArray[Real]) -> NDArray[Real]:
    """Return numbers (S,) in the shape that multiplies an array (S, ...)."""
    return numbers.reshape(-1, *[1] * (like.ndim - 1)).astype(like.dtype)
