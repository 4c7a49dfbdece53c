"""What light, water, time and trowels leave on a wall and is no crack."""

import numpy as np
from numpy.random import Generator

from crackcli.synthesis.brushes import (
    Field,
    Picture,
    Share,
    across,
    beyond,
    chance,
    clouds,
    colour_near,
    contrast_of,
    darkened,
    discs,
    embossed,
    filled,
    grid,
    laid,
    light_of,
    lit_like,
    patches,
    picked,
    ramp,
    shaded,
    shifted,
    streaks,
    texture_of,
)
from crackcli.synthesis.cover import blurred
from crackcli.synthesis.joints import somewhere, upright

RUST = (122, 74, 44)
LIME = (215, 212, 204)
SOOT = (60, 58, 54)
ALGAE = (80, 92, 58)
EARTH = (104, 92, 74)


def turned(rng: Generator) -> Field:
    """A unit vector (x, y), near upright or level."""
    angle = np.deg2rad(upright(rng))
    return np.array([np.cos(angle), np.sin(angle)])


def holes(rng: Generator, picture: Picture) -> Picture:
    """Pores, bug holes and drill holes: round and dark, the lower rim lit; a few or many."""
    shape = picture.shape[:2]
    count = int(np.exp(rng.uniform(0, np.log(150))))
    usual = rng.uniform(0.7, 1.2 + 12 / count**0.5)
    radii = (usual * np.exp(rng.normal(0, 0.45, count))).clip(0.4, 14)
    at = rng.uniform(0, [shape[1], shape[0]], (count, 2))
    if 1 < count < 7 and chance(rng, 0.5):  # in a row, as ties and drills are
        at = at[0] + np.arange(count)[:, None] * rng.uniform(0.1, 0.4) * shape[1] * turned(rng)
    share = discs(shape, at, radii)
    if chance(rng, 0.75):
        near = blurred(share, 0.35 * usual)
        share = ramp(near + 0.3 * clouds(rng, shape, 2 * usual + 3, 1.5), 0.35, 0.7) * (near > 0.04)
    light = light_of(rng)
    angle = np.deg2rad(light)
    core = shifted(share, 0.3 * usual * np.cos(angle), 0.3 * usual * np.sin(angle))
    inside = 1 + rng.uniform(0, 1.5) * np.clip(share - core, 0, 1) + 0.2 * patches(rng, shape, 8)
    picture = darkened(rng, picture, share, contrast_of(rng), rng.uniform(0, 1.2), inside)
    rim = embossed(blurred(share, 1.0), light + 180) * (1 - share)
    return shaded(picture, np.clip(1 + rng.uniform(0, 1.2) * rim, 0.7, 1.4))


def roughcast(rng: Generator, picture: Picture) -> Picture:
    """Rough render, trowel strokes or orange peel: relief under slanting light."""
    shape = picture.shape[:2]
    if chance(rng, 0.3):
        deg = rng.uniform(0, 180)
        height = streaks(rng, shape, 40, 5, deg) + 0.6 * streaks(rng, shape, 25, 2.5, deg)
    else:
        height = clouds(rng, shape, rng.uniform(4, 16), rng.uniform(1.5, 3))
    where = ramp(patches(rng, shape, 120), -1.2, -0.2) if chance(rng, 0.4) else 1.0
    slopes = embossed(blurred(height, 0.7), light_of(rng)) * where
    return shaded(picture, np.clip(1 + rng.uniform(0.03, 0.12) * slopes / slopes.std(), 0.4, 1.5))


def in_shadow(rng: Generator, picture: Picture, share: Field) -> Picture:
    """The picture where ``share`` of the sun is taken away; what is left is a little bluer."""
    depth = rng.uniform(0.2, 0.7)
    blue = np.float32([1.03, 1.0, 0.96]) ** np.float32(rng.uniform(0, 2))
    return picture * (1 - (depth * share)[..., None] * blue)


def shadow_edge(rng: Generator, picture: Picture) -> Picture:
    """The shadow of a roof, a corner or something with many corners; soft or hard."""
    shape = picture.shape[:2]
    soft = float(np.exp(rng.uniform(np.log(0.8), np.log(14))))
    if chance(rng, 0.6):
        off, _ = across(shape, somewhere(rng, shape), rng.uniform(0, 360))
        share = beyond(off, soft)
        if chance(rng, 0.3):
            other, _ = across(shape, somewhere(rng, shape), rng.uniform(0, 360))
            share = np.minimum(share, beyond(other, soft))
    else:
        size = rng.uniform(0.2, 0.6) * min(shape)
        around = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        reach = size * rng.uniform(0.6, 1.4, len(around))
        corners = np.column_stack([np.cos(around), np.sin(around)]) * reach[:, None]
        share = blurred(filled(shape, [np.array(somewhere(rng, shape)) + corners], 2), soft / 3)
    return in_shadow(rng, picture, share)


def shadow_stripes(rng: Generator, picture: Picture) -> Picture:
    """The shadow of a railing, blinds, wires or a mesh."""
    shape = picture.shape[:2]
    deg, soft = rng.uniform(0, 180), rng.uniform(0.8, 5)
    wide = float(np.exp(rng.uniform(np.log(1.5), np.log(0.1 * min(shape)))))
    apart = wide * rng.uniform(1.6, 8)
    share: Share = np.zeros(shape, np.float32)
    for turn in (0, rng.uniform(60, 120)) if chance(rng, 0.3) else (0,):
        off, _ = across(shape, somewhere(rng, shape), deg + turn)
        away = np.abs(np.mod(off, np.float32(apart)) - np.float32(apart / 2))
        share = np.maximum(share, ramp(away, wide / 2 + soft / 2, wide / 2 - soft / 2))
    return in_shadow(rng, picture, share)


def foliage_shadow(rng: Generator, picture: Picture) -> Picture:
    """Dappled shade of leaves and twigs."""
    shape = picture.shape[:2]
    leafy = clouds(rng, shape, rng.uniform(20, 70), 5) + 0.8 * patches(rng, shape, 130)
    limit, soft = rng.uniform(-0.3, 0.6), rng.uniform(0.15, 0.7)
    return in_shadow(rng, picture, blurred(ramp(leafy, limit, limit + soft), rng.uniform(0.5, 2.5)))


def stains(rng: Generator, picture: Picture) -> Picture:
    """Soft blotches of rust, lime, soot, algae or earth."""
    shape = picture.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        coarse = rng.uniform(0.1, 0.5) * min(shape)
        field = clouds(rng, shape, coarse, 3)
        limit = rng.uniform(0.1, 0.7)
        share = rng.uniform(0.1, 0.6) * ramp(field, limit, limit + rng.uniform(0.15, 0.7))
        dirt = lit_like(picked(rng, [RUST, LIME, SOOT, ALGAE, EARTH]), picture)
        picture = laid(picture, dirt, share, texture_of(picture))
    return picture


def runs(rng: Generator, picture: Picture) -> Picture:
    """Streaks where water ran down: soft, upright, fading; from a line, a point or the rim."""
    shape = picture.shape[:2]
    x, y = grid(shape)
    for _ in range(int(rng.integers(1, 4))):
        top = rng.uniform(-0.3, 0.6) * shape[0] + 0.2 * shape[0] * patches(rng, (1, shape[1]), 1, 9)
        field = streaks(rng, shape, 160, rng.uniform(3, 16)) + 0.5 * streaks(rng, shape, 60, 3)
        field = blurred(field, 1.0) + 0.3 * clouds(rng, shape, 24, 2)
        if chance(rng, 0.5):
            middle, wide = rng.uniform(0, shape[1]), rng.uniform(3, 0.15 * shape[1])
            field = field * 0.6 + 2.2 * np.exp(-(((x - middle) / wide) ** 2)) - 1.0
        fade = np.exp(-np.maximum(y - top, 0) / (rng.uniform(0.2, 1.2) * shape[0]))
        fade = fade * np.clip((y - top) / rng.uniform(2, 60), 0, 1)
        limit = rng.uniform(-0.3, 0.5)
        share = rng.uniform(0.15, 0.75) * fade * ramp(field, limit, limit + rng.uniform(0.8, 2.0))
        dirt = lit_like(picked(rng, [RUST, LIME, SOOT, ALGAE, EARTH, SOOT]), picture)
        picture = laid(picture, dirt, share.astype(np.float32), texture_of(picture))
    return picture


def wet_patch(rng: Generator, picture: Picture) -> Picture:
    """Damp, with an irregular border that dried darker or left salts."""
    shape = picture.shape[:2]
    x, y = somewhere(rng, shape)
    away = np.hypot(across(shape, (x, y), 0)[0], across(shape, (x, y), 90)[0])
    inside = rng.uniform(0.1, 0.45) * min(shape) - away
    inside = inside + rng.uniform(6, 26) * clouds(rng, shape, rng.uniform(30, 90), 4)
    soft = rng.uniform(1.5, 10)
    share = beyond(inside, soft)
    if chance(rng, 0.5):
        share = share * ramp(inside, 60, -10)  # drying from the middle
    picture = shaded(picture, 1 + share * rng.choice([-1, -1, 0.3]) * rng.uniform(0.12, 0.5))
    if chance(rng, 0.6):
        rim = np.exp(-((inside / rng.uniform(1.5, 5)) ** 2)) * (1 + 0.6 * patches(rng, shape, 30))
        picture = shaded(picture, 1 + rng.normal(0, 0.18) * rim)
    return picture


def splashes(rng: Generator, picture: Picture) -> Picture:
    """Drops and smears of paint, mortar or birds."""
    shape = picture.shape[:2]
    count = int(rng.integers(1, 30))
    middle = np.array(somewhere(rng, shape))
    at = middle + rng.normal(0, rng.uniform(0.05, 0.35) * min(shape), (count, 2))
    radii = np.exp(rng.normal(np.log(rng.uniform(1, 6)), 0.6, count)).clip(0.5, 20)
    share = discs(shape, at, radii)
    share = ramp(blurred(share, 1.2) + 0.25 * clouds(rng, shape, 12, 2), 0.3, 0.55)
    share = share * (blurred(discs(shape, at, 1.5 * radii + 2, 2), 1.0) > 0.05)
    near = chance(rng, 0.4)
    colour = colour_near(rng, picture) if near else picked(rng, [LIME, LIME, SOOT, (150, 146, 138)])
    thick = 1 + rng.uniform(0, 1.0) * embossed(blurred(share, 1.0), light_of(rng))
    return laid(picture, lit_like(colour, picture), share * rng.uniform(0.6, 1), thick)


def coating(rng: Generator, picture: Picture) -> Picture:
    """A thin coat of another tone that has come off in places: paint, render, lime wash."""
    shape = picture.shape[:2]
    field = clouds(rng, shape, rng.uniform(30, 120), 3)
    limit = rng.uniform(-0.3, 0.4)
    share = ramp(field, limit, limit + rng.uniform(0.06, 0.2))
    colour = colour_near(rng, picture, 14) * rng.uniform(0.8, 1.25)
    texture = texture_of(picture) ** rng.uniform(0.4, 1)
    if chance(rng, 0.25):
        off, _ = across(shape, somewhere(rng, shape), upright(rng))
        share = share * beyond(off, 2.0)
    picture = laid(picture, colour, share * rng.uniform(0.4, 1), texture)
    edge = embossed(blurred(share, 0.8), light_of(rng))
    return shaded(picture, np.clip(1 + rng.uniform(0, 0.25) * edge, 0.8, 1.2))
