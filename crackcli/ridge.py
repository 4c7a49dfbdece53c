"""Ridges: centrelines moved onto the middle of what is dark in the photograph.

The centreline of a mask is off by up to a pixel or two, and ragged where the mask is.  Each point
moves along its normal to the centre of darkness, and what it moves is limited and smooth along the
line: so a line does not jump to a joint that runs beside the crack, and stays where nothing dark is
seen.  Junctions stay where they are, and lines reach them as they did.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from crackcli.centerline import Line, Numbers
from crackcli.darkness import along, darkness, offsets_for, reach_for
from crackcli.profiles import COARSE, Photograph, read_profiles
from crackcli.tone import Tone
from crackcli.widths import Samples, sample_lines

ROUNDS = 3
MOST_PX, MOST_WIDTHS = 2.0, 0.5  # a point moves by no more than the larger of both
WINDOW_PX = 1.5  # beyond the half width: what is looked at
FLOOR = 0.3  # of the darkest: what is brighter does not pull
SEEN = 3.0  # times the noise: what is less dark does not pull
SMOOTH = 2.0  # samples: sigma along the line of how far points move
BLUR_PX = 0.9  # of the edges, before it is known
SHORTER = 5  # samples over which a single outlier is dropped


def refined(
    lines: list[Line], photograph: Photograph, widths: Numbers, tone: Tone
) -> tuple[list[Line], Samples, list[int]]:
    """``lines`` on the ridges of darkness, samples of them, and the ``begins`` of the samples that
    they had before.

    ``widths`` (S,): about how wide the crack is at each sample of the lines as they come.  All
    lines should be about as wide, as one length of profile serves all.
    """
    samples = sample_lines(lines)
    most = np.maximum(MOST_PX, MOST_WIDTHS * widths)
    moved = np.zeros(len(samples.points))
    offsets = offsets_for(reach_for(float(widths.max()), BLUR_PX))
    points = samples.points
    normals = across(points, samples)
    for _ in range(ROUNDS):
        shift = shifts(photograph, points, normals, widths, offsets, samples, tone)
        shift = (moved + shift).clip(-most, most) - moved
        shift *= free(samples)
        moved = moved + shift
        points = points + shift[:, None] * normals
        normals = across(points, samples)
    lines = [
        moved_line(line, points[begin:end], samples.points[begin:end])
        for line, begin, end in zip(lines, samples.begins, samples.begins[1:], strict=False)
    ]
    return lines, sample_lines(lines), samples.begins


def shifts(
    photograph: Photograph,
    points: Numbers,
    normals: Numbers,
    widths: Numbers,
    offsets: Numbers,
    samples: Samples,
    tone: Tone,
) -> Numbers:
    """How far (S,) each point has to move along its normal, smoothed along the line."""
    profiles = read_profiles(photograph, points, normals, offsets, COARSE)
    values = along(profiles.mixed(tone.share), samples.begins, 1.0)
    dark = darkness(values, offsets, widths, BLUR_PX, samples.begins)
    inside = np.abs(offsets) <= (widths / 2 + WINDOW_PX)[:, None]
    core = np.where(inside, dark.values, 0)
    peak = core.max(axis=1)
    pull = (core - FLOOR * peak[:, None]).clip(min=0)
    total = pull.sum(axis=1)
    shift = pull @ offsets.astype(np.float32) / np.where(total > 0, total, 1)
    clear = profiles.seen & (peak > SEEN * dark.noise) & (total > 0)
    weight = np.where(clear, (peak / np.maximum(dark.noise, 1e-3)).clip(max=20) ** 2, 0)
    shift = shift.astype(np.float64)
    for begin, end in zip(samples.begins, samples.begins[1:], strict=False):
        shift[begin:end] = median_filter(shift[begin:end], SHORTER, mode="nearest")
    return along(shift, samples.begins, SMOOTH, weight.astype(np.float64))


def across(points: Numbers, samples: Samples) -> Numbers:
    """Unit normals (S, 2) of lines through points (S, 2), smoothed along the line; those of
    ``samples`` where a line has one point only."""
    begins = samples.begins
    smooth = along(points, begins, SMOOTH)
    normals = samples.normals.copy()
    for begin, end in zip(begins, begins[1:], strict=False):
        if end - begin > 2:
            dx, dy = np.gradient(smooth[begin:end], axis=0).T
            size = np.hypot(dx, dy)
            size[size == 0] = 1.0
            normals[begin:end] = np.column_stack([-dy, dx]) / size[:, None]
    return normals


def free(samples: Samples) -> Numbers:
    """1 where a point may move, down to 0 at the junctions."""
    factor = np.ones(len(samples.points))
    for begin, end in zip(samples.begins, samples.begins[1:], strict=False):
        for way in (samples.from_start[begin:end], samples.from_end[begin:end]):
            inner = way < 0
            if inner.any():
                factor[begin:end][inner] *= (1 + way[inner] / -way.min()).clip(0, 1)
    return factor


def moved_line(line: Line, points: Numbers, before: Numbers) -> Line:
    """The line through points (N, 2) that were at ``before``; its free ends move with the
    nearest of them, its junctions stay."""
    first, last = line.points[0], line.points[-1]
    if line.start_px == 0:
        first = first + points[0] - before[0]
    if line.end_px == 0:
        last = last + points[-1] - before[-1]
    return replace(line, points=np.concatenate([[first], points, [last]]))
