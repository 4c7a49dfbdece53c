"""Darkness: how much darker than the wall beside it a crack is, all along profiles across it.

The wall's brightness is taken from a near band on either side of the crack, just beyond its blurred
edges, and runs straight from one to the other in between: so slow shading, and a crack between
brick and mortar, cancel out.  The median of a band passes over grains and pores.  If a farther band
agrees with the near one, both count.  A side that jumps away from its own course along the crack,
as where a joint or another crack comes near, is held to that course.

Darkness is relative: 0 is the wall, 1 is black, so that light and shade along a crack do not
matter.

Notation: S profiles of M values at ``offsets`` (M,), evenly spaced and symmetric about 0.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Float32, Float64

STEP_PX = 0.5  # between the values of a profile
BAND_PX = 4.0  # length of a near band, and of a far one
GAP_BLURS, GAP_PX = 2.5, 0.5  # between a crack's edge and the near band: the sum of both
AGREE = 0.15  # of the depth: bands that differ by less are one wall
COURSE = 32  # profiles over which a side has its course
JUMP = 0.25  # of the depth: a side that strays farther from its course is held to it
AT_ONCE = 1024  # profiles that fit into the processor's cache
LEAST_WALL = 0.004  # brightness, 0 to 1: a wall that is darker tells nothing
MEAN_ABSOLUTE = 1.2533  # standard deviation over mean absolute deviation


@dataclass(frozen=True, eq=False)
class Darkness:
    """``values`` (S, M) of S profiles; ``noise`` (S,) their standard deviation beside the crack,
    ``sides`` (S,) how much the wall differs from side to side, both in darkness.  ``bands``
    (S, 2, K): what is left of the near and far band of either side, for statistics of noise."""

    values: Float32
    noise: Float64
    sides: Float64
    bands: Float32


def offsets_for(reach_px: float) -> Float64:
    """Offsets from -reach to reach."""
    count = int(np.ceil(reach_px / STEP_PX))
    return np.arange(-count, count + 1) * STEP_PX


def reach_for(width_px: float, blur_px: float) -> float:
    """How far a profile must reach for a crack of this width."""
    return width_px / 2 + GAP_BLURS * blur_px + GAP_PX + 2 * BAND_PX + 2 * STEP_PX


def darkness(
    values: Float32, offsets: Float64, widths: Float64, blur_px: float, line_offsets: list[int]
) -> Darkness:
    """The darkness of profiles ``values`` (S, M) across cracks about ``widths`` (S,) wide.

    ``line_offsets`` are the first profile of each line, and S.
    """
    middle = len(offsets) // 2
    length = round(BAND_PX / STEP_PX)
    first = np.ceil((widths / 2 + GAP_BLURS * blur_px + GAP_PX) / STEP_PX).astype(np.int64)
    first = first.clip(max=middle - 2 * length + 1)
    lanes = first[:, None] + np.arange(2 * length)
    rows = np.arange(len(values))[:, None]
    bands = np.stack([values[rows, middle - lanes], values[rows, middle + lanes]], axis=1)
    near, far = middle_of(bands[..., :length]), middle_of(bands[..., length:])
    core = values[:, middle - 1 : middle + 2].mean(axis=1)
    depth = np.maximum(near.mean(axis=1) - core, 0)[:, None]
    level = np.where(np.abs(near - far) < AGREE * depth, (near + far) / 2, near).astype(np.float64)
    course = course_of(level, line_offsets)
    level = level.clip(course - JUMP * depth, course + JUMP * depth)
    wall = level.mean(axis=1).clip(min=LEAST_WALL)
    away = (first + length) * STEP_PX  # from the middle of the crack to that of the bands
    slope = (level[:, 1] - level[:, 0]) / (2 * away)
    single = np.float32
    slope, base, low, high = (
        part[:, None].astype(single)
        for part in (
            slope,
            level.mean(axis=1),
            level.min(axis=1).clip(min=LEAST_WALL),
            level.max(axis=1).clip(min=LEAST_WALL),
        )
    )
    dark = np.empty(values.shape, single)
    for begin in range(0, len(values), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        straight = slope[part] * offsets.astype(single) + base[part]
        np.minimum(np.maximum(straight, low[part], out=straight), high[part], out=straight)
        np.divide(straight - values[part], straight, out=dark[part])
    rest = bands - level[..., None].astype(single)
    rest /= wall[:, None, None].astype(single)
    noise = MEAN_ABSOLUTE * np.abs(rest - rest.mean(axis=2, keepdims=True)).mean(axis=(1, 2))
    return Darkness(
        values=dark,
        noise=noise.astype(np.float64),
        sides=np.abs(level[:, 1] - level[:, 0]) / wall,
        bands=rest,
    )


def middle_of(values: Float32) -> Float32:
    """The medians along the last axis, of an even number."""
    half = values.shape[-1] // 2
    return np.sort(values, axis=-1)[..., half - 1 : half + 1].mean(axis=-1)


def course_of(level: Float64, line_offsets: list[int]) -> Float64:
    """Medians (S, 2) of the levels (S, 2) of stretches of about `COURSE` profiles of a line, and
    straight on from the middle of one to the next."""
    counts = np.diff(line_offsets)
    parts = np.maximum(1, counts // COURSE)  # the last of a line may be longer: its end counts
    part = np.minimum(
        (np.arange(line_offsets[-1]) - np.repeat(line_offsets[:-1], counts)) // COURSE,
        np.repeat(parts - 1, counts),
    )
    number = part + np.repeat(np.cumsum(parts) - parts, counts)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    last = np.append(first[1:], line_offsets[-1])
    lanes = first[:, None] + np.arange(COURSE)
    lanes = np.where(
        (last - first >= COURSE)[:, None],
        np.maximum(lanes, (last - COURSE)[:, None] * (lanes >= last[:, None])),
        first[:, None] + np.arange(COURSE) % (last - first)[:, None],
    )
    medians = middle_of(np.moveaxis(level[lanes], 1, 2))
    middle = (first + last - 1) / 2
    at = np.arange(line_offsets[-1])
    other = (number + np.sign(at - middle[number]).astype(np.int64)).clip(0, len(middle) - 1)
    line = np.repeat(np.arange(len(counts)), parts)
    other = np.where(line[other] == line[number], other, number)
    span = middle[other] - middle[number]
    share = np.where(span == 0, 0, (at - middle[number]) / np.where(span == 0, 1, span))
    return medians[number] + share[:, None] * (medians[other] - medians[number])


def integral(values: Float32, halves: Float64) -> Float64:
    """The integral (S,) of profiles (S, M) from -half to half, ``halves`` (S,) in px."""
    middle = values.shape[1] // 2
    most = min(middle, int(halves.max(initial=0.0) / STEP_PX + 2))  # no more is looked at
    values, middle = values[:, middle - most : middle + most + 1], most
    total = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])  # total k: up to half a step before value k
    rows = np.arange(len(values))

    def up_to(at: Float64) -> Float64:
        at = (at / STEP_PX + middle + 0.5).clip(0, values.shape[1])
        low = np.minimum(at.astype(np.int64), values.shape[1] - 1)
        return total[rows, low] + (at - low) * (total[rows, low + 1] - total[rows, low])

    return STEP_PX * (up_to(halves) - up_to(-halves))


def along(
    values: NDArray, line_offsets: list[int], sigma: float, weights: Float64 | None = None
) -> NDArray:
    """Profiles or numbers (S, ...) averaged along their line by a Gaussian of ``sigma`` samples,
    each sample with its weight (S,); nothing leaks from line to line.  0 where nothing weighs."""
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    lines = np.repeat(np.arange(len(line_offsets) - 1), np.diff(line_offsets))
    place = np.arange(len(values)) + reach * lines
    wide = np.zeros((len(values) + reach * len(line_offsets), *values.shape[1:]), values.dtype)
    share = np.zeros(len(wide))
    share[place] = 1.0 if weights is None else weights
    wide[place] = values if weights is None else values * shaped(weights, values)
    smooth = blurred(wide, kernel).take(place, axis=0)
    total = blurred(share, kernel)[place]
    smooth /= shaped(np.where(total > 0, total, 1.0), values)
    return smooth


def blurred(values: NDArray, kernel: Float64) -> NDArray:
    """Rows or numbers (N, ...) convolved along the first axis; beyond it is 0."""
    one = np.ones(1)
    if values.ndim == 1:  # one row is quicker than one column
        flat = cv2.sepFilter2D(values[None], -1, kernel, one, borderType=cv2.BORDER_CONSTANT)
    else:
        flat = values.reshape(len(values), -1)
        flat = cv2.sepFilter2D(flat, -1, one, kernel, borderType=cv2.BORDER_CONSTANT)
    return flat.reshape(values.shape)


def shaped(numbers: Float64, like: NDArray) -> NDArray:
    """Numbers (S,) that multiply an array (S, ...)."""
    return numbers.reshape(-1, *[1] * (like.ndim - 1)).astype(like.dtype)
