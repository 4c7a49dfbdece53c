"""Cracks measured on their photograph: centrelines on ridges of darkness, photometric widths.

What was traced from a mask says where to look.  First the photograph tells of itself: from some of
the cracks, the widest and others, how blurred it is, how its pixels mix and how dark cracks are in
it (`crackcli.photometry.Optics`).  Then every crack is measured, in batches of cracks whose profiles
fit in memory together.  A crack whose photograph does not tell its width, for most of its length,
keeps the widths of its mask: area over length.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crackcli import photometry, widths
from crackcli.centerline import Centreline
from crackcli.cracks import Crack, Report
from crackcli.darkness import Darkness, along, darkness, integral, offsets_for, reach_for
from crackcli.optics import (
    Blur,
    blur_of,
    core_of,
    mean_within,
    tails_of,
    tone_of,
    weighted_median,
)
from crackcli.photometry import CLEAR_PX, Found, Optics, usual_depth
from crackcli.profiles import Photograph
from crackcli.ridge import Refined, refined
from crackcli.tone import Tone
from crackcli.widths import Measured

MOST_PX = 120.0  # wider than this by its mask, a crack has no profiles
ROOM_PX = 4.0  # a crack may be so much wider than its mask
REACH_STEP_PX = 8.0  # cracks whose profiles are about as long are measured together
BATCH = 3_000_000  # values of the profiles of a batch
TOLD_FROM = 8_000  # samples of the widest cracks, and as many of others, tell the optics
ROUNDS = 4  # of blur and tone
LAGS = 20  # samples over which noise may go on along a line

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some cracks by their ``numbers``, refined: of all lines, crack after crack.  ``owner`` (S,) is
    the place in ``numbers`` of each sample's crack, ``guess`` (S,) its width by the mask."""

    numbers: list[int]
    refined: Refined
    owner: NDArray[np.int64]
    guess: Numbers

    def measure(self, optics: Optics) -> Found:
        """The widths of all samples."""
        refined = self.refined
        begins = refined.samples.begins
        found = photometry.measure(
            refined.profiles, refined.offsets, begins, self.owner, self.guess, optics
        )
        return replace(found, width=found.width * refined.slant)


def measure_all(
    cracks: Sequence[Crack],
    photograph: Photograph,
    window_px: float = widths.WINDOW_PX,
    telling: Sequence[Crack] | None = None,
    report: Report = lambda share: None,
    tone: Tone | None = None,
) -> tuple[list[Crack], Optics]:
    """The cracks of one scene with centrelines and widths of ``photograph``, and its optics.

    ``window_px`` is the length of the running window of the largest width; ``telling`` are the
    cracks that tell the optics, else all do; ``tone`` is that of the photograph where it is known.
    """
    optics = find_optics(cracks if telling is None else telling, photograph, tone)
    done = list(cracks)
    seen = 0
    for batch in read(range(len(cracks)), cracks, photograph, optics):
        for number, crack in told(batch, cracks, batch.measure(optics), optics, window_px):
            done[number] = crack
        seen += len(batch.numbers)
        report(seen / len(cracks))
    return done, optics


def read(
    numbers: Iterable[int], cracks: Sequence[Crack], photograph: Photograph, optics: Optics
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
            if waiting and count + cracks[number].length_px > most:
                yield read_batch(waiting, cracks, photograph, optics, offsets)
                waiting, count = [], 0.0
            waiting.append(number)
            count += cracks[number].length_px
        yield read_batch(waiting, cracks, photograph, optics, offsets)


def read_batch(
    numbers: list[int],
    cracks: Sequence[Crack],
    photograph: Photograph,
    optics: Optics,
    offsets: Numbers,
) -> Batch:
    lines, guesses, counts = [], [], []
    for number in numbers:
        guess = guess_of(cracks[number])
        lines += cracks[number].lines
        guesses.append(guess)
        counts.append(len(guess))
    guess = np.concatenate(guesses)
    owner = np.repeat(np.arange(len(numbers)), counts)
    rest = reach_for(ROOM_PX, optics.blur.px + optics.blur.sigma)
    widest = 2 * max(0.0, float(offsets[-1]) - rest)  # of all that may be in such a batch
    return Batch(
        numbers, refined(lines, photograph, guess, offsets, optics.tone, widest), owner, guess
    )


def breadth(crack: Crack) -> float:
    """How wide a crack is by its mask, but for short wide places."""
    return max(crack.widths.mean_px, crack.widths.p95_px)


def guess_of(crack: Crack) -> Numbers:
    """About how wide a crack is at each sample of its lines, by its mask."""
    profile = crack.widths.profile
    assert profile is not None
    known = np.isfinite(profile.width_px)
    if not known.any():
        return np.full(len(profile.width_px), crack.widths.mean_px)
    at = np.arange(len(known))
    return np.interp(at, at[known], profile.width_px[known]).clip(1.0, breadth(crack))


def told(
    batch: Batch, cracks: Sequence[Crack], found: Found, optics: Optics, window_px: float
) -> Iterator[tuple[int, Crack]]:
    """The cracks of a batch by their numbers, as they are measured."""
    samples = batch.refined.samples
    ends = np.minimum(samples.from_start, samples.from_end)
    clear = ends >= CLEAR_PX + np.maximum(2 * optics.blur.px, batch.guess / 4)
    of_line = np.array([batch.owner[begin] for begin in samples.begins[:-1]])
    limits = np.searchsorted(of_line, np.arange(len(batch.numbers) + 1))
    for place, number in enumerate(batch.numbers):
        crack = cracks[number]
        assert crack.widths.profile is not None
        first, last = int(limits[place]), int(limits[place + 1])
        part = slice(samples.begins[first], samples.begins[last])
        own = samples.part(first, last)
        width = np.where(clear[part], found.width[part], np.nan)
        line = Centreline(batch.refined.lines[first:last], crack.junctions, crack.endpoints)
        across = widths.summarise_photometric(
            own,
            Measured(width, found.noise[part], found.common[part]),
            crack.widths.profile.width_px,
            crack.area_px,
            optics.along,
            window_px,
        )
        yield (
            number,
            replace(
                crack,
                centreline=[piece.points for piece in line.lines],
                lines=tuple(line.lines),
                length_px=line.length_px,
                main_length_px=line.main_path[0],
                tortuosity=line.tortuosity,
                orientation_deg=line.orientation_deg,
                widths=across,
            ),
        )


def find_optics(
    cracks: Sequence[Crack], photograph: Photograph, known: Tone | None = None
) -> Optics:
    """What the cracks' own edges, depths and surroundings tell of the photograph."""
    chosen = some_of(cracks)
    optics = Optics()
    batches = list(read(chosen, cracks, photograph, optics))
    blurs = [optics.blur, optics.blur]  # of encoded values, and of linear light
    for _ in range(ROUNDS):  # each time with the blur and the tone of the one before
        found = [batch.measure(optics) for batch in batches]
        rows = [edge_tails(batches, found, share, blurs[share].px) for share in (0, 1)]
        blurs = [blur_of(part) or blur for part, blur in zip(rows, blurs, strict=True)]
        tone = known or tone_of(*rows)
        side = round(tone.share)
        blur = blurs[side]
        if blur_of(rows[side]) is None:
            blur = narrow_blur(batches, found, tone, optics.blur)
        usual = usual_depth(tone.share)
        optics = Optics(blur, tone, *usual, *optics_noise(batches, found, tone, blur))
    depths, lengths = [], []
    for batch in batches:
        depths.append(batch.measure(optics).depth)
        lengths.append(np.bincount(batch.owner, minlength=len(batch.numbers)))
    depth = np.concatenate([*depths, np.zeros(0)])
    own = np.isfinite(depth)
    return with_depths(optics, depth[own], np.concatenate([*lengths, np.zeros(0)])[own])


def with_depths(optics: Optics, depths: Numbers, weights: Numbers) -> Optics:
    """The optics with the depth of cracks as it is in the scene, as far as ``depths`` (N,) tell."""
    if len(depths) == 0:
        return optics
    middle, _ = weighted_median(depths, np.minimum(weights, 200.0))
    spread = 1.4826 * float(np.median(np.abs(depths - middle))) if len(depths) > 2 else 0.0
    few = optics.depth_sigma / math.sqrt(len(depths))
    spread = math.hypot(max(spread, photometry.DEPTH_SPREAD * middle), few / 2)
    trust = optics.depth_sigma**2 / (optics.depth_sigma**2 + spread**2 / len(depths))
    depth = trust * middle + (1 - trust) * optics.depth
    return replace(optics, depth=depth, depth_sigma=min(spread, optics.depth_sigma))


def some_of(cracks: Sequence[Crack]) -> list[int]:
    """Numbers of the widest cracks and of others, evenly taken; in order."""
    by_width = sorted(range(len(cracks)), key=lambda number: -breadth(cracks[number]))
    by_width = [number for number in by_width if breadth(cracks[number]) <= MOST_PX / 2]
    chosen: list[int] = []
    total = 0.0
    while by_width and total < TOLD_FROM:
        total += cracks[by_width[0]].length_px
        chosen.append(by_width.pop(0))
    rest = sum(cracks[number].length_px for number in by_width)
    stride = max(1, math.ceil(rest / TOLD_FROM))
    return sorted(chosen + sorted(by_width)[::stride])


def dark_of(batch: Batch, found: Found, share: float, blur_px: float) -> tuple[Darkness, Numbers]:
    """The darkness of a batch at a share of linear light, and about how wide its cracks are."""
    begins = batch.refined.samples.begins
    about = np.where(np.isfinite(found.width), found.width, batch.guess)
    values = along(batch.refined.profiles.mixed(share), begins, photometry.ALONG)
    return darkness(values, batch.refined.offsets, about, blur_px, begins), about


def edge_tails(
    batches: Sequence[Batch], found: Sequence[Found], share: float, blur_px: float
) -> Numbers:
    """The rows of `crackcli.optics.tails_of` of all batches."""
    rows = [np.zeros((0, 3))]
    for batch, one in zip(batches, found, strict=True):
        dark, about = dark_of(batch, one, share, blur_px)
        rows.append(tails_of(dark, about, batch.refined.samples.begins, blur_px))
    return np.concatenate(rows)


def optics_noise(
    batches: Sequence[Batch], found: Sequence[Found], tone: Tone, blur: Blur
) -> tuple[float, float]:
    """Over how many px across, and how many samples along, noise beside the cracks is one number."""
    across, onward = [], []
    for batch, one in zip(batches, found, strict=True):
        dark, _ = dark_of(batch, one, tone.share, blur.px)
        across.append(photometry.across_px(dark))
        onward.append(photometry.along_samples(dark, batch.refined.samples.begins, LAGS))
    weights = [len(batch.owner) for batch in batches]
    if not weights:
        return 1.0, 5.3
    return float(np.average(across, weights=weights)), float(np.average(onward, weights=weights))


def narrow_blur(batches: Sequence[Batch], found: Sequence[Found], tone: Tone, blur: Blur) -> Blur:
    """The blur that thin cracks tell; the usual one where there are too few."""
    areas, peaks = [], []
    core = float(core_of(np.zeros(1), blur.px)[0])
    for batch, one in zip(batches, found, strict=True):
        dark, about = dark_of(batch, one, tone.share, blur.px)
        peak = mean_within(dark.values, np.full(len(about), core))
        clear = np.isfinite(one.width) & (peak > 2 * photometry.SEEN * dark.noise)
        areas.append(integral(dark.values, about / 2 + photometry.TAIL_BLURS * blur.px)[clear])
        peaks.append(peak[clear])
    area, peak = (np.concatenate([*part, np.zeros(0)]) for part in (areas, peaks))
    return photometry.narrow_blur(area, peak, core, usual_depth(tone.share)[0]) or Blur()
