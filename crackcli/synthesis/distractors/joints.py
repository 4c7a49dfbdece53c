"""Distractors that are straight parts of a construction: joints, seams, boards, frames."""

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.synthesis.brushes import (
    Alpha,
    Colour,
    Field,
    Picture,
    Shape,
    band_alpha,
    chance,
    darken,
    draw_lines,
    emboss,
    fractal_noise,
    line_coordinates,
    local_texture,
    local_tone,
    match_light,
    overlay,
    pick_colour,
    ramp,
    random_contrast,
    random_course,
    random_light_deg,
    random_sign,
    random_width,
    sample_colour,
    shade,
    side_alpha,
    smooth_curve,
    stretched_noise,
    translate,
    value_noise,
)
from crackcli.synthesis.cover import blur

METAL = [(150, 150, 152), (90, 92, 95), (60, 55, 52), (120, 84, 62), (205, 205, 203), (40, 60, 50)]
SEALANT = [(140, 140, 138), (95, 95, 95), (40, 40, 42), (190, 182, 165), (222, 222, 220)]
PAINT = [(235, 234, 228), (60, 80, 130), (150, 60, 50), (205, 180, 90), (90, 115, 90), (70, 70, 72)]
FRAME = [(232, 232, 228), (95, 66, 48), (60, 62, 64), (170, 172, 172), (110, 52, 44)]
GLASS = [(22, 26, 30), (40, 48, 54), (14, 13, 12), (60, 70, 76), (34, 28, 24)]


def random_direction(rng: Generator, spread_deg: float = 3.0, any_chance: float = 0.15) -> float:
    """Draw a direction, mostly near vertical or horizontal; any with probability ``any_chance``."""
    if chance(rng, any_chance):
        return float(rng.uniform(0, 180))
    return float(rng.choice([0, 90]) + rng.normal(0, spread_deg))


def random_point(rng: Generator, shape: Shape) -> tuple[float, float]:
    """Draw a point (x, y) not too near the border."""
    return rng.uniform(0.1, 0.9) * shape[1], rng.uniform(0.1, 0.9) * shape[0]


def formwork_joints(rng: Generator, picture: Picture) -> Picture:
    """Draw straight joints of formwork or panels across the picture: grooves, fins or leaks."""
    shape = picture.shape[:2]
    deg, at = random_direction(rng), random_point(rng, shape)
    apart = rng.uniform(0.06, 0.5) * min(shape)
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    lines = [(at, deg, number * apart) for number in range(count)]
    if chance(rng, 0.35):
        lines.append((random_point(rng, shape), deg + 90 + rng.normal(0, 0.5), 0.0))
    kind, width_px, contrast = random_seam(rng)
    for point, angle, aside in lines:
        off, _ = line_coordinates(shape, point, angle)
        picture = draw_seam(rng, picture, off - np.float32(aside), kind, width_px, contrast)
    if chance(rng, 0.3):
        centres = [random_point(rng, shape) for _ in range(int(rng.integers(1, 4)))]
        for x, y in centres:
            ring, _ = line_coordinates(shape, (x, y), 0)
            ring = np.hypot(ring, line_coordinates(shape, (x, y), 90)[0])
            hole = ramp(ring, width_px + 2.5, width_px + 1.0)
            hollow = 1 + 0.6 * emboss(blur(1 - hole, 1.5), 270.0)
            picture = darken(rng, picture, hole, max(0.4, contrast), inside=hollow)
    return picture


def random_seam(rng: Generator) -> tuple[str, float, float]:
    """Draw the kind, width in px and contrast of a joint."""
    kind = str(rng.choice(["groove", "fin", "leak"], p=[0.65, 0.15, 0.2]))
    return kind, random_width(rng, 0.8, 9.0), random_contrast(rng)


def draw_seam(
    rng: Generator, picture: Picture, off: Field, kind: str, width_px: float, contrast: float
) -> Picture:
    """Draw a joint along ``off`` = 0, with lips, stains or panels of different tones."""
    shape = off.shape
    # Its straight course distinguishes it from a crack; only its width is ragged.
    ragged = rng.uniform(0, 0.15) * min(width_px, 4.0)
    off = (
        off
        + ragged * fractal_noise(rng, shape, 9, 2)
        + rng.uniform(0, 0.4) * value_noise(rng, shape, 90)
    )
    width = width_px * (1 + rng.uniform(0, 0.3) * value_noise(rng, shape, 30))
    width = width * (1 + rng.uniform(0, 0.4) * value_noise(rng, shape, 5))
    alpha = band_alpha(off, np.maximum(width, 0.3))
    if chance(rng, 0.4):  # filled in places
        alpha = alpha * ramp(value_noise(rng, shape, rng.uniform(15, 60)), -0.6, 0.0)
    if chance(rng, 0.5):
        picture = shade(picture, 1 + rng.normal(0, 0.05) * side_alpha(off, 3.0))
    if chance(rng, 0.5):
        soiled = np.exp(-np.abs(off) / rng.uniform(4, 14)) * (1 + value_noise(rng, shape, 25))
        picture = shade(picture, 1 + rng.normal(-0.06, 0.08) * soiled)
    side = random_sign(rng)
    if kind == "fin":
        lit = band_alpha(off, width) * (1 + 0.4 * value_noise(rng, shape, 10))
        picture = shade(picture, 1 + rng.uniform(0.08, 0.35) * lit)
        off = off - side * (width / 2 + 0.5)
        alpha = band_alpha(off, np.maximum(0.5 * width, 0.8))
    elif kind == "leak":
        bleak = band_alpha(off, 3 * width) * ramp(fractal_noise(rng, shape, 14, 2), -0.4, 0.5)
        picture = shade(picture, 1 + rng.normal(0, 0.15) * bleak)
    picture = darken(rng, picture, alpha, contrast, rng.uniform(0, 1.3))
    if chance(rng, 0.5):
        lip = band_alpha(off + side * (width / 2 + 0.8), rng.uniform(0.8, 2.0))
        picture = shade(
            picture, 1 + rng.uniform(0.08, 0.35) * lip * (1 + value_noise(rng, shape, 8))
        )
    return picture


def boards(rng: Generator, picture: Picture) -> Picture:
    """Draw boards, or their marks in concrete: strips of different tones with grain and seams."""
    shape = picture.shape[:2]
    deg = random_direction(rng)
    off, _ = line_coordinates(shape, random_point(rng, shape), deg)
    wide = rng.uniform(0.06, 0.3) * min(shape)
    off = off + rng.uniform(0, 0.8) * value_noise(rng, shape, 80)
    number = np.floor(off / wide).astype(np.int32)
    tones = rng.normal(0, rng.uniform(0.01, 0.08), int(np.ptp(number)) + 1).astype(np.float32)
    grain = stretched_noise(rng, shape, 90, 1.8, deg) + 0.7 * stretched_noise(
        rng, shape, 60, 5, deg
    )
    picture = shade(picture, 1 + tones[number - number.min()] + rng.uniform(0.01, 0.09) * grain)
    from_seam = (off / wide - number - 0.5 + 0.5) * wide
    from_seam = np.where(from_seam > wide / 2, from_seam - wide, from_seam)
    kind, width_px, contrast = random_seam(rng)
    return draw_seam(rng, picture, from_seam, kind, min(width_px, 0.1 * wide, 3.5), contrast)


def expansion_joint(rng: Generator, picture: Picture) -> Picture:
    """Draw a wide straight joint with sealant: smooth, slightly hollow or bulging, sharp edges."""
    shape = picture.shape[:2]
    off, _ = line_coordinates(shape, random_point(rng, shape), random_direction(rng))
    off = off + 0.7 * value_noise(rng, shape, 25) * rng.uniform(0, 1)
    wide = rng.uniform(5, 22)
    alpha = band_alpha(off, wide)
    sealant = match_light(pick_colour(rng, SEALANT), picture)
    round_ = (
        1
        + rng.normal(0, 0.12) * np.clip(off / wide * 2, -1, 1)
        + 0.05 * fractal_noise(rng, shape, 40)
    )
    picture = overlay(
        picture, sealant, alpha, round_ * local_texture(picture) ** rng.uniform(0.05, 0.5)
    )
    for side in (-1, 1):
        if chance(rng, 0.6):
            line = band_alpha(off - side * wide / 2, rng.uniform(0.7, 2.2))
            line = line * ramp(value_noise(rng, shape, 40), -1, 0)
            picture = darken(rng, picture, line, random_contrast(rng))
    return picture


def sealing_strip(rng: Generator, picture: Picture) -> Picture:
    """Draw bitumen poured over a seam: a broad smooth black band with even edges."""
    shape = picture.shape[:2]
    wide = rng.uniform(0.05, 0.16) * min(shape)
    line = smooth_curve(random_course(rng, shape, rng.uniform(0, 0.05)), 40.0)
    band = blur(draw_lines(shape, [line], wide, 2), 2.5) + 0.05 * fractal_noise(rng, shape, 20, 3)
    alpha = ramp(band, 0.4, 0.6)
    black = rng.uniform(0.2, 0.5) * local_tone(picture).mean(axis=(0, 1)) * rng.normal(1, 0.02, 3)
    gloss = (
        1
        + 0.15 * value_noise(rng, shape, 30)
        + 0.3 * emboss(blur(alpha, 1.5), random_light_deg(rng))
    )
    return overlay(picture, black, alpha, gloss * local_texture(picture) ** rng.uniform(0.1, 0.4))


def repair_patch(rng: Generator, picture: Picture) -> Picture:
    """Draw a patch of other mortar or asphalt, with or without a line around it."""
    shape = picture.shape[:2]
    deg, (x, y) = random_direction(rng), random_point(rng, shape)
    half = rng.uniform(0.12, 0.5, 2) * min(shape)
    u, v = line_coordinates(shape, (x, y), deg)
    inside = np.minimum(half[0] - np.abs(u), half[1] - np.abs(v)).astype(np.float32)
    inside = inside + rng.uniform(0, 1) * fractal_noise(rng, shape, 40, 4)
    flipped = cv2.flip(picture, int(rng.choice([0, 1, -1]))) * (1 + rng.normal(0, 0.015, 3))
    tone = 1 + rng.normal(0, 0.12) + 0.05 * value_noise(rng, shape, 50)
    other = shade(flipped.astype(np.float32), tone)
    picture = overlay(picture, other, side_alpha(inside, rng.uniform(1, 3)))
    if chance(rng, 0.6):
        width_px, contrast = random_width(rng, 0.8, 5), random_contrast(rng)
        picture = darken(rng, picture, band_alpha(inside, width_px), contrast)
    return picture


def paint_boundary(rng: Generator, picture: Picture) -> Picture:
    """Draw two coats of paint side by side, or a stripe such as a road marking; often worn."""
    shape = picture.shape[:2]
    off, _ = line_coordinates(
        shape, random_point(rng, shape), random_direction(rng, any_chance=0.5)
    )
    off = off + rng.uniform(0, 2.5) * fractal_noise(rng, shape, 16, 2)
    if chance(rng, 0.5):
        alpha = band_alpha(off, rng.uniform(0.05, 0.4) * min(shape))
    else:
        alpha = side_alpha(off, rng.uniform(1, 2.5))
    texture = local_texture(picture)
    if chance(rng, 0.5):
        worn = rng.uniform(0, 0.9)
        alpha = alpha * ramp(
            texture + 0.35 * fractal_noise(rng, shape, 40, 3), worn - 0.15, worn + 0.15
        )
    near = chance(rng, 0.5)
    colour = (
        sample_colour(rng, picture) * rng.uniform(0.6, 1.3) if near else pick_colour(rng, PAINT)
    )
    return overlay(picture, match_light(colour, picture), alpha, texture ** rng.uniform(0.4, 1.1))


def ledges(rng: Generator, picture: Picture) -> Picture:
    """Draw edges of a building: a step or profile with lit and shaded sides."""
    shape = picture.shape[:2]
    off, _ = line_coordinates(
        shape, random_point(rng, shape), random_direction(rng, any_chance=0.05)
    )
    off = off + rng.uniform(0, 0.8) * fractal_noise(rng, shape, 20, 3)
    for _ in range(int(rng.integers(1, 4))):
        band = rng.uniform(0.02, 0.18) * min(shape)
        side = 1 + rng.normal(-0.08, 0.16) * band_alpha(off, band)
        picture = shade(picture, np.clip(side, 0.35, 1.2))
        line = random_width(rng, 0.8, 6)
        soft = np.exp(-np.maximum(off - band / 2, 0) / rng.uniform(2, 12)) * side_alpha(
            off - band / 2
        )
        picture = shade(picture, 1 - rng.uniform(0, 0.35) * soft)
        picture = darken(rng, picture, band_alpha(off - band / 2, line), random_contrast(rng))
        off = off - rng.uniform(0.5, 1.6) * band
    return picture


def window(rng: Generator, picture: Picture) -> Picture:
    """Draw the edge of an opening: a frame, and dark glass or a dark room behind it."""
    shape = picture.shape[:2]
    deg = random_direction(rng, 2.0, 0.0)
    u, v = line_coordinates(shape, random_point(rng, shape), deg)
    turn = int(rng.integers(4))
    u, v = (u if turn % 2 else -u), (v if turn < 2 else -v)
    inside = np.minimum(u, v) if chance(rng, 0.5) else u
    glass = match_light(pick_colour(rng, GLASS), picture)
    gradient = 1 + 0.5 * value_noise(rng, shape, 120) + 0.1 * value_noise(rng, shape, 30)
    picture = overlay(picture, glass, side_alpha(inside), gradient)
    frame: Colour = match_light(pick_colour(rng, FRAME), picture)
    at = 0.0
    for _ in range(int(rng.integers(0, 4))):
        wide = rng.uniform(3, 18)
        at += wide / 2
        tone = 1 + rng.normal(0, 0.12) + 0.04 * value_noise(rng, shape, 40)
        picture = overlay(picture, frame, band_alpha(inside - at, wide), tone)
        at += wide / 2
        picture = shade(picture, 1 - rng.uniform(0.1, 0.6) * band_alpha(inside - at, 1.6))
    return picture


def bars(rng: Generator, picture: Picture) -> Picture:
    """Draw railings, meshes or bars in front of the surface, with their shadow."""
    shape = picture.shape[:2]
    deg, wide = random_direction(rng), random_width(rng, 1.0, 12)
    apart = max(2.5 * wide, rng.uniform(0.08, 0.5) * min(shape))
    alpha: Alpha = np.zeros(shape, np.float32)
    round_: Field = np.zeros(shape, np.float32)
    for turn in (0, 90) if chance(rng, 0.4) else (0,):
        off, _ = line_coordinates(shape, random_point(rng, shape), deg + turn)
        off = np.mod(off, np.float32(apart)) - np.float32(apart / 2)
        alpha = np.maximum(alpha, band_alpha(off, wide))
        round_ = round_ + np.clip(2 * off / wide, -1, 1) * band_alpha(off, wide)
    away = rng.uniform(0.5, 3) * wide * np.array([rng.normal(0, 1), 1])
    shadow = blur(translate(alpha, *away), rng.uniform(0.6, 4))
    picture = shade(picture, 1 - rng.uniform(0.1, 0.6) * shadow)
    metal = match_light(pick_colour(rng, METAL), picture)
    surface = (
        1 + rng.uniform(0.1, 0.4) * random_sign(rng) * round_ + 0.12 * fractal_noise(rng, shape, 12)
    )
    return overlay(picture, metal, alpha, surface)
