"""The walls of the sample data, with objects and marks on them.

These resemble cracks but are none: a ledge and its water runs, a cable, drill holes, a rusty nail,
chalk and pencil. Coordinates are (x, y) in pixels of 1 mm.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from crackcli.synthesis import surfaces
from crackcli.synthesis.cover import CrackPath, coverage
from crackcli.synthesis.random_cracks import fractal_line
from crackcli.synthesis.surfaces import Field, Image, Surface, noise, ramp, spot

SHAPE = (2000, 3000)  # rows, cols

CABLE_X = 1440
LEDGE = (1590, 2120, 236, 280)  # first and last col, first and last row
HOLES = [(2180, 640, 5), (2262, 636, 5), (2700, 1500, 6), (300, 250, 5), (1012, 1610, 6)]
NAIL = (2860, 330)
CHALK = [  # an arrow and a number, by hand: strokes in px from the first point
    [(0, 0), (70, -4), (128, 2)],
    [(104, -22), (128, 2), (100, 24)],
    [(-62, -30), (-58, 4), (-60, 34)],
    [(-112, -22), (-96, -32), (-84, -18), (-98, 8), (-114, 32), (-82, 31)],
]
CHALK_AT = (2290, 1010)
PENCIL = [[(2140, 1388), (2750, 1377)], [(2170, 1374), (2170, 1402)], [(2700, 1364), (2700, 1392)]]
SHADOW = ((2100.0, 0.0), (3000.0, 940.0))  # a roof's: all above and right of this line


@dataclass(frozen=True)
class Wall:
    """A wall without cracks, as a faultless camera sees it, and the joints of its masonry."""

    image: Image
    joints: list[NDArray[np.float64]]


def sample_wall(rng: Generator) -> Wall:
    """Three metres of a wall: bricks on the left, plaster with a broken edge on the right."""
    shape = SHAPE
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    masonry = surfaces.bricks(rng, shape, weathered=0.55)
    surfaces.efflorescence(rng, masonry, spot(shape, 180, 1250, 300, 170))
    surfaces.efflorescence(rng, masonry, spot(shape, 900, 130, 260, 120))
    edge = 1210 + 40 * np.sin(y / 310) - 0.06 * (y - 1000)
    coat = surfaces.plaster(rng, shape, rough=0.4)
    patch(rng, coat, x, y)
    wall = surfaces.covered(rng, masonry, coat, x - edge)
    ledge(rng, wall, x, y)
    surfaces.runs(rng, wall, LEDGE[:2], LEDGE[3], 260)
    surfaces.runs(rng, wall, (0, shape[1]), -60, 170)
    surfaces.soil(rng, wall, 430)
    surfaces.lichen(rng, wall, ramp(y, 1450, 2050) * 0.9)
    surfaces.lichen(rng, wall, spot(shape, 1180, 380, 130, 160))
    wall.shade(1 + 0.05 * noise(rng, shape, 1500, 200, 3))
    nail(rng, wall, x, y)
    for at_x, at_y, radius in HOLES:
        hole(wall, np.hypot(x - at_x, y - at_y), radius)
    cable(wall, x, y)
    write(rng, wall, CHALK, CHALK_AT, (214, 214, 216), width_px=5.0, strength=0.75)
    write(rng, wall, PENCIL, (0, 0), (84, 82, 80), width_px=1.4, strength=0.45)
    light = surfaces.lit(wall, sunny=1 - 0.93 * roof_shadow(x, y))
    light *= (1.06 - 0.1 * (x / shape[1]) - 0.04 * (y / shape[0]))[..., None]
    return Wall(surfaces.developed(light, exposure=0.93), wall.joints)


def random_wall(rng: Generator, kind: str, shape: tuple[int, int]) -> Wall:
    """A wall of "brick" or "plaster", or of brick that plaster covers up to a broken "edge", with
    its own weather and light."""
    y = np.arange(shape[0], dtype=np.float32)[:, None] + np.zeros(shape, np.float32)
    if kind != "plaster":
        masonry = surfaces.bricks(rng, shape, weathered=rng.uniform(0.1, 0.8))
        where = spot(shape, rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), 200, 120)
        surfaces.efflorescence(rng, masonry, where)
        wall = masonry
    if kind != "brick":
        coat = surfaces.plaster(rng, shape, rough=rng.uniform(0, 1))
        coat.reflectance *= surfaces.colour(
            np.minimum(rng.uniform(215, 255) + rng.normal(0, 5, 3), 255)
        )
        surfaces.runs(rng, coat, (0, shape[1]), -40, rng.uniform(60, 250))
        wall = coat
    if kind == "edge":
        x = np.arange(shape[1], dtype=np.float32)
        turn, rise = rng.uniform(0, 2 * np.pi), shape[0] / 6
        across = np.cos(turn) * (x - shape[1] / 2) + np.sin(turn) * (y - shape[0] / 2)
        wall = surfaces.covered(rng, masonry, coat, across + rise * noise(rng, shape, 800, 200, 3))
    surfaces.soil(rng, wall, rng.uniform(50, 500))
    surfaces.lichen(rng, wall, 0.9 * ramp(y, shape[0] * 0.6, shape[0] * 1.1))
    light = surfaces.lit(wall, rng.uniform(180, 300), rng.uniform(42, 65), rng.uniform(0.4, 1))
    return Wall(surfaces.developed(light, rng.uniform(0.85, 1.15)), wall.joints)


def patch(rng: Generator, coat: Surface, x: Field, y: Field) -> None:
    """An old repair of the plaster: another mix, put on with other strokes."""
    ragged = 26 * noise(rng, SHAPE, 300, 12, 2.6)
    inside = np.minimum(230 - np.abs(x - 1960), 150 - np.abs(y - 1700)) + ragged
    share = ramp(inside, 0, 14)
    coat.tint((168, 166, 160), 0.65 * share)
    coat.height += 1.6 * share + 0.5 * share * noise(rng, SHAPE, 40, 4, 1.8, 7, -20)


def ledge(rng: Generator, wall: Surface, x: Field, y: Field) -> None:
    """A stone sill, dusty above and worn at its rims."""
    left, right, top, bottom = LEDGE
    inside = np.minimum(
        np.minimum(x - left, right - x), np.minimum(y - top, bottom - y)
    ) + 0.9 * noise(rng, SHAPE, 60, 5, 2)
    on = ramp(inside, -0.7, 0.7)
    face = 48 - 12 * ramp(inside, 9, 0) ** 2 + 0.35 * noise(rng, SHAPE, 20, 2.2, 1.2)
    wall.height += on * (face - wall.height)
    wall.tint((150, 147, 140), on)
    wall.shade(1 + on * (0.06 * noise(rng, SHAPE, 5, 2, 0.5) + 0.09 * noise(rng, SHAPE, 90, 6)))
    wall.tint((92, 88, 78), 0.5 * on * ramp(noise(rng, SHAPE, 140, 5, 2), 0.3, 2))


def cable(wall: Surface, x: Field, y: Field) -> None:
    """A grey cable from top to bottom, a little slack, and its clips."""
    slack = CABLE_X + 4 * np.sin(y / 113) * np.sin(y / 391 + 1) + 0.004 * y
    off = x - slack
    radius = 7.0
    on = np.clip(radius + 0.5 - np.abs(off), 0, 1)
    round_ = 4 + np.sqrt(np.maximum(radius**2 - off**2, 0))
    wall.height += on * (surfaces.COAT_PX + round_ - wall.height)
    wall.tint((112, 113, 112), on)
    from_clip = np.abs((y + 130) % 410 - 205) - 7
    clip = np.clip(0.5 - np.maximum(from_clip, np.abs(off + 4) - 15), 0, 1)
    wall.height += clip * np.maximum(surfaces.COAT_PX + 6 + on * (round_ - 4) - wall.height, 0)
    wall.tint((176, 174, 168), clip)


def hole(wall: Surface, away: Field, radius: float) -> None:
    """A drilled hole with a chipped, dusty rim."""
    deep = ramp(away, radius + 0.7, radius - 0.7)
    wall.tint((196, 190, 180), 0.5 * ramp(away, radius + 5, radius))
    wall.height -= 14 * deep + 0.8 * ramp(away, radius + 4, radius)
    wall.tint((26, 24, 22), 0.93 * deep)


def nail(rng: Generator, wall: Surface, x: Field, y: Field) -> None:
    """The head of a nail and the rust below it."""
    at_x, at_y = NAIL
    below = np.maximum(y - at_y, 0)
    narrow = np.exp(-(((x - at_x) / (4 + 0.03 * below)) ** 2) / 2)
    ragged = ramp(noise(rng, SHAPE, 50, 4, 1.8, 12, 90), -1.5, 1)
    wall.tint((122, 74, 44), 0.8 * narrow * np.exp(-below / 120) * ragged * (y > at_y))
    head = ramp(np.hypot(x - at_x, y - at_y), 5.6, 4.4)
    wall.height += 5 * head
    wall.tint((74, 54, 44), head)


def write(
    rng: Generator,
    wall: Surface,
    strokes: list[list[tuple[float, float]]],
    at: tuple[float, float],
    rgb: tuple[int, int, int],
    width_px: float,
    strength: float,
) -> None:
    """Strokes from point to point with a dry pen: it marks what stands out and skips hollows."""
    lines = []
    for stroke in strokes:
        parts = itertools.pairwise(stroke)
        points = np.vstack([fractal_line(rng, a, b, 0.15, 6.0) for a, b in parts])
        lines.append(CrackPath.of(points + np.array(at), width_px))
    skips = ramp(noise(rng, SHAPE, 14, 2.2, 0.8), -1.1, 0.7)
    wall.tint(rgb, strength * coverage(lines, SHAPE) * skips)


def roof_shadow(x: Field, y: Field) -> Field:
    """1 in the shadow of a roof's edge, which is soft, for the roof is far."""
    (from_x, from_y), (to_x, to_y) = SHADOW
    along = np.array([to_x - from_x, to_y - from_y]) / np.hypot(to_x - from_x, to_y - from_y)
    return ramp((x - from_x) * along[1] - (y - from_y) * along[0], -9, 9)
