"""Distractors laid of units: masonry with joints of mortar, open or raked joints, and tiles."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from crackcli.synthesis.brushes import (
    Field,
    Picture,
    Shape,
    chance,
    darken,
    emboss,
    fractal_noise,
    line_coordinates,
    local_texture,
    luma,
    match_light,
    overlay,
    pick_colour,
    ramp,
    random_contrast,
    random_light_deg,
    random_width,
    sample_colour,
    shade,
    translate,
    value_noise,
)
from crackcli.synthesis.cover import blur
from crackcli.synthesis.distractors.joints import random_point

MORTAR = [(190, 184, 172), (158, 150, 137), (120, 116, 110), (215, 212, 205), (98, 92, 86)]


@dataclass(frozen=True)
class Joints:
    """The joints of a masonry on a picture.

    away_px  (rows, cols)  distance of each pixel from the middle of the nearest joint
    wide_px  width of the joints
    """

    away_px: Field
    wide_px: float


def masonry_bond(
    rng: Generator, shape: Shape, long_px: float, high_px: float, running: bool, rough: float
) -> tuple[Field, Field]:
    """Lay out stones in courses.

    Returns the distance in px (rows, cols) of each pixel from the middle of the nearest joint, and
    the random tone, 0 to 1, of the stone of each pixel (rows, cols).
    """
    turned = rng.normal(0, 2) + (90 if chance(rng, 0.12) else 0)
    down, right = line_coordinates(shape, random_point(rng, shape), turned)
    down = (
        down + rough * value_noise(rng, shape, 60) + 0.4 * rough * fractal_noise(rng, shape, 9, 3)
    )
    right = (
        right + rough * value_noise(rng, shape, 60) + 0.4 * rough * fractal_noise(rng, shape, 9, 3)
    )
    course = np.floor(down / high_px)  # (rows, cols)
    begins = rng.uniform(0, 0.12 * rough, int(np.ptp(course)) + 1)
    if running:
        begins += 0.5 * np.arange(len(begins)) % 1
    row = (course - course.min()).astype(np.int32)
    along = right / np.float32(long_px) + begins.astype(np.float32)[row]
    stone = np.floor(along)
    to_bed = (0.5 - np.abs(down / high_px - course - 0.5)) * np.float32(high_px)
    to_head = (0.5 - np.abs(along - stone - 0.5)) * np.float32(long_px)
    tones = rng.random((len(begins), int(np.ptp(stone)) + 1)).astype(np.float32)
    return np.minimum(to_bed, to_head), tones[row, (stone - stone.min()).astype(np.int32)]


def mortar_joints(rng: Generator, picture: Picture) -> Picture:
    """Draw masonry: light or dark mortar, recessed and shaded; bricks of many tones."""
    return lay_masonry(rng, picture)[0]


def lay_masonry(rng: Generator, picture: Picture) -> tuple[Picture, Joints]:
    """Draw masonry and return its joints: filled with mortar, dry, or raked out and dark."""
    shape = picture.shape[:2]
    high = min(shape) * np.exp(rng.uniform(np.log(0.08), np.log(0.45)))
    long_ = high * rng.uniform(1.4, 3.4)
    joint = float(np.clip(high * rng.uniform(0.04, 0.2), 1.2, 16))
    rough = rng.uniform(0.2, 1.0) * min(3.0, 0.3 * joint + 0.4)
    gap, each = masonry_bond(rng, shape, long_, high, chance(rng, 0.85), rough)
    spread = rng.uniform(0, 0.16)
    picture = shade(picture, 1 + spread * (2 * each - 1) - 0.4 * (each < 0.07 * chance(rng, 0.5)))
    alpha = ramp(gap, joint / 2 + 0.6, joint / 2 - 0.6)
    kind = str(rng.choice(["mortar", "dry", "raked"], p=[0.55, 0.27, 0.18]))
    if kind == "mortar":
        light = rng.uniform(0.55, 1.35) * luma(picture).mean() / 150
        mortar = pick_colour(rng, MORTAR) * np.float32(light)
        sandy = 1 + 0.12 * fractal_noise(rng, shape, 4, 1.5) + 0.08 * value_noise(rng, shape, 30)
        picture = overlay(picture, mortar, alpha, sandy * local_texture(picture) ** 0.4)
    else:
        contrast = random_contrast(rng) if kind == "dry" else rng.uniform(0.45, 0.9)
        filled_ = alpha * ramp(value_noise(rng, shape, 30), -1.2, -0.2) if kind == "dry" else alpha
        picture = darken(rng, picture, filled_, contrast, rng.uniform(0, 1.2))
    depth = blur(1 - alpha, 0.5 + 0.08 * joint)
    slopes = emboss(depth, random_light_deg(rng)) * (1 + 0.5 * value_noise(rng, shape, 12))
    picture = shade(picture, np.clip(1 + rng.uniform(0.2, 1.8) * slopes, 0.2, 1.5))
    if kind == "raked" or chance(rng, 0.5):  # shadow of the brick above
        long_shadow = rng.uniform(0.2, 0.6) * joint
        shadow = np.clip(translate(1 - alpha, 0, long_shadow) - (1 - alpha), 0, 1)
        picture = shade(picture, 1 - rng.uniform(0.2, 0.75) * shadow)
    return picture, Joints(gap, joint)


def tile_grid(rng: Generator, picture: Picture) -> Picture:
    """Draw tiles or slabs with thin even joints, each with a tone of its own."""
    shape = picture.shape[:2]
    high = min(shape) * rng.uniform(0.14, 0.6)
    long_ = high * rng.choice([1.0, 1.0, 2.0, rng.uniform(1, 3)])
    gap, each = masonry_bond(rng, shape, long_, high, chance(rng, 0.25), rng.uniform(0, 0.25))
    joint = random_width(rng, 0.8, 6.0)
    if chance(rng, 0.6):
        face = sample_colour(rng, picture)
        glossy = 1 + 0.05 * (2 * each - 1) + 0.04 * value_noise(rng, shape, 90)
        kept = local_texture(picture) ** rng.uniform(0.1, 1)
        picture = overlay(
            picture, face, np.full(shape, rng.uniform(0.5, 1), np.float32), glossy * kept
        )
    else:
        picture = shade(picture, 1 + rng.uniform(0, 0.1) * (2 * each - 1))
    alpha = ramp(gap, joint / 2 + 0.5, joint / 2 - 0.5)
    if chance(rng, 0.6):
        picture = darken(rng, picture, alpha, random_contrast(rng), rng.uniform(0, 1))
    else:
        grout = pick_colour(rng, MORTAR)
        picture = overlay(
            picture, match_light(grout, picture), alpha, 1 + 0.1 * fractal_noise(rng, shape, 20)
        )
    edge = emboss(blur(1 - alpha, 0.8), random_light_deg(rng))
    return shade(picture, np.clip(1 + rng.uniform(0, 0.7) * edge, 0.5, 1.4))
