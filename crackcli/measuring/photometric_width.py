"""Photometric width: how wide a crack is by the light that it lacks, not by the pixels of its mask.

Model. A crack of width w (px) whose inside is darker than the surface by the full contrast K has,
under any point-spread function, a contrast profile C(x) (`crackcli.measuring.contrast`) with the
integral w K. So

    w = (integral of C over x) / K                                     by area

which also holds for a crack of half a pixel. A crack that is wide compared with the blur is
measured between its edges instead, where C is half of the plateau between them; this needs no K.
Between 4 and 6 blurs of width both are blended.

K is taken from the wide places of the same crack. A crack that is narrow everywhere gets the
contrast of the scene's other cracks, or without these the typical one of photographs. At wide
places K is the contrast in the middle over the response of a blurred bar
(`crackcli.measuring.edges.core_response`), with the width from the ratio of area to middle
contrast. These estimates are combined by their variances.

Uncertainty. Random: noise beside the crack, integrated over the profile, with its correlation
lengths; at edges also the variation of K. Systematic: K, the blur, and the tone curve
(`crackcli.measuring.tone`), the last two by the change of the width with one standard uncertainty.

Each sample represents about 5 px of the length, as profiles are averaged along the line first.

There is no photometric width where a crack is bright or filled, where both sides of the surface
differ much, as on the rim of a shadow, near junctions, and at nodata.

Notation: S samples of the lines of C cracks; ``line_offsets`` the first sample of each line, and S;
``labels`` (S,) the crack of each sample, from 0.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from crackcli.arrays import Bools, Float64, Int64
from crackcli.measuring.contrast import (
    BAND_PX,
    ContrastProfiles,
    contrast_profiles,
    integral,
    smooth_along,
)
from crackcli.measuring.edges import (
    Blur,
    core_half_width,
    core_response,
    find_edges,
    group_medians,
    mean_within,
)
from crackcli.measuring.profiles import GreyProfiles
from crackcli.measuring.summary import MeasuredWidths
from crackcli.measuring.tone import ToneCurve

SMOOTHING_SAMPLES = 1.5  # sigma of the average along the line
ROUNDS = 3  # iterations of the bands beside the crack, which follow the width
NOISE_SAMPLES = 5.0  # sigma of the average of noise along the line
TAIL_BLURS = 2.3  # blurs beyond the edge up to which contrast is integrated
WIDE_BLURS, WIDE_PX = 3.0, 2.0  # a crack as wide as the larger shows its full contrast
SURE_BLURS, SURE_PX = 6.0, 6.0  # a pale place as wide as the larger is a pale crack
PALE = 0.75  # of the scene's contrast; a paler, narrower place is a hairline that winds
MAX_CONTRAST = 1.2  # of a wide place; more is an artefact
EDGE_BLURS = 4.0, 6.0  # width over blur; between them width by area and by edges are blended
NEAR = 4.0  # samples: sigma of the average that decides if a crack is wide
LOCAL = 6.0  # samples: sigma of the average of the local contrast
CONTRAST_SPREAD = 0.04  # least relative variation of the contrast along a crack
# Deviation of half the plateau from the contrast at an edge, over the variation of the contrast:
# half of it at each of two edges.
UNEVEN = 1 / math.sqrt(2)
SKEW = 9.0  # E[(1/X - 1)^2] = s^2 (1 + 9 s^2) for a normal X of mean 1 and small deviation s
MIN_SAMPLES = 8  # with a contrast, for a crack to have a contrast of its own
MIN_SNR = 3.0  # peak contrast over noise; below it there is no width
MAX_ASYMMETRY = 0.5  # of the peak; both sides of the surface may differ by that
GROWN, GROWN_PX = 1.5, 3.0  # a width above 1.5 times the mask's plus 3 px belongs to something else
MIN_WIDTH_PX = 0.05
# Near free ends and junctions a centreline is extended straight, in a direction that a corner may
# spoil.  There is no width within this of them: px, and the larger of 2 blurs and 0.8 widths.
CLEAR_PX, CLEAR_BLURS, CLEAR_WIDTHS = 1.5, 2.0, 0.8

# Contrast of cracks in encoded values and in linear light: mean and deviation over photographs (two
# deviations contain nine of ten; the faint cracks make it large), and the deviation within one
# photograph.  From benchmarks/width_photographs.py on 400 labelled training photographs: 0.19 to
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
class PhotometricWidths(MeasuredWidths):
    """Photometric widths, and the ``full_contrast`` (C,) of each crack.

    The contrast is nan for a crack without wide places.
    """

    full_contrast: Float64


def typical_contrast(linear_fraction: float) -> tuple[float, float]:
    """Return mean and deviation of `TYPICAL_CONTRASTS` at a linear fraction."""
    encoded, light = np.array(TYPICAL_CONTRASTS)
    mean, deviation = linear_fraction * light + (1 - linear_fraction) * encoded
    return float(mean), float(deviation)


def typical_spread(linear_fraction: float) -> float:
    """Return the deviation of `SPREAD_WITHIN_PHOTOGRAPH` at a linear fraction."""
    encoded, light = SPREAD_WITHIN_PHOTOGRAPH
    return linear_fraction * light + (1 - linear_fraction) * encoded


def measure(
    profiles: GreyProfiles,
    offsets: Float64,
    line_offsets: list[int],
    labels: Int64,
    initial_widths: Float64,
    optics: Optics,
) -> PhotometricWidths:
    """Return the widths of cracks from profiles (S, M) across them, at ``offsets`` (M,).

    ``initial_widths`` (S,) are approximate widths in px, as on the mask.
    """
    widths = initial_widths.copy()
    values = smooth_along(
        profiles.blended(optics.tone.linear_fraction), line_offsets, SMOOTHING_SAMPLES
    )
    for _ in range(ROUNDS):
        smooth_widths = smooth_along(widths, line_offsets, 2 * SMOOTHING_SAMPLES)
        contrast = contrast_profiles(values, offsets, smooth_widths, optics.blur.px, line_offsets)
        found = estimate(contrast, smooth_widths, line_offsets, labels, profiles.complete, optics)
        limit = GROWN * initial_widths + GROWN_PX
        known = np.isfinite(found.width)
        widths = np.where(known, found.width.clip(MIN_WIDTH_PX, limit), initial_widths)
    # Change of the widths with the tone curve and the blur each off by one sigma.
    tone, blur = optics.tone, optics.blur
    other = tone.linear_fraction + (tone.sigma if tone.linear_fraction < 0.5 else -tone.sigma)
    shifted = ToneCurve(min(1.0, max(0.0, other)), 0.0)
    wider = Blur(blur.px + blur.sigma, blur.sigma)
    systematic = found.systematic_sigma
    shifted_values = profiles.blended(shifted.linear_fraction)
    for moved, blended in (
        (
            replace(optics, tone=shifted),
            smooth_along(shifted_values, line_offsets, SMOOTHING_SAMPLES),
        ),
        (replace(optics, blur=wider), values),
    ):
        contrast = contrast_profiles(blended, offsets, smooth_widths, moved.blur.px, line_offsets)
        other_widths = estimate(
            contrast, smooth_widths, line_offsets, labels, profiles.complete, moved
        ).width
        change = np.abs(other_widths - widths)
        systematic = np.hypot(systematic, np.where(np.isfinite(change), change, 0))
    good = np.isfinite(found.width) & (found.width < limit)
    return PhotometricWidths(
        np.where(good, found.width, np.nan),
        np.where(good, found.random_sigma, np.nan),
        np.where(good, systematic, np.nan),
        found.full_contrast,
    )


def estimate(
    contrast: ContrastProfiles,
    approx_widths: Float64,
    line_offsets: list[int],
    labels: Int64,
    complete: Bools,
    optics: Optics,
) -> PhotometricWidths:
    """Return widths from contrast profiles across cracks of approximate widths (S,)."""
    blur = optics.blur.px
    noise = np.sqrt(smooth_along(contrast.noise**2, line_offsets, NOISE_SAMPLES))
    core = core_half_width(approx_widths, blur)
    peak = mean_within(contrast.values, core)
    half = approx_widths / 2 + TAIL_BLURS * blur
    area = integral(contrast.values, half)
    clear = complete & (peak > MIN_SNR * noise) & (area > 0)
    clear &= contrast.asymmetry < MAX_ASYMMETRY * peak

    # Noise makes single profiles of a thin crack look wide and pale, so neighbours are averaged.
    trusted = clear.astype(np.float64)
    near_area, near_peak = (
        smooth_along(part, line_offsets, NEAR, trusted) for part in (area, peak)
    )
    shape = shape_width(near_area, near_peak, core, approx_widths, blur)
    own = near_peak / core_response(shape, core, blur)
    wide = clear & (shape >= max(WIDE_PX, WIDE_BLURS * blur)) & (own < MAX_CONTRAST)
    wide &= (own > PALE * optics.full_contrast) | (shape >= max(SURE_PX, SURE_BLURS * blur))
    wider = blur + optics.blur.sigma
    wide_core, wide_peak = core[wide], near_peak[wide]
    other = shape_width(near_area[wide], wide_peak, wide_core, approx_widths[wide], wider)
    away = wide_peak / core_response(other, wide_core, wider) - own[wide]
    # Errors of the contrast of wide samples: by noise, and by one sigma of the blur.
    own_noise, own_away = np.full((2, len(own)), np.nan)
    own_noise[wide] = noise[wide] * np.sqrt(optics.noise_px / (2 * wide_core))
    own_away[wide] = away
    full_contrast, full_contrast_sigma, varies, of_crack = estimate_contrasts(
        own, own_noise, own_away, wide, peak, line_offsets, labels, optics
    )

    by_area = area / full_contrast
    length = 2 * half
    # Noise was measured on the surface.  In linear light it is proportional to the root of
    # brightness (shot noise; noise of encoded values nearly so), so less inside the crack.  In
    # encoded values it is the same inside.  The last term is the uncertainty of the background.
    darker = optics.tone.linear_fraction * (area / length).clip(0, 1)
    area_noise = noise * np.sqrt(optics.noise_px * length * (1 - darker + length / (3 * BAND_PX)))
    area_sigma = area_noise / full_contrast
    # The width is proportional to 1 / K; the second order counts where K is uncertain.
    relative = full_contrast_sigma / full_contrast
    area_systematic = by_area * relative * np.sqrt(1 + SKEW * relative**2)

    low, high = (limit * blur for limit in EDGE_BLURS)
    edge_weight = np.where(wide, ((by_area - low) / (high - low)).clip(0, 1), 0)
    rows = np.flatnonzero(edge_weight > 0)
    edges = find_edges(contrast.values[rows], by_area[rows], own[rows])
    by_edges = np.zeros(len(edge_weight))
    by_edges[rows] = edges.at[:, 1] - edges.at[:, 0]
    edge_weight[~np.isfinite(by_edges)] = 0
    by_edges = np.where(edge_weight > 0, by_edges, 0)
    slope = full_contrast / (blur * math.sqrt(2 * math.pi))
    half_dark = optics.tone.linear_fraction * full_contrast / 2
    # Noise at two edges, and of the plateau, over the slope of an edge.
    edge_noise = noise * np.sqrt(2 * (1 - half_dark) + 0.5) / slope
    edge_sigma = np.hypot(edge_noise, UNEVEN * varies / slope)
    width = (1 - edge_weight) * by_area + edge_weight * by_edges
    return PhotometricWidths(
        np.where(clear, width, np.nan),
        (1 - edge_weight) * area_sigma + edge_weight * edge_sigma,
        (1 - edge_weight) * area_systematic,
        of_crack,
    )


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
    own: Float64,
    noise: Float64,
    away: Float64,
    wide: Bools,
    peak: Float64,
    line_offsets: list[int],
    labels: Int64,
    optics: Optics,
) -> tuple[Float64, Float64, Float64, Float64]:
    """Return K, its uncertainty and its variation along the crack (S,), and K of each crack (C,).

    K is the local one where the crack is wide, that of the crack elsewhere, and that of the scene
    where the crack is narrow everywhere, each weighted by how well it is known. K of a crack is nan
    if it has no wide places.

    ``own`` (S,) is the contrast by the shape of a sample, valid where it is ``wide``. ``noise`` is
    its random uncertainty, and ``away`` its change with a blur that is off by one sigma. All of a
    crack share the error of the blur; it is not in the returned uncertainty, as `measure` adds its
    effect on the widths.
    """
    cracks = int(labels.max()) + 1 if len(labels) else 0
    middle = np.full(cracks, optics.full_contrast)
    sigma_of_crack = np.zeros(cracks)  # 0 without a contrast of its own: `spread` has it all
    spread = np.full(cracks, optics.full_contrast_sigma)
    along_it = np.full(cracks, CONTRAST_SPREAD * optics.full_contrast)
    known = np.full(cracks, np.nan)
    counts = np.bincount(labels[wide], minlength=cracks)
    known_cracks = np.flatnonzero(counts >= MIN_SAMPLES)
    members = np.flatnonzero(wide & (counts >= MIN_SAMPLES)[labels])
    group = np.searchsorted(known_cracks, labels[members])
    if len(known_cracks):
        value = own[members]
        even = np.ones(len(members))
        sigma = np.hypot(noise[members], away[members])
        full_contrast = group_medians(value, 1 / (sigma**2 + (CONTRAST_SPREAD * value) ** 2), group)
        scatter = 1.4826 * group_medians(np.abs(value - full_contrast[group]), even, group)
        random = group_medians(noise[members], even, group)
        varies = np.sqrt((scatter**2 - random**2).clip(min=0.0))
        varies = np.maximum(CONTRAST_SPREAD * full_contrast, varies)
        places = (counts[known_cracks] / (2 * math.sqrt(math.pi) * LOCAL)).clip(min=1.0)
        pieces = (counts[known_cracks] / optics.noise_samples).clip(min=1.0)
        by_chance = varies**2 / places + random**2 / pieces
        certain = by_chance + group_medians(np.abs(away[members]), even, group) ** 2
        prior = optics.full_contrast_sigma**2
        trust = prior / (prior + certain)
        middle[known_cracks] = trust * full_contrast + (1 - trust) * optics.full_contrast
        sigma_of_crack[known_cracks] = np.sqrt(trust**2 * by_chance + (1 - trust) ** 2 * prior)
        spread[known_cracks] = along_it[known_cracks] = varies
        known[known_cracks] = full_contrast
    # The local contrast of a wide place counts the more, the less its noise and the more K varies.
    near = smooth_along(np.where(wide, noise, 0) ** 2, line_offsets, LOCAL, wide.astype(np.float64))
    near /= max(1.0, 2 * math.sqrt(math.pi) * LOCAL / optics.noise_samples)
    trust = smooth_along(wide.astype(np.float64), line_offsets, LOCAL)
    trust *= spread[labels] ** 2 / (spread[labels] ** 2 + near)
    place = smooth_along(own, line_offsets, LOCAL, wide.astype(np.float64))
    full_contrast = trust * place + (1 - trust) * middle[labels]
    away = np.hypot((1 - trust) * spread[labels], trust * np.sqrt(near))
    full_contrast = np.maximum(full_contrast, np.minimum(peak, 1.0))
    return full_contrast, np.hypot(away, sigma_of_crack[labels]), along_it[labels], known
