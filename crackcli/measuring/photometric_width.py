"""Photometric width: how wide a crack is by the light that it keeps, not by the pixels of its mask.

The darkness of a profile (`crackcli.measuring.contrast`), summed across the crack, is its width
times its full contrast (its *depth*: how dark it is where it is wider than the blur), whatever the
blur: so a crack of half a pixel has a width.  The depth is taken from the wider parts of the same
crack; a crack that is thin everywhere borrows it from the other cracks of the scene, and where
there are none, from what cracks in photographs are like; how far it may be wrong goes into sigma.
A crack that is wide beside the blur is measured between its edges, where darkness is half that of
the plateau between them, which needs no depth.

Each sample stands for about 5 px of the length, as profiles are averaged along the line before
anything is measured.

Where a crack is bright or filled, where the wall differs much from side to side, as on the rim of a
shadow, near junctions and where the photograph has no data, there is no photometric width.

Notation: S samples of the lines of C cracks.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from crackcli.arrays import Bools, Float64, Int64
from crackcli.measuring.contrast import BAND_PX, STEP_PX, Darkness, along, darkness, integral
from crackcli.measuring.edges import (
    BLUR_RANGE,
    Blur,
    core_of,
    find_edges,
    mean_within,
    medians_of,
    response,
)
from crackcli.measuring.profiles import GreyProfiles
from crackcli.measuring.summary import Measured
from crackcli.measuring.tone import Tone

ALONG = 1.5  # samples: sigma of the average along the line
ROUNDS = 3  # of bands beside the width found so far
TAIL_BLURS = 2.3  # beyond the edge: as far as darkness is summed
DEEP_BLURS, DEEP_PX = 3.0, 2.0  # the larger is the width from which on a profile tells its depth
SURE_BLURS, SURE_PX = 6.0, 6.0  # from the larger on it may be a pale crack; before that, a profile
PALE = 0.75  # that is paler than so many times the usual is that of a hairline that winds
NARROW_BLURS = 4.0  # up to that width, how dark a crack is tells the blur
EDGE_BLURS = 4.0, 6.0  # from area to edges: between these widths both count
NEAR = 4.0  # samples: sigma over which profiles tell together whether they are wide
LOCAL = 6.0  # samples: sigma over which the depth is that of the place
DEPTH_SPREAD = 0.04  # relative: at least so much the depth varies along a crack
UNEVEN = 1 / math.sqrt(2)  # of how much it varies, half at each of two edges: so far half of the
# darkness of the plateau may be from half of that beside an edge
SKEW = 9.0  # of one over a number of mean 1: its mean square from 1, over the first order
ENOUGH = 8  # samples with a depth make a crack whose depth is known
SEEN = 3.0  # times the noise: what is less dark is not measured
UNLIKE = 0.5  # of the peak: sides of the wall that differ by more tell nothing
GROWN, GROWN_PX = 1.5, 3.0  # a width beyond so many times the mask's and so much more is another's
LEAST_PX = 0.05
CLEAR_PX = 1.5  # from free ends, and beyond the circle of a junction; and so many widths: so far a
CLEAR_WIDTHS = 0.8  # centreline is drawn out straight, in a direction that a corner may spoil

# What cracks are like: depth in encoded values and in linear light, its usual value and how far it
# is from that in one photograph or another (two of it hold nine of ten: the faint ones make it so
# large); and how far those of one photograph differ.  By benchmarks/width_photographs.py on 400
# labelled training photographs: 0.19 to 0.22, and 0.07 and 0.05, by which cracks are counted.
USUAL_CONTRASTS = (0.68, 0.22), (0.90, 0.22)
ONE_PHOTOGRAPH = 0.065, 0.055


@dataclass(frozen=True)
class Optics:
    """What is known of a photograph: blur, tone, the depth of cracks with its spread, and over how
    many px (across) and samples (along) noise is one number."""

    blur: Blur = Blur()
    tone: Tone = Tone()
    depth: float = USUAL_CONTRASTS[1][0]
    depth_sigma: float = USUAL_CONTRASTS[1][1]
    across_px: float = 1.0
    along: float = 5.3


@dataclass(frozen=True, eq=False)
class Found(Measured):
    """And the ``depth`` (C,) of each crack, nan where it was borrowed."""

    depth: Float64


def usual_contrast(share: float) -> tuple[float, float]:
    """Mean and deviation of `USUAL_CONTRASTS` at a share of linear light."""
    encoded, light = np.array(USUAL_CONTRASTS)
    mean, deviation = share * light + (1 - share) * encoded
    return float(mean), float(deviation)


def usual_spread(share: float) -> float:
    """Deviation of `ONE_PHOTOGRAPH` at a share of linear light."""
    encoded, light = ONE_PHOTOGRAPH
    return share * light + (1 - share) * encoded


def measure(
    profiles: GreyProfiles,
    offsets: Float64,
    line_offsets: list[int],
    owner: Int64,
    guess: Float64,
    optics: Optics,
) -> Found:
    """The widths of cracks from profiles (S, M) across them.

    ``owner`` (S,) numbers their cracks from 0, ``guess`` (S,) is about how wide they are, and
    ``line_offsets`` the first sample of each line, and S.
    """
    widths = guess.copy()
    values = along(profiles.mixed(optics.tone.share), line_offsets, ALONG)
    for _ in range(ROUNDS):
        steady = along(widths, line_offsets, 2 * ALONG)
        dark = darkness(values, offsets, steady, optics.blur.px, line_offsets)
        found = estimate(dark, steady, line_offsets, owner, profiles.seen, optics)
        limit = GROWN * guess + GROWN_PX
        known = np.isfinite(found.width)
        widths = np.where(known, found.width.clip(LEAST_PX, limit), guess)
    # How much the doubts about the tone and the blur do.
    tone, blur = optics.tone, optics.blur
    other = tone.share + (tone.sigma if tone.share < 0.5 else -tone.sigma)
    shifted = Tone(min(1.0, max(0.0, other)), 0.0)
    wider = Blur(blur.px + blur.sigma, blur.sigma)
    common = found.common
    for moved, mixed in (
        (replace(optics, tone=shifted), along(profiles.mixed(shifted.share), line_offsets, ALONG)),
        (replace(optics, blur=wider), values),
    ):
        dark = darkness(mixed, offsets, steady, moved.blur.px, line_offsets)
        away = np.abs(
            estimate(dark, steady, line_offsets, owner, profiles.seen, moved).width - widths
        )
        common = np.hypot(common, np.where(np.isfinite(away), away, 0))
    good = np.isfinite(found.width) & (found.width < limit)
    return Found(
        np.where(good, found.width, np.nan),
        np.where(good, found.noise, np.nan),
        np.where(good, common, np.nan),
        found.depth,
    )


def estimate(
    dark: Darkness,
    about: Float64,
    line_offsets: list[int],
    owner: Int64,
    seen: Bools,
    optics: Optics,
) -> Found:
    """Widths from the darkness of profiles across cracks ``about`` (S,) so wide."""
    blur = optics.blur.px
    noise = np.sqrt(along(dark.noise**2, line_offsets, 5.0))
    core = core_of(about, blur)
    peak = mean_within(dark.values, core)
    half = about / 2 + TAIL_BLURS * blur
    area = integral(dark.values, half)
    clear = seen & (peak > SEEN * noise) & (area > 0) & (dark.sides < UNLIKE * peak)

    # Noise makes single profiles of a thin crack seem wide and pale: what is near speaks as one.
    trusted = clear.astype(np.float64)
    near_area, near_peak = (along(part, line_offsets, NEAR, trusted) for part in (area, peak))
    shape = shape_width(near_area, near_peak, core, about, blur)
    own = near_peak / response(shape, core, blur)
    deep = clear & (shape >= max(DEEP_PX, DEEP_BLURS * blur)) & (own < 1.2)
    deep &= (own > PALE * optics.depth) | (shape >= max(SURE_PX, SURE_BLURS * blur))
    wider = blur + optics.blur.sigma
    wide_core, wide_peak = core[deep], near_peak[deep]
    other = shape_width(near_area[deep], wide_peak, wide_core, about[deep], wider)
    away = wide_peak / response(other, wide_core, wider) - own[deep]
    own_noise, own_away = np.full((2, len(own)), np.nan)  # of what tells a depth: by noise, by blur
    own_noise[deep] = noise[deep] * np.sqrt(optics.across_px / (2 * wide_core))
    own_away[deep] = away
    depth, depth_sigma, varies, of_crack = depths(
        own, own_noise, own_away, deep, peak, line_offsets, owner, optics
    )

    by_area = area / depth
    length = 2 * half
    # Noise was seen on the wall.  In linear light it goes with the root of brightness (shot noise;
    # even noise of encoded values nearly so), in encoded values it is the same where it is dark.
    fainter = optics.tone.share * (area / length).clip(0, 1)
    area_noise = noise * np.sqrt(optics.across_px * length * (1 - fainter + length / (3 * BAND_PX)))
    area_sigma = area_noise / depth
    # A width goes with one over the depth: where that is little known, the next order counts too.
    unsure = depth_sigma / depth
    area_common = by_area * unsure * np.sqrt(1 + SKEW * unsure**2)

    low, high = (limit * blur for limit in EDGE_BLURS)
    share = np.where(deep, ((by_area - low) / (high - low)).clip(0, 1), 0)
    rows = np.flatnonzero(share > 0)
    edges = find_edges(dark.values[rows], by_area[rows], own[rows])
    by_edges = np.zeros(len(share))
    by_edges[rows] = edges.at[:, 1] - edges.at[:, 0]
    share[~np.isfinite(by_edges)] = 0
    by_edges = np.where(share > 0, by_edges, 0)
    slope = depth / (blur * math.sqrt(2 * math.pi))
    half_dark = optics.tone.share * depth / 2
    edge_noise = noise * np.sqrt(2 * (1 - half_dark) + 0.5) / slope
    edge_sigma = np.hypot(edge_noise, UNEVEN * varies / slope)
    width = (1 - share) * by_area + share * by_edges
    return Found(
        np.where(clear, width, np.nan),
        (1 - share) * area_sigma + share * edge_sigma,
        (1 - share) * area_common,
        of_crack,
    )


def shape_width(
    area: Float64, peak: Float64, core: Float64, about: Float64, blur_px: float
) -> Float64:
    """The width (S,) at which area and darkness of the middle fit together, without a depth."""
    ratio = area / np.where(peak > 0, peak, 1)
    width = about
    for _ in range(8):
        width = (ratio * response(width, core, blur_px)).clip(LEAST_PX, 2 * about + 2 * blur_px)
    return width


def depths(
    own: Float64,
    noise: Float64,
    away: Float64,
    deep: Bools,
    peak: Float64,
    line_offsets: list[int],
    owner: Int64,
    optics: Optics,
) -> tuple[Float64, Float64, Float64, Float64]:
    """The depth (S,) at each sample, its uncertainty, how much it varies along its crack, and the
    depth (C,) of each crack.

    That of the place where the crack is wide there, that of the crack elsewhere, and that of the
    scene where the crack is nowhere wide: each as far as it is known better than the next.  ``own``
    (S,) is the depth that a sample tells by its shape, known where it is ``deep`` up to its
    ``noise`` and to how far it is ``away`` with another blur, which all of a crack share: the doubt
    about the blur is not in the uncertainty, as `measure` counts what it does to widths.
    """
    cracks = int(owner.max()) + 1 if len(owner) else 0
    middle = np.full(cracks, optics.depth)
    doubt = np.zeros(cracks)  # of its own depth; what is borrowed is wrong by the spread, once
    spread = np.full(cracks, optics.depth_sigma)
    along_it = np.full(cracks, DEPTH_SPREAD * optics.depth)
    known = np.full(cracks, np.nan)
    counts = np.bincount(owner[deep], minlength=cracks)
    told = np.flatnonzero(counts >= ENOUGH)
    members = np.flatnonzero(deep & (counts >= ENOUGH)[owner])
    group = np.searchsorted(told, owner[members])
    if len(told):
        value = own[members]
        even = np.ones(len(members))
        sigma = np.hypot(noise[members], away[members])
        depth = medians_of(value, 1 / (sigma**2 + (DEPTH_SPREAD * value) ** 2), group)
        scatter = 1.4826 * medians_of(np.abs(value - depth[group]), even, group)
        random = medians_of(noise[members], even, group)
        varies = np.sqrt((scatter**2 - random**2).clip(min=0.0))
        varies = np.maximum(DEPTH_SPREAD * depth, varies)
        places = (counts[told] / (2 * math.sqrt(math.pi) * LOCAL)).clip(min=1.0)
        pieces = (counts[told] / optics.along).clip(min=1.0)
        by_chance = varies**2 / places + random**2 / pieces
        certain = by_chance + medians_of(np.abs(away[members]), even, group) ** 2
        prior = optics.depth_sigma**2
        trust = prior / (prior + certain)
        middle[told] = trust * depth + (1 - trust) * optics.depth
        doubt[told] = np.sqrt(trust**2 * by_chance + (1 - trust) ** 2 * prior)
        spread[told] = along_it[told] = varies
        known[told] = depth
    # Where a place is wide it tells its own depth, as far as noise is less than depths vary.
    near = along(np.where(deep, noise, 0) ** 2, line_offsets, LOCAL, deep.astype(np.float64))
    near /= max(1.0, 2 * math.sqrt(math.pi) * LOCAL / optics.along)
    trust = along(deep.astype(np.float64), line_offsets, LOCAL)
    trust *= spread[owner] ** 2 / (spread[owner] ** 2 + near)
    place = along(own, line_offsets, LOCAL, deep.astype(np.float64))
    depth = trust * place + (1 - trust) * middle[owner]
    away = np.hypot((1 - trust) * spread[owner], trust * np.sqrt(near))
    depth = np.maximum(depth, np.minimum(peak, 1.0))
    return depth, np.hypot(away, doubt[owner]), along_it[owner], known


def narrow_blur(
    area: Float64, peak: Float64, core_px: float, depth: float, depth_sigma: float
) -> Blur | None:
    """The blur that profiles (S,) of narrow cracks tell by how much darkness they have and how dark
    they are, given about their depth; None if too few do."""
    told = []
    for deep in (depth, depth - depth_sigma, depth + depth_sigma):
        width = area / deep
        blur = area / (peak * math.sqrt(2 * math.pi))
        for _ in range(6):  # the larger the blur, the less dark the middle
            ratio = response(width, np.full(len(width), core_px), blur) * deep / peak
            blur = (blur * ratio.clip(0.7, 1.4)).clip(*BLUR_RANGE)
        if not told:
            narrow = width < NARROW_BLURS * blur
            narrow &= (blur > BLUR_RANGE[0]) & (blur < BLUR_RANGE[1])
            if narrow.sum() < 5 * ENOUGH:
                return None
        told.append(float(np.median(blur[narrow])))
    middle, low, high = told
    spread = 1.4826 * float(np.median(np.abs(blur[narrow] - high)))
    return Blur(middle, max(0.15 * middle, spread, abs(high - low) / 2))


def across_px(dark: Darkness) -> float:
    """Over how many px across the crack noise beside it is one number, at least one."""
    near = dark.bands.reshape(-1, dark.bands.shape[2])
    near = near - near.mean(axis=1, keepdims=True)
    most = 3 * np.abs(near).mean(axis=1, keepdims=True)
    near = near.clip(-most, most)
    variance = float((near**2).mean())
    total = 1.0
    for lag in range(1, 7):
        share = float((near[:, lag:] * near[:, :-lag]).mean()) / max(variance, 1e-12)
        if share < 0.05:
            break
        total += 2 * share
    return max(1.0, STEP_PX * total)


def along_samples(dark: Darkness, line_offsets: list[int], lags: int) -> float:
    """Over how many samples along the line noise beside it is one number; no fewer than are
    averaged."""
    lane = dark.bands[:, :, dark.bands.shape[2] // 4].astype(np.float64)
    least = 2 * math.sqrt(math.pi) * ALONG
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
        share = float((lane[lag:][same] * lane[:-lag][same]).mean()) / max(variance, 1e-12)
        if share < 0.05:
            break
        total += 2 * share
    return max(least, total)
