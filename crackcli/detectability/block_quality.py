"""Image quality of one block: blur, noise at several scales, brightness and clipping.

These are what a detection limit depends on (`crackcli.detectability.limits`), estimated from the
photograph alone:

* blur: sigma b in px of a Gaussian point-spread function. The slope of an edge under a further
  Gaussian of sigma s is proportional to 1 / sqrt(b^2 + s^2), so the slopes at two values of s give
  b (Zhuo and Sim 2011). Slopes that grain alone can cause are not taken for edges, and the square
  of the slope that grain adds is subtracted.
* noise: how far the darkest tenth of all places lies below its surroundings, after a Gaussian mean
  of the given scale, as the standard deviation of a normal distribution with that quantile. It
  contains grain and texture alike, as both can hide a crack.
* level: lower quartile of the brightness; cracks are compared with the darker parts of a block.
* clipping: fractions of the valid pixels that are nearly black or nearly white.

Nodata and clipped pixels, and those within `RING_PX` of patches of them, are left out. Brightness
is the mean of the encoded red, green and blue, in levels from 0 to 255.

`crackcli.synthesis.visibility` estimates blur and grain of a whole photograph, without a mask and
from one pair of scales, to draw cracks that look like it. Its local operators are the same
(`crackcli.rasters.sharpness`).

Notation: B blocks, S scales of `SCALES_PX`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64, UInt8
from crackcli.rasters.sharpness import noise_power, slope

BLOCK_PX = 256  # side of a block
SCALES_PX = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)  # sigmas of the Gaussian means
SURROUND = (2.5, 4.0)  # sigma of the surroundings: 2.5 scales and 4 px more

DARKEST, LIGHTEST = 3, 252  # levels; a pixel is clipped if all channels are beyond
RING_PX = 8  # around patches of nodata and of clipped pixels, where nothing is measured
MIN_USABLE = 1 / 16  # fraction of a block's pixels; with fewer it is not measured
LEVEL_QUANTILE = 0.25
TAIL = 0.1  # quantile of the dark side, in which cracks would have to stand out
NORMAL_TAIL = 1.2816  # that quantile of a normal distribution, in standard deviations

FINE, COARSE = (0.7, 1.4, 3.0), (2.0, 4.0, 0.8)  # two sigmas in px, and least slope in levels / px
MIN_COARSE_PX = 1.0  # least blur if only the coarse pair finds edges
ABOVE_GRAIN = 4.5  # an edge is steeper than grain alone by this factor
MAXIMA_GRAIN = 3.0  # slope that grain adds at maxima of the slope, in slopes of grain alone
GRAIN_SLOPE = 1 / np.sqrt(8 * np.pi)  # of white noise of deviation 1 under a Gaussian of sigma 1 px
STEEPEST = 0.02  # largest fraction of a block's pixels that may be edges
MIN_EDGES = 40  # pixels
BLURS_PX = (0.5, 6.0)  # range of the estimate; no lens and no sensor is sharper
CALM, CALM_PX = 0.2, 16  # quantile, and side in px, of the parts of a block that show its grain
BORROWED_FROM = 3  # blocks at least, if there are so many


@dataclass(frozen=True, eq=False)
class BlockQuality:
    """Quality of B blocks; nan where it cannot be estimated.

    ``blur_px`` (B,) sigma of the blur; ``noise`` (B, S) in levels at each scale; ``level`` (B,)
    brightness; ``dark_fraction`` and ``light_fraction`` (B,) of the valid pixels are clipped.
    """

    blur_px: Float64
    noise: Float64
    level: Float64
    dark_fraction: Float64
    light_fraction: Float64


def measure_block(rgb: UInt8, valid: Bools, own: Bools | None = None) -> BlockQuality:
    """Return the quality of one block (rows, cols, 3) as B = 1; invalid pixels do not count.

    ``own`` (rows, cols) are the pixels with texture of their own, None: all. The others count as
    clipped or not, and nothing is measured on them.
    """
    unknown = np.full((1, len(SCALES_PX)), np.nan)
    nothing = np.array([np.nan])
    count = int(np.count_nonzero(valid))
    if count == 0:
        return BlockQuality(nothing, unknown, nothing, nothing, nothing)
    dark = valid & (rgb.max(axis=2) <= DARKEST)
    light = valid & (rgb.min(axis=2) >= LIGHTEST)
    clipped = (np.array([np.count_nonzero(which) / count]) for which in (dark, light))
    grey = rgb.astype(np.float32).mean(axis=2)
    known = valid & ~dark & ~light
    left_out = ~valid if own is None else ~(valid & own)
    usable = known & ~near_patches(valid & (dark | light) | left_out)
    if np.count_nonzero(usable) < MIN_USABLE * usable.size:
        return BlockQuality(nothing, unknown, nothing, *clipped)
    level = float(np.quantile(grey[usable], LEVEL_QUANTILE))
    grey = np.where(known, grey, np.float32(np.median(grey[usable])))
    noise = np.array([[noise_at(grey, usable, scale) for scale in SCALES_PX]])
    return BlockQuality(np.array([blur_of(grey, usable)]), noise, np.array([level]), *clipped)


def near_patches(flags: Bools) -> Bools:
    """Return the flagged pixels and all within `RING_PX` of flagged patches of 3 x 3 px or more."""
    patches = cv2.morphologyEx(flags.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    ring = np.ones((2 * RING_PX + 1, 2 * RING_PX + 1), np.uint8)
    return np.asarray(cv2.dilate(patches, ring) > 0, np.bool_) | flags


def smooth(values: Float32, sigma_px: float) -> Float32:
    """Return the Gaussian mean; from 8 px on it is computed at a quarter of the resolution."""
    if sigma_px < 8 or min(values.shape) < 64:
        blurred = cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32)
    rows, cols = values.shape
    small = cv2.resize(values, (-(-cols // 4), -(-rows // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / 4, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR), np.float32)


def noise_at(grey: Float32, usable: Bools, scale_px: float) -> float:
    """Return the noise in levels after a Gaussian mean of ``scale_px``.

    It is the distance from the median to the quantile `TAIL` of what is left after the surroundings
    are subtracted, over that distance for a normal distribution of deviation 1. So a few dark
    spots do not count as noise.
    """
    mean = smooth(grey, scale_px)
    mean = mean - smooth(mean, SURROUND[0] * scale_px + SURROUND[1])
    middle, low = np.quantile(mean[usable], [0.5, TAIL])
    return float(middle - low) / NORMAL_TAIL


def blur_of(grey: Float32, usable: Bools) -> float:
    """Return sigma in px of the blur at a block's steepest edges, nan without such edges.

    The larger of the estimates from fine and from coarse edges counts. Where grain hides the fine
    edges, a blur below `MIN_COARSE_PX` cannot be resolved.
    """
    grain = grain_of(grey, usable)
    fine, coarse = (blur_between(grey, usable, grain, *pair) for pair in (FINE, COARSE))
    return float(np.fmax(fine, coarse) if np.isfinite(fine) else np.maximum(coarse, MIN_COARSE_PX))


def grain_of(grey: Float32, usable: Bools) -> float:
    """Return the deviation in levels of the pixel noise in the calmest parts of a block.

    Fine texture cannot be told from noise and is part of it.
    """
    power = noise_power(grey)
    known = usable.astype(np.float32)
    rows, cols = (max(1, side // CALM_PX) for side in grey.shape)
    total, filled = (
        cv2.resize(values, (cols, rows), interpolation=cv2.INTER_AREA)
        for values in (power * known, known)
    )
    enough = filled > 0.5
    return (
        float(np.sqrt(np.quantile(total[enough] / filled[enough], CALM))) if enough.any() else 0.0
    )


def blur_between(
    grey: Float32, usable: Bools, grain: float, fine_px: float, coarse_px: float, min_slope: float
) -> float:
    """Return sigma of the blur from slopes under two Gaussians, nan with too few edges.

    Slopes g1 and g2 under sigmas s1 < s2 give b^2 = (s2^2 - f s1^2) / (f - 1) with f = g1^2 / g2^2.
    The slope at lines and dots falls faster than at edges, which would look sharper; so the upper
    quartile of b^2 counts, to which edges belong. ``min_slope`` is in levels per px.
    """
    fine, coarse = slope(smooth(grey, fine_px)), slope(smooth(grey, coarse_px))
    inner = fine[usable]
    if inner.size < MIN_EDGES:
        return np.nan
    texture = float(np.quantile(inner, 1 - STEEPEST))
    least = max(min_slope, ABOVE_GRAIN * grain * GRAIN_SLOPE / fine_px**2, texture)
    edges = usable & (fine >= least) & (fine >= cv2.dilate(fine, np.ones((3, 3), np.uint8)) * 0.98)
    if np.count_nonzero(edges) < MIN_EDGES:
        return np.nan
    added = (MAXIMA_GRAIN * grain * GRAIN_SLOPE) ** 2  # squared slope that grain adds at maxima
    ratio = (fine[edges] ** 2 - added / fine_px**4) / np.maximum(
        coarse[edges] ** 2 - added / coarse_px**4, 1e-3
    )
    squared = (coarse_px**2 - ratio * fine_px**2) / np.maximum(ratio - 1, 1e-6)
    return float(np.clip(np.sqrt(max(float(np.quantile(squared, 0.75)), 0.0)), *BLURS_PX))


def concatenate(parts: Sequence[BlockQuality]) -> BlockQuality:
    """Return the blocks of all parts as one."""
    return BlockQuality(
        blur_px=np.concatenate([part.blur_px for part in parts]),
        noise=np.concatenate([part.noise for part in parts]),
        level=np.concatenate([part.level for part in parts]),
        dark_fraction=np.concatenate([part.dark_fraction for part in parts]),
        light_fraction=np.concatenate([part.light_fraction for part in parts]),
    )


def with_blur(blocks: BlockQuality, blur_px: Float64) -> BlockQuality:
    """Return the blocks with another blur (B,), as that of `borrow_blur`."""
    return replace(blocks, blur_px=blur_px)


def borrow_blur(blur_px: Float64) -> Float64:
    """Return the blur (rows, cols) of a grid of blocks, with its gaps (nan) filled.

    A gap takes the median of the nearest blocks with a blur, `BORROWED_FROM` or more if there are.
    Everything is nan if no block has a blur.
    """
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
