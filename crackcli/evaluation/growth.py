"""The growth experiment: how well measures follow a crack that grows on a crack-free photograph.

`grow_stroke` is the experiment of Forest et al. 2024: the skeleton of a labelled crack, dilated by
5 px at each step, in the darkest colour of its photograph, with hard edges. `draw_growing_crack`
is harder and more realistic: one random crack of known width, `GROWTH_PX` wider at each step, with
soft edges and the blur of the photograph. Each step gets new noise, as if photographed again.

For each trajectory compute Pearson's r between true and measured values, and the relative error of
the slope over the steps. A measure that does not change has r = 0. A trajectory whose true values
do not change is left out. The paper does not state its rules for either. Its draws depend on its
file names and cannot be repeated; these draws are seeded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from skimage.morphology import skeletonize

from crackcli.arrays import Bools, Float32, Float64, UInt8
from crackcli.evaluation.measures import MaskMeasures, mean, measure
from crackcli.synthesis.brushes import Picture, local_texture, local_tone, luma
from crackcli.synthesis.cover import CrackPath, blur, coverage
from crackcli.synthesis.drawn_cracks import (
    CrackAppearance,
    draw_crack,
    kinked_line,
    visible_opening,
)
from crackcli.synthesis.random_cracks import CrackStyle, with_random_width
from crackcli.synthesis.twins import BLACKEST, needed_contrast, to_picture, to_uint8
from crackcli.synthesis.visibility import Camera, eye_sigma, local_noise, visibility

STEPS = 5
DILATION_PX = 5  # diameter of the disc that dilates a stroke at each step
GROWTH_PX = 0.25  # growth in width of a drawn crack at each step
WIDTHS_PX = (1.5, 5.0)  # of a drawn crack at the first step
LEAST_WIDTH = 0.8  # of the largest width, before a drawn crack closes at its ends
CLOSING = (0.2, 0.2)  # fraction of its length over which it closes: start, end
SOFT_PX = (0.4, 0.9)  # sigma of its edges
NOISE = 2.0  # standard deviation in grey levels, added to each photograph


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A crack at S steps: photographs (rows, cols, 3), the true measures, and the measures of the
    true pixels, which are the best possible mask."""

    photographs: list[UInt8]
    true: list[MaskMeasures]
    of_pixels: list[MaskMeasures]


@dataclass(frozen=True)
class Growth:
    """Means over trajectories; ``_mape`` as fractions of the true slope."""

    area_r: float
    area_slope_mape: float
    width_study_r: float
    width_study_slope_mape: float
    width_ours_r: float
    width_ours_slope_mape: float


def grow_stroke(crack_free: UInt8, cracked: UInt8, mask: Bools) -> Trajectory:
    """Draw the stroke of the paper: the crack pixels ``mask`` (rows, cols) of the photograph
    ``cracked`` (rows, cols, 3) on ``crack_free`` (rows, cols, 3)."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (DILATION_PX, DILATION_PX))
    darkest = cracked.min(axis=(0, 1))
    skeleton: Bools = skeletonize(mask)  # type: ignore[no-untyped-call]  # no types in skimage
    covered = skeleton.astype(np.uint8)
    photographs, true = [], []
    for _ in range(STEPS):
        photographs.append(np.where(covered[..., None] > 0, darkest, crack_free))
        true.append(measure(covered > 0))
        covered = cv2.dilate(covered, disc).astype(np.uint8, copy=False)
    return Trajectory(photographs, true, true)


def draw_growing_crack(crack_free: UInt8, rng: Generator) -> Trajectory:
    """Draw a crack of known width on ``crack_free`` that grows by `GROWTH_PX` at each step."""
    base = to_picture(crack_free)
    camera = Camera.of(base)
    width_px = rng.uniform(*WIDTHS_PX)
    style = CrackStyle((LEAST_WIDTH * width_px, width_px), closing=CLOSING)
    path = with_random_width(rng, kinked_line(rng, base.shape[:2], width_px), style)
    appearance = plain_appearance(rng, base, path, width_px, camera)
    brush = int(rng.integers(2**32))  # the same seed at each step, so that it is the same crack
    photographs, true, of_pixels = [], [], []
    for step in range(STEPS):
        wider = path.widened(step * GROWTH_PX)
        cover = coverage([wider], base.shape[:2])
        open_ = visible_opening(cover, local_texture(base), appearance)
        cracked = draw_crack(np.random.default_rng(brush), base, open_, width_px, appearance)
        photograph = camera.finish(base, cracked, rng) + rng.normal(0, NOISE, base.shape)
        photographs.append(to_uint8(photograph))
        pixels = measure(cover >= 0.5)
        of_pixels.append(pixels)
        true.append(drawn_measures(wider, cover))
    return Trajectory(photographs, true, of_pixels)


def plain_appearance(
    rng: Generator, base: Picture, path: CrackPath, width_px: float, camera: Camera
) -> CrackAppearance:
    """Return a visible appearance without cues to the width other than the opening: no chips, no
    bridging grains."""
    appearance = CrackAppearance.of(rng, width_px)
    appearance = CrackAppearance(
        appearance.contrast,
        appearance.tint,
        rng.uniform(*SOFT_PX),
        rim=appearance.rim,
        light_deg=appearance.light_deg,
    )
    sigma_px = eye_sigma(width_px)
    open_ = visible_opening(coverage([path], base.shape[:2]), local_texture(base), appearance)
    darkest = blur(open_ * luma(local_tone(base)), camera.blur_px)
    dprime, lengths = visibility(darkest, local_noise(luma(base), sigma_px), [path], sigma_px)
    needed = needed_contrast(dprime, lengths, min(base.shape[:2]))
    return replace(appearance, contrast=min(max(appearance.contrast, needed), BLACKEST))


def drawn_measures(path: CrackPath, cover: Float32) -> MaskMeasures:
    """Return the true measures of a drawn crack: its largest width inside the picture, the same
    for both estimators, and the area that it opens."""
    rows, cols = cover.shape
    inside = ((path.points >= -0.5) & (path.points < np.array([cols, rows]) - 0.5)).all(axis=1)
    widest = float(path.width_px[inside].max(initial=0.0))
    return MaskMeasures(1, float(cover.sum()), widest, widest)


def follow(
    found: Sequence[Sequence[MaskMeasures]], true: Sequence[Sequence[MaskMeasures]]
) -> Growth:
    """Return how well the measures of N trajectories follow the true ones (N)."""
    numbers = []
    for name in ("area_px", "width_study_px", "width_ours_px"):
        pairs = [
            (series(f, name), series(t, name))
            for f, t in zip(found, true, strict=True)
            if np.ptp(series(t, name)) > 0
        ]
        numbers.append(mean(correlation(f, t) for f, t in pairs))
        numbers.append(mean(abs(slope(f) - slope(t)) / abs(slope(t)) for f, t in pairs if slope(t)))
    return Growth(*numbers)


def series(steps: Sequence[MaskMeasures], name: str) -> Float64:
    """Return one measure (S,) of the S steps."""
    return np.array([getattr(step, name) for step in steps], np.float64)


def correlation(found: Float64, true: Float64) -> float:
    """Return Pearson's r of two series (S,); 0 if ``found`` does not change."""
    if np.ptp(found) == 0:
        return 0.0
    return float(np.corrcoef(found, true)[0, 1])


def slope(values: Float64) -> float:
    """Return the least-squares slope of a series (S,) over its steps."""
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    return float(steps @ values / (steps @ steps))
