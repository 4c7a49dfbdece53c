"""Ridges: centrelines moved onto the middle of what is dark in the photograph.

The centreline of a mask is off by up to a pixel or two, and ragged where the mask is.  Each point
moves along its normal to the centre of darkness, and what it moves is limited and smooth along the
line: so a line does not jump to a joint that runs beside the crack, and stays where nothing dark is
seen.  Junctions stay where they are, and lines reach them as they did.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64
from crackcli.cracks.centreline import Line
from crackcli.cracks.widths import Samples, sample_lines
from crackcli.measuring.contrast import STEP_PX, along, darkness
from crackcli.measuring.profiles import GreyProfiles, GreyReader, read_profiles
from crackcli.measuring.tone import Tone

ROUNDS = 3
MOST_PX, MOST_WIDTHS = 2.0, 0.1  # a point moves by no more than the sum of both
WINDOW_PX = 1.5  # beyond the half width: what is looked at
FLOOR = 0.3  # of the darkest: what is brighter does not pull
SEEN = 3.0  # times the noise: what is less dark does not pull
MOST_SEEN = 0.5  # of what is beside a point on the line: where less is dark, it is by chance
STAY = 2.0  # so much holds such a point, where others are drawn by their darkness over the noise
SMOOTH, SMOOTH_WIDTHS = 2.0, 0.2  # samples: sigma along the line of how far points move, and of
# its normals: the larger of both, by how wide the cracks may be that are measured together
BLUR_PX = 0.9  # of the edges, before it is known
SHORTER = 5  # samples over which a single outlier is dropped


@dataclass(frozen=True, eq=False)
class Refined:
    """Lines on ridges, samples of them, and the profiles (S, M) there at ``offsets`` (M,).

    Profiles run along the normals of the lines as they were; ``slant`` (S,) is the cosine between
    these and the normals of the refined lines: so much too wide is what is measured along them.
    """

    lines: list[Line]
    samples: Samples
    offsets: Float64
    profiles: GreyProfiles
    slant: Float64


def refined(
    lines: Sequence[Line],
    photograph: GreyReader,
    widths: Float64,
    offsets: Float64,
    tone: Tone,
    widest_px: float,
) -> Refined:
    """``lines`` on the ridges of darkness, with profiles across them at ``offsets`` (M,).

    ``widths`` (S,): about how wide the crack is at each sample (`sample_lines`) of the lines,
    at most ``widest_px``.  The photograph is read once: points move along the profiles that were
    read.
    """
    before = sample_lines(lines)
    most = MOST_PX + MOST_WIDTHS * widths
    room = math.ceil(float(most.max(initial=0.0)) / STEP_PX) + 2
    reach = len(offsets) // 2 + room
    sigma = max(SMOOTH, SMOOTH_WIDTHS * widest_px)
    normals = across(before.points, before, sigma)
    wide = read_profiles(photograph, before.points, normals, np.arange(-reach, reach + 1) * STEP_PX)
    wide = wide.filled(before.line_offsets)
    values = along(wide.mixed(tone.share), before.line_offsets, 1.0)
    moved = np.zeros(len(before.points))
    held = free(before)
    for _ in range(ROUNDS):
        shift = shifts(
            shifted(values, moved, room, linear=True), wide.seen, widths, offsets, before, sigma
        )
        moved = (moved + held * shift).clip(-most, most)
    points = before.points + moved[:, None] * normals
    profiles = GreyProfiles(
        shifted(wide.encoded, moved, room), shifted(wide.light, moved, room), wide.seen
    )
    lines = [
        moved_line(line, points[begin:end], before.points[begin:end])
        for line, (begin, end) in zip(lines, pairwise(before.line_offsets), strict=True)
    ]
    after = across(points, before, sigma)
    slant = np.abs((after * normals).sum(axis=1))
    steps = before.steps.copy()
    for begin, end in pairwise(before.line_offsets):
        if end - begin > 1:
            dx, dy = np.gradient(points[begin:end], axis=0).T
            steps[begin:end] = np.hypot(dx, dy)
    samples = replace(before, points=points, normals=after, steps=steps)
    return Refined(lines, samples, offsets, profiles, slant)


def shifted(values: Float32, shift: Float64, room: int, *, linear: bool = False) -> Float32:
    """Profiles (S, M) whose middle lies ``shift`` (S,) px farther along those of ``values``
    (S, M + 2 * room); between values by a cubic, or a straight line."""
    place = shift / STEP_PX + room
    low = np.floor(place).astype(np.int64)
    t = (place - low).astype(np.float32)[:, None]
    count = values.shape[1] - 2 * room
    every = np.lib.stride_tricks.sliding_window_view(values.reshape(-1), count + 3)
    near = every[np.arange(len(values)) * values.shape[1] + low - 1]
    a, b, c, d = (near[:, lag : lag + count] for lag in range(4))
    if linear:
        return b + t * (c - b)
    rise = t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return b + np.float32(0.5) * rise


def shifts(
    values: Float32,
    seen: Bools,
    widths: Float64,
    offsets: Float64,
    samples: Samples,
    sigma: float,
) -> Float64:
    """How far (S,) each point has to move along its normal, smoothed along the line."""
    dark = darkness(values, offsets, widths, BLUR_PX, samples.line_offsets)
    limits = widths / 2 + WINDOW_PX
    near = np.abs(offsets) <= limits.max(initial=0.0)  # what lies farther is not looked at
    offsets = offsets[near]
    core = np.where(np.abs(offsets) <= limits[:, None], dark.values[:, near], 0)
    peak = core.max(axis=1)
    pull = (core - FLOOR * peak[:, None]).clip(min=0)
    total = pull.sum(axis=1)
    shift = (pull @ offsets.astype(np.float32) / np.where(total > 0, total, 1)).astype(np.float64)
    clear = seen & (peak > SEEN * dark.noise) & (total > 0)
    clear &= along(clear.astype(np.float64), samples.line_offsets, sigma) > MOST_SEEN
    weight = np.where(clear, (peak / np.maximum(dark.noise, 1e-3)).clip(max=20), STAY) ** 2
    wide = spread_out(shift, samples.line_offsets, SHORTER // 2)
    shift = np.median(np.lib.stride_tricks.sliding_window_view(wide, SHORTER), axis=1)[
        places(samples.line_offsets, SHORTER // 2)
    ]
    shift = np.where(clear, shift, 0)
    return along(shift, samples.line_offsets, sigma, weight.astype(np.float64))


def spread_out(values: Float64, line_offsets: list[int], room: int) -> Float64:
    """Numbers (S,) of all lines in one row, with ``room`` of each line's first and last number
    before and after it."""
    counts = np.diff(line_offsets)
    first = np.asarray(line_offsets[:-1])
    lines = np.repeat(np.arange(len(counts)), counts + 2 * room)
    at = np.arange(len(lines)) - 2 * room * lines - room
    return values[at.clip(first[lines], (first + counts - 1)[lines])]


def places(line_offsets: list[int], room: int) -> Int64:
    """Where the window of each number (S,) line_offsets in the row of `spread_out`."""
    lines = np.repeat(np.arange(len(line_offsets) - 1), np.diff(line_offsets))
    return np.arange(line_offsets[-1]) + 2 * room * lines


def across(points: Float64, samples: Samples, sigma: float) -> Float64:
    """Unit normals (S, 2) of lines through points (S, 2), smoothed along the line; those of
    ``samples`` where a line is too short."""
    line_offsets = samples.line_offsets
    smooth = along(points, line_offsets, sigma)
    normals = samples.normals.copy()
    for begin, end in pairwise(line_offsets):
        if end - begin > 2:
            dx, dy = np.gradient(smooth[begin:end], axis=0).T
            size = np.hypot(dx, dy)
            size[size == 0] = 1.0
            normals[begin:end] = np.column_stack([-dy, dx]) / size[:, None]
    return normals


def free(samples: Samples) -> Float64:
    """1 where a point may move, down to 0 at the junctions."""
    factor = np.ones(len(samples.points))
    for begin, end in pairwise(samples.line_offsets):
        for way in (samples.from_start[begin:end], samples.from_end[begin:end]):
            inner = way < 0
            if inner.any():
                factor[begin:end][inner] *= (1 + way[inner] / -way.min()).clip(0, 1)
    return factor


def moved_line(line: Line, points: Float64, before: Float64) -> Line:
    """The line through points (N, 2) that were at ``before``; its free ends move with the
    nearest of them, its junctions stay."""
    first, last = line.points[0], line.points[-1]
    if line.start_px == 0:
        first = first + points[0] - before[0]
    if line.end_px == 0:
        last = last + points[-1] - before[-1]
    return replace(line, points=np.concatenate([[first], points, [last]]))
