"""Optics of a scene: blur, tone curve, contrast and noise, estimated from some of its cracks.

The cracks are the widest ones and some others. Blur and tone curve come from their edges
(`crackcli.measuring.edges`); where no crack is wide enough, the blur comes from the shape of
profiles (`crackcli.measuring.profile_shapes`). Contrast is that of the cracks where they are wide,
and the correlation lengths of noise are those beside them. Each depends on the others, and all on
the widths, so they are estimated in a few iterations.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import crackcli.measuring.photometric_width as photometry
from crackcli.arrays import Float64
from crackcli.cracks.crack import Crack
from crackcli.measuring.batches import MAX_WIDTH_PX, Batch, mask_width, read_batches
from crackcli.measuring.contrast import (
    STEP_PX,
    ContrastProfiles,
    contrast_profiles,
    integral,
    smooth_along,
)
from crackcli.measuring.edges import (
    BLUR_RANGE,
    Blur,
    blur_from_tails,
    core_half_width,
    core_response,
    mean_within,
    stretch_tails,
    tone_from_tails,
    weighted_median,
)
from crackcli.measuring.full_contrast import (
    MIN_SAMPLES,
    Optics,
    typical_contrast,
    typical_spread,
)
from crackcli.measuring.photometric_width import PhotometricWidths
from crackcli.measuring.profile_shapes import BLURS, combine_with_shapes, mean_stretches, misfit
from crackcli.measuring.profiles import GreyReader
from crackcli.measuring.tone import ToneCurve

SAMPLES = 8_000  # of the widest cracks, and as many of others, from which optics are estimated
ROUNDS = 4  # iterations of blur and tone curve
PRIOR_CRACKS = 4  # weight, in cracks, of the typical spread of contrasts
NARROW_BLURS = 4.0  # blurs; the contrast of a crack up to that width depends on the blur
MAX_LAG_PX = 3.0  # longest correlation of noise across a line
MIN_CORRELATION = 0.05  # smaller ones end the sum over lags
LAGS = 20  # samples; longest correlation of noise along a line


def find_optics(
    cracks: Sequence[Crack], photograph: GreyReader, known: ToneCurve | None = None
) -> Optics:
    """Return the optics of a photograph from its cracks' edges, contrasts and surroundings.

    ``known`` is the tone curve if it was given.
    """
    chosen = select_cracks(cracks)
    optics = Optics()
    batches, samples = [], 0
    for batch in read_batches(chosen, cracks, photograph, optics):
        batches.append(batch)
        samples += len(batch.labels)
        if samples > 3 * SAMPLES:  # one very long crack
            break
    blurs = [optics.blur, optics.blur]  # in encoded values, and in linear light
    for _ in range(ROUNDS):  # each with the blur and the tone curve of the one before
        found = [batch.measure(optics) for batch in batches]
        rows = [edge_tails(batches, found, kind, blurs[kind].px) for kind in (0, 1)]
        blurs = [blur_from_tails(part) or blur for part, blur in zip(rows, blurs, strict=True)]
        tone = known or tone_from_tails(*rows)
        side = round(tone.linear_fraction)
        blur = blurs[side]
        if blur_from_tails(rows[side]) is None:
            by_contrast = narrow_blur(batches, found, tone, optics.blur)
            blur = combine_with_shapes(by_contrast, *shape_misfit(batches, found, tone, optics))
        usual = typical_contrast(tone.linear_fraction)
        optics = Optics(blur, tone, *usual, *noise_lengths(batches, found, tone, blur))
    full_contrasts, lengths = [], []
    for batch in batches:
        full_contrasts.append(batch.measure(optics).full_contrast)
        lengths.append(np.bincount(batch.labels, minlength=len(batch.indices)))
    full_contrast = np.concatenate([*full_contrasts, np.zeros(0)])
    lengths_px = np.concatenate([*lengths, np.zeros(0)])
    wide = np.isfinite(full_contrast)
    return with_contrasts(optics, full_contrast[wide], lengths_px[wide])


def with_contrasts(optics: Optics, full_contrasts: Float64, weights: Float64) -> Optics:
    """Return the optics with the contrast of the scene's cracks.

    ``full_contrasts`` and ``weights`` (N,) are those of cracks with a contrast of their own. The
    typical contrast is the prior; the spread is combined from that of the N cracks and the typical
    one, which counts like `PRIOR_CRACKS` cracks.
    """
    if len(full_contrasts) == 0:
        return optics
    middle, _ = weighted_median(full_contrasts, np.minimum(weights, 200.0))
    scatter = 1.4826 * float(np.median(np.abs(full_contrasts - middle)))
    usual = typical_spread(optics.tone.linear_fraction)
    others = len(full_contrasts) - 1
    spread = math.sqrt((others * scatter**2 + PRIOR_CRACKS * usual**2) / (others + PRIOR_CRACKS))
    prior, sampling = optics.full_contrast_sigma**2, spread**2 / len(full_contrasts)
    trust = prior / (prior + sampling)
    full_contrast = trust * middle + (1 - trust) * optics.full_contrast
    return replace(
        optics,
        full_contrast=full_contrast,
        full_contrast_sigma=math.hypot(spread, math.sqrt(trust * sampling)),
    )


def select_cracks(cracks: Sequence[Crack]) -> list[int]:
    """Return the indices of the widest cracks and of others, evenly chosen, in order."""
    by_width = sorted(range(len(cracks)), key=lambda index: -mask_width(cracks[index]))
    by_width = [index for index in by_width if mask_width(cracks[index]) <= MAX_WIDTH_PX / 2]
    chosen: list[int] = []
    total = 0.0
    while by_width and total < SAMPLES:
        total += cracks[by_width[0]].length_px
        chosen.append(by_width.pop(0))
    rest = sum(cracks[index].length_px for index in by_width)
    stride = max(1, math.ceil(rest / SAMPLES))
    return sorted(chosen + sorted(by_width)[::stride])


def batch_contrast(
    batch: Batch, found: PhotometricWidths, linear_fraction: float, blur_px: float
) -> tuple[ContrastProfiles, Float64]:
    """Return the contrast of a batch at a linear fraction, and the approximate widths (S,)."""
    line_offsets = batch.refined.samples.line_offsets
    approx_widths = np.where(np.isfinite(found.width), found.width, batch.initial_widths)
    values = smooth_along(
        batch.refined.profiles.blended(linear_fraction), line_offsets, photometry.SMOOTHING_SAMPLES
    )
    return contrast_profiles(
        values, batch.refined.offsets, approx_widths, blur_px, line_offsets
    ), approx_widths


def edge_tails(
    batches: Sequence[Batch],
    found: Sequence[PhotometricWidths],
    linear_fraction: float,
    blur_px: float,
) -> Float64:
    """Return the rows of `crackcli.measuring.edges.stretch_tails` of all batches."""
    rows = [np.zeros((0, 3))]
    for batch, one in zip(batches, found, strict=True):
        contrast, approx_widths = batch_contrast(batch, one, linear_fraction, blur_px)
        rows.append(
            stretch_tails(contrast, approx_widths, batch.refined.samples.line_offsets, blur_px)
        )
    return np.concatenate(rows)


def noise_lengths(
    batches: Sequence[Batch], found: Sequence[PhotometricWidths], tone: ToneCurve, blur: Blur
) -> tuple[float, float]:
    """Return over how many px across and samples along noise beside the cracks is correlated."""
    across, onward = [], []
    for batch, one in zip(batches, found, strict=True):
        contrast, _ = batch_contrast(batch, one, tone.linear_fraction, blur.px)
        across.append(noise_length_px(contrast))
        onward.append(noise_length_samples(contrast, batch.refined.samples.line_offsets, LAGS))
    weights = [len(batch.labels) for batch in batches]
    if not weights:
        return Optics.noise_px, Optics.noise_samples
    return float(np.average(across, weights=weights)), float(np.average(onward, weights=weights))


def shape_misfit(
    batches: Sequence[Batch], found: Sequence[PhotometricWidths], tone: ToneCurve, optics: Optics
) -> tuple[Float64, int]:
    """Return the misfit of each of `crackcli.measuring.profile_shapes.BLURS`.

    Also return the number of stretches of lines that it is from.
    """
    total, count = np.zeros(len(BLURS)), 0
    for batch, one in zip(batches, found, strict=True):
        contrast, approx_widths = batch_contrast(batch, one, tone.linear_fraction, optics.blur.px)
        core = core_half_width(np.zeros(len(approx_widths)), optics.blur.px)
        peak = mean_within(contrast.values, core)
        clear = np.isfinite(one.width) & (peak > 2 * photometry.MIN_SNR * contrast.noise)
        means, counted, noises = mean_stretches(
            contrast,
            approx_widths,
            clear,
            batch.refined.samples.line_offsets,
            optics.blur.px,
            optics.noise_samples,
        )
        total += misfit(means, counted, noises, optics.noise_px)
        count += len(means)
    return total, count


def narrow_blur(
    batches: Sequence[Batch], found: Sequence[PhotometricWidths], tone: ToneCurve, blur: Blur
) -> Blur:
    """Return the blur from narrow cracks, or the typical one if there are too few."""
    areas, peaks = [], []
    core = float(core_half_width(np.zeros(1), blur.px)[0])
    for batch, one in zip(batches, found, strict=True):
        contrast, approx_widths = batch_contrast(batch, one, tone.linear_fraction, blur.px)
        peak = mean_within(contrast.values, np.full(len(approx_widths), core))
        clear = np.isfinite(one.width) & (peak > 2 * photometry.MIN_SNR * contrast.noise)
        areas.append(
            integral(contrast.values, approx_widths / 2 + photometry.TAIL_BLURS * blur.px)[clear]
        )
        peaks.append(peak[clear])
    area, peak = (np.concatenate([*part, np.zeros(0)]) for part in (areas, peaks))
    return blur_from_narrow(area, peak, core, *typical_contrast(tone.linear_fraction)) or Blur()


def blur_from_narrow(
    area: Float64, peak: Float64, core_px: float, full_contrast: float, full_contrast_sigma: float
) -> Blur | None:
    """Return the blur from profiles (S,) of narrow cracks, None if there are too few.

    A narrow crack has the shape of the blur, so its area over its middle contrast is about sqrt(2
    pi) b; the width by area, with the typical contrast, corrects this. The uncertainty is from the
    uncertainty of the contrast, and at least 15 %.
    """
    blurs = blurs_of_profiles(area, peak, core_px, full_contrast)
    narrow = area / full_contrast < NARROW_BLURS * blurs
    narrow &= (blurs > BLUR_RANGE[0]) & (blurs < BLUR_RANGE[1])
    if narrow.sum() < 5 * MIN_SAMPLES:
        return None
    area, peak = area[narrow], peak[narrow]
    pale = blurs_of_profiles(area, peak, core_px, full_contrast - full_contrast_sigma)
    dark = blurs_of_profiles(area, peak, core_px, full_contrast + full_contrast_sigma)
    middle, low, high = (float(np.median(each)) for each in (blurs[narrow], pale, dark))
    spread = 1.4826 * float(np.median(np.abs(dark - high)))
    return Blur(middle, max(0.15 * middle, spread, abs(high - low) / 2))


def blurs_of_profiles(area: Float64, peak: Float64, core_px: float, contrast: float) -> Float64:
    """Return the blur (S,) in px at which each profile has its middle contrast ``peak`` (S,)."""
    width = area / contrast
    core = np.full(len(width), core_px)
    blur = area / (peak * math.sqrt(2 * math.pi))
    for _ in range(6):  # the larger the blur, the less dark the middle
        ratio = core_response(width, core, blur) * contrast / peak
        blur = (blur * ratio.clip(0.7, 1.4)).clip(*BLUR_RANGE)
    return np.asarray(blur, np.float64)


def noise_length_px(contrast: ContrastProfiles) -> float:
    """Return over how many px across the crack noise is correlated, at least 1.

    It is the step times 1 + 2 sum of the autocorrelation over lags.
    """
    near = contrast.residuals.reshape(-1, contrast.residuals.shape[2])
    near = near - near.mean(axis=1, keepdims=True)
    most = 3 * np.abs(near).mean(axis=1, keepdims=True)
    near = near.clip(-most, most)
    variance = float((near**2).mean())
    total = 1.0
    for lag in range(1, round(MAX_LAG_PX / STEP_PX) + 1):
        correlation = float((near[:, lag:] * near[:, :-lag]).mean()) / max(variance, 1e-12)
        if correlation < MIN_CORRELATION:
            break
        total += 2 * correlation
    return max(1.0, STEP_PX * total)


def noise_length_samples(contrast: ContrastProfiles, line_offsets: list[int], lags: int) -> float:
    """Return over how many samples along the line noise is correlated.

    It is at least the length over which `smooth_along` averages.
    """
    lane = contrast.residuals[:, :, contrast.residuals.shape[2] // 4].astype(np.float64)
    least = 2 * math.sqrt(math.pi) * photometry.SMOOTHING_SAMPLES
    line = np.repeat(np.arange(len(line_offsets) - 1), np.diff(line_offsets))
    lane = lane - np.median(lane, axis=0)
    most = 3 * np.abs(lane).mean(axis=0)
    lane = lane.clip(-most, most)
    variance = float((lane**2).mean())
    total = 1.0
    for lag in range(1, lags + 1):
        same = line[lag:] == line[:-lag]
        if not same.any():
            break
        correlation = float((lane[lag:][same] * lane[:-lag][same]).mean()) / max(variance, 1e-12)
        if correlation < MIN_CORRELATION:
            break
        total += 2 * correlation
    return max(least, total)
