"""What a photograph can show: of each of its blocks, the narrowest crack seen, and measured, there.

A crack of width w whose bottom is K (`CONTRAST`) darker than the surface's level L, under a blur of
sigma b, is at its middle darker than the surface by

    K L erf(w / (2 sqrt(2) b))

An eye that averages over a Gaussian of sigma s sees the same with sqrt(b^2 + s^2) for b, against
the noise n(s) that this average leaves of grain and texture: what is rough hides cracks as grain
does.  It looks along a stretch of the crack, which makes it steadier.  Of all s the best counts:

    d' = max over s of  K L erf(w / (2 sqrt(2) sqrt(b^2 + s^2))) / n(s) * steadier(s)

``detect_px`` is the width at which d' reaches `SEEN`: where `crackcli scan`, with the shipped model
and its default options, finds nine of ten such cracks.  ``measure_px`` is the least width from
which on its standard error is `RELATIVE_SIGMA` of it, or less.  This is the bound of Cramer and Rao
for a profile across the crack averaged along a stretch, if width, contrast and blur are all fitted
at once and the last two are known beforehand as well as `CONTRAST_SIGMA` and `BLUR_SIGMA` say.

The constants, and how they were found:

* `CONTRAST`: the darkness of the bottom of cracks of 6 px and more, 3 px inside their labelled
  edges, relative to what lies 4 to 20 px beside them.  1160 training photographs with masks; the
  lower quartiles of five sources are 0.07 (loosely labelled), 0.14, 0.32, 0.67 and 0.68, their mean
  0.38.  This is a mean over sources: in three of the five, fewer than three of four cracks are
  darker than it.  What is fainter (filled, in shade, in paint) is not promised.
* `FAINT`, `SEEN`, `BLUR_COST`: fitted by benchmarks/measurability.py to 172 cracks of 0.4 to 14 px
  that were drawn onto 43 crack-free training photographs, partly blurred, darkened, overexposed,
  enlarged or made noisy.  P(found) is logistic in ln d', with the slope 5.8.  Without `FAINT`, a
  noise of the network's own, cracks finer than 1 px on smooth walls were foretold that it misses.
  On 49 held-out photographs 67 of 70 cracks were found that were as wide as the limit or wider, 15
  of 39 narrower ones, and 15 of 87 where no limit was foretold.

What was scanned with another model, method or zoom than the default has limits of its own, which
these stand for as far as it finds as much.

Arrays in, values out; no files.  Notation: B blocks, S scales of `SCALES_PX`, W widths.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from crackcli.arrays import Bools, Float32, Float64, UInt8

BLOCK_PX = 256
CONTRAST = 0.4
SCALES_PX = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
STRETCH_PX = 16.0  # of a crack, over which it is looked at
SURROUND = (2.5, 4.0)  # of a scale, and px: sigma of what is much broader than a crack
WIDTHS_PX = np.exp(np.linspace(np.log(0.4), np.log(14.0), 144))  # within which limits are told

SEEN = 7.5
BLUR_COST = 0.3

RELATIVE_SIGMA = 0.25
CONTRAST_SIGMA = 0.5  # of the logarithm of a crack's own contrast, before it is looked at
BLUR_SIGMA = 0.2  # of the logarithm of the blur

DARKEST, LIGHTEST = 3, 252  # levels of a channel: up to, and from which, it is clipped
CLIPPED = 0.5  # share of a block's pixels from which nothing is told of it
LEAST_SHARE = 1 / 16  # of a block's pixels: with fewer nothing is told
LEAST_NOISE = 0.6  # levels: rounding, and what compression may have smoothed away
FAINT = (3.0, 0.05)  # levels, and share of the brightness: noise of the network's own
TAIL = 0.1  # quantile of the dark side, in which cracks would have to stand out
NORMAL_TAIL = 1.2816  # of a normal distribution

FINE, COARSE = (0.7, 1.4, 3.0), (2.0, 4.0, 0.8)  # two sigmas in px, and least slope of edges
LEAST_COARSE_PX = 1.0
ABOVE_GRAIN = 4.5  # times the slopes that grain alone makes
FEIGNED = 3.0  # times these: by how much grain makes the steepest slopes steeper, in squares
GRAIN_SLOPE = 1 / np.sqrt(8 * np.pi)  # of white noise of deviation 1 under a Gaussian of sigma 1
STEEPEST = 0.02  # share of a block's pixels that may be edges
LEAST_EDGES = 40  # pixels
BLURS_PX = (0.5, 6.0)  # no lens and no sensor is sharper
IMMERKAER = np.float32([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6  # noise to itself, slopes to 0
CALM, CALM_PX = 0.2, 16  # quantile, and side, of the parts of a block that show its grain
BORROWED_FROM = 3  # blocks at least, if there are so many
RING_PX = 8  # beside no data, and clipped pixels, nothing is judged


@dataclass(frozen=True, eq=False)
class Surfaces:
    """B blocks as they were photographed; nan where a block does not tell.

    ``blur_px`` (B,) sigma of its sharpest edges; ``noise`` (B, S) deviation in levels of what an
    eye of each scale sees beside cracks; ``level`` (B,) brightness, that of its darker parts;
    ``dark`` and ``light`` (B,) share of the valid pixels that are clipped.
    """

    blur_px: Float64
    noise: Float64
    level: Float64
    dark: Float64
    light: Float64


def surface_of(rgb: UInt8, valid: Bools) -> Surfaces:
    """One block (rows, cols, 3) as `Surfaces` of B = 1; what is not valid has no say."""
    unknown = np.full((1, len(SCALES_PX)), np.nan)
    nothing = np.array([np.nan])
    count = int(np.count_nonzero(valid))
    if count == 0:
        return Surfaces(nothing, unknown, nothing, nothing, nothing)
    dark = valid & (rgb.max(axis=2) <= DARKEST)
    light = valid & (rgb.min(axis=2) >= LIGHTEST)
    shares = (np.array([np.count_nonzero(which) / count]) for which in (dark, light))
    grey = rgb.astype(np.float32).mean(axis=2)
    known = valid & ~dark & ~light
    usable = known & ~beside(valid & (dark | light) | ~valid)
    if np.count_nonzero(usable) < LEAST_SHARE * usable.size:
        return Surfaces(nothing, unknown, nothing, *shares)
    level = float(np.quantile(grey[usable], 0.25))
    grey = np.where(known, grey, np.float32(np.median(grey[usable])))
    noise = np.array([[noise_of(grey, usable, scale) for scale in SCALES_PX]])
    return Surfaces(np.array([blur_of(grey, usable)]), noise, np.array([level]), *shares)


def beside(flags: Bools) -> Bools:
    """What lies within `RING_PX` of flagged patches; single pixels count for themselves only."""
    patches = cv2.morphologyEx(flags.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    ring = np.ones((2 * RING_PX + 1, 2 * RING_PX + 1), np.uint8)
    return (cv2.dilate(patches, ring) > 0) | flags


def smooth(values: Float32, sigma_px: float) -> Float32:
    """Gaussian mean, a wide one found on every fourth pixel."""
    if sigma_px < 8 or min(values.shape) < 64:
        return cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
    rows, cols = values.shape
    small = cv2.resize(values, (-(-cols // 4), -(-rows // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / 4, borderType=cv2.BORDER_REFLECT)
    return cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)


def noise_of(grey: Float32, usable: Bools, scale_px: float) -> float:
    """How far below their surroundings the darkest tenth of all places lies at least, as the
    deviation of normal noise that does the same."""
    seen = smooth(grey, scale_px)
    seen = seen - smooth(seen, SURROUND[0] * scale_px + SURROUND[1])
    middle, low = np.quantile(seen[usable], [0.5, TAIL])
    return float(middle - low) / NORMAL_TAIL


def blur_of(grey: Float32, usable: Bools) -> float:
    """Sigma in px of the blur at a block's steepest edges, nan without such.

    Fine edges and coarse ones are asked, and the softer answer counts.  Where grain leaves coarse
    ones only, a blur of less than `LEAST_COARSE_PX` cannot be told.
    """
    grain = grain_of(grey, usable)
    fine, coarse = (blur_at(grey, usable, grain, *pair) for pair in (FINE, COARSE))
    return float(
        np.fmax(fine, coarse) if np.isfinite(fine) else np.maximum(coarse, LEAST_COARSE_PX)
    )


def grain_of(grey: Float32, usable: Bools) -> float:
    """Deviation in levels of the pixel noise where a block is calmest, roughness included."""
    fine = cv2.filter2D(grey, cv2.CV_32F, IMMERKAER) ** 2
    known = usable.astype(np.float32)
    rows, cols = (max(1, side // CALM_PX) for side in grey.shape)
    total, share = (
        cv2.resize(values, (cols, rows), interpolation=cv2.INTER_AREA)
        for values in (fine * known, known)
    )
    filled = share > 0.5
    return float(np.sqrt(np.quantile(total[filled] / share[filled], CALM))) if filled.any() else 0.0


def blur_at(
    grey: Float32, usable: Bools, grain: float, fine_px: float, coarse_px: float, least: float
) -> float:
    """The same from slopes under two Gaussians, of at least so many levels per px.

    The slope of an edge of blur b under a further Gaussian s is as 1 / sqrt(b^2 + s^2), so two of
    them tell b (Zhuo and Sim 2011).  What grain alone could be is no edge.  Of lines and dots the
    slope falls faster, which feigns sharpness: so the upper quartile counts, where edges are.
    """
    once, twice = slope(smooth(grey, fine_px)), slope(smooth(grey, coarse_px))
    inner = once[usable]
    if inner.size < LEAST_EDGES:
        return np.nan
    texture = float(np.quantile(inner, 1 - STEEPEST))
    least = max(least, ABOVE_GRAIN * grain * GRAIN_SLOPE / fine_px**2, texture)
    edges = usable & (once >= least) & (once >= cv2.dilate(once, np.ones((3, 3), np.uint8)) * 0.98)
    if np.count_nonzero(edges) < LEAST_EDGES:
        return np.nan
    # Grain makes the slopes under the finer one steeper, above all at their maxima.
    added = (FEIGNED * grain * GRAIN_SLOPE) ** 2
    fall = (once[edges] ** 2 - added / fine_px**4) / np.maximum(
        twice[edges] ** 2 - added / coarse_px**4, 1e-3
    )
    squared = (coarse_px**2 - fall * fine_px**2) / np.maximum(fall - 1, 1e-6)
    return float(np.clip(np.sqrt(max(float(np.quantile(squared, 0.75)), 0.0)), *BLURS_PX))


def slope(grey: Float32) -> Float32:
    """Steepness in levels per px."""
    right = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    return cv2.magnitude(right, down)


def joined(surfaces: list[Surfaces]) -> Surfaces:
    """All blocks of several in one."""
    names = ("blur_px", "noise", "level", "dark", "light")
    return Surfaces(*(np.concatenate([getattr(one, name) for one in surfaces]) for name in names))


def with_blur(surfaces: Surfaces, blur_px: Float64) -> Surfaces:
    """The same blocks with a blur (B,) that may be borrowed."""
    return replace(surfaces, blur_px=blur_px)


def steadier(scale_px: NDArray) -> Float64:
    """By what a look along a stretch divides the noise: the root of how many independent values
    of a Gaussian mean lie on it, which is one at least."""
    return np.sqrt(np.maximum(1.0, STRETCH_PX / (2 * np.sqrt(np.pi) * scale_px)))


def detectability(surfaces: Surfaces, widths_px: Float64) -> Float64:
    """d' (B, W) of cracks of each width on each block."""
    scales = np.array(SCALES_PX)
    faint = np.hypot(FAINT[0], FAINT[1] * surfaces.level)
    noise = np.hypot(surfaces.noise, faint[:, None])
    signal = CONTRAST * surfaces.level * (1 - surfaces.dark - surfaces.light)
    clear = signal[:, None] / noise * steadier(scales)  # (B, S)
    blur = np.hypot(surfaces.blur_px[:, None], scales)
    share = erf(widths_px / (2 * np.sqrt(2) * blur[..., None]))  # (B, S, W)
    return (clear[..., None] * share).max(axis=1)


@dataclass(frozen=True, eq=False)
class Limits:
    """Of B blocks: the narrowest width (B,) that is seen and measured, nan where no width up to the
    widest of `WIDTHS_PX` is; and ``reason`` (B,), empty where something can be seen, else one of
    `REASONS`."""

    detect_px: Float64
    measure_px: Float64
    reason: NDArray[np.str_]


TOO_LITTLE, TOO_DARK, TOO_LIGHT = "too little data", "too dark", "overexposed"
UNSHARP, UNKNOWN, ROUGH = "blurred", "sharpness unknown", "too rough"
REASONS = (TOO_LITTLE, TOO_DARK, TOO_LIGHT, UNSHARP, UNKNOWN, ROUGH)
WELL_LIT, WELL_FOCUSED_PX, EVEN = 128.0, 0.7, 0.02  # level, blur, share of the level that is noise


def limits(surfaces: Surfaces) -> Limits:
    """What can be seen and measured on each block."""
    known = filled(surfaces)
    detect = first_from(detectability(known, WIDTHS_PX) >= seen_from(known)[:, None])
    measure = first_from(relative_sigma(known, WIDTHS_PX) <= RELATIVE_SIGMA)
    reason = np.full(len(detect), "", dtype=f"<U{max(map(len, REASONS))}")
    hidden = np.isnan(detect)
    reason[hidden] = what_hides(known)[hidden]
    unsharp = np.isnan(surfaces.blur_px)
    reason[unsharp] = UNKNOWN
    reason[np.isnan(surfaces.level)] = TOO_LITTLE
    reason[surfaces.dark > CLIPPED] = TOO_DARK
    reason[surfaces.light > CLIPPED] = TOO_LIGHT
    detect[reason != ""] = np.nan
    # What is not seen is not measured.
    measure = np.where(np.isnan(detect), np.nan, np.maximum(measure, detect))
    return Limits(detect, measure, reason)


def filled(surfaces: Surfaces) -> Surfaces:
    """The same with some number wherever one is unknown, so that it can be calculated with."""
    names = ("blur_px", "noise", "level", "dark", "light")
    return Surfaces(*(np.nan_to_num(getattr(surfaces, name), nan=1.0) for name in names))


def seen_from(surfaces: Surfaces) -> Float64:
    """d' (B,) from which nine of ten cracks are found: more on blurred photographs than on sharp
    ones, which are what the network has learnt from."""
    return SEEN * np.maximum(surfaces.blur_px, WELL_FOCUSED_PX) ** BLUR_COST


def first_from(holds: Bools) -> Float64:
    """The first width (B,) of `WIDTHS_PX` from which ``holds`` (B, W) for all wider ones, too."""
    fails = ~holds[:, ::-1]
    index = np.where(fails.any(axis=1), len(WIDTHS_PX) - fails.argmax(axis=1), 0)
    return np.append(WIDTHS_PX, np.nan)[index]


def what_hides(surfaces: Surfaces) -> NDArray[np.object_]:
    """For each block (B,) which of darkness, blur and roughness costs most of what could be seen
    of the widest cracks."""
    widest = WIDTHS_PX[-1:]
    level = np.maximum(surfaces.level, WELL_LIT)
    lit = replace(surfaces, level=level, noise=surfaces.noise * (level / surfaces.level)[:, None])
    sharp = replace(surfaces, blur_px=np.minimum(surfaces.blur_px, WELL_FOCUSED_PX))
    even = replace(surfaces, noise=np.minimum(surfaces.noise, EVEN * surfaces.level[:, None]))
    gains = [
        detectability(better, widest)[:, 0] / seen_from(better) for better in (lit, sharp, even)
    ]
    return np.array([TOO_DARK, UNSHARP, ROUGH], dtype=object)[np.argmax(gains, axis=0)]


def relative_sigma(surfaces: Surfaces, widths_px: Float64) -> Float64:
    """Standard error of a width, as a share of it (B, W).

    The profile across a crack is D(x) = K L (F((x + w/2) / b) - F((x - w/2) / b)), with F the
    normal distribution.  The information on (ln K, w / b, ln b) is that of white noise as strong as
    the noise at the scale of the profile, plus what is known of K and b beforehand.
    """
    blur = surfaces.blur_px[:, None]
    ratio = widths_px / blur  # (B, W)
    signal = CONTRAST * surfaces.level * (1 - surfaces.dark - surfaces.light)
    white = white_noise(surfaces, np.hypot(blur, widths_px / np.sqrt(12)))
    strength = STRETCH_PX * blur * (signal[:, None] / white) ** 2
    entries = np.array([np.interp(ratio, RATIOS, entry) for entry in profile_information()])
    kk, kw, kb, ww, wb, bb = entries * strength
    kk, bb = kk + CONTRAST_SIGMA**-2, bb + BLUR_SIGMA**-2
    # what is left of the information on w when K and b are unknown
    left = ww - (kw**2 * bb - 2 * kw * kb * wb + wb**2 * kk) / (kk * bb - kb**2)
    return 1 / (np.sqrt(np.maximum(left, 1e-12)) * ratio)


def white_noise(surfaces: Surfaces, scale_px: Float64) -> Float64:
    """The deviation (B, W) per pixel of white noise that at a scale (B, W) looks as strong as what
    is on the blocks."""
    noise = np.hypot(surfaces.noise, LEAST_NOISE)
    scales = np.array(SCALES_PX)
    at = np.log(np.clip(scale_px, scales[0], scales[-1]))
    position = np.interp(at, np.log(scales), np.arange(len(scales)))
    low = np.minimum(position.astype(int), len(scales) - 2)
    share = position - low
    row = np.arange(len(noise))[:, None]
    seen = noise[row, low] ** (1 - share) * noise[row, low + 1] ** share
    return seen * 2 * np.sqrt(np.pi) * np.exp(at)


RATIOS = np.exp(np.linspace(np.log(0.01), np.log(60.0), 600))


@lru_cache(maxsize=1)
def profile_information() -> Float64:
    """The integrals (6, R) over x / b of products of the profile's derivatives by ln K, w / b and
    ln b, for w / b in `RATIOS`: KK, Kw, Kb, ww, wb, bb."""
    entries = []
    for ratio in RATIOS:
        x = np.linspace(-ratio / 2 - 6, ratio / 2 + 6, 2001)
        left, right = x + ratio / 2, x - ratio / 2
        bells = [np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) for u in (left, right)]
        by_k = (erf(left / np.sqrt(2)) - erf(right / np.sqrt(2))) / 2
        by_w = (bells[0] + bells[1]) / 2
        by_b = right * bells[1] - left * bells[0]
        pairs = ((by_k, by_k), (by_k, by_w), (by_k, by_b), (by_w, by_w), (by_w, by_b), (by_b, by_b))
        entries.append([np.trapezoid(one * other, x) for one, other in pairs])
    return np.array(entries).T


def borrowed(blur_px: Float64) -> Float64:
    """Blur on a grid of blocks (rows, cols): where one does not tell (nan), the median of the
    nearest that do; nan everywhere if none does."""
    known = np.isfinite(blur_px)
    if known.all() or not known.any():
        return blur_px
    result = blur_px.copy()
    for row, col in np.argwhere(~known):
        for reach in range(1, max(blur_px.shape)):
            near = blur_px[
                max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1
            ]
            found = near[np.isfinite(near)]
            if len(found) >= BORROWED_FROM:
                break
        result[row, col] = np.median(found) if len(found) else np.median(blur_px[known])
    return result
