"""The blur and grain of a photograph, and the visibility of a crack in it.

`twins` uses both: a drawing gets the photograph's own blur and grain, and a crack is drawn dark
enough for a person to see, so that its label is true.

Visibility is signal over noise. Along a crack, the eye averages over its width and over a stretch
of `STRETCH_PX`. Relative to the same averages over the uncracked surface nearby,

    d' = mean darkening / standard deviation

The noise is that of the photograph under a Gaussian filter as wide as the crack, without structure
much broader than the crack. A stretch holds STRETCH_PX / (2 sqrt(pi) sigma) independent values of
such a filter, and the noise of their mean is smaller by the square root of this number.

`crackcli.detectability.block_quality` estimates blur and grain for a block instead of a whole
photograph: it leaves out nodata and clipped pixels, returns nan if too few edges stand out from the
grain, and compares two pairs of scales, so that its blur reaches up to 6 px. Here one value is
always returned, and blurs up to 2.5 px are enough. The local operators are the same
(`crackcli.rasters.sharpness`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float64, Floats, Int64
from crackcli.rasters.sharpness import noise_power, slope
from crackcli.synthesis.brushes import Field, Picture, luma, ramp, values_at
from crackcli.synthesis.cover import CrackPath, blur, resize

STRETCH_PX = 16.0
NOISE_SIGMA_PX = 16.0  # of the surroundings whose noise counts
LEAST_NOISE = (1.2, 0.012)  # grey levels, plus a fraction of the brightness: limit of the eye
EYE_SIGMA_PX = 0.8  # of the eye itself, at 1:1
LEAST_JOINT_NOISE = 4.0  # grey levels, along a joint: shadows in it distract the eye
STEP_PX = 2.0  # between the sampled pixels along a crack

REBLUR_SIGMA_PX = 1.0
EDGE_QUANTILE = 0.985  # slopes above this quantile are edges
SLOPE_SIGMA_PX = 0.58  # blur that the Sobel operator adds
BLUR_RANGE_PX = (0.35, 2.5)
GRAIN_QUANTILE = 0.2  # of the blocks of a photograph by noise; the calmest show little but grain
BLOCK_PX = 16


def local_noise(brightness: Field, sigma_px: float) -> Field:
    """Return the local standard deviation (rows, cols) for an eye that averages over
    ``sigma_px``."""
    smooth = blur(brightness, sigma_px)
    texture = smooth - blur(smooth, 2.5 * sigma_px + 4)
    spread = np.sqrt(np.maximum(mean_square(texture), 0))
    noise: Field = np.hypot(spread, LEAST_NOISE[0] + LEAST_NOISE[1] * brightness.mean())
    return noise


def noise_along(brightness: Field, paths: list[CrackPath], sigma_px: float) -> Field:
    """Return the same noise (rows, cols) from the pixels along paths alone, one value for all: that
    of a joint, whatever the stones beside it."""
    smooth = blur(brightness, sigma_px)
    spreads = []
    for path in paths:
        even = path.sampled(np.arange(0, path.along_px[-1], STEP_PX)).points
        seen = values_at(smooth, even[:, None])
        spreads.append(float((seen - blur_along(seen)).std()))
    return np.full(brightness.shape, np.hypot(max(spreads), LEAST_JOINT_NOISE), np.float32)


def blur_along(values: Field) -> Field:
    """Return values (N, 1) along a path without changes shorter than a stretch."""
    kernel = (1, 2 * round(STRETCH_PX / STEP_PX / 2) + 1)
    return np.asarray(cv2.blur(values, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def mean_square(values: Field) -> Field:
    """Return the local mean square (rows, cols), computed at a quarter of the resolution."""
    rows, cols = values.shape
    small = resize(values**2, (-(-rows // 4), -(-cols // 4)), cv2.INTER_AREA)
    small = blur(small, NOISE_SIGMA_PX / 4)
    return resize(small, (rows, cols), cv2.INTER_LINEAR)


def eye_sigma(width_px: float) -> float:
    """Return the sigma in px of an eye that searches for a crack of this width."""
    return max(EYE_SIGMA_PX, 0.4 * width_px)


def noise_reduction(sigma_px: float) -> float:
    """Return the factor by which averaging along a stretch divides the noise."""
    factor: float = max(1.0, np.sqrt(STRETCH_PX / (2 * np.sqrt(np.pi) * sigma_px)))
    return factor


def path_pixels(paths: list[CrackPath], shape: tuple[int, ...]) -> tuple[Int64, Float64]:
    """Return pixels (N, 2: row, col) along the open parts of paths, and the length of each (N).

    No pixel is returned twice: overlapping paths count once.
    """
    found = []
    for path in paths:
        way = path.along_px
        even = path.sampled(np.arange(0, way[-1], STEP_PX))
        found.append(even.points[even.width_px > 0.2])
    cells = np.rint(np.vstack(found)[:, ::-1] / STEP_PX).astype(np.int64)
    inside = ((cells >= 0) & (cells * STEP_PX <= np.array(shape) - 1)).all(axis=1)
    wide = int(shape[1] / STEP_PX) + 1
    cells = np.column_stack(np.divmod(np.unique(cells[inside] @ [wide, 1]), wide))
    return (cells * STEP_PX).astype(np.int64), np.full(len(cells), STEP_PX)


def visibility(
    darkening: Field, noise: Field, paths: list[CrackPath], sigma_px: float
) -> tuple[Floats, Float64]:
    """Return d' (N) along cracks, and the length in px (N) that each value stands for.

    ``darkening`` (rows, cols) is the darkening of each pixel in grey levels, ``noise`` (rows, cols)
    that of `local_noise` for the eye ``sigma_px``.
    """
    pixels, lengths = path_pixels(paths, noise.shape)
    # Ragged edges move the opening off the path, so the best value of the neighbours is taken.
    rows, cols = pixels.T
    signal = cv2.dilate(blur(darkening, sigma_px), np.ones((3, 3)))[rows, cols]
    return signal / noise[rows, cols] * noise_reduction(sigma_px), lengths


def blur_of(picture: Picture) -> float:
    """Return the sigma in px of the photograph's own blur, from its sharpest edges.

    Another blur s divides the slope of an edge of blur b by sqrt(b^2 + s^2) / b (Zhuo and Sim
    2011).
    """
    brightness = blur(luma(picture), 0.4)  # against grain; subtracted again below
    once = slope(brightness)
    limit = np.quantile(once[::2, ::2], EDGE_QUANTILE)
    edges = (once >= max(float(limit), 2.0)) & (once >= cv2.dilate(once, np.ones((3, 3))))
    if edges.sum() < 12:
        return 0.8
    falls = once[edges] / np.maximum(slope(blur(brightness, REBLUR_SIGMA_PX))[edges], 1e-3)
    fall = max(float(np.median(falls)), 1.01)
    squared = REBLUR_SIGMA_PX**2 / (fall**2 - 1) - 0.4**2 - SLOPE_SIGMA_PX**2
    return float(np.clip(np.sqrt(max(squared, 0)), *BLUR_RANGE_PX))


def grain_of(picture: Picture) -> float:
    """Return the deviation in grey levels of the pixel noise, from the calmest blocks."""
    fine = noise_power(luma(picture))
    rows, cols = (max(1, side // BLOCK_PX) for side in fine.shape)
    blocks = resize(fine, (rows, cols), cv2.INTER_AREA)
    return float(np.sqrt(np.quantile(blocks, GRAIN_QUANTILE)))


@dataclass(frozen=True)
class Camera:
    """The blur and grain of a photograph, for drawings on it."""

    blur_px: float  # sigma
    grain: float  # standard deviation in grey levels

    @classmethod
    def of(cls, photograph: Picture) -> "Camera":
        """Estimate both from a photograph."""
        return cls(blur_of(photograph), grain_of(photograph))

    def finish(self, photograph: Picture, picture: Picture, rng: Generator) -> Picture:
        """Give the drawing ``picture`` on ``photograph`` the blur and grain of the photograph.

        Changed pixels are blurred. Fine grain of the photograph stays, because only the change is
        blurred; noise is added where the drawing covers it.
        """
        change = blur(picture - photograph, self.blur_px)
        noise = self.noise_for(change, rng)
        change += photograph
        change += noise[..., None]
        return change.clip(0, 255, out=change)

    def noise_for(self, change: Picture, rng: Generator) -> Field:
        """Return noise (rows, cols) for a change (rows, cols, 3) in grey levels."""
        noise: Field = rng.standard_normal(change.shape[:2], np.float32)
        noise *= np.float32(0.7 * self.grain) * ramp(np.abs(luma(change)), 0, 24)
        return noise
