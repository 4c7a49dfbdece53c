"""The optics of a scene: what some of its cracks, the widest and others, tell of the photograph.

How blurred it is and how its pixels mix (`crackcli.measuring.edges`; where no crack is so wide that
its edges tell the blur, `crackcli.measuring.profile_shapes`), how dark its cracks are where they
are wide, and how far noise beside them goes on.  Each depends on the others, and all on the widths:
they are found in a few rounds."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crackcli.arrays import Float64
from crackcli.cracks.crack import Crack
from crackcli.measuring import photometric_width as photometry
from crackcli.measuring.batches import MOST_PX, Batch, breadth, read
from crackcli.measuring.contrast import Darkness, along, darkness, integral
from crackcli.measuring.edges import (
    Blur,
    blur_of,
    core_of,
    mean_within,
    tails_of,
    tone_of,
    weighted_median,
)
from crackcli.measuring.photometric_width import Found, Optics, usual_contrast
from crackcli.measuring.profile_shapes import BLURS, against, stretches, with_shapes
from crackcli.measuring.profiles import GreyReader
from crackcli.measuring.tone import Tone

TOLD_FROM = 8_000  # samples of the widest cracks, and as many of others, tell the optics
ROUNDS = 4  # of blur and tone
ALIKE = 4  # cracks: what is usual about how much they differ counts like so many
LAGS = 20  # samples over which noise may go on along a line


def find_optics(
    cracks: Sequence[Crack], photograph: GreyReader, known: Tone | None = None
) -> Optics:
    """What the cracks' own edges, depths and surroundings tell of the photograph."""
    chosen = some_of(cracks)
    optics = Optics()
    batches, samples = [], 0
    for batch in read(chosen, cracks, photograph, optics):
        batches.append(batch)
        samples += len(batch.owner)
        if samples > 3 * TOLD_FROM:  # as of a crack that is longer than all
            break
    blurs = [optics.blur, optics.blur]  # of encoded values, and of linear light
    for _ in range(ROUNDS):  # each time with the blur and the tone of the one before
        found = [batch.measure(optics) for batch in batches]
        rows = [edge_tails(batches, found, share, blurs[share].px) for share in (0, 1)]
        blurs = [blur_of(part) or blur for part, blur in zip(rows, blurs, strict=True)]
        tone = known or tone_of(*rows)
        side = round(tone.share)
        blur = blurs[side]
        if blur_of(rows[side]) is None:
            by_depth = narrow_blur(batches, found, tone, optics.blur)
            blur = with_shapes(by_depth, *told_by_shapes(batches, found, tone, optics))
        usual = usual_contrast(tone.share)
        optics = Optics(blur, tone, *usual, *optics_noise(batches, found, tone, blur))
    depths, lengths = [], []
    for batch in batches:
        depths.append(batch.measure(optics).depth)
        lengths.append(np.bincount(batch.owner, minlength=len(batch.numbers)))
    depth = np.concatenate([*depths, np.zeros(0)])
    own = np.isfinite(depth)
    return with_depths(optics, depth[own], np.concatenate([*lengths, np.zeros(0)])[own])


def with_depths(optics: Optics, depths: Float64, weights: Float64) -> Optics:
    """The optics with the depth of cracks as it is in the scene, as far as ``depths`` (N,) tell."""
    if len(depths) == 0:
        return optics
    middle, _ = weighted_median(depths, np.minimum(weights, 200.0))
    seen = 1.4826 * float(np.median(np.abs(depths - middle)))
    usual = photometry.usual_spread(optics.tone.share)
    # A few cracks tell little of how much all differ: what is usual counts as much as so many.
    others = len(depths) - 1
    spread = math.sqrt((others * seen**2 + ALIKE * usual**2) / (others + ALIKE))
    prior, own = optics.depth_sigma**2, spread**2 / len(depths)
    trust = prior / (prior + own)
    depth = trust * middle + (1 - trust) * optics.depth
    return replace(optics, depth=depth, depth_sigma=math.hypot(spread, math.sqrt(trust * own)))


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


def dark_of(batch: Batch, found: Found, share: float, blur_px: float) -> tuple[Darkness, Float64]:
    """The darkness of a batch at a share of linear light, and about how wide its cracks are."""
    line_offsets = batch.refined.samples.line_offsets
    about = np.where(np.isfinite(found.width), found.width, batch.guess)
    values = along(batch.refined.profiles.mixed(share), line_offsets, photometry.ALONG)
    return darkness(values, batch.refined.offsets, about, blur_px, line_offsets), about


def edge_tails(
    batches: Sequence[Batch], found: Sequence[Found], share: float, blur_px: float
) -> Float64:
    """The rows of `crackcli.measuring.edges.tails_of` of all batches."""
    rows = [np.zeros((0, 3))]
    for batch, one in zip(batches, found, strict=True):
        dark, about = dark_of(batch, one, share, blur_px)
        rows.append(tails_of(dark, about, batch.refined.samples.line_offsets, blur_px))
    return np.concatenate(rows)


def optics_noise(
    batches: Sequence[Batch], found: Sequence[Found], tone: Tone, blur: Blur
) -> tuple[float, float]:
    """Over how many px across and samples along noise beside the cracks is one number."""
    across, onward = [], []
    for batch, one in zip(batches, found, strict=True):
        dark, _ = dark_of(batch, one, tone.share, blur.px)
        across.append(photometry.across_px(dark))
        onward.append(photometry.along_samples(dark, batch.refined.samples.line_offsets, LAGS))
    weights = [len(batch.owner) for batch in batches]
    if not weights:
        return 1.0, 5.3
    return float(np.average(across, weights=weights)), float(np.average(onward, weights=weights))


def told_by_shapes(
    batches: Sequence[Batch], found: Sequence[Found], tone: Tone, optics: Optics
) -> tuple[Float64, int]:
    """What the shapes of profiles say against each of `crackcli.measuring.profile_shapes.BLURS`,
    and how many stretches of lines say it."""
    told, count = np.zeros(len(BLURS)), 0
    for batch, one in zip(batches, found, strict=True):
        dark, about = dark_of(batch, one, tone.share, optics.blur.px)
        core = core_of(np.zeros(len(about)), optics.blur.px)
        peak = mean_within(dark.values, core)
        clear = np.isfinite(one.width) & (peak > 2 * photometry.SEEN * dark.noise)
        means, counted, noises = stretches(
            dark, about, clear, batch.refined.samples.line_offsets, optics.blur.px, optics.along
        )
        told += against(means, counted, noises, optics.across_px)
        count += len(means)
    return told, count


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
    return photometry.narrow_blur(area, peak, core, *usual_contrast(tone.share)) or Blur()
