"""How sharp and grainy a photograph is, and whether a person sees a crack in it.

Both are asked by `twins`: what is drawn gets the photograph's own blur and grain, and a crack is
drawn dark enough to be seen, so that the label is true.

Seeing is a signal against noise.  Looking along a crack, the eye averages over its width and over a
stretch of `STRETCH_PX`; of the same averages over the uncracked surface nearby,

    d' = mean darkening / standard deviation

The noise is measured in the photograph under a Gaussian filter as wide as the crack, with what is
much broader than the crack taken out.  Along the stretch lie STRETCH_PX / (2 sqrt(pi) sigma)
independent values of such a filter, and their mean is that much steadier.

`crackcli.detectability.block_quality` estimates blur and grain for a block instead of a whole
photograph: it leaves out nodata and clipped pixels, returns nan where too few edges stand out of
the grain, and compares two pairs of scales, so that its blur reaches up to 6 px.  Here one value is
always returned, and blurs up to 2.5 px are enough.  The local operators are the same
(`crackcli.rasters.sharpness`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from crackcli.rasters.sharpness import noise_power, slope
from crackcli.synthesis.brushes import Field, Picture, luma, ramp
from crackcli.synthesis.cover import CrackPath, blurred

STRETCH_PX = 16.0
NEAR_PX = 16.0  # sigma of the surroundings whose noise counts
LEAST_NOISE = (1.2, 0.012)  # levels, and share of the brightness: below this nobody sees any
FINEST_PX = 0.8  # sigma: the eye's own at 1:1
STEP_PX = 2.0  # between the places along a crack that are looked at

REBLUR_PX = 1.0
EDGES = 0.985  # quantile of the slopes that count as edges
SLOPE_PX = 0.58  # sigma that the measuring of slopes adds
BLURS_PX = (0.35, 2.5)
CALM = 0.2  # quantile of the blocks of a photograph that show its grain and little else
BLOCK_PX = 16


def noise_at(brightness: Field, sigma_px: float) -> Field:
    """Deviation (rows, cols) of what an eye sees that averages over ``sigma_px``."""
    seen = blurred(brightness, sigma_px)
    texture = seen - blurred(seen, 2.5 * sigma_px + 4)
    spread = np.sqrt(np.maximum(smooth_square(texture), 0))
    return np.hypot(spread, LEAST_NOISE[0] + LEAST_NOISE[1] * brightness.mean())


def smooth_square(values: Field) -> Field:
    """Mean square nearby (rows, cols), found on every fourth pixel."""
    rows, cols = values.shape
    small = cv2.resize(values**2, (-(-cols // 4), -(-rows // 4)), interpolation=cv2.INTER_AREA)
    small = blurred(small, NEAR_PX / 4)
    return cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)


def scale_of(width_px: float) -> float:
    """Sigma of the eye that looks for a crack of this width."""
    return max(FINEST_PX, 0.4 * width_px)


def steadier(sigma_px: float) -> float:
    """How much looking along a stretch divides the noise."""
    return max(1.0, np.sqrt(STRETCH_PX / (2 * np.sqrt(np.pi) * sigma_px)))


def places(paths: list[CrackPath], shape: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Pixels (N, 2: row, col) along the open parts of paths, and the length (N) each stands for.

    No pixel is named twice: where paths overlap they count once.
    """
    found = []
    for path in paths:
        way = path.along_px
        even = path.sampled(np.arange(0, way[-1], STEP_PX))
        found.append(even.points[even.width_px > 0.2])
    cells = np.rint(np.vstack(found)[:, ::-1] / STEP_PX).astype(int)
    inside = ((cells >= 0) & (cells * STEP_PX <= np.array(shape) - 1)).all(axis=1)
    wide = int(shape[1] / STEP_PX) + 1
    cells = np.column_stack(np.divmod(np.unique(cells[inside] @ [wide, 1]), wide))
    return (cells * STEP_PX).astype(int), np.full(len(cells), STEP_PX)


def visibility(
    darkening: Field, noise: Field, paths: list[CrackPath], sigma_px: float
) -> tuple[NDArray, NDArray]:
    """d' (N) along cracks, and the length in px (N) that each value stands for.

    ``darkening`` (rows, cols) is by how many levels they darken each pixel, ``noise`` that of
    `noise_at` for the eye ``sigma_px``.
    """
    pixels, lengths = places(paths, noise.shape)
    # The path is the middle of the opening but for its ragged edges: the best nearby counts.
    rows, cols = pixels.T
    seen = cv2.dilate(blurred(darkening, sigma_px), np.ones((3, 3)))[rows, cols]
    return seen / noise[rows, cols] * steadier(sigma_px), lengths


def blur_of(picture: Picture) -> float:
    """Sigma in px of the photograph's own blur, from its sharpest edges.

    Blurred once more by s, the slope of an edge of blur b falls by sqrt(b^2 + s^2) / b (Zhuo and
    Sim 2011).
    """
    brightness = blurred(luma(picture), 0.4)  # against grain, taken off again below
    once = slope(brightness)
    limit = np.quantile(once[::2, ::2], EDGES)
    edges = (once >= max(float(limit), 2.0)) & (once >= cv2.dilate(once, np.ones((3, 3))))
    if edges.sum() < 12:
        return 0.8
    falls = once[edges] / np.maximum(slope(blurred(brightness, REBLUR_PX))[edges], 1e-3)
    fall = max(float(np.median(falls)), 1.01)
    squared = REBLUR_PX**2 / (fall**2 - 1) - 0.4**2 - SLOPE_PX**2
    return float(np.clip(np.sqrt(max(squared, 0)), *BLURS_PX))


def grain_of(picture: Picture) -> float:
    """Deviation in levels of the photograph's pixel noise, where it is calmest."""
    fine = noise_power(luma(picture))
    rows, cols = (max(1, side // BLOCK_PX) for side in fine.shape)
    blocks = cv2.resize(fine, (cols, rows), interpolation=cv2.INTER_AREA)
    return float(np.sqrt(np.quantile(blocks, CALM)))


@dataclass(frozen=True)
class Camera:
    """What a photograph tells of the camera that took it."""

    blur_px: float
    grain: float  # levels

    @classmethod
    def of(cls, photograph: Picture) -> "Camera":
        """The camera of a photograph."""
        return cls(blur_of(photograph), grain_of(photograph))

    def took(self, photograph: Picture, picture: Picture, rng: Generator) -> Picture:
        """The drawing ``picture`` on ``photograph`` as if it had been there.

        What was changed becomes as blurred as the photograph.  Fine grain stays, as what the blur
        takes from the change; where something smooth was laid over it, noise is added again.
        """
        change = blurred(picture - photograph, self.blur_px)
        noise = self.grain_on(change, rng)
        change += photograph
        change += noise[..., None]
        return np.clip(change, 0, 255, out=change)

    def grain_on(self, change: Picture, rng: Generator) -> Field:
        """The noise (rows, cols) of what has changed by so many levels: none where nothing has."""
        noise = rng.standard_normal(change.shape[:2], np.float32)
        noise *= np.float32(0.7 * self.grain) * ramp(np.abs(luma(change)), 0, 24)
        return noise
