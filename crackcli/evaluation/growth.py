"""The growth experiment: a crack that grows step by step on a sound photograph, and how well what
is measured follows.

`strokes` is the study's: the skeleton of a labelled crack, dilated by 5 px from step to step, in
the darkest colour of its photograph, hard and flat.  `drawn` is harder and nearer to a wall: one
random crack of known width, `GROWTH_PX` wider at each step, with soft edges and the blur of the
photograph; each step gets noise of its own, as another photograph of the same place would.

Of each trajectory count Pearson's r between true and measured values, and the relative error of
the slope over the steps.  A measure that does not change at all has r = 0; a trajectory whose true
values do not change tells nothing and is left out.  The study does not say how it treats either,
nor can its draws be repeated, which depend on its file names: these are seeded draws of our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from skimage.morphology import skeletonize

from crackcli.arrays import Bools, Float32, Float64, UInt8
from crackcli.evaluation.measures import MaskMeasures, mean, measure
from crackcli.synthesis.brushes import Picture, luma, texture_of, tone_of
from crackcli.synthesis.cover import CrackPath, blurred, coverage
from crackcli.synthesis.drawn_cracks import CrackLook, kinked_line, open_up, opening
from crackcli.synthesis.random_cracks import CrackStyle, opened
from crackcli.synthesis.twins import BLACKEST, as_image, exposed, needed_contrast
from crackcli.synthesis.visibility import Camera, noise_at, scale_of, visibility

STEPS = 5
DILATION_PX = 5  # diameter of the disc that a stroke grows by
GROWTH_PX = 0.25  # of a drawn crack from step to step
WIDTHS_PX = (1.5, 5.0)  # of a drawn crack at the first step
EVEN = 0.8  # narrowest over widest, before a drawn crack closes at its ends
CLOSING = (0.2, 0.2)  # share of its length over which it does so
SOFT_PX = (0.4, 0.9)  # sigma of its edges
NOISE = 2.0  # deviation in levels that is added to each photograph


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A crack at S steps: photographs (rows, cols, 3), what is true of them, and what the best
    mask, that of the true pixels, measures."""

    photographs: list[UInt8]
    true: list[MaskMeasures]
    of_pixels: list[MaskMeasures]


@dataclass(frozen=True)
class Growth:
    """Means over trajectories; ``_mape`` as shares of the true slope."""

    area_r: float
    area_slope_mape: float
    width_study_r: float
    width_study_slope_mape: float
    width_ours_r: float
    width_ours_slope_mape: float


def strokes(sound: UInt8, cracked: UInt8, mask: Bools) -> Trajectory:
    """The study's trajectory: ``mask`` (rows, cols) of the photograph ``cracked`` on ``sound``,
    all of one size."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (DILATION_PX, DILATION_PX))
    darkest = cracked.min(axis=(0, 1))
    covered = skeletonize(mask).astype(np.uint8)
    photographs, true = [], []
    for _ in range(STEPS):
        photographs.append(np.where(covered[..., None] > 0, darkest, sound))
        true.append(measure(covered > 0))
        covered = cv2.dilate(covered, disc)
    return Trajectory(photographs, true, true)


def drawn(sound: UInt8, rng: Generator) -> Trajectory:
    """A crack of known width on ``sound`` that grows by `GROWTH_PX` a step."""
    base = exposed(sound)
    camera = Camera.of(base)
    width_px = rng.uniform(*WIDTHS_PX)
    style = CrackStyle((EVEN * width_px, width_px), closing=CLOSING)
    path = opened(rng, kinked_line(rng, base.shape[:2], width_px), style)
    look = visible_look(rng, base, path, width_px, camera)
    brush = int(rng.integers(2**32))  # the same chance at each step: it is the same crack
    photographs, true, of_pixels = [], [], []
    for step in range(STEPS):
        wider = path.widened(step * GROWTH_PX)
        cover = coverage([wider], base.shape[:2])
        open_ = opening(cover, texture_of(base), look)
        cracked = open_up(np.random.default_rng(brush), base, open_, width_px, look)
        photograph = camera.took(base, cracked, rng) + rng.normal(0, NOISE, base.shape)
        photographs.append(as_image(photograph))
        pixels = measure(cover >= 0.5)
        of_pixels.append(pixels)
        true.append(known(wider, cover))
    return Trajectory(photographs, true, of_pixels)


def visible_look(
    rng: Generator, base: Picture, path: CrackPath, width_px: float, camera: Camera
) -> CrackLook:
    """A look in which a crack is seen and nothing but its opening tells its width: no chips, no
    grains that bridge it."""
    look = CrackLook.of(rng, width_px)
    look = CrackLook(
        look.contrast, look.tint, rng.uniform(*SOFT_PX), rim=look.rim, light_deg=look.light_deg
    )
    sigma_px = scale_of(width_px)
    open_ = opening(coverage([path], base.shape[:2]), texture_of(base), look)
    darkest = blurred(open_ * luma(tone_of(base)), camera.blur_px)
    seen, lengths = visibility(darkest, noise_at(luma(base), sigma_px), [path], sigma_px)
    needed = needed_contrast(seen, lengths, min(base.shape[:2]))
    return replace(look, contrast=min(max(look.contrast, needed), BLACKEST))


def known(path: CrackPath, cover: Float32) -> MaskMeasures:
    """What is true of a drawn crack: its widest place inside the picture, and the area that it
    opens; of either estimator the same."""
    rows, cols = cover.shape
    inside = ((path.points >= -0.5) & (path.points < np.array([cols, rows]) - 0.5)).all(axis=1)
    widest = float(path.width_px[inside].max(initial=0.0))
    return MaskMeasures(1, float(cover.sum()), widest, widest)


def follow(
    found: Sequence[Sequence[MaskMeasures]], true: Sequence[Sequence[MaskMeasures]]
) -> Growth:
    """How well the measures of N trajectories follow the true ones (N), step by step."""
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
    """One measure (S,) of each step."""
    return np.array([getattr(step, name) for step in steps], np.float64)


def correlation(found: Float64, true: Float64) -> float:
    """Pearson's r of two series (S,); 0 where ``found`` does not change."""
    if np.ptp(found) == 0:
        return 0.0
    return float(np.corrcoef(found, true)[0, 1])


def slope(values: Float64) -> float:
    """The least-squares slope of a series (S,) over its steps."""
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    return float(steps @ values / (steps @ steps))
