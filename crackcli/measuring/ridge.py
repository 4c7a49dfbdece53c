"""Ridge detection: moves centrelines onto the middle of the dark line in the photograph.

The centreline of a mask is off by up to a pixel or two, and ragged where the mask is. Each point
moves along its normal to the centre of contrast. Shifts are limited, and smoothed along the line:
so a line does not jump to a joint that runs beside the crack, and stays where there is no contrast.
Junctions stay where they are, and lines still meet in them.

Notation: S samples; profiles of M values; lengths in px.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64
from crackcli.cracks.centreline import Line
from crackcli.cracks.widths import Samples, sample_lines
from crackcli.measuring.contrast import STEP_PX, contrast_profiles, smooth_along
from crackcli.measuring.profiles import GreyProfiles, GreyReader, read_profiles
from crackcli.measuring.tone import ToneCurve

ROUNDS = 3
MAX_PX, MAX_WIDTHS = 2.0, 0.1  # a point moves by at most the sum of both
WINDOW_PX = 1.5  # beyond the half width, within which contrast attracts a point
FLOOR = 0.3  # of the peak contrast; lower values do not attract
MIN_SNR = 3.0  # peak contrast over noise; below it a point does not move by itself
MIN_CLEAR = 0.5  # fraction of neighbours on the line above `MIN_SNR`; with fewer it is by chance
STAY = 2.0  # weight of such a point, where that of others is contrast over noise
# Samples, and widths: sigma along the line of the shifts and of the normals, the larger of both for
# the widest crack of a batch.
SMOOTH, SMOOTH_WIDTHS = 2.0, 0.2
BLUR_PX = 0.9  # assumed before it is estimated
MEDIAN_SAMPLES = 5  # window of the median that drops single outliers


@dataclass(frozen=True, eq=False)
class RefinedLines:
    """Lines on ridges, samples of them, and the profiles (S, M) there at ``offsets`` (M,).

    Profiles run along the normals of the unrefined lines. ``slant`` (S,) is the cosine between
    these and the normals of the refined lines, by which widths along the profiles are multiplied.
    """

    lines: list[Line]
    samples: Samples
    offsets: Float64
    profiles: GreyProfiles
    slant: Float64


def refine(
    lines: Sequence[Line],
    photograph: GreyReader,
    widths: Float64,
    offsets: Float64,
    tone: ToneCurve,
    widest_px: float,
) -> RefinedLines:
    """Return ``lines`` moved onto ridges of contrast, with profiles across them.

    ``offsets`` (M,) are those of the profiles. ``widths`` (S,) are approximate widths at the
    samples (`sample_lines`) of the lines, at most ``widest_px``. The photograph is read once:
    points move along the profiles that were read.
    """
    before = sample_lines(lines)
    most = MAX_PX + MAX_WIDTHS * widths
    margin = math.ceil(float(most.max(initial=0.0)) / STEP_PX) + 2
    reach = len(offsets) // 2 + margin
    sigma = max(SMOOTH, SMOOTH_WIDTHS * widest_px)
    normals = smooth_normals(before.points, before, sigma)
    wide_offsets: Float64 = np.arange(-reach, reach + 1, dtype=np.float64) * STEP_PX
    wide = read_profiles(photograph, before.points, normals, wide_offsets)
    wide = wide.filled(before.line_offsets)
    values = smooth_along(wide.blended(tone.linear_fraction), before.line_offsets, 1.0)
    moved = np.zeros(len(before.points))
    mobile = mobility(before)
    for _ in range(ROUNDS):
        here = shifted(values, moved, margin, linear=True)
        shift = ridge_shifts(here, wide.complete, widths, offsets, before, sigma)
        moved = (moved + mobile * shift).clip(-most, most)
    points = before.points + moved[:, None] * normals
    profiles = GreyProfiles(
        shifted(wide.encoded, moved, margin), shifted(wide.linear, moved, margin), wide.complete
    )
    lines = [
        moved_line(line, points[begin:end], before.points[begin:end])
        for line, (begin, end) in zip(lines, pairwise(before.line_offsets), strict=True)
    ]
    after = smooth_normals(points, before, sigma)
    slant = np.abs((after * normals).sum(axis=1))
    steps = before.steps.copy()
    for begin, end in pairwise(before.line_offsets):
        if end - begin > 1:
            dx, dy = np.gradient(points[begin:end], axis=0).T
            steps[begin:end] = np.hypot(dx, dy)
    samples = replace(before, points=points, normals=after, steps=steps)
    return RefinedLines(lines, samples, offsets, profiles, slant)


def shifted(values: Float32, shift: Float64, margin: int, *, linear: bool = False) -> Float32:
    """Return profiles (S, M) whose middle lies ``shift`` (S,) px farther along those of ``values``.

    ``values`` (S, M + 2 * margin) are interpolated by a cubic (Catmull-Rom), or linearly.
    """
    place = shift / STEP_PX + margin
    low = np.floor(place).astype(np.int64)
    t = (place - low).astype(np.float32)[:, None]
    count = values.shape[1] - 2 * margin
    every = np.lib.stride_tricks.sliding_window_view(values.reshape(-1), count + 3)
    near = every[np.arange(len(values)) * values.shape[1] + low - 1]
    a, b, c, d = (near[:, lag : lag + count] for lag in range(4))
    if linear:
        return np.asarray(b + t * (c - b), np.float32)
    rise = t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.asarray(b + np.float32(0.5) * rise, np.float32)


def ridge_shifts(
    values: Float32,
    complete: Bools,
    widths: Float64,
    offsets: Float64,
    samples: Samples,
    sigma: float,
) -> Float64:
    """Return how far (S,) in px each point has to move along its normal.

    Shifts are smoothed along the line.
    """
    contrast = contrast_profiles(values, offsets, widths, BLUR_PX, samples.line_offsets)
    limits = widths / 2 + WINDOW_PX
    near = np.abs(offsets) <= limits.max(initial=0.0)  # values beyond are not needed
    offsets = offsets[near]
    core = np.where(np.abs(offsets) <= limits[:, None], contrast.values[:, near], 0)
    peak = core.max(axis=1)
    attraction = (core - FLOOR * peak[:, None]).clip(min=0)
    total = attraction.sum(axis=1)
    shift = (attraction @ offsets.astype(np.float32) / np.where(total > 0, total, 1)).astype(
        np.float64
    )
    clear = complete & (peak > MIN_SNR * contrast.noise) & (total > 0)
    clear &= smooth_along(clear.astype(np.float64), samples.line_offsets, sigma) > MIN_CLEAR
    weight = np.where(clear, (peak / np.maximum(contrast.noise, 1e-3)).clip(max=20), STAY) ** 2
    wide = pad_lines(shift, samples.line_offsets, MEDIAN_SAMPLES // 2)
    shift = np.median(np.lib.stride_tricks.sliding_window_view(wide, MEDIAN_SAMPLES), axis=1)[
        window_starts(samples.line_offsets, MEDIAN_SAMPLES // 2)
    ]
    shift = np.where(clear, shift, 0)
    return smooth_along(shift, samples.line_offsets, sigma, weight.astype(np.float64))


def pad_lines(values: Float64, line_offsets: list[int], margin: int) -> Float64:
    """Return numbers (S,) of all lines in one row, each line padded with its first and last number.

    The padding is ``margin`` numbers long on each side.
    """
    counts = np.diff(line_offsets)
    first = np.asarray(line_offsets[:-1])
    lines = np.repeat(np.arange(len(counts)), counts + 2 * margin)
    at = np.arange(len(lines)) - 2 * margin * lines - margin
    padded: Float64 = values[at.clip(first[lines], (first + counts - 1)[lines])]
    return padded


def window_starts(line_offsets: list[int], margin: int) -> Int64:
    """Return where the window of each number (S,) starts in the row of `pad_lines`."""
    lines = np.repeat(np.arange(len(line_offsets) - 1), np.diff(line_offsets))
    return np.arange(line_offsets[-1]) + 2 * margin * lines


def smooth_normals(points: Float64, samples: Samples, sigma: float) -> Float64:
    """Return unit normals (S, 2) of lines through points (S, 2), smoothed along the line.

    Lines that are too short keep the normals of ``samples``.
    """
    line_offsets = samples.line_offsets
    smooth = smooth_along(points, line_offsets, sigma)
    normals = samples.normals.copy()
    for begin, end in pairwise(line_offsets):
        if end - begin > 2:
            dx, dy = np.gradient(smooth[begin:end], axis=0).T
            size = np.hypot(dx, dy)
            size[size == 0] = 1.0
            normals[begin:end] = np.column_stack([-dy, dx]) / size[:, None]
    return normals


def mobility(samples: Samples) -> Float64:
    """Return 1 (S,) where a point may move freely, down to 0 at the junctions."""
    factor = np.ones(len(samples.points))
    for begin, end in pairwise(samples.line_offsets):
        for way in (samples.from_start[begin:end], samples.from_end[begin:end]):
            inner = way < 0
            if inner.any():
                factor[begin:end][inner] *= (1 + way[inner] / -way.min()).clip(0, 1)
    return factor


def moved_line(line: Line, points: Float64, before: Float64) -> Line:
    """Return the line through points (N, 2) that were at ``before``.

    Its free ends move with the nearest point; its junctions stay.
    """
    first, last = line.points[0], line.points[-1]
    if line.start_px == 0:
        first = first + points[0] - before[0]
    if line.end_px == 0:
        last = last + points[-1] - before[-1]
    return replace(line, points=np.concatenate([[first], points, [last]]))
