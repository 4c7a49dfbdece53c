"""Find crack pixels: the score locates cracks, the photograph outlines them.

Notation: q the score, root of positive relevance; g the grey value; all (rows, cols).

The score is too coarse to outline cracks. So `refine` takes five steps:

1. corridor: q, smoothed over a few pixels, above half the scene's threshold;
2. contrast d: how far g lies below its surroundings on *both* sides. The median of a wide window
   estimates the surroundings. A morphological closing, which fills dark narrow structures and
   keeps the dark side of an edge, estimates the second side. The smaller difference counts;
3. two levels near every pixel: the grey level of the crack (mean of g weighted by d and q) and of
   its surroundings (weighted by the lack of contrast). So each stretch of a crack has its own
   levels: a hairline beside a wide crack need not be as dark as the wide one;
4. crack pixels lie beyond half-way from the surroundings to the crack level. This threshold cuts a
   blurred edge at its true place (Cho et al. 2018), so the width is right;
5. hysteresis: of these pixels, the components in which q exceeds the scene's threshold somewhere.

No pixel labels are used. The constants below were set on training photographs; results depend
little on them (accuracy: docs/results.md). The recipe ``study`` is the post-processing of Forest
et al. 2024 instead; ``plain`` thresholds the score.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64, UInt8
from crackcli.errors import UsageError
from crackcli.rasters.grid import Window
from crackcli.registry import find_method

HALO_PX = 160  # margin that `refine` needs around the pixels it classifies
REACH_PX = 271  # beyond which no pixel changes the result of `refine`: 3 + 60 + 136 + 72, see there
STEP_PX = 64  # filtered parts begin and end on multiples: SIMD vectors of any processor fit into it
SMOOTHED_PX = 21  # twice the kernel radius of `smooth_score`
SMOOTH_SCORE_PX = 2.5  # sigma; averages the grain of a map and allows for small offsets
SMOOTH_GREY_PX = 0.6  # sigma; below the blur of any lens
WINDOWS_PX = (51, 101)  # sides of the medians; cracks are narrower than half of it
CLOSING_PX = 61
NEIGHBOURHOOD_PX = 16  # sigma; for one level of crack and of surroundings
LEVEL_PX = 72  # kernel radius of `level`
NOISE_PX = 32  # sigma; the contrast of crack-free texture is averaged over it
CELL_PX = 4  # side of the cells of `smooth_widely`
CELL_VARIANCE_PX = (CELL_PX**2 - 1) / 12 + CELL_PX**2 / 6  # of a mean, and of an interpolation
TWO_SIDED = 1.25  # the difference to the surroundings may exceed d by this factor
HALF_WAY = 0.5

RECIPES = ("auto", "plain", "refined", "study")

STUDY_CLOSINGS_PX = (5, 25)  # sides of the closings before and after components are selected
STUDY_AREA_PX = 50
AREA_PX = 40

# Bounds of a scene's threshold, by method and start, if the score has a unit. The unit is the root
# of logits per pixel, divided by the root of the network's typical margin in logits.
BOUNDS = {("lrp", "margin"): (0.0022, 0.0044)}


@dataclass(frozen=True)
class Masking:
    """Options that turn a score into a mask; part of the provenance of a scene."""

    recipe: str = "refined"  # or study, plain; auto: the one that suits the method
    threshold: float | None = None  # on the score, above 0; None: from the scene's histogram
    min_area_px: int | None = None  # None: 40, for recipe study 50

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise UsageError(
                f"--masking {self.recipe}: unknown recipe; choose one of: {', '.join(RECIPES)}"
            )
        if self.threshold is not None and not 0 < self.threshold < np.inf:
            raise UsageError(
                f"--threshold {self.threshold}: must be a finite number above 0; leave it out to "
                "use one that suits the scene"
            )

    def suited(self, method: str) -> "Masking":
        """Return the same options, with auto replaced by the recipe that suits a method."""
        if self.recipe != "auto":
            return self
        return replace(self, recipe=find_method(method).masking)

    @property
    def min_component_px(self) -> int:
        """Area of the smallest component that counts as crack."""
        if self.min_area_px is not None:
            return self.min_area_px
        return STUDY_AREA_PX if self.recipe == "study" else AREA_PX


@dataclass(frozen=True)
class Candidates:
    """Pixels for the hysteresis: ``weak`` ones count if their component holds a ``strong`` one."""

    weak: Bools
    strong: Bools

    def cut(self, part: tuple[slice, slice]) -> "Candidates":
        """Return the candidates in a part."""
        return Candidates(self.weak[part], self.strong[part])


def smooth(values: Float32, sigma_px: float) -> Float32:
    """Return the Gaussian mean of an image."""
    blurred = cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def grey(rgb: UInt8) -> Float32:
    """Return the mean of the three channels, 0 to 255."""
    total = rgb[..., 0].astype(np.uint16) + rgb[..., 1] + rgb[..., 2]
    mean: Float32 = total.astype(np.float32) / np.float32(3)
    return mean


def smooth_widely(values: Float32, sigma_px: float) -> Float32:
    """Return the Gaussian mean of an image, computed at a quarter of the resolution.

    Cells of 4 px begin at the corner of the image. Taking their means and interpolating between
    them spreads a value too, so the Gaussian is narrower by that variance.
    """
    rows, cols = values.shape
    below, right = -rows % CELL_PX, -cols % CELL_PX
    padded = cv2.copyMakeBorder(values, 0, below, 0, right, cv2.BORDER_REFLECT)
    coarse_shape = (cols + right) // CELL_PX, (rows + below) // CELL_PX
    coarse = cv2.resize(padded, coarse_shape, interpolation=cv2.INTER_AREA)
    sigma = np.sqrt(sigma_px**2 - CELL_VARIANCE_PX) / CELL_PX
    blurred = smooth(np.asarray(coarse, np.float32), sigma)
    whole = cv2.resize(blurred, padded.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[:rows, :cols], np.float32)


def smooth_score(score: Float32) -> Float32:
    """Return q: the score smoothed as relevance, that is, in squares."""
    q: Float32 = np.sqrt(smooth(score * score, SMOOTH_SCORE_PX))
    return q


def two_sided_contrast(g: Float32) -> Float32:
    """Return how far each pixel lies below its surroundings on both sides, in grey values, at least
    0."""
    rim = max(WINDOWS_PX)
    padded = cv2.copyMakeBorder(g, rim, rim, rim, rim, cv2.BORDER_REFLECT)
    inner = (slice(rim, -rim), slice(rim, -rim))
    as_bytes = padded.clip(0, 255).astype(np.uint8)
    surroundings = np.max([cv2.medianBlur(as_bytes, side) for side in WINDOWS_PX], axis=0)
    filled = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((CLOSING_PX, CLOSING_PX), np.uint8))
    contrast: Float32 = (np.minimum(surroundings, filled)[inner] - g).clip(min=0)
    return contrast


def level(g: Float32, weights: Float32) -> Float32:
    """Return the weighted mean of ``g`` near every pixel."""
    total = smooth_widely(weights, NEIGHBOURHOOD_PX)
    return smooth_widely(weights * g, NEIGHBOURHOOD_PX) / (total + 1e-6)


def around(flags: Bools, reach_px: int) -> Window:
    """Return the part of an array that holds everything within ``reach_px`` of its flags.

    Filters of that radius give the same values at the flagged pixels, to the last bit, as if they
    ran on the whole array.
    """
    sides = []
    for axis in (1, 0):
        there, length = np.flatnonzero(flags.any(axis=axis)), flags.shape[1 - axis]
        first = max(0, int(there[0]) - reach_px) // STEP_PX * STEP_PX
        end = min(length, -(-(int(there[-1]) + 1 + reach_px) // STEP_PX) * STEP_PX)
        sides.append((first, end - first))
    (row, rows), (col, cols) = sides
    return Window(row, col, rows, cols)


def refine(rgb: UInt8, q: Float32, threshold: float, pixels: Bools | None = None) -> Candidates:
    """Find candidates in a photograph (rows, cols, 3) with smoothed score ``q``.

    ``pixels`` (rows, cols) restricts them to some pixels. ``threshold`` is that of the scene; half
    of it bounds the corridor. The result at a pixel depends on those within `REACH_PX` only:
    kernels have radii of 3 px (grey), 60 (contrast), 136 (noise) and 72 (levels), one after the
    other; the last two include the cells of `smooth_widely`.
    """
    corridor = q > threshold / 2
    requested = corridor if pixels is None else pixels & corridor
    weak = np.zeros_like(corridor)
    if not requested.any():
        return Candidates(weak, weak)
    g = smooth(grey(rgb), SMOOTH_GREY_PX)
    dark = two_sided_contrast(g)
    noise = smooth_widely(dark, NOISE_PX) + 0.5
    at = around(requested, LEVEL_PX).within(Window(0, 0, *q.shape))
    g, dark, noise, near = g[at], dark[at], noise[at], q[at]
    weights = np.where(corridor[at], dark * np.minimum(near / threshold, 1.5), 0)
    crack = level(g, weights**2)
    surroundings = level(g, np.exp(-dark / noise))
    contrast = surroundings - crack
    below = np.minimum(surroundings - g, TWO_SIDED * dark)
    weak[at] = requested[at] & (below > HALF_WAY * contrast) & (contrast > noise)
    return Candidates(weak, weak & (q > threshold))


def plain_candidates(score: Float32, threshold: float) -> Candidates:
    """Return as candidates, weak and strong, the pixels that score above the threshold."""
    above = score > threshold
    return Candidates(above, above)


def study_candidates(score: Float32, threshold: float) -> Candidates:
    """Return the pixels that score above the threshold, closed as by Forest et al. 2024."""
    closed = close(score > threshold, STUDY_CLOSINGS_PX[0])
    return Candidates(closed, closed)


def close(mask: Bools, side_px: int) -> Bools:
    """Close a mask with an ellipse."""
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, element) > 0


def isodata(histogram: Int64, values: Float64) -> float:
    """Return the value half-way between the mean below it and the mean above it.

    ``histogram`` counts ``values``, which rise; 0 if all counts are 0. Source: Ridler and Calvard
    1978.
    """
    count, total = np.cumsum(histogram), np.cumsum(histogram * values)
    if count[-1] == 0:
        return 0.0
    threshold = total[-1] / count[-1]
    for _ in range(1000):
        last = int(np.searchsorted(values, threshold, "left")) - 1  # index of the last value below
        below, above = (count[last], count[-1] - count[last]) if last >= 0 else (0, count[-1])
        if below == 0 or above == 0:
            break
        moved = (total[last] / below + (total[-1] - total[last]) / above) / 2
        if abs(moved - threshold) < 1e-6 * values[-1]:
            break
        threshold = moved
    return float(threshold)
