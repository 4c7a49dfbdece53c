"""Distractors of concrete: traces of its formwork, pits in its skin, and spalls."""

import numpy as np
from numpy.random import Generator

from crackcli.synthesis.brushes import (
    Picture,
    band_alpha,
    chance,
    darken,
    emboss,
    fill_discs,
    fractal_noise,
    line_coordinates,
    local_texture,
    overlay,
    ramp,
    random_contrast,
    random_light_deg,
    random_width,
    sample_colour,
    shade,
    stretched_noise,
    value_noise,
)
from crackcli.synthesis.cover import blur
from crackcli.synthesis.distractors.joints import (
    draw_seam,
    random_direction,
    random_point,
    random_seam,
)

RUST = (112, 66, 42)


def formwork_lines(rng: Generator, picture: Picture) -> Picture:
    """Draw the seams of board after board: parallel lines at even distances, thin and straight."""
    shape = picture.shape[:2]
    off, along = line_coordinates(shape, random_point(rng, shape), random_direction(rng))
    apart = rng.uniform(0.05, 0.3) * min(shape)
    off = off + rng.uniform(0, 0.5) * value_noise(rng, shape, 80)
    number = np.rint(off / apart)
    # each line has a strength of its own, and ends where its board ends
    strength = rng.uniform(0.2, 1, int(np.ptp(number)) + 1).astype(np.float32)
    strength = strength[(number - number.min()).astype(np.int32)]
    present = ramp(np.cos(along / shape[0] * rng.uniform(1, 6) + 2.4 * number), -0.9, -0.5)
    width = min(random_width(rng, 0.5, 5.0), 0.15 * apart)
    alpha = band_alpha(off - number * np.float32(apart), width) * strength
    if chance(rng, 0.5):
        alpha = alpha * present
    if chance(rng, 0.5):
        alpha = alpha * ramp(value_noise(rng, shape, rng.uniform(10, 50)), -0.8, 0.1)
    side = np.sign(off - number * np.float32(apart))
    lip = band_alpha(off - number * np.float32(apart) - side * (width / 2 + 0.8), 1.4)
    picture = shade(picture, 1 + rng.uniform(0, 0.2) * lip * (side > 0) * strength)
    return darken(rng, picture, alpha, random_contrast(rng), rng.uniform(0, 1.3))


def board_marks(rng: Generator, picture: Picture) -> Picture:
    """Draw the wood grain of rough boards in concrete: wavy lines, around knots, and seams."""
    shape = picture.shape[:2]
    deg = random_direction(rng)
    off, _ = line_coordinates(shape, random_point(rng, shape), deg)
    wide = rng.uniform(0.1, 0.5) * min(shape)
    number = np.floor(off / wide)
    # the rings of a board are level lines of a field stretched along it, raised at its knots
    field = off / rng.uniform(2.5, 9) + 37 * np.sin(12.9 * number)
    field = field + rng.uniform(0.3, 1.5) * stretched_noise(rng, shape, 120, 14, deg)
    for _ in range(int(rng.integers(0, 4))):
        x, y = random_point(rng, shape)
        u, v = line_coordinates(shape, (x, y), deg)
        near = np.exp(-((u / rng.uniform(4, 10)) ** 2) - (v / rng.uniform(10, 30)) ** 2)
        field = field + rng.uniform(2, 5) * near
    rings = ramp(np.cos(2 * np.pi * field), rng.uniform(-0.2, 0.7), 1.0)
    rings = rings * ramp(stretched_noise(rng, shape, 60, 6, deg), -0.9, 0.6)
    tones = rng.normal(0, 0.05, int(np.ptp(number)) + 1).astype(np.float32)
    picture = shade(picture, 1 + tones[(number - number.min()).astype(np.int32)])
    relief = emboss(blur(rings, 0.6), random_light_deg(rng))
    picture = shade(picture, np.clip(1 + rng.uniform(0.1, 0.8) * relief, 0.5, 1.4))
    picture = shade(picture, 1 - rng.uniform(0.05, 0.35) * rings)
    kind, width_px, contrast = random_seam(rng)
    from_seam = off - np.rint(off / wide) * np.float32(wide)
    return draw_seam(rng, picture, from_seam, kind, min(width_px, 3.0), contrast)


def bug_holes(rng: Generator, picture: Picture) -> Picture:
    """Draw a field of pits of many sizes, in clusters, each dark with a lit lower rim."""
    shape = picture.shape[:2]
    count = int(np.exp(rng.uniform(np.log(30), np.log(400))))
    at = rng.uniform(0, [shape[1], shape[0]], (count, 2))
    density = value_noise(rng, shape, 0.5 * min(shape))
    columns, lines = at.astype(int).T
    at = at[density[lines, columns] > rng.uniform(-1, 0.2)]
    radii = (0.5 + rng.pareto(2.0, len(at)) * rng.uniform(0.2, 0.9)).clip(0.4, 8)
    alpha = fill_discs(shape, at, radii)
    alpha = ramp(blur(alpha, 0.4) + 0.2 * fractal_noise(rng, shape, 5, 1.5), 0.3, 0.7)
    alpha = alpha * (blur(fill_discs(shape, at, radii + 1, 2), 0.5) > 0.1)
    light = random_light_deg(rng)
    picture = darken(rng, picture, alpha, random_contrast(rng), rng.uniform(0, 1.2))
    rim = emboss(blur(alpha, 0.9), light + 180) * (1 - alpha)
    return shade(picture, np.clip(1 + rng.uniform(0.2, 1.2) * rim, 0.7, 1.4))


def spalls(rng: Generator, picture: Picture) -> Picture:
    """Draw places where the skin has broken off: a rough hollow with a dark shadow along its upper
    rim, some with a rusty bar and the dark gap beside it."""
    shape = picture.shape[:2]
    x, y = random_point(rng, shape)
    u, v = line_coordinates(shape, (x, y), rng.uniform(0, 180))
    size = rng.uniform(0.08, 0.4) * min(shape)
    inside = size - np.hypot(u, v * rng.uniform(1, 2.5))
    inside = inside + 0.5 * size * fractal_noise(rng, shape, max(6.0, size), 2)
    alpha = ramp(inside, -0.7, 0.7)
    rough = fractal_noise(rng, shape, 0.3 * size + 4, 1.5)
    light = random_light_deg(rng)
    ground = shade(picture, 1 + rng.normal(0.0, 0.12) + 2 * emboss(blur(rough, 0.6), light))
    stone = sample_colour(rng, picture) * rng.uniform(0.75, 1.15)
    ground = overlay(
        ground, stone, np.full(shape, rng.uniform(0, 0.6), np.float32), 1 + 0.25 * rough
    )
    if chance(rng, 0.35):
        off, _ = line_coordinates(shape, (x, y), random_direction(rng))
        wide = rng.uniform(2, 10)
        bar = 0.75 + 0.4 * np.sqrt(np.maximum(1 - (2 * off / wide) ** 2, 0)) + 0.1 * rough
        ground = overlay(ground, RUST, band_alpha(off, wide), bar * local_texture(picture))
        gap = band_alpha(off - wide / 2, random_width(rng, 0.6, 4))
        ground = darken(rng, ground, gap, random_contrast(rng))
    picture = picture + alpha[..., None] * (ground - picture)
    slope = emboss(blur(1 - alpha, rng.uniform(0.6, 2.5)), light)
    picture = shade(picture, np.clip(1 + rng.uniform(0.5, 3) * slope, 0.25, 1.5))
    rim = band_alpha(inside - 1, random_width(rng, 0.8, 5)) * ramp(slope, 0.0, -0.08)
    return darken(rng, picture, rim, random_contrast(rng), rng.uniform(0, 1.2))
