"""Distractors in front of a surface: cables, pipes, rulers, scratches, plants."""

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float64
from crackcli.synthesis.brushes import (
    Alpha,
    Picture,
    band_alpha,
    chance,
    draw_lines,
    draw_tapered_lines,
    emboss,
    fill_polygons,
    fractal_noise,
    line_coordinates,
    local_tone,
    match_light,
    overlay,
    pick_colour,
    ramp,
    random_course,
    random_light_deg,
    random_sign,
    random_width,
    shade,
    smooth_curve,
    translate,
    value_noise,
)
from crackcli.synthesis.cover import blur
from crackcli.synthesis.distractors.joints import METAL, random_direction, random_point

CABLE = [(28, 28, 30), (60, 60, 62), (130, 130, 130), (215, 213, 206), (96, 66, 46), (120, 40, 36)]
BARK = [(96, 76, 58), (122, 102, 82), (84, 84, 58), (150, 132, 108), (70, 92, 50)]
GREEN = [(86, 118, 52), (58, 92, 42), (120, 140, 70), (140, 136, 74), (150, 110, 60), (128, 74, 46)]
TAPE = [(238, 205, 60), (240, 240, 236), (200, 202, 204), (230, 225, 200)]


def draw_raised(
    rng: Generator, picture: Picture, alpha: Alpha, colour: Picture, away_px: float
) -> Picture:
    """Draw a rounded object in front of the surface, with its shadow."""
    light = random_light_deg(rng)
    down = -away_px * np.array([np.cos(np.deg2rad(light)), np.sin(np.deg2rad(light))])
    shadow = blur(translate(alpha, *down), 0.5 + rng.uniform(0.1, 0.6) * away_px)
    picture = shade(picture, 1 - rng.uniform(0.1, 0.65) * shadow)
    round_ = emboss(blur(alpha, 1.2), light)
    surface = 1 + rng.uniform(0.6, 1.8) * round_ + 0.08 * fractal_noise(rng, alpha.shape, 10, 2)
    return overlay(picture, colour, alpha, np.clip(surface, 0.35, 1.7))


def cables(rng: Generator, picture: Picture) -> Picture:
    """Draw one to three cables or ropes of even width, with highlight, shadow and clips."""
    shape = picture.shape[:2]
    wide = random_width(rng, 1.2, 10)
    line = smooth_curve(
        random_course(rng, shape, rng.choice([0.004, 0.02, 0.07])), rng.uniform(15, 50)
    )
    count = int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))
    beside = rng.uniform(1.1, 5) * wide * np.array([rng.normal(0, 1), 1])
    lines = [line + number * beside for number in range(count)]
    colour = match_light(pick_colour(rng, CABLE), picture)
    picture = draw_raised(
        rng, picture, draw_lines(shape, lines, wide), colour, rng.uniform(0.3, 2) * wide
    )
    if wide > 2.5:
        light = draw_lines(shape, [one - 0.22 * wide for one in lines], 0.25 * wide)
        picture = picture + (rng.uniform(0.05, 0.3) * blur(light, 0.4))[..., None] * (255 - picture)
    if chance(rng, 0.4):
        at = lines[0][:: max(4, len(line) // int(rng.integers(2, 5)))]
        clips = [point + np.array([[-1.0, 0], [1, 0]]) * wide for point in at]
        metal = match_light(pick_colour(rng, METAL), picture)
        picture = draw_raised(
            rng, picture, draw_lines(shape, clips, max(2.0, 0.8 * wide)), metal, 1.0
        )
    return picture


def pipes(rng: Generator, picture: Picture) -> Picture:
    """Draw a straight pipe or post with rounded shading, a soft shadow and brackets."""
    shape = picture.shape[:2]
    off, way = line_coordinates(shape, random_point(rng, shape), random_direction(rng, 1.5, 0.1))
    wide = rng.uniform(0.03, 0.2) * min(shape)
    side = random_sign(rng)
    shadow = np.clip(1 - (side * off - wide / 2) / (rng.uniform(0.3, 1.5) * wide), 0, 1)
    shadow = shadow * (side * off > 0)
    picture = shade(picture, 1 - rng.uniform(0.15, 0.6) * shadow ** rng.uniform(0.3, 1.5))
    bent = np.clip(2 * off / wide, -1, 1)
    surface = 0.55 + 0.5 * np.sqrt(np.maximum(1 - (bent + 0.4 * side) ** 2, 0)) + 0.03 * bent
    surface = surface * (1 + 0.06 * fractal_noise(rng, shape, 50, 3))
    metal = match_light(pick_colour(rng, METAL), picture)
    picture = overlay(picture, metal, band_alpha(off, wide), surface)
    if chance(rng, 0.5):
        apart = rng.uniform(0.35, 0.9) * min(shape)
        bracket = np.abs(np.mod(way, np.float32(apart)) - apart / 2) < rng.uniform(2, 6)
        picture = overlay(picture, 0.8 * metal, band_alpha(off, 1.12 * wide) * bracket, surface)
    return picture


def ruler(rng: Generator, picture: Picture) -> Picture:
    """Draw a ruler, measuring tape or scale bar with ticks or alternating fields."""
    shape = picture.shape[:2]
    deg = random_direction(rng, 6.0, 0.4)
    off, way = line_coordinates(shape, random_point(rng, shape), deg)
    wide = rng.uniform(8, 0.16 * min(shape) + 6)
    alpha = band_alpha(off, wide) * (np.abs(way) < rng.uniform(0.3, 1.2) * min(shape))
    picture = shade(picture, 1 - 0.4 * blur(translate(alpha, 1.5, 2), 1.2) * (1 - alpha))
    tape = match_light(pick_colour(rng, TAPE), picture)
    picture = overlay(picture, tape, alpha, 1 + 0.05 * value_noise(rng, shape, 60))
    step = rng.uniform(2.5, 9)
    if chance(rng, 0.3):
        ink = alpha * (np.mod(way, 6 * step) < 3 * step) * (off > 0)
    else:
        ink = np.zeros(shape, np.float32)
        for every, long_ in ((1, 0.25), (5, 0.4), (10, 0.6)):
            tick = band_alpha(np.mod(way, every * step) - every * step / 2, min(1.2, 0.3 * step))
            ink = np.maximum(ink, tick * (off + wide / 2 < long_ * wide))
        ink = ink * alpha
    return overlay(picture, match_light((30, 30, 32), picture), ink * rng.uniform(0.6, 1))


def scratches(rng: Generator, picture: Picture) -> Picture:
    """Draw bundles of thin bright scratches, nearly parallel, interrupted on rough surface."""
    shape = picture.shape[:2]
    stem = smooth_curve(random_course(rng, shape, rng.uniform(0, 0.05)), 30.0)
    first = int(rng.uniform(0.15, 0.45) * len(stem))
    stem = stem[first : first + max(8, int(rng.uniform(0.2, 0.5) * len(stem)))]
    spread = rng.uniform(1, 0.1 * min(shape))
    lines = []
    for _ in range(int(rng.integers(2, 14))):
        a = int(rng.integers(0, max(1, len(stem) // 2)))
        b = a + int(rng.integers(4, len(stem)))
        lines.append(stem[a:b] * rng.normal(1, 0.01) + rng.normal(0, spread, 2))
    alpha = draw_lines(shape, [line for line in lines if len(line) > 2], rng.uniform(0.5, 1.6))
    alpha = alpha * ramp(value_noise(rng, shape, 8) + value_noise(rng, shape, 30), -0.9, 0.4)
    picture = shade(picture, 1 + rng.uniform(0.2, 0.6) * alpha)
    return shade(picture, 1 - rng.uniform(0, 0.35) * translate(alpha, 0.8, 1.0))


def threads(rng: Generator, picture: Picture) -> Picture:
    """Draw curved hairs, or threads of a cobweb: even, smooth, light or brown."""
    shape = picture.shape[:2]
    at = np.array(random_point(rng, shape))
    size = rng.uniform(0.15, 0.5) * min(shape)
    if chance(rng, 0.5):
        lines = []
        for _ in range(int(rng.integers(1, 4))):
            turn = np.cumsum(np.full(60, rng.normal(0, 0.09)) + rng.normal(0, 0.01, 60))
            steps = np.column_stack([np.cos(turn), np.sin(turn)]) * size / 20
            lines.append(at + np.cumsum(steps, axis=0) + rng.normal(0, 0.1 * size, 2))
        colour = pick_colour(rng, [(90, 60, 40), (50, 40, 36), (210, 205, 195), (150, 110, 70)])
        strength = rng.uniform(0.4, 0.9)
    else:
        ends = at + size * rng.normal(0, 1, (int(rng.integers(4, 12)), 2))
        lines = [np.array([at, end]) for end in ends]
        for ring in np.linspace(0.2, 0.9, int(rng.integers(0, 7))):
            lines.append(smooth_curve(at + ring * (np.vstack([ends, ends[:1]]) - at), 4.0))
        colour, strength = pick_colour(rng, [(232, 232, 230)]), rng.uniform(0.2, 0.7)
    alpha = draw_lines(shape, lines, rng.uniform(0.5, 1.3))
    return overlay(picture, match_light(colour, picture), strength * alpha)


def branches(rng: Generator, picture: Picture) -> Picture:
    """Draw ivy, twigs or roots: round and lit, with shadow, often with leaves."""
    shape = picture.shape[:2]
    wide = rng.uniform(2.0, 9.0)
    stem = smooth_curve(random_course(rng, shape, rng.uniform(0.02, 0.08), 7), 10.0)
    twigs = []
    leaves_at = []
    for _ in range(int(rng.integers(1, 9))):
        root = stem[int(rng.uniform(0.1, 0.9) * len(stem))]
        turn = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.25, 14))
        steps = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(
            2, 0.03 * min(shape) + 3
        )
        twig = root + np.cumsum(steps, axis=0)
        twigs.append(smooth_curve(twig, 4.0))
        leaves_at.append(twig[-1])
    lines = [(stem, np.linspace(wide, 0.5 * wide, len(stem)))]
    lines += [(line, np.linspace(0.6 * wide, 0.8, len(line))) for line in twigs]
    alpha = draw_tapered_lines(shape, lines, 3)
    bark = match_light(pick_colour(rng, BARK), picture)
    picture = draw_raised(rng, picture, alpha, bark, rng.uniform(0.5, 3))
    if chance(rng, 0.5):
        picture = draw_leaves(rng, picture, np.array(leaves_at), rng.uniform(4, 16))
    return picture


def draw_leaves(rng: Generator, picture: Picture, at: Float64, size_px: float) -> Picture:
    """Draw leaves with a midrib at points (N, 2), each in a random direction and green."""
    shape = picture.shape[:2]
    outlines, ribs = [], []
    around = np.linspace(0, 2 * np.pi, 24)
    broad = np.sin(around) * np.abs(np.sin(around)) ** 0.4  # pointed at both ends
    for point in at:
        long_ = size_px * rng.uniform(0.5, 1.4)
        turn = rng.uniform(0, 2 * np.pi)
        ahead = np.array([np.cos(turn), np.sin(turn)])
        lobes = 1 + rng.uniform(0, 0.25) * np.cos(rng.integers(3, 8) * around)
        bow = rng.normal(0, 0.15) * np.cos(around) ** 2
        leaf = np.column_stack([np.cos(around), rng.uniform(0.25, 0.6) * broad + bow])
        leaf = leaf * (lobes * long_)[:, None] + rng.normal(0, 0.03 * long_, (24, 1))
        outlines.append(point + leaf @ np.array([ahead, ahead[::-1] * [-1, 1]]))
        ribs.append(point + np.array([[-1.0], [1]]) * long_ * ahead)
    green = match_light(pick_colour(rng, GREEN), picture)
    mottled = (
        green * (1 + 0.3 * value_noise(rng, shape, 8) + 0.2 * value_noise(rng, shape, 3))[..., None]
    )
    alpha = fill_polygons(shape, outlines, 3)
    picture = draw_raised(rng, picture, alpha, mottled, rng.uniform(1, 5))
    return overlay(picture, 1.35 * green, 0.5 * alpha * draw_lines(shape, ribs, 0.8))


def grass(rng: Generator, picture: Picture) -> Picture:
    """Draw a tuft of grass or weeds, bent outwards, green to straw."""
    shape = picture.shape[:2]
    foot = np.array(random_point(rng, shape))
    up = rng.uniform(0, 2 * np.pi)
    blades = []
    for _ in range(int(rng.integers(5, 28))):
        bend = rng.normal(0, 0.06)
        turn = up + rng.normal(0, 0.6) + bend * np.arange(14)
        step = rng.uniform(0.01, 0.035) * min(shape)
        line = foot + np.cumsum(np.column_stack([np.cos(turn), np.sin(turn)]) * step, axis=0)
        line = line + rng.normal(0, 0.02 * min(shape), 2)
        blades.append((line, np.linspace(rng.uniform(1.0, 4.0), 0.4, len(line))))
    for part in (blades[::2], blades[1::2]):
        green = match_light(pick_colour(rng, GREEN), picture)
        picture = draw_raised(
            rng, picture, draw_tapered_lines(shape, part, 3), green, rng.uniform(0.5, 3)
        )
    return picture


def leaves(rng: Generator, picture: Picture) -> Picture:
    """Draw fallen or growing leaves, or pebbles, each with a shadow."""
    shape = picture.shape[:2]
    for _ in range(int(rng.integers(1, 3))):
        count = int(rng.integers(1, 10))
        middle = np.array(random_point(rng, shape))
        at = middle + rng.normal(0, rng.uniform(0.05, 0.3) * min(shape), (count, 2))
        size = rng.uniform(0.01, 0.07) * min(shape) + 1
        if chance(rng, 0.7):
            picture = draw_leaves(rng, picture, at, size)
        else:
            stone = local_tone(picture).mean(axis=(0, 1)) * rng.uniform(0.6, 1.5)
            stones = [point + rng.normal(0, 0.7 * size, (7, 2)) for point in at]
            hulls = [cv2.convexHull(one.astype(np.float32))[:, 0] for one in stones]
            picture = draw_raised(
                rng, picture, fill_polygons(shape, hulls, 3), stone, rng.uniform(0.5, 2)
            )
    return picture
