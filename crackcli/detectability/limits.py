"""Detection and quantification limits of blocks: the narrowest crack found, and measured.

Model. A crack of width w (px) has a bottom that is darker than the surface by the fraction K
(`CONTRAST`) of its brightness L (levels). Under a Gaussian blur of sigma b, its middle is darker
by

    K L erf(w / (2 sqrt(2) b))

An observer averages with a Gaussian of sigma s, which makes the blur sqrt(b^2 + s^2), and along a
stretch l of the crack (`STRETCH_PX`), on which l / (2 sqrt(pi) s) values are independent. n(s) is
the noise after that average, grain and texture alike, and includes that of the network. The
detectability index is that of the best scale:

    d' = max over s of  K L erf(w / (2 sqrt(2) sqrt(b^2 + s^2))) / n(s) * sqrt(l / (2 sqrt(pi) s))

Detection limit (``detection_px``): the least w at which d' reaches what the method of the scan
needs (`Observer`): d_prime_90 b^blur_exponent, with b in px but at least `SHARP_PX`. There
`crackcli scan` finds nine of ten such cracks, with a shipped model and its default options.

Quantification limit (``quantification_px``): the smallest w at and above which the relative
standard error of a width is at most `RELATIVE_SIGMA`. The error is the Cramer-Rao bound for a
profile across the crack, averaged along the stretch, if width, contrast and blur are fitted at once
and the last two have prior uncertainties `CONTRAST_SIGMA` and `BLUR_SIGMA`.

Assumptions: blur is Gaussian; noise is normal, and white at scales between those measured. Both
are those of the block (`crackcli.detectability.block_quality`). The limits hold for cracks of the
contrast `CONTRAST` or more.

Where the constants come from:

* `CONTRAST`: the darkness of the bottom of cracks of 6 px and more, 3 px inside their labelled
  edges, relative to what lies 4 to 20 px beside them. 1160 training photographs with masks; the
  lower quartiles of five sources are 0.07 (loosely labelled), 0.14, 0.32, 0.67 and 0.68, their mean
  0.38. This is a mean over sources: in three of the five, fewer than three of four cracks are
  darker than it. Nothing is promised for fainter cracks (filled, in shade, in paint).
* `OBSERVERS`: fitted by benchmarks/measurability.py to cracks of 0.4 to 14 px, drawn onto
  crack-free training photographs, which were partly blurred, darkened, overexposed, enlarged or
  made noisy. P(found) is logistic in ln d'. Without the noise of the network the limits promised
  cracks below 1 px on smooth surfaces that the network misses. For lrp: 172 cracks on 43
  photographs, slope 5.8; on 49 held-out photographs 67 of 70 cracks were found that were as wide as
  the limit or wider, 15 of 39 narrower ones, and 15 of 87 where there was no limit. What the
  student finds depends less on d' (240 cracks on 60 photographs, slope 2.5; a higher value promises
  less, and keeps no more of it). With its value 35 of 41 cracks as wide as the limit or wider were
  found on these, and 74 of 82 on 60 held-out photographs.
* ``excepted``: by benchmarks/promise.py, of labelled cracks as wide as their limit or wider, by
  length, lrp finds 95 % on concrete and asphalt but 77 % in masonry, and 81 % of those three times
  as wide; the student finds 79 % of those in joints of masonry, and 92 % of the others.

A scan with another model, method or zoom has other limits; those of lrp are then a guide.

Arrays in, values out; no files. Notation: B blocks, S scales, W widths.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from crackcli.arrays import Bools, Float64
from crackcli.detectability.block_quality import SCALES_PX, BlockQuality

CONTRAST = 0.4
STRETCH_PX = 16.0  # length of a crack over which an observer averages
WIDTHS_PX = np.exp(np.linspace(np.log(0.4), np.log(14.0), 144))  # range of the limits

SHARP_PX = 0.7  # blur of a well focused photograph

RELATIVE_SIGMA = 0.25
CONTRAST_SIGMA = 0.5  # prior uncertainty of ln K
BLUR_SIGMA = 0.2  # prior uncertainty of ln b
QUANTISATION_NOISE = 0.6  # levels: rounding, and what compression may have smoothed away

MAX_CLIPPED = 0.5  # fraction of a block's pixels; a block with more is not assessable
WELL_LIT = 128.0  # levels
SMOOTH_NOISE = 0.02  # noise of a smooth surface, as a fraction of its brightness

TOO_LITTLE, TOO_DARK, TOO_LIGHT = "too little data", "too dark", "overexposed"
UNSHARP, UNKNOWN, ROUGH = "blurred", "sharpness unknown", "too rough"
FLAT, REPEATED = "flat", "repeated pixels"
REASONS = (TOO_LITTLE, TOO_DARK, TOO_LIGHT, UNSHARP, UNKNOWN, ROUGH, FLAT, REPEATED)
CLIPPED = (TOO_DARK, TOO_LIGHT)


@dataclass(frozen=True)
class Observer:
    """How well a method finds cracks.

    d_prime_90     d' at which it finds nine of ten, on photographs with a blur of 1 px
    blur_exponent  of the blur in px: how much more it needs on blurred photographs
    noise          of its network: in levels, and as a fraction of the brightness
    excepted       cracks that it misses at any width, so that the limits do not hold for them
    """

    d_prime_90: float
    blur_exponent: float
    noise: tuple[float, float]
    excepted: tuple[str, ...] = ()


FAINT = "faint cracks"  # less than `CONTRAST` darker than the surface
LRP = Observer(7.5, 0.3, (3.0, 0.05), (FAINT, "cracks in masonry"))
STUDENT = Observer(10.5, 0.0, (3.0, 0.05), (FAINT, "cracks in joints"))
OBSERVERS = {"lrp": LRP, "student": STUDENT}  # by method of a scan


def observer_of(method: str | None) -> Observer:
    """Return the observer of a method; that of lrp for one whose constants were not fitted."""
    return OBSERVERS.get(method or "", LRP)


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits of B blocks in px, nan where even the widest of `WIDTHS_PX` is below the criterion.

    ``reason`` (B,) is one of `REASONS` where there is no detection limit, else empty.
    """

    detection_px: Float64
    quantification_px: Float64
    reason: NDArray[np.str_]


def find_limits(blocks: BlockQuality, observer: Observer = LRP) -> Limits:
    """Return the detection and quantification limits of each block for an observer."""
    known = without_nan(blocks)
    needed = required_d_prime(known, observer)[:, None]
    detection = narrowest_from(d_prime(known, WIDTHS_PX, observer) >= needed)
    quantification = narrowest_from(relative_sigma(known, WIDTHS_PX) <= RELATIVE_SIGMA)
    reason = np.full(len(detection), "", dtype=f"<U{max(map(len, REASONS))}")
    no_limit = np.isnan(detection)
    reason[no_limit] = limiting_factor(known, observer)[no_limit]
    reason[np.isnan(blocks.blur_px)] = UNKNOWN
    reason[np.isnan(blocks.level)] = TOO_LITTLE
    reason[blocks.dark_fraction > MAX_CLIPPED] = TOO_DARK
    reason[blocks.light_fraction > MAX_CLIPPED] = TOO_LIGHT
    detection[reason != ""] = np.nan
    # A crack has to be found before it can be measured.
    quantification = np.where(np.isnan(detection), np.nan, np.maximum(quantification, detection))
    return Limits(detection, quantification, reason)


def d_prime(blocks: BlockQuality, widths_px: Float64, observer: Observer) -> Float64:
    """Return the detectability index d' (B, W) of cracks of each width (W,) on each block."""
    scales = np.array(SCALES_PX)
    network = np.hypot(observer.noise[0], observer.noise[1] * blocks.level)
    noise = np.hypot(blocks.noise, network[:, None])
    at_full_width = signal_of(blocks)[:, None] / noise * averaging_gain(scales)  # (B, S)
    blur = np.hypot(blocks.blur_px[:, None], scales)
    visible = erf(widths_px / (2 * np.sqrt(2) * blur[..., None]))  # (B, S, W)
    best: Float64 = (at_full_width[..., None] * visible).max(axis=1)
    return best


def signal_of(blocks: BlockQuality) -> Float64:
    """Return K L (B,) in levels, reduced by the fraction of clipped pixels."""
    return CONTRAST * blocks.level * (1 - blocks.dark_fraction - blocks.light_fraction)


def averaging_gain(scale_px: Float64) -> Float64:
    """Return the factor by which the average along a stretch lowers noise after a Gaussian mean.

    It is the root of the number of independent values on the stretch, at least 1.
    """
    independent = STRETCH_PX / (2 * np.sqrt(np.pi) * scale_px)
    return np.asarray(np.sqrt(np.maximum(1.0, independent)), np.float64)


def required_d_prime(blocks: BlockQuality, observer: Observer) -> Float64:
    """Return d' (B,) at which an observer finds nine of ten cracks.

    It may be higher on blurred photographs, if the network was trained on sharp ones.
    """
    sharpness = np.maximum(blocks.blur_px, SHARP_PX) ** observer.blur_exponent
    return np.asarray(observer.d_prime_90 * sharpness, np.float64)


def without_nan(blocks: BlockQuality) -> BlockQuality:
    """Return the blocks with 1 in place of nan; limits of such blocks are discarded later."""
    return BlockQuality(
        blur_px=np.nan_to_num(blocks.blur_px, nan=1.0),
        noise=np.nan_to_num(blocks.noise, nan=1.0),
        level=np.nan_to_num(blocks.level, nan=1.0),
        dark_fraction=np.nan_to_num(blocks.dark_fraction, nan=1.0),
        light_fraction=np.nan_to_num(blocks.light_fraction, nan=1.0),
    )


def narrowest_from(fulfilled: Bools) -> Float64:
    """Return the smallest of `WIDTHS_PX` (B,) at and above which a criterion (B, W) holds.

    nan where the widest does not fulfil it.
    """
    fails = ~fulfilled[:, ::-1]
    index = np.where(fails.any(axis=1), len(WIDTHS_PX) - fails.argmax(axis=1), 0)
    narrowest: Float64 = np.append(WIDTHS_PX, np.nan)[index]
    return narrowest


def limiting_factor(blocks: BlockQuality, observer: Observer) -> NDArray[np.str_]:
    """Return for each block (B,) what limits detection most: darkness, blur or roughness.

    It is the factor without which d' of the widest crack would gain most.
    """
    widest = WIDTHS_PX[-1:]
    level = np.maximum(blocks.level, WELL_LIT)
    lit = replace(blocks, level=level, noise=blocks.noise * (level / blocks.level)[:, None])
    sharp = replace(blocks, blur_px=np.minimum(blocks.blur_px, SHARP_PX))
    even = replace(blocks, noise=np.minimum(blocks.noise, SMOOTH_NOISE * blocks.level[:, None]))
    gains = [
        d_prime(better, widest, observer)[:, 0] / required_d_prime(better, observer)
        for better in (lit, sharp, even)
    ]
    factors: NDArray[np.str_] = np.array([TOO_DARK, UNSHARP, ROUGH])[np.argmax(gains, axis=0)]
    return factors


def relative_sigma(blocks: BlockQuality, widths_px: Float64) -> Float64:
    """Return the standard error of a width over the width (B, W), by the Cramer-Rao bound.

    The profile across a crack is D(x) = K L (F((x + w/2) / b) - F((x - w/2) / b)), with F the
    normal distribution. The Fisher information on (ln K, w / b, ln b) is that of white noise as
    strong as the noise at the scale of the profile, plus the prior information on ln K and ln b.
    The information left on w / b, with the other two unknown, is the Schur complement.
    """
    blur = blocks.blur_px[:, None]
    ratio = widths_px / blur  # (B, W)
    white = equivalent_white_noise(blocks, np.hypot(blur, widths_px / np.sqrt(12)))
    strength = STRETCH_PX * blur * (signal_of(blocks)[:, None] / white) ** 2
    entries = np.array([np.interp(ratio, RATIOS, entry) for entry in profile_information()])
    kk, kw, kb, ww, wb, bb = entries * strength
    kk, bb = kk + CONTRAST_SIGMA**-2, bb + BLUR_SIGMA**-2
    left = ww - (kw**2 * bb - 2 * kw * kb * wb + wb**2 * kk) / (kk * bb - kb**2)
    return np.asarray(1 / (np.sqrt(np.maximum(left, 1e-12)) * ratio), np.float64)


def equivalent_white_noise(blocks: BlockQuality, scale_px: Float64) -> Float64:
    """Return the deviation (B, W) per pixel of white noise that is as strong at a scale (B, W).

    A Gaussian mean of sigma s divides white noise by 2 sqrt(pi) s. The noise is interpolated
    between the scales, linearly in the logarithms.
    """
    noise = np.hypot(blocks.noise, QUANTISATION_NOISE)
    scales = np.array(SCALES_PX)
    log_scale = np.log(np.clip(scale_px, scales[0], scales[-1]))
    position = np.interp(log_scale, np.log(scales), np.arange(len(scales)))
    low = np.minimum(position.astype(int), len(scales) - 2)
    weight = position - low
    row = np.arange(len(noise))[:, None]
    at_scale = noise[row, low] ** (1 - weight) * noise[row, low + 1] ** weight
    return np.asarray(at_scale * 2 * np.sqrt(np.pi) * np.exp(log_scale), np.float64)


RATIOS = np.exp(np.linspace(np.log(0.01), np.log(60.0), 600))  # w / b of `profile_information`


@lru_cache(maxsize=1)
def profile_information() -> Float64:
    """Return the integrals (6, R) over x / b of products of the profile's derivatives.

    The derivatives are those by ln K, w / b and ln b, at each w / b of `RATIOS`; the order of the
    products is KK, Kw, Kb, ww, wb, bb.
    """
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
