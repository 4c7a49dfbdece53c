"""Brushes for drawing onto photographs: noise, antialiased shapes, colours, shading.

Drawings are `Picture` arrays with edges as sharp as their pixels; `twins` gives the finished
drawing the blur and grain of the photograph. An `Alpha` array holds the fraction of each pixel
that a shape covers. Coordinates are (x right, y down) in pixels; (0, 0) is the centre of the first
pixel. Directions are in degrees: 0 right, 90 down.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from crackcli.arrays import Float32, Float64, Floats, UInt8
from crackcli.synthesis.cover import blur, resize
from crackcli.synthesis.random_cracks import smoothed

SUBPIXELS = 4  # per side of a pixel, when shapes are filled
FILL_MARGIN = 0.45  # sub-pixels that OpenCV fills beyond a polygon, both sides together
FIXED_POINT_BITS = 4  # fractional bits of OpenCV's coordinates
SAMPLES_PER_WAVE = 6  # of noise; values between the samples are interpolated linearly
TONE_SHRINK = 8  # the local tone is computed on a picture smaller by this factor
TONE_SIGMA_PX = 14.0  # of the neighbourhood that gives the local tone
TEXTURE_RANGE = (0.55, 1.7)  # limits of a texture, relative to the tone

Picture = Floats  # (rows, cols, 3), sRGB values 0 to 255
Alpha = Floats  # (rows, cols), 0 to 1
Field = Floats  # (rows, cols)
Shape = tuple[int, ...]  # rows, cols
Colour = Floats  # (3)

LEAST_ALPHA = 0.004  # pixels covered by less are not drawn
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(picture: ArrayLike) -> Float32:
    """Return the brightness (rows, cols) of a picture, 0 to 255."""
    return np.asarray(cv2.transform(np.asarray(picture, np.float32), LUMA[None, :]), np.float32)


def random_contrast(rng: Generator) -> float:
    """Draw a contrast to the surroundings, from faint to nearly black (0.12 to 0.95).

    Cracks and distractors share this distribution, so that darkness alone tells nothing.
    """
    return float(0.12 + 0.83 * rng.beta(1.3, 1.3))


def random_width(rng: Generator, least: float = 0.5, most: float = 20.0) -> float:
    """Draw the width in px of a crack or a thin distractor: half of them 1 to 6, the others any,
    with as many between 1 and 2 as between 10 and 20."""
    if chance(rng, 0.5):
        return float(np.exp(rng.uniform(np.log(least), np.log(most))))
    return float(np.clip(np.exp(rng.normal(np.log(2.4), 0.8)), least, most))


def chance(rng: Generator, probability: float) -> bool:
    """Return True with this probability."""
    return bool(rng.random() < probability)


def random_sign(rng: Generator) -> int:
    """Return 1 or -1."""
    return int(rng.choice([-1, 1]))


# Noise


def value_noise(
    rng: Generator, shape: Shape, down_px: float, right_px: float | None = None
) -> Field:
    """Return soft blotches: noise of mean 0, about -1 to 1, that changes over these distances."""
    down_px, right_px = max(1.0, down_px), max(1.0, right_px or down_px)
    fewer = max(1, int(down_px / SAMPLES_PER_WAVE)), max(1, int(right_px / SAMPLES_PER_WAVE))
    rows, cols = (-(-side // less) + 1 for side, less in zip(shape, fewer, strict=True))
    down, right = down_px / fewer[0], right_px / fewer[1]  # of the smaller field
    knots = rng.uniform(-1.3, 1.3, (int(rows / down) + 4, int(cols / right) + 4))
    size = (int(np.ceil(knots.shape[0] * down)), int(np.ceil(knots.shape[1] * right)))
    field = resize(knots.astype(np.float32), size, cv2.INTER_CUBIC)
    top, left = int(down * rng.uniform(0.5, 1.5)), int(right * rng.uniform(0.5, 1.5))
    field = field[top : top + rows, left : left + cols]
    if fewer == (1, 1):
        return field[: shape[0], : shape[1]]
    whole = (rows * fewer[0], cols * fewer[1])
    return resize(field, whole, cv2.INTER_LINEAR)[: shape[0], : shape[1]]


def fractal_noise(rng: Generator, shape: Shape, coarse_px: float, fine_px: float = 2.0) -> Field:
    """Return noise with waves from ``coarse_px`` to ``fine_px``; mean 0, deviation about 0.5."""
    waves = [coarse_px]
    while waves[-1] / 2 >= fine_px:
        waves.append(waves[-1] / 2)
    finest = max(1.0, waves[-1] / 2)  # coarse noise is made on a coarser grid
    small = tuple(int(np.ceil(side / finest)) + 1 for side in shape)
    field: Field = np.zeros(small, np.float32)
    for octave, wave in enumerate(waves):
        field += np.float32(0.6 * 0.62**octave) * value_noise(rng, small, wave / finest)
    if finest == 1:
        return field[: shape[0], : shape[1]]
    return resize(field, shape, cv2.INTER_CUBIC)


def stretched_noise(
    rng: Generator, shape: Shape, along_px: float, across_px: float, deg: float = 90.0
) -> Field:
    """Return noise of about -1 to 1 that is stretched in a direction."""
    if abs(deg) % 180 == 90:
        return value_noise(rng, shape, along_px, across_px)
    side = int(np.hypot(shape[0], shape[1])) + 2
    turned = value_noise(rng, (side, side), across_px, along_px)
    centre = ((side - 1) / 2, (side - 1) / 2)
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, -deg, 1), np.float64)
    matrix[:, 2] += np.array([shape[1] - side, shape[0] - side]) / 2
    moved = cv2.warpAffine(turned, matrix, shape[::-1], borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.float32)


def ramp(values: Field, low: float, high: float) -> Field:
    """Rise linearly from 0 at ``low`` to 1 at ``high``; fall if low > high."""
    rise = (values - np.float32(low)) * np.float32(1 / (high - low))
    return np.clip(rise, 0, 1, out=rise).astype(np.float32, copy=False)


# Shapes


def values_at(field: Field, points: Float64) -> Field:
    """Return a field between its pixels (N, M) at points (N, M, 2)."""
    x, y = np.moveaxis(points.astype(np.float32), -1, 0)
    found = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def pixel_grid(shape: Shape) -> tuple[Field, Field]:
    """Return x (1, cols) and y (rows, 1) of the pixels."""
    return (
        np.arange(shape[1], dtype=np.float32)[None, :],
        np.arange(shape[0], dtype=np.float32)[:, None],
    )


def line_coordinates(shape: Shape, at: tuple[float, float], deg: float) -> tuple[Field, Field]:
    """Return the distances in px (rows, cols) of each pixel to the right of, and along, the
    straight line through ``at`` (x, y) in a direction."""
    x, y = pixel_grid(shape)
    x, y = x - np.float32(at[0]), y - np.float32(at[1])
    cos, sin = np.float32(np.cos(np.deg2rad(deg))), np.float32(np.sin(np.deg2rad(deg)))
    return y * cos - x * sin, x * cos + y * sin


def band_alpha(off: Field, width_px: Field | float) -> Alpha:
    """Return the alpha of a band of this width about ``off`` = 0."""
    alpha: Alpha = np.clip(0.5 + width_px / 2 - np.abs(off), 0, np.minimum(width_px, 1))
    return alpha


def side_alpha(off: Field, soft_px: float = 1.0) -> Alpha:
    """Return the alpha of the side to the right of ``off`` = 0, with an edge ``soft_px`` wide."""
    return ramp(off, -soft_px / 2, soft_px / 2)


def fill_polygons(shape: Shape, polygons: Iterable[ArrayLike], finer: int = SUBPIXELS) -> Alpha:
    """Return the alpha of the union of polygons (N, 2)."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(big, [fixed_point(polygon, finer)], 255, cv2.LINE_8, FIXED_POINT_BITS)
    return downsample(big, shape)


def draw_lines(
    shape: Shape, lines: Iterable[ArrayLike], width_px: float, finer: int = SUBPIXELS
) -> Alpha:
    """Return the alpha of polylines (N, 2) of one width; below a sub-pixel they become fainter."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    thick = max(1, round(width_px * finer))
    value = round(255 * min(1.0, width_px * finer / thick))
    for line in lines:
        cv2.polylines(
            big, [fixed_point(line, finer)], False, value, thick, cv2.LINE_8, FIXED_POINT_BITS
        )
    return downsample(big, shape)


def draw_tapered_lines(
    shape: Shape, lines: Iterable[tuple[Float64, Float64]], finer: int = SUBPIXELS
) -> Alpha:
    """Return the alpha of polylines (N, 2), each with a width in px (N) at each point."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    for line, widths in lines:
        half = normals(line) * np.maximum(widths - FILL_MARGIN / finer, 0)[:, None] / 2
        left, right = fixed_point(line + half, finer), fixed_point(line - half, finer)
        parts = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
        usual = (widths[1:] + widths[:-1]) / 2
        values = np.rint(255 * np.clip(usual * finer, 0, 1)).astype(int)
        open_ = values > 0
        for part, value in zip(parts[open_], values[open_].tolist(), strict=True):
            cv2.fillConvexPoly(big, part, value, cv2.LINE_8, FIXED_POINT_BITS)
    return downsample(big, shape)


def normals(line: Float64) -> Float64:
    """Return the unit normals (N, 2) of a polyline (N, 2), to the right of its direction."""
    ahead = np.asarray(np.gradient(line, axis=0), np.float64)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    right: Float64 = ahead[:, ::-1] * np.array([-1, 1])
    return right


def fill_discs(shape: Shape, centres: ArrayLike, radii: ArrayLike, finer: int = SUBPIXELS) -> Alpha:
    """Return the alpha of the union of discs around ``centres`` (N, 2)."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    fixed = 1 << FIXED_POINT_BITS
    for point, radius in zip(fixed_point(centres, finer), np.asarray(radii) * finer, strict=True):
        at = (int(point[0]), int(point[1]))
        cv2.circle(big, at, int(radius * fixed), 255, -1, cv2.LINE_8, FIXED_POINT_BITS)
    return downsample(big, shape)


def fixed_point(points: ArrayLike, finer: int) -> NDArray[np.int32]:
    """Convert points (N, 2) to OpenCV's fixed-point coordinates of the finer grid."""
    fine = (np.asarray(points, np.float64) + 0.5) * finer - 0.5
    fixed = np.rint(fine.clip(-1e5, 1e5) * (1 << FIXED_POINT_BITS))
    return np.asarray(fixed, np.int32)


def downsample(big: UInt8, shape: Shape) -> Alpha:
    """Average a finer mask, 0 to 255, to the alpha of pixels (rows, cols)."""
    small = cv2.resize(big, shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.float32(255)


def smooth_curve(points: ArrayLike, sigma_px: float, step_px: float = 3.0) -> Float64:
    """Return a smooth line (N, 2) near a polyline, without bends much sharper than ``sigma_px``."""
    points = np.asarray(points, np.float64)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    even = np.linspace(0, way[-1], max(4, int(way[-1] / step_px) + 1))
    return np.column_stack(
        [smoothed(np.interp(even, way, points[:, axis]), sigma_px / step_px) for axis in (0, 1)]
    )


def random_course(rng: Generator, shape: Shape, stray: float, knots: int = 5) -> Float64:
    """Return a polyline (N, 2) across the picture; ``stray`` is the deviation of its points from a
    straight line, as a fraction of the longer side."""
    rows, cols = shape
    long = max(rows, cols)
    angle = rng.uniform(0, 2 * np.pi)
    middle = np.array([cols, rows]) * rng.uniform(0.25, 0.75, 2)
    ahead = np.array([np.cos(angle), np.sin(angle)])
    way = np.linspace(-0.85, 0.85, knots)[:, None] * long
    aside = rng.normal(0, stray * long, (knots, 1))
    course: Float64 = middle + way * ahead + aside * ahead[::-1] * np.array([-1, 1])
    return course


# Colours


def local_tone(picture: Picture, weight: Alpha | None = None) -> Picture:
    """Return the mean colour around each pixel, without texture; of a part only, if it is given a
    ``weight`` (rows, cols) above that of the rest."""
    rows, cols = picture.shape[:2]
    fewer = (-(-rows // TONE_SHRINK), -(-cols // TONE_SHRINK))
    weighted = picture if weight is None else picture * weight[..., None]
    small = blur(resize(weighted, fewer, cv2.INTER_AREA), TONE_SIGMA_PX / TONE_SHRINK)
    if weight is not None:
        part = blur(resize(weight, fewer, cv2.INTER_AREA), TONE_SIGMA_PX / TONE_SHRINK)
        small = small / np.maximum(part, 1e-3)[..., None]
    return resize(small, (rows, cols), cv2.INTER_LINEAR)


def local_texture(picture: Picture, tone: Picture | None = None) -> Field:
    """Return the brightness of each pixel (rows, cols) relative to its surroundings."""
    around = luma(local_tone(picture) if tone is None else tone)
    texture: Field = np.clip(luma(picture) / np.maximum(around, 8), *TEXTURE_RANGE)
    return texture


def sample_colour(rng: Generator, picture: Picture, spread: float = 10.0) -> Colour:
    """Return a colour of the picture, slightly varied."""
    rows, cols = picture.shape[:2]
    at = rng.integers(0, [max(1, rows - 4), max(1, cols - 4)])
    return vary_colour(rng, picture[at[0] : at[0] + 5, at[1] : at[1] + 5].mean(axis=(0, 1)), spread)


def pick_colour(rng: Generator, colours: Sequence[ArrayLike], spread: float = 10.0) -> Colour:
    """Return one of the colours (RGB), slightly varied."""
    return vary_colour(rng, colours[int(rng.integers(len(colours)))], spread)


def vary_colour(rng: Generator, colour: ArrayLike, spread: float) -> Colour:
    """Make a colour lighter or darker by about ``spread`` levels, and vary its hue slightly."""
    changed = np.asarray(colour, np.float32) + rng.normal(0, spread) + rng.normal(0, spread / 4, 3)
    return np.asarray(np.clip(changed, 4, 250), np.float32)


def match_light(colour: ArrayLike, picture: Picture) -> Colour:
    """Adapt a colour to the light of the photograph: darker in dark photographs."""
    light = np.clip(luma(picture).mean() / 140, 0.3, 1.25)
    return np.asarray(np.asarray(colour, np.float32) * light, np.float32)


def overlay(
    picture: Picture, colour: ArrayLike, alpha: Alpha, texture: Field | float = 1.0
) -> Picture:
    """Blend a colour (3), or a picture, times a texture over the picture by ``alpha``."""
    surface = np.asarray(colour, np.float32) * np.asarray(texture, np.float32)[..., None]
    return picture + np.asarray(alpha, np.float32)[..., None] * (surface - picture)


def shade(picture: Picture, factor: Field) -> Picture:
    """Multiply the brightness of a picture by a factor (rows, cols)."""
    return picture * np.asarray(factor, np.float32)[..., None]


def darken(
    rng: Generator,
    picture: Picture,
    alpha: Alpha,
    contrast: float,
    tint: float = 0.5,
    inside: Field | None = None,
    tone: Picture | None = None,
) -> Picture:
    """Draw a dark opening, such as a crack or joint, where ``alpha`` is 1.

    It is darker than the ``tone`` (rows, cols, 3; default the local one) by ``contrast``, with some
    variation, and keeps a little of the texture. A ``tint`` of 1 gives it the colour of the
    surface, 0 makes it grey. ``inside`` (rows, cols) is a factor on its brightness.
    """
    shape = alpha.shape
    tone = local_tone(picture) if tone is None else tone
    depth = contrast * (1 + 0.12 * value_noise(rng, shape, 12) + 0.1 * value_noise(rng, shape, 60))
    fine = luma(picture)
    fine = (fine - blur(fine, 1.0)) * np.float32(0.7 - contrast / 2)
    at = np.nonzero(alpha > LEAST_ALPHA)  # N pixels
    hue = tint_colours(tone[at], tint)
    left = 1 - np.minimum(depth[at], 0.97)
    if inside is not None:
        left = left * inside[at]
    dark = hue * left[:, None] + fine[at][:, None]
    result = picture.copy()
    result[at] += alpha[at][:, None] * (dark - picture[at])
    return result


def tint_colours(colours: Floats, tint: float) -> Floats:
    """Scale the saturation of colours (N, 3): grey if ``tint`` is 0, unchanged if it is 1."""
    grey = (colours @ LUMA)[:, None]
    return grey + np.float32(tint) * (colours - grey)


def translate(field: Floats, right: float, down: float) -> Floats:
    """Move an array by a distance in px, with linear interpolation; the border is repeated."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(
        field, matrix, field.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, field.dtype)


def emboss(height: Field, light_deg: float) -> Field:
    """Return the slope of a height field towards the light: above 0 lit, below 0 in shadow."""
    height = np.asarray(height, np.float32)
    rise_x = np.asarray(cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8), np.float32)
    rise_y = np.asarray(cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8), np.float32)
    angle = np.deg2rad(light_deg)
    return -(rise_x * np.float32(np.cos(angle)) + rise_y * np.float32(np.sin(angle)))


def random_light_deg(rng: Generator) -> float:
    """Draw the direction that light comes from, mostly above."""
    return float(rng.normal(270, 50))
