"""Twins: copies of a crack-free photograph with a crack or with distractors drawn onto them.

A twin is a counterfactual copy: it differs from its photograph in the drawing only. A *cracked*
twin has the label crack; a *distracted* twin, with lines and stains that are no crack, has the
label no crack.
Both are drawn by the same brushes, with widths and contrasts from the same distributions, and get
the same blur and grain. Half of the cracked twins have distractors, too. A classifier with one
label per photograph can therefore separate them only by what makes a crack a crack.

All randomness comes from the given generator: the same seed gives the same twin.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float64, Floats, UInt8
from crackcli.synthesis.brushes import (
    Alpha,
    Field,
    Picture,
    chance,
    local_texture,
    local_tone,
    luma,
    random_width,
)
from crackcli.synthesis.cover import CrackPath, blur
from crackcli.synthesis.distractors import DISTRACTORS, choose_families
from crackcli.synthesis.drawn_cracks import (
    CrackAppearance,
    draw_crack,
    frayed_coverage,
    random_cracks_on,
    visible_opening,
)
from crackcli.synthesis.visibility import Camera, eye_sigma, local_noise, visibility

VISIBLE = 6.0  # d' from which a stretch of a crack is visible, see `visibility`
LEAST_LENGTH = 60 / 256  # visible length in a cracked twin, relative to the short side
VISIBLE_FRACTION = 0.7  # of a crack's length
DISTRACTED = 0.5  # fraction of the cracked twins that have distractors
ATTEMPTS = 6
MAX_WIDENINGS = 2  # of a crack that would not be visible
MARGIN = 1.15  # factor on the contrast that is needed
BLACKEST = 0.95  # largest contrast
DARKEST = 40.0  # mean brightness; darker photographs are lightened, so that drawings are visible
CHANGED = (6.0, 0.004)  # grey levels, and fraction of pixels that a distracted twin must change
SHOWS = 3.0  # grey levels; where a distractor leaves less difference, the crack is covered


def twin(photograph: UInt8, label: int, rng: Generator) -> UInt8:
    """Return a twin of a crack-free photograph (rows, cols, 3): cracked if label is 1, else
    distracted."""
    return cracked_twin(photograph, rng)[0] if label else distracted_twin(photograph, rng)


def cracked_twin(
    photograph: UInt8, rng: Generator, width_px: float | None = None
) -> tuple[UInt8, Floats]:
    """Return a photograph (rows, cols, 3) with a crack that a person can see, and its coverage.

    The coverage (rows, cols) is the fraction of each pixel that the crack covers, 0 where an object
    hides it. ``width_px`` is the largest width, if the crack is visible with it; default random.
    """
    base = to_picture(photograph)
    camera = Camera.of(base)
    picture = base
    visible: Floats = np.zeros(base.shape[:2], np.float32)
    longest = -1.0  # visible length, relative to the short side
    for attempt in range(ATTEMPTS):
        names = choose_families(rng, most=2) if chance(rng, DISTRACTED) else []
        over = [name for name in names if DISTRACTORS[name].over]
        under = draw_distractors(rng, base, [name for name in names if name not in over])
        crack = visible_crack(rng, under, width_px or random_width(rng), camera, attempt)
        cracked = draw_crack(rng, under, crack.open_, crack.width_px, crack.appearance)
        cover = crack.cover
        if over:
            under = draw_distractors(deepcopy(rng), under, over)  # the same objects on both
            cracked = draw_distractors(rng, cracked, over)
            cover = cover * (np.abs(luma(cracked) - luma(under)) > SHOWS)
        darkening = blur(luma(under) - luma(cracked), camera.blur_px)
        sigma_px = eye_sigma(crack.width_px)
        noise = local_noise(luma(under), sigma_px) if over else crack.noise
        dprime, lengths = visibility(darkening, noise, crack.paths, sigma_px)
        length = float(lengths[dprime >= VISIBLE].sum()) / min(cover.shape)
        if length > longest:
            longest, picture, visible = length, camera.finish(base, cracked, rng), cover
        if length >= LEAST_LENGTH:
            break
    return to_uint8(picture), visible


@dataclass(frozen=True)
class VisibleCrack:
    """A crack before it is drawn.

    paths       stems and branches
    cover       (rows, cols)  fraction of each pixel that it covers
    open_       (rows, cols)  the same, softened and bridged by light grains
    noise       (rows, cols)  of the surface, for an eye that searches for this width
    width_px    median
    appearance  with enough contrast to be visible
    """

    paths: list[CrackPath]
    cover: Floats
    open_: Alpha
    noise: Field
    width_px: float
    appearance: CrackAppearance


def visible_crack(
    rng: Generator, picture: Picture, width_px: float, camera: Camera, attempt: int
) -> VisibleCrack:
    """Return a random crack with an appearance in which it is visible on the picture.

    If the surface requires it, the crack gets a higher contrast or becomes wider, the more the
    higher ``attempt`` is.
    """
    appearance = CrackAppearance.of(rng, width_px)
    if attempt:
        appearance = replace(
            appearance, bridged=appearance.bridged / 2, contrast=max(appearance.contrast, 0.6)
        )
    paths = random_cracks_on(rng, picture, width_px)
    tone = local_tone(picture)
    brightness, texture, tone = luma(picture), local_texture(picture, tone), luma(tone)
    for widen in range(MAX_WIDENINGS + 1):
        usual_px = median_width(paths)
        cover = frayed_coverage(rng, paths, brightness.shape, usual_px)
        open_ = visible_opening(cover, texture, appearance)
        sigma_px = eye_sigma(usual_px)
        noise = local_noise(brightness, sigma_px)
        darkest = blur(open_ * tone, camera.blur_px)
        needed = needed_contrast(*visibility(darkest, noise, paths, sigma_px), min(cover.shape))
        if needed <= BLACKEST or widen == MAX_WIDENINGS:
            break
        by_px = (min(needed / BLACKEST, 2.5) - 1) * usual_px
        paths = [path.widened(by_px) for path in paths]
    appearance = replace(appearance, contrast=min(max(appearance.contrast, needed), BLACKEST))
    return VisibleCrack(paths, cover, open_, noise, usual_px, appearance)


def needed_contrast(dprime: Floats, lengths: Float64, short_px: int) -> float:
    """Return the contrast at which enough of a crack is visible, from d' (N) at contrast 1 and the
    lengths in px (N) that the values stand for."""
    order = np.argsort(-dprime)
    enough = min(VISIBLE_FRACTION * lengths.sum(), 2 * LEAST_LENGTH * short_px)
    rank = int(np.searchsorted(np.cumsum(lengths[order]), enough))
    if rank >= len(order):
        return float("inf")
    return MARGIN * VISIBLE / max(float(dprime[order[rank]]), 1e-3)


def distracted_twin(
    photograph: UInt8, rng: Generator, families: Sequence[str] | None = None
) -> UInt8:
    """Return a photograph (rows, cols, 3) with one to three distractors.

    ``families`` are their names in `DISTRACTORS`; default random.
    """
    base = to_picture(photograph)
    camera = Camera.of(base)
    for _ in range(ATTEMPTS):
        names = families or choose_families(rng, most=3)
        picture = camera.finish(base, draw_distractors(rng, base, names), rng)
        differs = np.abs(luma(picture) - luma(base)) > CHANGED[0]
        if differs.mean() >= CHANGED[1]:
            break
    return to_uint8(picture)


def draw_distractors(rng: Generator, picture: Picture, names: Sequence[str]) -> Picture:
    """Draw distractors onto the picture, one after the other."""
    for name in names:
        picture = np.clip(DISTRACTORS[name].draw(rng, picture), 0, 255)
    return picture


def median_width(paths: list[CrackPath]) -> float:
    """Return the median width in px of the first path where it is open."""
    widths = paths[0].width_px
    return float(np.median(widths[widths > 0.2])) if (widths > 0.2).any() else 0.2


def to_picture(photograph: UInt8) -> Picture:
    """Convert a photograph to float; a very dark one is lightened so that drawings are visible."""
    picture = photograph.astype(np.float32)
    return picture + max(0.0, DARKEST - float(luma(picture).mean()))


def to_uint8(picture: Picture) -> UInt8:
    """Round a picture to 8 bits."""
    return np.asarray(np.rint(picture).clip(0, 255), np.uint8)
