"""Batches of cracks whose profiles fit in memory together.

Cracks with profiles of about the same length are combined. A crack longer than a batch, as one that
spans the raster may be, is cut into stretches of its lines. These are refined one by one and joined
by `join_stretches`, so memory does not follow the crack.

Notation: S samples of the lines of a batch.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

import crackcli.measuring.photometric_width as photometry
from crackcli.arrays import Float64, Int64
from crackcli.cracks.centreline import Line
from crackcli.cracks.crack import Crack
from crackcli.cracks.widths import Samples, sample_lines
from crackcli.measuring.contrast import profile_offsets, profile_reach
from crackcli.measuring.full_contrast import Optics
from crackcli.measuring.photometric_width import PhotometricWidths
from crackcli.measuring.profiles import GreyProfiles, GreyReader
from crackcli.measuring.ridge import RefinedLines, moved_line, refine

MAX_WIDTH_PX = 120.0  # a crack wider than this on its mask has no profiles
WIDENING_PX = 4.0  # a crack may be wider than its mask by this
REACH_STEP_PX = 8.0  # cracks whose profiles have the same length in these steps form a batch
BATCH_VALUES = 3_000_000  # values of the profiles of a batch, at most
FAR_PX = 1e9  # distance of a cut from junctions and ends
CUT_PX = 1e-6  # points nearer to a cut are dropped, as the cut replaces them

NO_PROFILES = GreyProfiles(
    np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32), np.zeros(0, bool)
)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some cracks, given by ``indices``, with their lines refined, crack after crack.

    ``labels`` (S,) is the position in ``indices`` of each sample's crack; ``initial_widths`` (S,)
    are widths on the mask. A crack too long for one batch has several; ``continues`` is True for
    all but its last.
    """

    indices: list[int]
    refined: RefinedLines
    labels: Int64
    initial_widths: Float64
    continues: bool = False

    def measure(self, optics: Optics) -> PhotometricWidths:
        """Return the photometric widths of all samples."""
        refined = self.refined
        line_offsets = refined.samples.line_offsets
        found = photometry.measure(
            refined.profiles,
            refined.offsets,
            line_offsets,
            self.labels,
            self.initial_widths,
            optics,
        )
        return replace(found, width=found.width * refined.slant)

    def without_profiles(self) -> "Batch":
        """Return the batch without its profiles, which need most of its memory."""
        return replace(self, refined=replace(self.refined, profiles=NO_PROFILES))


def read_batches(
    indices: Iterable[int], cracks: Sequence[Crack], photograph: GreyReader, optics: Optics
) -> Iterator[Batch]:
    """Yield batches of cracks, with their lines refined and their profiles read."""
    groups: dict[int, list[int]] = {}
    for index in indices:
        width = mask_width(cracks[index])
        if width <= MAX_WIDTH_PX:
            reach = profile_reach(width + WIDENING_PX, optics.blur.px + optics.blur.sigma)
            groups.setdefault(math.ceil(reach / REACH_STEP_PX), []).append(index)
    for step, members in sorted(groups.items()):
        offsets = profile_offsets(step * REACH_STEP_PX)
        max_samples = BATCH_VALUES // len(offsets)
        waiting: list[int] = []
        count = 0.0
        for index in members:
            length = cracks[index].length_px
            if length > max_samples:
                yield from read_long(index, cracks[index], photograph, optics, offsets)
                continue
            if waiting and count + length > max_samples:
                yield read_batch(waiting, cracks, photograph, optics, offsets)
                waiting, count = [], 0.0
            waiting.append(index)
            count += length
        if waiting:
            yield read_batch(waiting, cracks, photograph, optics, offsets)


def read_batch(
    indices: list[int],
    cracks: Sequence[Crack],
    photograph: GreyReader,
    optics: Optics,
    offsets: Float64,
) -> Batch:
    """Return whole cracks as one batch."""
    lines: list[Line] = []
    all_initial, counts = [], []
    for index in indices:
        initial_widths = initial_widths_of(cracks[index])
        lines += cracks[index].lines
        all_initial.append(initial_widths)
        counts.append(len(initial_widths))
    initial_widths = np.concatenate(all_initial)
    labels = np.repeat(np.arange(len(indices)), counts)
    refined = refine_lines(lines, photograph, initial_widths, optics, offsets)
    return Batch(indices, refined, labels, initial_widths)


def read_long(
    index: int, crack: Crack, photograph: GreyReader, optics: Optics, offsets: Float64
) -> Iterator[Batch]:
    """Yield a crack in batches of stretches of its lines."""
    max_samples = BATCH_VALUES // len(offsets)
    initial_widths = initial_widths_of(crack)
    stretches = [part for line in crack.lines for part in cut_line(line, max_samples)]
    line_offsets = np.cumsum([0, *(max(1, round(part.length)) for part in stretches)])
    first = 0
    while first < len(stretches):
        end = line_offsets[first] + max_samples
        last = max(first + 1, int(np.searchsorted(line_offsets, end, "right")) - 1)
        own = initial_widths[line_offsets[first] : line_offsets[last]]
        yield Batch(
            [index],
            refine_lines(stretches[first:last], photograph, own, optics, offsets),
            np.zeros(len(own), np.int64),
            own,
            continues=last < len(stretches),
        )
        first = last


def cut_line(line: Line, max_samples: int) -> list[Line]:
    """Return a line in stretches of at most ``max_samples``, with the samples of the whole line.

    A cut is neither a junction nor a free end.
    """
    count = max(1, round(line.length))
    arc = line.arc
    limits = [*range(0, count, max_samples), count]
    parts = []
    for begin, end in pairwise(limits):
        low, high = (at * line.length / count for at in (begin, end))
        inner = line.points[(arc > low + CUT_PX) & (arc < high - CUT_PX)]
        ends = [
            [np.interp(at, arc, line.points[:, 0]), np.interp(at, arc, line.points[:, 1])]
            for at in (low, high)
        ]
        parts.append(
            Line(
                line.start,
                line.end,
                np.concatenate([ends[:1], inner, ends[1:]]),
                line.start_px if begin == 0 else -FAR_PX,
                line.end_px if end == count else -FAR_PX,
            )
        )
    return parts


def refine_lines(
    lines: Sequence[Line],
    photograph: GreyReader,
    initial_widths: Float64,
    optics: Optics,
    offsets: Float64,
) -> RefinedLines:
    """Return lines refined on the photograph, with profiles across them."""
    rest = profile_reach(WIDENING_PX, optics.blur.px + optics.blur.sigma)
    widest = 2 * max(0.0, float(offsets[-1]) - rest)  # width of a crack with such profiles
    return refine(lines, photograph, initial_widths, offsets, optics.tone, widest)


def mask_width(crack: Crack) -> float:
    """Return the width of a crack on its mask, without short wide places."""
    return max(crack.widths.mean_px, crack.widths.p95_px)


def initial_widths_of(crack: Crack) -> Float64:
    """Return the width on the mask at each sample of a crack's lines, gaps interpolated."""
    profile = crack.widths.profile
    assert profile is not None
    known = np.isfinite(profile.width_px)
    if not known.any():
        return np.full(len(profile.width_px), crack.widths.mean_px)
    at = np.arange(len(known))
    return np.interp(at, at[known], profile.width_px[known]).clip(1.0, mask_width(crack))


def join_stretches(lines: Sequence[Line], parts: Sequence[Samples]) -> tuple[list[Line], Samples]:
    """Return the refined lines of a crack that was cut, and their samples."""
    before = sample_lines(lines)
    points, normals, steps = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("points", "normals", "steps")
    )
    moved = [
        moved_line(line, points[begin:end], before.points[begin:end])
        for line, (begin, end) in zip(lines, pairwise(before.line_offsets), strict=True)
    ]
    return moved, replace(before, points=points, normals=normals, steps=steps)
