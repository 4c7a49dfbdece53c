"""Full contrast K of cracks: the contrast that a crack has where it is wide compared with the blur.

At wide places K is the contrast in the middle over the response of a blurred bar
(`crackcli.measuring.edges.core_response`), with the width from the ratio of area to middle
contrast. K of a crack combines its wide places; a crack without
any gets the contrast of the scene's other cracks, or the typical one of photographs. Estimates are
combined by their variances.

Notation: S samples of the lines of C cracks; ``line_offsets`` the first sample of each line, and S;
``labels`` (S,) the crack of each sample, from 0.
"""

import math
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Bools, Float64, Int64
from crackcli.measuring.contrast import smooth_along
from crackcli.measuring.edges import Blur, core_response, group_medians
from crackcli.measuring.tone import ToneCurve

WIDE_BLURS, WIDE_PX = 3.0, 2.0  # a crack as wide as the larger shows its full contrast
SURE_BLURS, SURE_PX = 6.0, 6.0  # a pale place as wide as the larger is a pale crack
PALE = 0.75  # of the scene's contrast; a paler, narrower place is a hairline that winds
MAX_CONTRAST = 1.2  # of a wide place; more is an artefact
NEAR = 4.0  # samples: sigma of the average that decides if a crack is wide
LOCAL = 6.0  # samples: sigma of the average of the local contrast
CONTRAST_SPREAD = 0.04  # least relative variation of the contrast along a crack
MIN_SAMPLES = 8  # with a contrast, for a crack to have a contrast of its own
MIN_WIDTH_PX = 0.05

# Contrast of cracks in encoded values and in linear light: mean and deviation over photographs (two
# deviations contain nine of ten; the faint cracks make it large), and the deviation within one
# photograph. From benchmarks/width_photographs.py on 400 labelled training photographs: 0.19 to
# 0.22, and 0.07 and 0.05, by the number of cracks.
TYPICAL_CONTRASTS = (0.68, 0.22), (0.90, 0.22)
SPREAD_WITHIN_PHOTOGRAPH = 0.065, 0.055


@dataclass(frozen=True)
class Optics:
    """Optics of a photograph: blur, tone curve, contrast of its cracks, and correlation of noise.

    ``full_contrast`` and ``full_contrast_sigma`` are mean and deviation over cracks. Noise is
    correlated over ``noise_px`` px across and ``noise_samples`` samples along a crack.
    """

    blur: Blur = Blur()
    tone: ToneCurve = ToneCurve()
    full_contrast: float = TYPICAL_CONTRASTS[1][0]
    full_contrast_sigma: float = TYPICAL_CONTRASTS[1][1]
    noise_px: float = 1.0
    noise_samples: float = 5.3


@dataclass(frozen=True, eq=False)
class ProfileSums:
    """Contrast profiles of S samples, summed up; all (S,).

    ``area`` is the integral over the profile, ``peak`` the mean over the ``core`` (half its width,
    px) in the middle, ``approx_widths`` are in px, ``noise`` is that of one value, and ``clear`` is
    set where the profile shows a dark crack.
    """

    area: Float64
    peak: Float64
    core: Float64
    approx_widths: Float64
    noise: Float64
    clear: Bools


@dataclass(frozen=True, eq=False)
class ContrastsByShape:
    """Contrast of S samples by the shape of their profiles, valid where the crack is ``wide`` (S,).

    ``noise`` (S,) is the random uncertainty of ``value`` (S,), ``blur_shift`` (S,) its change with
    a blur that is off by one sigma; both are nan where the crack is not wide.
    """

    value: Float64
    noise: Float64
    blur_shift: Float64
    wide: Bools


@dataclass(frozen=True, eq=False)
class CrackContrasts:
    """Full contrast of C cracks; all (C,).

    ``sigma`` is the uncertainty of ``value``, 0 for a crack without a contrast of its own: there
    the ``spread`` of local contrasts around it includes it. ``variation`` is the deviation along
    the crack. ``measured`` is the contrast by wide samples alone, nan if there are too few.
    """

    value: Float64
    sigma: Float64
    spread: Float64
    variation: Float64
    measured: Float64


@dataclass(frozen=True, eq=False)
class FullContrasts:
    """Full contrast K at S samples: ``value``, uncertainty and variation along the crack (S,).

    ``of_crack`` (C,) is K of each crack, nan if it has no wide places.
    """

    value: Float64
    sigma: Float64
    variation: Float64
    of_crack: Float64


def typical_contrast(linear_fraction: float) -> tuple[float, float]:
    """Return mean and deviation of `TYPICAL_CONTRASTS` at a linear fraction."""
    encoded, light = np.array(TYPICAL_CONTRASTS)
    mean, deviation = linear_fraction * light + (1 - linear_fraction) * encoded
    return float(mean), float(deviation)


def typical_spread(linear_fraction: float) -> float:
    """Return the deviation of `SPREAD_WITHIN_PHOTOGRAPH` at a linear fraction."""
    encoded, light = SPREAD_WITHIN_PHOTOGRAPH
    return linear_fraction * light + (1 - linear_fraction) * encoded


def contrasts_by_shape(
    profile: ProfileSums, line_offsets: list[int], optics: Optics
) -> ContrastsByShape:
    """Return the contrast of each sample by the shape of its profile, where the crack is wide."""
    # Noise makes single profiles of a thin crack look wide and pale, so neighbours are averaged.
    trusted = profile.clear.astype(np.float64)
    area, peak = (
        smooth_along(part, line_offsets, NEAR, trusted) for part in (profile.area, profile.peak)
    )
    core, approx_widths, blur = profile.core, profile.approx_widths, optics.blur.px
    shape = shape_width(area, peak, core, approx_widths, blur)
    value = peak / core_response(shape, core, blur)
    wide = profile.clear & (shape >= max(WIDE_PX, WIDE_BLURS * blur)) & (value < MAX_CONTRAST)
    wide &= (value > PALE * optics.full_contrast) | (shape >= max(SURE_PX, SURE_BLURS * blur))
    wider = blur + optics.blur.sigma
    wide_core, wide_peak = core[wide], peak[wide]
    other = shape_width(area[wide], wide_peak, wide_core, approx_widths[wide], wider)
    noise, blur_shift = np.full((2, len(value)), np.nan)
    noise[wide] = profile.noise[wide] * np.sqrt(optics.noise_px / (2 * wide_core))
    blur_shift[wide] = wide_peak / core_response(other, wide_core, wider) - value[wide]
    return ContrastsByShape(value, noise, blur_shift, wide)


def shape_width(
    area: Float64, peak: Float64, core: Float64, approx_widths: Float64, blur_px: float
) -> Float64:
    """Return the width (S,) at which area and middle contrast are consistent, whatever K is.

    It solves w = area / peak * response(w) by iteration.
    """
    ratio = area / np.where(peak > 0, peak, 1)
    width = approx_widths
    for _ in range(8):
        width = (ratio * core_response(width, core, blur_px)).clip(
            MIN_WIDTH_PX, 2 * approx_widths + 2 * blur_px
        )
    return width


def estimate_contrasts(
    by_shape: ContrastsByShape,
    peak: Float64,
    line_offsets: list[int],
    labels: Int64,
    optics: Optics,
) -> FullContrasts:
    """Return the full contrast K at each sample, from that of the crack around it and of the scene.

    K is the local one where the crack is wide, that of the crack elsewhere, and that of the scene
    where the crack is narrow everywhere, each weighted by how well it is known. All samples of a
    crack share the error of the blur; it is not in the uncertainty, as `measure` adds its effect on
    the widths.
    """
    cracks = contrasts_of_cracks(by_shape, labels, optics)
    wide = by_shape.wide.astype(np.float64)
    # The local contrast has a high weight where its noise is low and K varies along the crack.
    variance = np.where(by_shape.wide, by_shape.noise, 0) ** 2
    near = smooth_along(variance, line_offsets, LOCAL, wide)
    near /= max(1.0, 2 * math.sqrt(math.pi) * LOCAL / optics.noise_samples)
    spread = cracks.spread[labels]
    trust = smooth_along(wide, line_offsets, LOCAL)
    trust *= spread**2 / (spread**2 + near)
    local = smooth_along(by_shape.value, line_offsets, LOCAL, wide)
    value = trust * local + (1 - trust) * cracks.value[labels]
    local_sigma = np.hypot((1 - trust) * spread, trust * np.sqrt(near))
    return FullContrasts(
        value=np.maximum(value, np.minimum(peak, 1.0)),
        sigma=np.hypot(local_sigma, cracks.sigma[labels]),
        variation=cracks.variation[labels],
        of_crack=cracks.measured,
    )


def contrasts_of_cracks(
    by_shape: ContrastsByShape, labels: Int64, optics: Optics
) -> CrackContrasts:
    """Return the contrast of each crack from its wide samples, with the scene's as the prior."""
    count = int(labels.max()) + 1 if len(labels) else 0
    result = CrackContrasts(
        value=np.full(count, optics.full_contrast),
        sigma=np.zeros(count),
        spread=np.full(count, optics.full_contrast_sigma),
        variation=np.full(count, CONTRAST_SPREAD * optics.full_contrast),
        measured=np.full(count, np.nan),
    )
    samples = np.bincount(labels[by_shape.wide], minlength=count)
    measured = np.flatnonzero(samples >= MIN_SAMPLES)
    if not len(measured):
        return result
    members = np.flatnonzero(by_shape.wide & (samples >= MIN_SAMPLES)[labels])
    group = np.searchsorted(measured, labels[members])
    value, noise = by_shape.value[members], by_shape.noise[members]
    blur_shift = by_shape.blur_shift[members]
    even = np.ones(len(members))
    sigma = np.hypot(noise, blur_shift)
    middle = group_medians(value, 1 / (sigma**2 + (CONTRAST_SPREAD * value) ** 2), group)
    scatter = 1.4826 * group_medians(np.abs(value - middle[group]), even, group)
    random = group_medians(noise, even, group)
    variation = np.sqrt((scatter**2 - random**2).clip(min=0.0))
    variation = np.maximum(CONTRAST_SPREAD * middle, variation)
    places = (samples[measured] / (2 * math.sqrt(math.pi) * LOCAL)).clip(min=1.0)
    pieces = (samples[measured] / optics.noise_samples).clip(min=1.0)
    by_chance = variation**2 / places + random**2 / pieces
    total = by_chance + group_medians(np.abs(blur_shift), even, group) ** 2
    prior = optics.full_contrast_sigma**2
    trust = prior / (prior + total)
    result.value[measured] = trust * middle + (1 - trust) * optics.full_contrast
    result.sigma[measured] = np.sqrt(trust**2 * by_chance + (1 - trust) ** 2 * prior)
    result.spread[measured] = result.variation[measured] = variation
    result.measured[measured] = middle
    return result
