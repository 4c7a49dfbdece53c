"""Batches: cracks whose profiles fit in memory together, refined and read from the photograph.

Cracks whose profiles are about as long go together.  A crack that is longer than a batch, as one
that spans the raster may be, is cut into stretches of its lines, which are refined one by one and
joined again by `whole`: so memory does not follow the crack.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from crackcli.arrays import Float64, Int64
from crackcli.cracks.centreline import Line
from crackcli.cracks.crack import Crack
from crackcli.cracks.widths import Samples, sample_lines
from crackcli.measuring import photometric_width as photometry
from crackcli.measuring.contrast import offsets_for, reach_for
from crackcli.measuring.photometric_width import Found, Optics
from crackcli.measuring.profiles import GreyProfiles, GreyReader
from crackcli.measuring.ridge import Refined, moved_line, refined

MOST_PX = 120.0  # wider than this by its mask, a crack has no profiles
ROOM_PX = 4.0  # a crack may be so much wider than its mask
REACH_STEP_PX = 8.0  # cracks whose profiles are about as long are measured together
BATCH = 3_000_000  # values of the profiles of a batch
FAR_PX = 1e9  # of a cut: from any end
CUT_PX = 1e-6  # points that are nearer to a cut are the cut

NOTHING = GreyProfiles(
    np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32), np.zeros(0, bool)
)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some cracks by their ``numbers``, refined: of all lines, crack after crack.

    ``owner`` (S,) is the place in ``numbers`` of each sample's crack, ``guess`` (S,) its width by
    the mask.  A crack too long for one batch has several; ``goes_on`` tells of all but its last.
    """

    numbers: list[int]
    refined: Refined
    owner: Int64
    guess: Float64
    goes_on: bool = False

    def measure(self, optics: Optics) -> Found:
        """The widths of all samples."""
        refined = self.refined
        line_offsets = refined.samples.line_offsets
        found = photometry.measure(
            refined.profiles, refined.offsets, line_offsets, self.owner, self.guess, optics
        )
        return replace(found, width=found.width * refined.slant)

    def measured(self) -> "Batch":
        """Without its profiles, which are the most of it: none are needed once it is measured."""
        return replace(self, refined=replace(self.refined, profiles=NOTHING))


def read(
    numbers: Iterable[int], cracks: Sequence[Crack], photograph: GreyReader, optics: Optics
) -> Iterator[Batch]:
    """Cracks in batches, their lines refined and their profiles read."""
    groups: dict[int, list[int]] = {}
    for number in numbers:
        width = breadth(cracks[number])
        if width <= MOST_PX:
            reach = reach_for(width + ROOM_PX, optics.blur.px + optics.blur.sigma)
            groups.setdefault(math.ceil(reach / REACH_STEP_PX), []).append(number)
    for step, members in sorted(groups.items()):
        offsets = offsets_for(step * REACH_STEP_PX)
        most = BATCH // len(offsets)
        waiting: list[int] = []
        count = 0.0
        for number in members:
            length = cracks[number].length_px
            if length > most:
                yield from read_long(number, cracks[number], photograph, optics, offsets)
                continue
            if waiting and count + length > most:
                yield read_batch(waiting, cracks, photograph, optics, offsets)
                waiting, count = [], 0.0
            waiting.append(number)
            count += length
        if waiting:
            yield read_batch(waiting, cracks, photograph, optics, offsets)


def read_batch(
    numbers: list[int],
    cracks: Sequence[Crack],
    photograph: GreyReader,
    optics: Optics,
    offsets: Float64,
) -> Batch:
    lines, guesses, counts = [], [], []
    for number in numbers:
        guess = guess_of(cracks[number])
        lines += cracks[number].lines
        guesses.append(guess)
        counts.append(len(guess))
    guess = np.concatenate(guesses)
    owner = np.repeat(np.arange(len(numbers)), counts)
    return Batch(numbers, across(lines, photograph, guess, optics, offsets), owner, guess)


def read_long(
    number: int, crack: Crack, photograph: GreyReader, optics: Optics, offsets: Float64
) -> Iterator[Batch]:
    """A crack in batches of stretches of its lines."""
    most = BATCH // len(offsets)
    guess = guess_of(crack)
    stretches = [part for line in crack.lines for part in cut(line, most)]
    line_offsets = np.cumsum([0, *(max(1, round(part.length)) for part in stretches)])
    first = 0
    while first < len(stretches):
        last = max(
            first + 1, int(np.searchsorted(line_offsets, line_offsets[first] + most, "right")) - 1
        )
        own = guess[line_offsets[first] : line_offsets[last]]
        yield Batch(
            [number],
            across(stretches[first:last], photograph, own, optics, offsets),
            np.zeros(len(own), np.int64),
            own,
            goes_on=last < len(stretches),
        )
        first = last


def cut(line: Line, most: int) -> list[Line]:
    """A line in stretches of at most ``most`` samples, with the samples that the whole has.  Where
    it is cut there is neither a junction nor a free end."""
    count = max(1, round(line.length))
    arc = line.arc
    limits = [*range(0, count, most), count]
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


def across(
    lines: Sequence[Line],
    photograph: GreyReader,
    guess: Float64,
    optics: Optics,
    offsets: Float64,
) -> Refined:
    """Lines refined on the photograph, with profiles across them."""
    rest = reach_for(ROOM_PX, optics.blur.px + optics.blur.sigma)
    widest = 2 * max(0.0, float(offsets[-1]) - rest)  # of all that may have such profiles
    return refined(lines, photograph, guess, offsets, optics.tone, widest)


def breadth(crack: Crack) -> float:
    """How wide a crack is by its mask, but for short wide places."""
    return max(crack.widths.mean_px, crack.widths.p95_px)


def guess_of(crack: Crack) -> Float64:
    """About how wide a crack is at each sample of its lines, by its mask."""
    profile = crack.widths.profile
    assert profile is not None
    known = np.isfinite(profile.width_px)
    if not known.any():
        return np.full(len(profile.width_px), crack.widths.mean_px)
    at = np.arange(len(known))
    return np.interp(at, at[known], profile.width_px[known]).clip(1.0, breadth(crack))


def whole(lines: Sequence[Line], parts: Sequence[Samples]) -> tuple[list[Line], Samples]:
    """The lines of a crack that was cut, refined, and their samples."""
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
