"""From score and photograph to crack pixels: where the explanation points, the photograph decides.

Notation: q the score, root of positive relevance; g the grey value; all (rows, cols).

The explanation locates cracks and is too coarse to outline them.  So (`refine`):

1. corridor: q, smoothed over a few pixels, above half the scene's threshold;
2. darkness d: how far g lies below its surroundings on *both* sides.  The median of a wide window
   gives the surroundings; a closing, which fills what is dark and narrow and keeps what is merely
   the dark side of an edge, gives the second side; the smaller of both counts;
3. two levels: near every pixel the grey level of the crack (mean of g, weighed by darkness and q)
   and of its surroundings (weighed by the lack of darkness).  Each stretch of a crack is so judged
   by its own contrast: a hairline beside a wide crack is not held to the wide one's darkness;
4. crack is what lies beyond half-way from the surroundings to the crack level: the threshold at
   which a blurred edge is cut at its true place (Cho et al. 2018), hence the width is right;
5. hysteresis: of these pixels, the components that reach the scene's threshold of q somewhere.

No pixel label is involved; the constants below were set on training photographs and change little
(see the README's results).  `study` is the post-processing of Forest et al. 2024 instead; `plain`
takes what scores above the threshold as it is.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64, UInt8
from crackcli.errors import UsageError
from crackcli.rasters.grid import Window
from crackcli.registry import find_method

HALO_PX = 160  # what `refine` needs to see around the pixels it judges
SEEN_PX = 255  # as far as anything reaches that `refine` does: 3 + 60 + 128 + 64, see there
STEP_PX = 64  # on which what is filtered begins and ends: vectors of any processor fit into it
SMOOTHED_PX = 21  # twice as far as `smooth_score` reaches
SMOOTH_SCORE_PX = 2.5  # sigma; a map's own grain, and a little tolerance of place
SMOOTH_GREY_PX = 0.6  # sigma; below the blur of any lens
WINDOWS_PX = (51, 101)  # of the medians; cracks are narrower than half of it
CLOSING_PX = 61
NEIGHBOURHOOD_PX = 16  # sigma; one level of crack and surroundings
LEVEL_PX = 64  # what `level` needs to see around a pixel
NOISE_PX = 32  # sigma; over which the darkness of sound texture is averaged
TWO_SIDED = 1.25  # the second side may lie a fifth nearer than the first
HALF_WAY = 0.5

MENU = ("auto", "plain", "refined", "study")

STUDY_CLOSINGS_PX = (5, 25)
STUDY_AREA_PX = 50
AREA_PX = 40

# Bounds of a scene's threshold where the score has a unit: the root of logits per pixel, and of the
# network's usual margin in logits.
BOUNDS = {("lrp", "margin"): (0.0022, 0.0044)}
HALF_PROBABILITY = 0.5**0.5  # threshold of a score that is the root of P(crack)


@dataclass(frozen=True)
class Masking:
    """How a score becomes a mask; part of the provenance."""

    recipe: str = "refined"  # or study, plain, auto: what suits the method
    threshold: float | None = None  # of the score, above 0; None: from the scene's histogram
    min_area_px: int | None = None  # None: 40, the study's 50

    def __post_init__(self) -> None:
        if self.recipe not in MENU:
            raise UsageError(f"'{self.recipe}' is not known; choose one of: {', '.join(MENU)}")
        if self.threshold is not None and not 0 < self.threshold < np.inf:
            raise UsageError(f"the threshold is {self.threshold}; choose a number above 0")

    def suited(self, method: str) -> "Masking":
        """The same with the recipe that suits a method, where it is open."""
        if self.recipe != "auto":
            return self
        return replace(self, recipe=find_method(method).masking)

    @property
    def least_px(self) -> int:
        """Components of fewer pixels are not cracks."""
        if self.min_area_px is not None:
            return self.min_area_px
        return STUDY_AREA_PX if self.recipe == "study" else AREA_PX


@dataclass(frozen=True)
class Candidates:
    """Pixels that may be crack, and those among them that make a component one."""

    weak: Bools
    strong: Bools

    def cut(self, part: tuple[slice, slice]) -> "Candidates":
        """Those of a part."""
        return Candidates(self.weak[part], self.strong[part])


def smooth(values: Float32, sigma_px: float) -> Float32:
    """Gaussian mean of a float32 image."""
    return cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)


def grey(rgb: UInt8) -> Float32:
    """Mean of the three channels, 0 to 255."""
    return rgb.astype(np.float32).mean(axis=2)


def smooth_score(score: Float32) -> Float32:
    """q: the score smoothed as relevance, that is, in squares."""
    return np.sqrt(smooth(score * score, SMOOTH_SCORE_PX))


def darkness(g: Float32) -> Float32:
    """How far each pixel lies below its surroundings on both sides, in grey values, at least 0."""
    rim = max(WINDOWS_PX)
    padded = cv2.copyMakeBorder(g, rim, rim, rim, rim, cv2.BORDER_REFLECT)
    inner = (slice(rim, -rim), slice(rim, -rim))
    as_bytes = padded.clip(0, 255).astype(np.uint8)
    surroundings = np.max([cv2.medianBlur(as_bytes, side) for side in WINDOWS_PX], axis=0)
    filled = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((CLOSING_PX, CLOSING_PX), np.uint8))
    return (np.minimum(surroundings, filled)[inner] - g).clip(min=0)


def level(g: Float32, weights: Float32) -> Float32:
    """The weighted mean of ``g`` near every pixel."""
    total = smooth(weights, NEIGHBOURHOOD_PX)
    return smooth(weights * g, NEIGHBOURHOOD_PX) / (total + 1e-6)


def around(pointed: Bools, reach_px: int) -> Window:
    """The part of an array that holds all within ``reach_px`` of its flags.

    What filters of that reach give for the flagged pixels is the same, to the last bit, as if they
    saw all of the array.
    """
    sides = []
    for axis in (1, 0):
        there, length = np.flatnonzero(pointed.any(axis=axis)), pointed.shape[1 - axis]
        first = max(0, int(there[0]) - reach_px) // STEP_PX * STEP_PX
        end = min(length, -(-(int(there[-1]) + 1 + reach_px) // STEP_PX) * STEP_PX)
        sides.append((first, end - first))
    (row, rows), (col, cols) = sides
    return Window(row, col, rows, cols)


def refine(rgb: UInt8, q: Float32, threshold: float, pointed: Bools | None = None) -> Candidates:
    """Candidates of a photograph (rows, cols, 3) where its smoothed score ``q`` points; among the
    pixels ``pointed`` at only, if these are given.

    ``threshold`` is that of the scene; half of it bounds the corridor.  What is found at a pixel
    depends on those within `SEEN_PX` only: kernels reach 3 px (grey), 60 (darkness), 128 (noise)
    and 64 (levels), one after the other.
    """
    corridor = q > threshold / 2
    pointed = corridor if pointed is None else pointed & corridor
    weak = np.zeros_like(corridor)
    if not pointed.any():
        return Candidates(weak, weak)
    g = smooth(grey(rgb), SMOOTH_GREY_PX)
    dark = darkness(g)
    noise = smooth(dark, NOISE_PX) + 0.5
    at = around(pointed, LEVEL_PX).within(Window(0, 0, *q.shape))
    g, dark, noise, near = g[at], dark[at], noise[at], q[at]
    marked = np.where(corridor[at], dark * np.minimum(near / threshold, 1.5), 0)
    crack = level(g, marked**2)
    surroundings = level(g, np.exp(-dark / noise))
    contrast = surroundings - crack
    depth = np.minimum(surroundings - g, TWO_SIDED * dark)
    weak[at] = pointed[at] & (depth > HALF_WAY * contrast) & (contrast > noise)
    return Candidates(weak, weak & (q > threshold))


def plain_candidates(score: Float32, threshold: float) -> Candidates:
    """Candidates by the score alone: above the threshold."""
    above = score > threshold
    return Candidates(above, above)


def study_candidates(score: Float32, threshold: float) -> Candidates:
    """Candidates by the score alone: above the threshold, then closed."""
    closed = close(score > threshold, STUDY_CLOSINGS_PX[0])
    return Candidates(closed, closed)


def close(mask: Bools, side_px: int) -> Bools:
    """Morphological closing with an ellipse."""
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, element) > 0


def isodata(histogram: Int64, values: Float64) -> float:
    """The value half-way between the mean below it and the mean above it.

    ``histogram`` counts ``values``, which rise.  Source: Ridler and Calvard 1978.
    """
    count, total = np.cumsum(histogram), np.cumsum(histogram * values)
    if count[-1] == 0:
        return 0.0
    threshold = total[-1] / count[-1]
    for _ in range(1000):
        last = int(np.searchsorted(values, threshold, "left")) - 1  # the last value below
        below, above = (count[last], count[-1] - count[last]) if last >= 0 else (0, count[-1])
        if below == 0 or above == 0:
            break
        moved = (total[last] / below + (total[-1] - total[last]) / above) / 2
        if abs(moved - threshold) < 1e-6 * values[-1]:
            break
        threshold = moved
    return float(threshold)
