"""Counterfactual twins: the same photograph with a crack, and with what is none.

A crack-free photograph becomes a *cracked* twin (label crack) or a *distracted* twin (no crack).
Both are drawn by the same brushes, in widths and contrasts from the same laws, and finished by the
same camera; half of the cracked ones have the distractors too.  So a classifier that is told one
bit per photograph can tell them apart by what makes a crack a crack, and by nothing else.

All chance comes from the generator that is handed in: the same seed gives the same twin.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float32, Float64, UInt8
from crackcli.synthesis.brushes import (
    Field,
    Picture,
    Share,
    chance,
    luma,
    texture_of,
    tone_of,
    width_of,
)
from crackcli.synthesis.cover import CrackPath, blurred
from crackcli.synthesis.distractors import DISTRACTORS, chosen
from crackcli.synthesis.drawn_cracks import CrackLook, cover_of, open_up, opening, random_cracks_on
from crackcli.synthesis.visibility import Camera, noise_at, scale_of, visibility

VISIBLE = 6.0  # d' from which a stretch of a crack is seen; see `visibility`
LEAST_LENGTH = 60 / 256  # of the short side: visible length of a cracked twin
MOSTLY = 0.7  # of a crack's length is to be visible
DISTRACTED = 0.5  # of the cracked twins
ATTEMPTS = 6
WIDENED = 2  # times at most that a crack is widened to be seen
MARGIN = 1.15  # contrast above what is needed
BLACKEST = 0.95  # contrast
DARKEST = 40.0  # mean brightness below which a photograph is lightened, for nothing shows in it
CHANGED = (6.0, 0.004)  # levels, and share of the pixels: a distracted twin differs at least so
SHOWS = 3.0  # levels by which a crack still differs where something lies over it


def twin(photograph: UInt8, label: int, rng: Generator) -> UInt8:
    """A twin of a crack-free photograph: 1 cracked, 0 distracted."""
    return cracked_twin(photograph, rng)[0] if label else distracted_twin(photograph, rng)


def cracked_twin(
    photograph: UInt8, rng: Generator, width_px: float | None = None
) -> tuple[UInt8, Float32]:
    """A photograph (rows, cols, 3) with a crack that a person sees, and its cover (rows, cols).

    ``cover`` is the share of each pixel that the crack opens, 0 where something lies over it.
    ``width_px`` is its widest, as far as it is visible then; else it is drawn by chance.
    """
    base = exposed(photograph)
    camera = Camera.of(base)
    best: tuple[float, Picture, Float32] | None = None
    for attempt in range(ATTEMPTS):
        names = chosen(rng, most=2) if chance(rng, DISTRACTED) else []
        over = [name for name in names if DISTRACTORS[name].over]
        under = with_distractors(rng, base, [name for name in names if name not in over])
        crack = visible_crack(rng, under, width_px or width_of(rng), camera, attempt)
        cracked = open_up(rng, under, crack.open_, crack.width_px, crack.look)
        cover = crack.cover
        if over:
            under = with_distractors(deepcopy(rng), under, over)  # the same things on both
            cracked = with_distractors(rng, cracked, over)
            cover = cover * (np.abs(luma(cracked) - luma(under)) > SHOWS)
        darkening = blurred(luma(under) - luma(cracked), camera.blur_px)
        sigma_px = scale_of(crack.width_px)
        noise = noise_at(luma(under), sigma_px) if over else crack.noise
        seen, lengths = visibility(darkening, noise, crack.paths, sigma_px)
        length = float(lengths[seen >= VISIBLE].sum()) / min(cover.shape)
        if best is None or length > best[0]:
            best = length, camera.took(base, cracked, rng), cover
        if length >= LEAST_LENGTH:
            break
    _, picture, cover = best
    return as_image(picture), cover


@dataclass(frozen=True)
class VisibleCrack:
    """A crack that is about to be drawn.

    paths     its stems and branches
    cover     (rows, cols)  share of each pixel that it opens
    open_     (rows, cols)  the same as it looks: softened, and bridged by light grains
    noise     (rows, cols)  of the surface, to an eye that looks for this width
    width_px  the usual one
    """

    paths: list[CrackPath]
    cover: Float32
    open_: Share
    noise: Field
    width_px: float
    look: CrackLook


def visible_crack(
    rng: Generator, picture: Picture, width_px: float, camera: Camera, attempt: int
) -> VisibleCrack:
    """A crack on a picture, with a look in which it is visible: darker than chance had it, or
    wider, where the surface asks for it; more so with each attempt."""
    look = CrackLook.of(rng, width_px)
    if attempt:
        look = replace(look, bridged=look.bridged / 2, contrast=max(look.contrast, 0.6))
    paths = random_cracks_on(rng, picture, width_px)
    tone = tone_of(picture)
    brightness, texture, tone = luma(picture), texture_of(picture, tone), luma(tone)
    for widen in range(WIDENED + 1):
        usual_px = usual_width(paths)
        cover = cover_of(rng, paths, brightness.shape, usual_px)
        open_ = opening(cover, texture, look)
        sigma_px = scale_of(usual_px)
        noise = noise_at(brightness, sigma_px)
        darkest = blurred(open_ * tone, camera.blur_px)
        needed = needed_contrast(*visibility(darkest, noise, paths, sigma_px), min(cover.shape))
        if needed <= BLACKEST or widen == WIDENED:
            break
        by_px = (min(needed / BLACKEST, 2.5) - 1) * usual_px
        paths = [path.widened(by_px) for path in paths]
    look = replace(look, contrast=min(max(look.contrast, needed), BLACKEST))
    return VisibleCrack(paths, cover, open_, noise, usual_px, look)


def needed_contrast(seen: Float64, lengths: Float64, short_px: int) -> float:
    """The contrast in which enough of a crack is visible, from its d' (N) at contrast 1 and the
    lengths (N) that each value stands for."""
    order = np.argsort(-seen)
    enough = min(MOSTLY * lengths.sum(), 2 * LEAST_LENGTH * short_px)
    rank = int(np.searchsorted(np.cumsum(lengths[order]), enough))
    if rank >= len(order):
        return float("inf")
    return MARGIN * VISIBLE / max(float(seen[order[rank]]), 1e-3)


def distracted_twin(
    photograph: UInt8, rng: Generator, families: Sequence[str] | None = None
) -> UInt8:
    """A photograph (rows, cols, 3) with one to three things that are no cracks.

    ``families`` names them; else they are drawn by chance.
    """
    base = exposed(photograph)
    camera = Camera.of(base)
    for _ in range(ATTEMPTS):
        names = families or chosen(rng, most=3)
        picture = camera.took(base, with_distractors(rng, base, names), rng)
        differs = np.abs(luma(picture) - luma(base)) > CHANGED[0]
        if differs.mean() >= CHANGED[1]:
            break
    return as_image(picture)


def with_distractors(rng: Generator, picture: Picture, names: Sequence[str]) -> Picture:
    """The picture with these things on it, one after the other."""
    for name in names:
        picture = np.clip(DISTRACTORS[name].draw(rng, picture), 0, 255)
    return picture


def usual_width(paths: list[CrackPath]) -> float:
    """Median width in px of the first crack where it is open."""
    widths = paths[0].width_px
    return float(np.median(widths[widths > 0.2])) if (widths > 0.2).any() else 0.2


def exposed(photograph: UInt8) -> Picture:
    """The photograph as a picture; a very dark one is lightened so that something shows in it."""
    picture = photograph.astype(np.float32)
    return picture + max(0.0, DARKEST - float(luma(picture).mean()))


def as_image(picture: Picture) -> UInt8:
    """A picture as it is stored."""
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
