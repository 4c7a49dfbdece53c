"""Photometric width: how wide a crack is by the light that it lacks, not by the pixels of its mask.

Model. A crack of width w (px) whose inside is darker than the surface by the full contrast K has,
under any point-spread function, a contrast profile C(x) (`crackcli.measuring.contrast`) with the
integral w K. So

    w = (integral of C over x) / K                                     by area

which also holds for a crack of half a pixel. A crack that is wide compared with the blur is
measured between its edges instead, where C is half of the plateau between them; this needs no K.
Between 4 and 6 blurs of width both are blended.

K is taken from the wide places of the same crack; see `crackcli.measuring.full_contrast`.

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

from crackcli.arrays import Bools, Float32, Float64, Int64
from crackcli.measuring.contrast import (
    BAND_PX,
    ContrastProfiles,
    contrast_profiles,
    integral,
    smooth_along,
)
from crackcli.measuring.edges import Blur, core_half_width, find_edges, mean_within
from crackcli.measuring.full_contrast import (
    MIN_WIDTH_PX,
    ContrastsByShape,
    FullContrasts,
    Optics,
    ProfileSums,
    contrasts_by_shape,
    estimate_contrasts,
)
from crackcli.measuring.profiles import GreyProfiles
from crackcli.measuring.summary import MeasuredWidths
from crackcli.measuring.tone import ToneCurve

SMOOTHING_SAMPLES = 1.5  # sigma of the average along the line
ROUNDS = 3  # iterations of the bands beside the crack, which follow the width
NOISE_SAMPLES = 5.0  # sigma of the average of noise along the line
TAIL_BLURS = 2.3  # blurs beyond the edge up to which contrast is integrated
EDGE_BLURS = 4.0, 6.0  # width over blur; between them width by area and by edges are blended
# Deviation of half the plateau from the contrast at an edge, over the variation of the contrast:
# half of it at each of two edges.
UNEVEN = 1 / math.sqrt(2)
SKEW = 9.0  # E[(1/X - 1)^2] = s^2 (1 + 9 s^2) for a normal X of mean 1 and small deviation s
MIN_SNR = 3.0  # peak contrast over noise; below it there is no width
MAX_ASYMMETRY = 0.5  # of the peak; both sides of the surface may differ by that
GROWN, GROWN_PX = 1.5, 3.0  # a width above 1.5 times the mask's plus 3 px belongs to something else
# Near free ends and junctions a centreline is extended straight, in a direction that a corner may
# spoil. There is no width within this of them: px, and the larger of 2 blurs and 0.8 widths.
CLEAR_PX, CLEAR_BLURS, CLEAR_WIDTHS = 1.5, 2.0, 0.8


@dataclass(frozen=True, eq=False)
class PhotometricWidths(MeasuredWidths):
    """Photometric widths, and the ``full_contrast`` (C,) of each crack.

    The contrast is nan for a crack without wide places.
    """

    full_contrast: Float64


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
    noise = np.sqrt(smooth_along(contrast.noise**2, line_offsets, NOISE_SAMPLES))
    core = core_half_width(approx_widths, optics.blur.px)
    peak = mean_within(contrast.values, core)
    half = approx_widths / 2 + TAIL_BLURS * optics.blur.px
    area = integral(contrast.values, half)
    clear = complete & (peak > MIN_SNR * noise) & (area > 0)
    clear &= contrast.asymmetry < MAX_ASYMMETRY * peak
    profile = ProfileSums(area, peak, core, approx_widths, noise, clear)
    by_shape = contrasts_by_shape(profile, line_offsets, optics)
    full = estimate_contrasts(by_shape, peak, line_offsets, labels, optics)
    by_area, area_sigma, area_systematic = widths_by_area(profile, 2 * half, full, optics)
    by_edges, edge_sigma, edge_weight = widths_by_edges(
        contrast.values, by_area, by_shape, noise, full, optics
    )
    width = (1 - edge_weight) * by_area + edge_weight * by_edges
    return PhotometricWidths(
        np.where(clear, width, np.nan),
        (1 - edge_weight) * area_sigma + edge_weight * edge_sigma,
        (1 - edge_weight) * area_systematic,
        full.of_crack,
    )


def widths_by_area(
    profile: ProfileSums, length: Float64, full: FullContrasts, optics: Optics
) -> tuple[Float64, Float64, Float64]:
    """Return the widths (S,) by area, and their random and systematic uncertainties (S,).

    ``length`` (S,) in px is the part of each profile over which the area was integrated.
    """
    by_area = profile.area / full.value
    # Noise was measured on the surface. In linear light it is proportional to the root of
    # brightness (shot noise; noise of encoded values nearly so), so less inside the crack. In
    # encoded values it is the same inside. The last term is the uncertainty of the background.
    darker = optics.tone.linear_fraction * (profile.area / length).clip(0, 1)
    independent = optics.noise_px * length * (1 - darker + length / (3 * BAND_PX))
    random = profile.noise * np.sqrt(independent) / full.value
    # The width is proportional to 1 / K; the second order counts where K is uncertain.
    relative = full.sigma / full.value
    return by_area, random, by_area * relative * np.sqrt(1 + SKEW * relative**2)


def widths_by_edges(
    values: Float32,
    by_area: Float64,
    by_shape: ContrastsByShape,
    noise: Float64,
    full: FullContrasts,
    optics: Optics,
) -> tuple[Float64, Float64, Float64]:
    """Return the widths (S,) between edges, their uncertainty (S,), and their weight (S,).

    The weight is 0 where a crack is too narrow for edges, or where they are not found, and 1 where
    it is wide. ``values`` (S, M) are the contrast profiles.
    """
    blur = optics.blur.px
    low, high = (limit * blur for limit in EDGE_BLURS)
    weight = np.where(by_shape.wide, ((by_area - low) / (high - low)).clip(0, 1), 0)
    rows = np.flatnonzero(weight > 0)
    edges = find_edges(values[rows], by_area[rows], by_shape.value[rows])
    by_edges = np.zeros(len(weight))
    by_edges[rows] = edges.at[:, 1] - edges.at[:, 0]
    weight[~np.isfinite(by_edges)] = 0
    by_edges = np.where(weight > 0, by_edges, 0)
    slope = full.value / (blur * math.sqrt(2 * math.pi))
    half_dark = optics.tone.linear_fraction * full.value / 2
    # Noise at two edges, and of the plateau, over the slope of an edge.
    edge_noise = noise * np.sqrt(2 * (1 - half_dark) + 0.5) / slope
    return by_edges, np.hypot(edge_noise, UNEVEN * full.variation / slope), weight
