"""Synthetic surfaces: masonry and plaster as relief and colour, lit and photographed.

A `Surface` is a height field with a reflectance. `bricks` and `plaster` make surfaces, `covered`
lays one over another along a broken edge, `lit` adds sun, sky and shadows, and `photographed`
models the camera. 1 px stands for 1 mm. All randomness comes from the given generator, so the
same seed gives the same surface.

Reflectance and light are linear, 0 to 1; `colour` converts the sRGB values of a photograph.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from crackcli.arrays import Float64, Floats, UInt8
from crackcli.rasters.srgb import to_linear, to_srgb

COURSE_PX = 77.0  # height of a brick and its bed joint
BRICK_PX = 262.0  # length of a brick and its head joint
JOINT_PX = 12.0
RECESS_PX = 5.0  # of the joints behind the face of the bricks
COAT_PX = 11.0  # thickness of plaster

FIRED = [(158, 104, 82), (166, 110, 86), (148, 94, 76), (163, 116, 94), (141, 92, 76)]
OVERBURNT = [(108, 80, 72), (122, 86, 74), (102, 84, 77)]
PALE = [(178, 138, 110), (172, 128, 102)]
MORTAR = (158, 150, 137)
PLASTER = (176, 168, 153)

SUN = (0.8, 0.765, 0.7)
SKY = (0.38, 0.405, 0.435)

Field = Floats  # (rows, cols)
Light = Floats  # (rows, cols, 3), linear RGB
Image = UInt8  # (rows, cols, 3)
Shape = tuple[int, ...]  # rows, cols


@dataclass
class Surface:
    """A surface without light.

    reflectance  (rows, cols, 3)  linear RGB
    height       (rows, cols)     px, towards the camera
    joints       polylines (N, 2) of x and y that share points where they meet
    """

    reflectance: Light
    height: Field
    joints: list[Float64] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        return self.height.shape

    def tint(self, rgb: ArrayLike, alpha: Field | float) -> None:
        """Cover it with a colour (sRGB) by ``alpha`` (rows, cols), 0 to 1."""
        alpha = np.clip(np.asarray(alpha, np.float32), 0, 1)[..., None]
        self.reflectance += alpha * (colour(rgb) - self.reflectance)

    def shade(self, factor: Field) -> None:
        """Multiply its reflectance by ``factor`` (rows, cols)."""
        self.reflectance *= factor[..., None]


def colour(rgb: ArrayLike) -> Floats:
    """Convert sRGB (0 to 255) to linear light (0 to 1)."""
    return to_linear(np.asarray(rgb, np.float32) / np.float32(255))


def noise(
    rng: Generator,
    shape: Shape,
    coarse_px: float,
    fine_px: float = 2.0,
    steep: float = 2.0,
    stretch: float = 1.0,
    turn_deg: float = 0.0,
) -> Field:
    """Return noise (rows, cols) of mean 0 and deviation 1, with waves from ``coarse_px`` to
    ``fine_px``.

    Its power falls with the frequency to the power of ``steep``: 0 is like sand, 2 like clouds, 3
    like dunes. ``stretch`` elongates it to the right, ``turn_deg`` turns this direction clockwise.
    It is made in the frequency domain, so it shows no lattice.
    """
    cell = max(1.0, fine_px / 2.5)
    rows, cols = (cv2.getOptimalDFTSize(int(side / cell) + 4) for side in shape)
    down, right = np.fft.fftfreq(rows)[:, None] / cell, np.fft.rfftfreq(cols)[None, :] / cell
    cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    squared = (stretch * (cos * right + sin * down)) ** 2 + (cos * down - sin * right) ** 2
    power = (squared + 1 / coarse_px**2) ** (-steep / 4) * np.exp(-squared * (fine_px / 2) ** 2)
    # Longer waves than the coarsest would only add a slope.
    power *= 1 - np.exp(-squared * (2 * coarse_px) ** 2)
    waves = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((rows, cols))) * power, (rows, cols))
    waves = ((waves - waves.mean()) / waves.std()).astype(np.float32)
    matrix = np.array([[1 / cell, 0, 1], [0, 1 / cell, 1]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(waves, matrix, shape[::-1], flags=flags), np.float32)


def ramp(values: Field, low: float, high: float) -> Field:
    """Rise smoothly from 0 at ``low`` to 1 at ``high`` (smoothstep); fall if low > high."""
    rise: Field = np.clip((values - low) / (high - low), 0, 1)
    return rise * rise * (3 - 2 * rise)


def bricks(rng: Generator, shape: Shape, weathered: float = 0.5) -> Surface:
    """Make a wall in running bond: rough bricks of many colours, recessed joints.

    ``weathered`` (0 to 1) rounds and breaks the edges of the bricks and smears mortar over them.
    """
    rows, cols = shape
    courses, per_course = int(rows / COURSE_PX) + 3, int(cols / BRICK_PX) + 4
    top, left = rng.uniform(0, COURSE_PX), rng.uniform(0, BRICK_PX)
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    bent = [2.0 * noise(rng, shape, 500, 120, 3) for _ in range(2)]
    joggle = rng.normal(0, 3.5, (courses, per_course + 1)).astype(np.float32)  # of head joints
    down = y + bent[0] + top
    course = np.floor(down / COURSE_PX).astype(np.int32).clip(0, courses - 1)
    half = np.where(course % 2 == 0, 0.0, BRICK_PX / 2).astype(np.float32)
    right = x + bent[1] + left + half
    at = np.floor(right / BRICK_PX).astype(np.int32).clip(0, per_course - 1)
    at -= right < at * BRICK_PX + joggle[course, at]
    at = at.clip(0, per_course - 1)
    start = at * BRICK_PX + joggle[course, at]
    end = (at + 1) * BRICK_PX + joggle[course, at + 1]

    def each(values: Floats) -> Field:
        """Spread one value per brick over its pixels."""
        return np.asarray(values[course, at], np.float32)

    per_brick = (courses, per_course)
    # Distance to the edge of a brick with round corners, negative on the brick.
    thick = (JOINT_PX + each(rng.normal(0, 1.2, per_brick))) / 2
    tilt = each(rng.normal(0, 0.006, per_brick)) * (right - (start + end) / 2)
    half_high, half_long = COURSE_PX / 2 - thick, (end - start) / 2 - thick
    from_middle = down - (course + 0.5) * COURSE_PX + tilt + each(rng.normal(0, 0.9, per_brick))
    corner = 2.5 + 5 * weathered
    qy = np.abs(from_middle) - half_high + corner
    qx = np.abs(right - (start + end) / 2) - half_long + corner
    edge = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0)
    edge -= corner
    edge += (0.6 + 0.8 * weathered) * noise(rng, shape, 50, 6, 2.4) + 0.25 * noise(rng, shape, 8, 3)
    chips = noise(rng, shape, 60, 8, 2.5)
    edge += 7 * weathered * np.maximum(chips - 1.1, 0)

    on_brick = ramp(edge, 1.5, -1.5)
    face = each(rng.normal(0, 1.0, per_brick)) + 0.8 * noise(rng, shape, 160, 14, 2.8)
    fine = noise(rng, shape, 25, 2.2, 1.4)
    pits = np.maximum(noise(rng, shape, 18, 4, 1.0) - 1.9, 0)
    face += 0.15 * fine - 2.2 * pits - 1.8 * ramp(edge, -8, 0) ** 2
    bed = 0.9 * noise(rng, shape, 80, 6, 2.4) + 0.2 * noise(rng, shape, 8, 2, 0.8)
    bed -= RECESS_PX * (0.7 + 0.3 * ramp(noise(rng, shape, 400, 60), -1.5, 1.5))
    surface = Surface(
        mortar_colour(rng, shape),
        (bed + on_brick * (face - bed)).astype(np.float32),
        brick_joints(joggle, top, left, courses, bent),
    )
    fired = fired_bricks(rng, shape, each, per_brick, edge)
    fired *= (1 + 0.045 * fine - 0.35 * np.minimum(pits, 1))[..., None]
    film = ramp(noise(rng, shape, 120, 3, 1.8) + 0.08 * edge, 1.1, 2.6) * (0.2 + 0.5 * weathered)
    fired += film[..., None] * (surface.reflectance - fired)
    surface.reflectance += on_brick[..., None] * (fired - surface.reflectance)
    return surface


def brick_joints(
    joggle: Field, top: float, left: float, courses: int, bent: list[Field]
) -> list[Float64]:
    """Return the centre lines (N, 2) of the joints of `bricks`: bed joints and head joints."""

    def placed(right: float, down: float) -> tuple[float, float]:
        """Map a point of the straight bond onto the bent wall."""
        x, y = right - left, down - top
        row, col = int(np.clip(y, 0, len(bent[0]) - 1)), int(np.clip(x, 0, bent[0].shape[1] - 1))
        return x - float(bent[1][row, col]), y - float(bent[0][row, col])

    crossings: dict[int, list[float]] = {bed: [] for bed in range(courses + 1)}
    joints = []
    for course in range(courses):
        for at, off in enumerate(joggle[course]):
            right = at * BRICK_PX + float(off) - (course % 2) * BRICK_PX / 2
            ends = [placed(right, bed * COURSE_PX) for bed in (course, course + 1)]
            joints.append(np.array(ends))
            for bed in (course, course + 1):
                crossings[bed].append(right)
    for bed, rights in crossings.items():
        joints.append(np.array([placed(right, bed * COURSE_PX) for right in sorted(rights)]))
    return joints


def mortar_colour(rng: Generator, shape: Shape) -> Light:
    """Return the reflectance of lime mortar: grey, sandy, stained."""
    tone = 1 + 0.1 * noise(rng, shape, 500, 20, 2) + 0.1 * noise(rng, shape, 6, 2, 0.6)
    sand = ramp(noise(rng, shape, 5, 2.4, 0.0), 1.8, 2.6)
    mortar = tone[..., None] * colour(MORTAR)
    mortar += 0.12 * sand[..., None]
    mortar *= 1 + 0.025 * noise(rng, shape, 700, 60)[..., None] * np.array([1, 0, -1], np.float32)
    return mortar.astype(np.float32)


def fired_bricks(
    rng: Generator,
    shape: Shape,
    each: Callable[[Floats], Field],
    per_brick: Shape,
    edge: Field,
) -> Light:
    """Return the reflectance of bricks of different firings; ``each`` spreads values per brick over
    the pixels."""
    kind = rng.choice(3, per_brick, p=[0.84, 0.11, 0.05])
    palettes = [np.array(colours) for colours in (FIRED, OVERBURNT, PALE)]
    picked = np.stack([palette[rng.integers(len(palette), size=per_brick)] for palette in palettes])
    rgb = np.take_along_axis(picked, kind[None, ..., None], axis=0)[0]
    rgb = colour(rgb * rng.normal(1, 0.04, (*per_brick, 1)) + rng.normal(0, 2, (*per_brick, 3)))
    tone = np.stack([each(channel) for channel in np.moveaxis(rgb, -1, 0)], axis=-1)
    clouds = noise(rng, shape, 140, 10, 2.2)
    sooty = ramp(noise(rng, shape, 220, 14, 2.2) + each(rng.normal(0, 0.8, per_brick)), 1.2, 2.8)
    tone *= (1 + 0.1 * clouds + 0.05 * noise(rng, shape, 5, 2, 0.3) - 0.45 * sooty)[..., None]
    yellow = 0.03 * noise(rng, shape, 200, 20)
    tone *= 1 + yellow[..., None] * np.array([0.3, 1, 0.8], np.float32)
    tone *= (1 - 0.06 * ramp(edge, -14, 0))[..., None]
    dust = 0.1 + 0.12 * ramp(noise(rng, shape, 500, 20, 2.2), -1, 2)
    tone += dust[..., None] * (colour(MORTAR) - tone)
    specks = noise(rng, shape, 6, 2.2, 0)
    tone *= (1 - 0.35 * ramp(-specks, 2.0, 3.2))[..., None]
    lime = ramp(specks, 2.6, 3.4)
    return (tone + lime[..., None] * (0.45 - tone) * 0.7).astype(np.float32)


def plaster(rng: Generator, shape: Shape, rough: float = 0.5) -> Surface:
    """Make render applied by trowel: bumps, strokes, sand, pits and old stains.

    ``rough`` is 0 for smooth and 1 for coarse.
    """
    height = 3.5 * noise(rng, shape, 900, 150, 3)
    for turn_deg in rng.normal(0, 28, 4):
        strokes = noise(rng, shape, 50, 4, 2.0, rng.uniform(4, 9), turn_deg)
        height += 0.4 * ramp(noise(rng, shape, 350, 100, 3), 0.2, 1.6) * strokes
    sand = noise(rng, shape, 12, 2.2, 0.8)
    lumps = noise(rng, shape, 60, 5, 1.6)
    height += (0.12 + 0.3 * rough) * sand + (0.08 + 0.35 * rough) * lumps
    pits = ramp(noise(rng, shape, 14, 4, 0.4), 2.7, 3.3)
    height -= 2.5 * pits

    tone = 1 + 0.07 * noise(rng, shape, 1200, 60, 2.4) + 0.05 * noise(rng, shape, 120, 8, 2)
    tone += 0.04 * sand + 0.05 * noise(rng, shape, 4, 2, 0) - 0.35 * pits
    washed = ramp(noise(rng, shape, 300, 6, 2.2), 0.6, 1.4)
    tone -= 0.09 * washed
    reflectance = tone[..., None] * colour(PLASTER)
    warmth = 0.018 * noise(rng, shape, 700, 60) + 0.01 * noise(rng, shape, 40, 6)
    reflectance *= 1 + warmth[..., None] * np.array([0.5, 0, -1], np.float32)
    grit = noise(rng, shape, 7, 2.6, 0)
    reflectance *= (1 - 0.5 * ramp(grit, 2.3, 3.3) + 0.3 * ramp(-grit, 2.3, 3.3))[..., None]
    return Surface(reflectance.astype(np.float32), height.astype(np.float32))


def covered(rng: Generator, under: Surface, over: Surface, inside: Field) -> Surface:
    """Lay ``over`` as a coat on ``under`` where ``inside`` is positive.

    ``inside`` is the distance in px to the edge of the coat, negative outside. The edge is broken
    and shows the undercoat.
    """
    shape = under.shape
    inside = inside + 30 * noise(rng, shape, 400, 20, 3.0) + 1.6 * noise(rng, shape, 30, 4, 2)
    lip = 9 + 6 * noise(rng, shape, 150, 10)
    coat, scratch = ramp(inside, 0, 2.5), ramp(inside + np.maximum(lip, 0), 0, 3)
    undercoat = 0.55 * COAT_PX + 1.3 * noise(rng, shape, 14, 3, 1)
    height = under.height + scratch * (undercoat - under.height)
    height += coat * (COAT_PX + over.height - height)
    sandy = colour(MORTAR) * (0.86 + 0.1 * noise(rng, shape, 8, 2.4, 0.6))[..., None]
    reflectance = under.reflectance + scratch[..., None] * (sandy - under.reflectance)
    reflectance += coat[..., None] * (over.reflectance - reflectance)
    return Surface(reflectance.astype(np.float32), height.astype(np.float32), under.joints)


def spot(shape: Shape, x: float, y: float, across: float, down: float) -> Field:
    """Return a Gaussian spot: 1 in its middle, 0.6 at the distances ``across`` and ``down``."""
    rows, cols = (np.arange(side, dtype=np.float32) for side in shape)
    squared: Field = ((rows[:, None] - y) / down) ** 2 + ((cols - x) / across) ** 2
    return np.exp(-squared / 2)


def soil(rng: Generator, surface: Surface, up_px: float) -> None:
    """Add splashed earth and algae over the lowest ``up_px``, fading upwards."""
    shape = surface.shape
    low = np.arange(shape[0], dtype=np.float32)[:, None] - (shape[0] - up_px)
    share = ramp(low / up_px + 0.35 * noise(rng, shape, 400, 8, 2.2), 0.1, 1.3)
    surface.tint((104, 95, 78), 0.6 * share)
    surface.tint((88, 94, 66), 0.45 * share * ramp(noise(rng, shape, 250, 6, 2), 0.2, 1.6))


def runs(rng: Generator, surface: Surface, x: tuple[int, int], y: int, down_px: float) -> None:
    """Add dark streaks, and a few of lime, of water from row ``y`` between two columns ``x``."""
    shape = surface.shape
    rows, cols = (np.arange(side, dtype=np.float32) for side in shape)
    between = ramp(cols, x[0] - 8, x[0] + 25) * ramp(cols, x[1] + 8, x[1] - 25)
    length = down_px * np.exp(0.6 * noise(rng, (1, shape[1]), 120, 12, 1.5)[0])
    fade = np.exp(-np.maximum(rows[:, None] - y, 0) / length) * (rows[:, None] > y) * between
    streaks = noise(rng, shape, 60, 5, 1.4, 25, 90)
    surface.tint((74, 70, 64), 0.75 * fade * ramp(streaks, -0.3, 1.8))
    surface.tint((206, 203, 194), 0.5 * fade * ramp(-streaks, 1.0, 2.2))


def lichen(rng: Generator, surface: Surface, where: Field) -> None:
    """Add small crusts of three kinds, dense where ``where`` is near 1."""
    colonies = 0.9 * noise(rng, surface.shape, 500, 40, 2.2)
    for rgb, size_px in (((172, 158, 92), 40), ((140, 145, 128), 70), ((198, 197, 186), 50)):
        crust = 0.8 * noise(rng, surface.shape, size_px, 3, 2.2) + colonies + where
        share = ramp(crust, 2.5, 2.9) * (where > 0.1)
        surface.tint(rgb, 0.7 * share * ramp(noise(rng, surface.shape, 8, 2.2, 0.6), -2, 0.5))
        surface.height += 0.5 * share


def efflorescence(rng: Generator, surface: Surface, where: Field) -> None:
    """Add blotches of white salts where ``where`` is near 1."""
    blotches = 0.7 * noise(rng, surface.shape, 160, 4, 1.9) + 2 * where
    surface.tint((222, 218, 210), 0.75 * ramp(blotches, 1.3, 2.9) * where)


def lit(
    surface: Surface,
    sun_deg: float = 225.0,
    rise_deg: float = 48.0,
    sunny: Field | float = 1.0,
    longest_px: int = 40,
) -> Light:
    """Return the light (rows, cols, 3) that a surface sends to the camera.

    The sun is in the direction ``sun_deg`` (0 right, 90 below, 225 above left), ``rise_deg`` above
    the surface, and shines where ``sunny`` is 1. Shadows are up to ``longest_px`` long.
    """
    height = surface.height
    angle, rise = np.deg2rad(sun_deg), np.deg2rad(rise_deg)
    towards = np.array([np.cos(angle), np.sin(angle)])
    slope_y, slope_x = np.gradient(height)
    facing = np.sin(rise) - np.cos(rise) * (slope_x * towards[0] + slope_y * towards[1])
    facing /= np.sqrt(1 + slope_x**2 + slope_y**2)
    direct = np.maximum(facing, 0)
    blocked = np.zeros_like(height)
    away = 1.0
    while away <= longest_px:
        # The height of the surface ``away`` px towards the sun.
        matrix = np.array([[1, 0, towards[0] * away], [0, 1, towards[1] * away]])
        there = cv2.warpAffine(
            height,
            matrix,
            height.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        blocked = np.maximum(blocked, there - height - np.tan(rise) * away)
        away += 1 if away < 16 else 2
    direct *= (1 - np.clip(blocked / 1.2, 0, 1)) * sunny
    # Hollows get less light from the sky, by their depth below their near and wide surroundings.
    hollow = sum(cv2.GaussianBlur(height, (0, 0), sigma) - height for sigma in (2.5, 8.0))
    open_sky = np.clip(1 - 0.09 * hollow, 0.35, 1.15)
    radiance = direct[..., None] * np.array(SUN, np.float32) / np.sin(rise)
    radiance += open_sky[..., None] * np.array(SKY, np.float32)
    return np.asarray(radiance * surface.reflectance, np.float32)


def developed(light: Light, exposure: float = 1.0) -> Image:
    """Convert light to the sRGB image of an ideal camera; highlights roll off."""
    light = np.maximum(light * exposure, 0)
    light = np.where(light > 0.6, 0.6 + 0.4 * np.tanh((light - 0.6) / 0.4), light)
    return np.clip(np.rint(255 * to_srgb(light)), 0, 255).astype(np.uint8)


def photographed(
    rng: Generator, image: Image, blur_px: float = 0.45, grain: float = 2.0, vignette: float = 0.1
) -> Image:
    """Add the blur, noise (``grain`` levels) and dark corners of a camera to an image."""
    rows, cols = image.shape[:2]
    picture = np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), blur_px), np.float32)
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, cols)[None, :]
    picture *= (1 - vignette * ((x**2 + y**2) / 2) ** 1.5).astype(np.float32)[..., None]
    luma = rng.standard_normal((rows, cols, 1), np.float32)
    chroma = rng.standard_normal((rows, cols, 3), np.float32)
    speckle = np.asarray(cv2.GaussianBlur(luma + 0.5 * chroma, (0, 0), 0.6), np.float32)
    picture += grain * 1.9 * speckle * (0.6 + 0.8 * np.sqrt(np.maximum(picture, 0) / 255))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
