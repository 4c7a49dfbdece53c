"""Distractors on a surface: holes, relief, shadows, stains, water streaks, coatings."""

import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float64
from crackcli.synthesis.brushes import (
    Alpha,
    Field,
    Picture,
    chance,
    darken,
    emboss,
    fill_discs,
    fill_polygons,
    fractal_noise,
    line_coordinates,
    local_texture,
    match_light,
    overlay,
    pick_colour,
    pixel_grid,
    ramp,
    random_contrast,
    random_light_deg,
    sample_colour,
    shade,
    side_alpha,
    stretched_noise,
    translate,
    value_noise,
)
from crackcli.synthesis.cover import blur
from crackcli.synthesis.distractors.joints import random_direction, random_point

RUST = (122, 74, 44)
LIME = (215, 212, 204)
SOOT = (60, 58, 54)
ALGAE = (80, 92, 58)
EARTH = (104, 92, 74)


def random_axis(rng: Generator) -> Float64:
    """Draw a unit vector (x, y), mostly near vertical or horizontal."""
    angle = np.deg2rad(random_direction(rng))
    return np.array([np.cos(angle), np.sin(angle)])


def holes(rng: Generator, picture: Picture) -> Picture:
    """Draw pores, bug holes or drill holes: round and dark, the lower rim lit."""
    shape = picture.shape[:2]
    count = int(np.exp(rng.uniform(0, np.log(150))))
    usual = rng.uniform(0.7, 1.2 + 12 / count**0.5)
    radii = (usual * np.exp(rng.normal(0, 0.45, count))).clip(0.4, 14)
    at = rng.uniform(0, [shape[1], shape[0]], (count, 2))
    if 1 < count < 7 and chance(rng, 0.5):  # in a row, as tie holes and drill holes are
        at = at[0] + np.arange(count)[:, None] * rng.uniform(0.1, 0.4) * shape[1] * random_axis(rng)
    alpha = fill_discs(shape, at, radii)
    if chance(rng, 0.75):
        near = blur(alpha, 0.35 * usual)
        alpha = ramp(near + 0.3 * fractal_noise(rng, shape, 2 * usual + 3, 1.5), 0.35, 0.7) * (
            near > 0.04
        )
    light = random_light_deg(rng)
    angle = np.deg2rad(light)
    core = translate(alpha, 0.3 * usual * np.cos(angle), 0.3 * usual * np.sin(angle))
    inside = (
        1 + rng.uniform(0, 1.5) * np.clip(alpha - core, 0, 1) + 0.2 * value_noise(rng, shape, 8)
    )
    picture = darken(rng, picture, alpha, random_contrast(rng), rng.uniform(0, 1.2), inside)
    rim = emboss(blur(alpha, 1.0), light + 180) * (1 - alpha)
    return shade(picture, np.clip(1 + rng.uniform(0, 1.2) * rim, 0.7, 1.4))


def roughcast(rng: Generator, picture: Picture) -> Picture:
    """Draw rough render, trowel strokes or orange peel: relief under slanting light."""
    shape = picture.shape[:2]
    if chance(rng, 0.3):
        deg = rng.uniform(0, 180)
        height = stretched_noise(rng, shape, 40, 5, deg) + 0.6 * stretched_noise(
            rng, shape, 25, 2.5, deg
        )
    else:
        height = fractal_noise(rng, shape, rng.uniform(4, 16), rng.uniform(1.5, 3))
    where = ramp(value_noise(rng, shape, 120), -1.2, -0.2) if chance(rng, 0.4) else 1.0
    slopes = emboss(blur(height, 0.7), random_light_deg(rng)) * where
    return shade(picture, np.clip(1 + rng.uniform(0.03, 0.12) * slopes / slopes.std(), 0.4, 1.5))


def in_shadow(rng: Generator, picture: Picture, alpha: Field) -> Picture:
    """Remove ``alpha`` of the sunlight; the shadow is slightly bluer."""
    depth = rng.uniform(0.2, 0.7)
    blue = np.array([1.03, 1.0, 0.96], np.float32) ** np.float32(rng.uniform(0, 2))
    light: Picture = 1 - (depth * alpha)[..., None] * blue
    return picture * light


def shadow_edge(rng: Generator, picture: Picture) -> Picture:
    """Draw the soft or hard shadow of a roof, a corner or a polygon."""
    shape = picture.shape[:2]
    soft = float(np.exp(rng.uniform(np.log(0.8), np.log(14))))
    if chance(rng, 0.6):
        off, _ = line_coordinates(shape, random_point(rng, shape), rng.uniform(0, 360))
        alpha = side_alpha(off, soft)
        if chance(rng, 0.3):
            other, _ = line_coordinates(shape, random_point(rng, shape), rng.uniform(0, 360))
            alpha = np.minimum(alpha, side_alpha(other, soft))
    else:
        size = rng.uniform(0.2, 0.6) * min(shape)
        around = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        reach = size * rng.uniform(0.6, 1.4, len(around))
        corners = np.column_stack([np.cos(around), np.sin(around)]) * reach[:, None]
        alpha = blur(
            fill_polygons(shape, [np.array(random_point(rng, shape)) + corners], 2), soft / 3
        )
    return in_shadow(rng, picture, alpha)


def shadow_stripes(rng: Generator, picture: Picture) -> Picture:
    """Draw the shadow of a railing, blinds, wires or a mesh."""
    shape = picture.shape[:2]
    deg, soft = rng.uniform(0, 180), rng.uniform(0.8, 5)
    wide = float(np.exp(rng.uniform(np.log(1.5), np.log(0.1 * min(shape)))))
    apart = wide * rng.uniform(1.6, 8)
    alpha: Alpha = np.zeros(shape, np.float32)
    for turn in (0, rng.uniform(60, 120)) if chance(rng, 0.3) else (0,):
        off, _ = line_coordinates(shape, random_point(rng, shape), deg + turn)
        away = np.abs(np.mod(off, np.float32(apart)) - np.float32(apart / 2))
        alpha = np.maximum(alpha, ramp(away, wide / 2 + soft / 2, wide / 2 - soft / 2))
    return in_shadow(rng, picture, alpha)


def foliage_shadow(rng: Generator, picture: Picture) -> Picture:
    """Draw the dappled shade of leaves and twigs."""
    shape = picture.shape[:2]
    leafy = fractal_noise(rng, shape, rng.uniform(20, 70), 5) + 0.8 * value_noise(rng, shape, 130)
    limit, soft = rng.uniform(-0.3, 0.6), rng.uniform(0.15, 0.7)
    return in_shadow(rng, picture, blur(ramp(leafy, limit, limit + soft), rng.uniform(0.5, 2.5)))


def stains(rng: Generator, picture: Picture) -> Picture:
    """Draw soft blotches of rust, lime, soot, algae or earth."""
    shape = picture.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        coarse = rng.uniform(0.1, 0.5) * min(shape)
        field = fractal_noise(rng, shape, coarse, 3)
        limit = rng.uniform(0.1, 0.7)
        alpha = rng.uniform(0.1, 0.6) * ramp(field, limit, limit + rng.uniform(0.15, 0.7))
        dirt = match_light(pick_colour(rng, [RUST, LIME, SOOT, ALGAE, EARTH]), picture)
        picture = overlay(picture, dirt, alpha, local_texture(picture))
    return picture


def runs(rng: Generator, picture: Picture) -> Picture:
    """Draw streaks of running water: soft, vertical, fading; from a line, a point or the border."""
    shape = picture.shape[:2]
    x, y = pixel_grid(shape)
    for _ in range(int(rng.integers(1, 4))):
        top = rng.uniform(-0.3, 0.6) * shape[0] + 0.2 * shape[0] * value_noise(
            rng, (1, shape[1]), 1, 9
        )
        field = stretched_noise(rng, shape, 160, rng.uniform(3, 16)) + 0.5 * stretched_noise(
            rng, shape, 60, 3
        )
        field = blur(field, 1.0) + 0.3 * fractal_noise(rng, shape, 24, 2)
        if chance(rng, 0.5):
            middle, wide = rng.uniform(0, shape[1]), rng.uniform(3, 0.15 * shape[1])
            field = field * 0.6 + 2.2 * np.exp(-(((x - middle) / wide) ** 2)) - 1.0
        fade = np.exp(-np.maximum(y - top, 0) / (rng.uniform(0.2, 1.2) * shape[0]))
        fade = fade * np.clip((y - top) / rng.uniform(2, 60), 0, 1)
        limit = rng.uniform(-0.3, 0.5)
        alpha = rng.uniform(0.15, 0.75) * fade * ramp(field, limit, limit + rng.uniform(0.8, 2.0))
        dirt = match_light(pick_colour(rng, [RUST, LIME, SOOT, ALGAE, EARTH, SOOT]), picture)
        picture = overlay(picture, dirt, alpha.astype(np.float32), local_texture(picture))
    return picture


def wet_patch(rng: Generator, picture: Picture) -> Picture:
    """Draw a damp patch with an irregular border that dried darker or left salts."""
    shape = picture.shape[:2]
    x, y = random_point(rng, shape)
    away = np.hypot(line_coordinates(shape, (x, y), 0)[0], line_coordinates(shape, (x, y), 90)[0])
    inside = rng.uniform(0.1, 0.45) * min(shape) - away
    inside = inside + rng.uniform(6, 26) * fractal_noise(rng, shape, rng.uniform(30, 90), 4)
    soft = rng.uniform(1.5, 10)
    alpha = side_alpha(inside, soft)
    if chance(rng, 0.5):
        alpha = alpha * ramp(inside, 60, -10)  # drying from the middle
    picture = shade(picture, 1 + alpha * rng.choice([-1, -1, 0.3]) * rng.uniform(0.12, 0.5))
    if chance(rng, 0.6):
        rim = np.exp(-((inside / rng.uniform(1.5, 5)) ** 2)) * (
            1 + 0.6 * value_noise(rng, shape, 30)
        )
        picture = shade(picture, 1 + rng.normal(0, 0.18) * rim)
    return picture


def splashes(rng: Generator, picture: Picture) -> Picture:
    """Draw drops and smears of paint, mortar or birds."""
    shape = picture.shape[:2]
    count = int(rng.integers(1, 30))
    middle = np.array(random_point(rng, shape))
    at = middle + rng.normal(0, rng.uniform(0.05, 0.35) * min(shape), (count, 2))
    radii = np.exp(rng.normal(np.log(rng.uniform(1, 6)), 0.6, count)).clip(0.5, 20)
    alpha = fill_discs(shape, at, radii)
    alpha = ramp(blur(alpha, 1.2) + 0.25 * fractal_noise(rng, shape, 12, 2), 0.3, 0.55)
    alpha = alpha * (blur(fill_discs(shape, at, 1.5 * radii + 2, 2), 1.0) > 0.05)
    near = chance(rng, 0.4)
    colour = (
        sample_colour(rng, picture)
        if near
        else pick_colour(rng, [LIME, LIME, SOOT, (150, 146, 138)])
    )
    thick = 1 + rng.uniform(0, 1.0) * emboss(blur(alpha, 1.0), random_light_deg(rng))
    return overlay(picture, match_light(colour, picture), alpha * rng.uniform(0.6, 1), thick)


def coating(rng: Generator, picture: Picture) -> Picture:
    """Draw a thin coat of another tone that has come off in places: paint, render, lime wash."""
    shape = picture.shape[:2]
    field = fractal_noise(rng, shape, rng.uniform(30, 120), 3)
    limit = rng.uniform(-0.3, 0.4)
    alpha = ramp(field, limit, limit + rng.uniform(0.06, 0.2))
    colour = sample_colour(rng, picture, 14) * rng.uniform(0.8, 1.25)
    texture = local_texture(picture) ** rng.uniform(0.4, 1)
    if chance(rng, 0.25):
        off, _ = line_coordinates(shape, random_point(rng, shape), random_direction(rng))
        alpha = alpha * side_alpha(off, 2.0)
    picture = overlay(picture, colour, alpha * rng.uniform(0.4, 1), texture)
    edge = emboss(blur(alpha, 0.8), random_light_deg(rng))
    return shade(picture, np.clip(1 + rng.uniform(0, 0.25) * edge, 0.8, 1.2))
