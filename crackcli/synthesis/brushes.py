"""Brushes for drawing onto photographs: shares of pixels, noise, colours, shades.

What is drawn is a `Picture` with every edge as sharp as its pixels; `twins` gives the finished
drawing the blur and grain of the photograph.  A `Share` says how much of each pixel a thing takes.
Coordinates are (x right, y down) in pixels; (0, 0) is the centre of the first pixel.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from crackcli.arrays import Float32, Float64, UInt8
from crackcli.synthesis.cover import blurred
from crackcli.synthesis.random_cracks import smoothed

FINER = 4  # sub-pixels along a side when shapes are filled
OUTLINE = 0.45  # sub-pixels by which OpenCV fills a polygon beyond its outline, both sides together
FIXED = 4  # fractional bits of OpenCV's coordinates
SMOOTH = 6  # samples of noise for each of its waves; between them it is straight
COARSER = 8  # the tone of a photograph is found on a picture this much smaller
TONE_PX = 14.0  # sigma of what counts as the tone around a pixel
ROUGHEST = (0.55, 1.7)  # times the tone: texture beyond is not carried over

Picture = Float32  # (rows, cols, 3), sRGB values 0 to 255
Share = Float32  # (rows, cols), 0 to 1
Field = Float32  # (rows, cols)
Shape = tuple[int, int]  # rows, cols
Colour = Float32  # (3)

LEAST = 0.004  # a share below this shows nothing
LUMA = np.float32([0.299, 0.587, 0.114])


def luma(picture: NDArray) -> Field:
    """Brightness (rows, cols) of a picture, 0 to 255."""
    return cv2.transform(np.asarray(picture, np.float32), LUMA[None, :])


def contrast_of(rng: Generator) -> float:
    """How much darker than its surroundings a dark thing is: faint to nearly black.

    Cracks and whatever is to be told from them draw from this one law, so that darkness alone says
    nothing.
    """
    return float(0.12 + 0.83 * rng.beta(1.3, 1.3))


def width_of(rng: Generator, least: float = 0.5, most: float = 20.0) -> float:
    """Width in px of a thin thing, a crack or not: most have 1 to 6."""
    return float(np.clip(np.exp(rng.normal(np.log(2.4), 0.8)), least, most))


def chance(rng: Generator, share: float) -> bool:
    """True in this share of cases."""
    return bool(rng.random() < share)


def sign(rng: Generator) -> int:
    """1 or -1."""
    return int(rng.choice([-1, 1]))


# Noise


def patches(rng: Generator, shape: Shape, down_px: float, right_px: float | None = None) -> Field:
    """Noise of mean 0, about -1 to 1, that changes over these distances: soft blotches."""
    down_px, right_px = max(1.0, down_px), max(1.0, right_px or down_px)
    fewer = max(1, int(down_px / SMOOTH)), max(1, int(right_px / SMOOTH))
    rows, cols = (-(-side // less) + 1 for side, less in zip(shape, fewer, strict=True))
    down, right = down_px / fewer[0], right_px / fewer[1]  # of the smaller field
    knots = rng.uniform(-1.3, 1.3, (int(rows / down) + 4, int(cols / right) + 4))
    size = (int(np.ceil(knots.shape[1] * right)), int(np.ceil(knots.shape[0] * down)))
    field = cv2.resize(knots.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    top, left = int(down * rng.uniform(0.5, 1.5)), int(right * rng.uniform(0.5, 1.5))
    field = field[top : top + rows, left : left + cols]
    if fewer == (1, 1):
        return field[: shape[0], : shape[1]]
    whole = (cols * fewer[1], rows * fewer[0])
    return cv2.resize(field, whole, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]]


def clouds(rng: Generator, shape: Shape, coarse_px: float, fine_px: float = 2.0) -> Field:
    """Noise of mean 0 and deviation about 0.5 with detail from ``coarse_px`` to ``fine_px``."""
    waves = [coarse_px]
    while waves[-1] / 2 >= fine_px:
        waves.append(waves[-1] / 2)
    finest = max(1.0, waves[-1] / 2)  # coarse detail needs no fine pixels
    small = tuple(int(np.ceil(side / finest)) + 1 for side in shape)
    field = np.zeros(small, np.float32)
    for octave, wave in enumerate(waves):
        field += np.float32(0.6 * 0.62**octave) * patches(rng, small, wave / finest)
    if finest == 1:
        return field[: shape[0], : shape[1]]
    return cv2.resize(field, shape[::-1], interpolation=cv2.INTER_CUBIC)


def streaks(
    rng: Generator, shape: Shape, along_px: float, across_px: float, deg: float = 90.0
) -> Field:
    """Noise of about -1 to 1, drawn out in a direction (0 right, 90 down)."""
    if abs(deg) % 180 == 90:
        return patches(rng, shape, along_px, across_px)
    side = int(np.hypot(*shape)) + 2
    turned = patches(rng, (side, side), across_px, along_px)
    centre = ((side - 1) / 2, (side - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, -deg, 1)
    matrix[:, 2] += np.array([shape[1] - side, shape[0] - side]) / 2
    return cv2.warpAffine(turned, matrix, shape[::-1], borderMode=cv2.BORDER_REFLECT)


def ramp(values: Field, low: float, high: float) -> Field:
    """0 below ``low``, 1 above ``high``, straight between; the other way round if low > high."""
    share = (values - np.float32(low)) * np.float32(1 / (high - low))
    return np.clip(share, 0, 1, out=share).astype(np.float32, copy=False)


# Shapes


def grid(shape: Shape) -> tuple[Field, Field]:
    """x (1, cols) and y (rows, 1) of the pixels."""
    return (
        np.arange(shape[1], dtype=np.float32)[None, :],
        np.arange(shape[0], dtype=np.float32)[:, None],
    )


def across(shape: Shape, at: ArrayLike, deg: float) -> tuple[Field, Field]:
    """How far (rows, cols) pixels lie to the right of, and along, the straight line through ``at``
    (x, y) in this direction (0 right, 90 down)."""
    x, y = grid(shape)
    x, y = x - np.float32(at[0]), y - np.float32(at[1])
    cos, sin = np.float32(np.cos(np.deg2rad(deg))), np.float32(np.sin(np.deg2rad(deg)))
    return y * cos - x * sin, x * cos + y * sin


def within(off: Field, width_px: Field | float) -> Share:
    """The share within a band of this width about ``off`` = 0."""
    return np.clip(0.5 + width_px / 2 - np.abs(off), 0, np.minimum(width_px, 1))


def beyond(off: Field, soft_px: float = 1.0) -> Share:
    """The share to the right of ``off`` = 0, over an edge ``soft_px`` wide."""
    return ramp(off, -soft_px / 2, soft_px / 2)


def filled(shape: Shape, polygons: Iterable[ArrayLike], finer: int = FINER) -> Share:
    """The share inside any of the polygons (N, 2)."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(big, [subpixels(polygon, finer)], 255, cv2.LINE_8, FIXED)
    return shrunk(big, shape)


def drawn(shape: Shape, lines: Iterable[ArrayLike], width_px: float, finer: int = FINER) -> Share:
    """The share that polylines (N, 2) of one width take; below a sub-pixel they become fainter."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    thick = max(1, round(width_px * finer))
    value = round(255 * min(1.0, width_px * finer / thick))
    for line in lines:
        cv2.polylines(big, [subpixels(line, finer)], False, value, thick, cv2.LINE_8, FIXED)
    return shrunk(big, shape)


def tapered(shape: Shape, lines: Iterable[tuple[Float64, NDArray]], finer: int = FINER) -> Share:
    """The share that polylines (N, 2) take, each with a width (N) for each of its points."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    for line, widths in lines:
        half = sideways(line) * np.maximum(widths - OUTLINE / finer, 0)[:, None] / 2
        left, right = subpixels(line + half, finer), subpixels(line - half, finer)
        parts = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
        usual = (widths[1:] + widths[:-1]) / 2
        values = np.rint(255 * np.clip(usual * finer, 0, 1)).astype(int)
        open_ = values > 0
        for part, value in zip(parts[open_], values[open_].tolist(), strict=True):
            cv2.fillConvexPoly(big, part, value, cv2.LINE_8, FIXED)
    return shrunk(big, shape)


def sideways(line: Float64) -> Float64:
    """Unit vectors (N, 2) across a polyline, to the right of its course."""
    ahead = np.gradient(line, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    return ahead[:, ::-1] * [-1, 1]


def discs(shape: Shape, centres: ArrayLike, radii: ArrayLike, finer: int = FINER) -> Share:
    """The share inside any of the discs around ``centres`` (N, 2)."""
    big = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
    fixed = 1 << FIXED
    for point, radius in zip(subpixels(centres, finer), np.asarray(radii) * finer, strict=True):
        at = (int(point[0]), int(point[1]))
        cv2.circle(big, at, int(radius * fixed), 255, -1, cv2.LINE_8, FIXED)
    return shrunk(big, shape)


def subpixels(points: ArrayLike, finer: int) -> NDArray[np.int32]:
    """Points (N, 2) as OpenCV's fixed-point coordinates of the finer grid."""
    fine = (np.asarray(points, np.float64) + 0.5) * finer - 0.5
    return np.rint(fine.clip(-1e5, 1e5) * (1 << FIXED)).astype(np.int32)


def shrunk(big: UInt8, shape: Shape) -> Share:
    """A finer mask 0 to 255 as shares of pixels."""
    small = cv2.resize(big, shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def curve(points: ArrayLike, sigma_px: float, step_px: float = 3.0) -> Float64:
    """A smooth line (N, 2) near a polyline: no bend is much sharper than ``sigma_px``."""
    points = np.asarray(points, np.float64)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    even = np.linspace(0, way[-1], max(4, int(way[-1] / step_px) + 1))
    return np.column_stack(
        [smoothed(np.interp(even, way, points[:, axis]), sigma_px / step_px) for axis in (0, 1)]
    )


def meander(rng: Generator, shape: Shape, stray: float, knots: int = 5) -> Float64:
    """A polyline (N, 2) from rim to rim of the picture; ``stray`` is its sideways share."""
    rows, cols = shape
    long = max(rows, cols)
    angle = rng.uniform(0, 2 * np.pi)
    middle = np.array([cols, rows]) * rng.uniform(0.25, 0.75, 2)
    ahead = np.array([np.cos(angle), np.sin(angle)])
    way = np.linspace(-0.85, 0.85, knots)[:, None] * long
    return middle + way * ahead + rng.normal(0, stray * long, (knots, 1)) * ahead[::-1] * [-1, 1]


# Colours


def tone_of(picture: Picture) -> Picture:
    """What lies around each pixel, its texture averaged away."""
    rows, cols = picture.shape[:2]
    small = cv2.resize(
        picture, (-(-cols // COARSER), -(-rows // COARSER)), interpolation=cv2.INTER_AREA
    )
    small = blurred(small, TONE_PX / COARSER)
    return cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)


def texture_of(picture: Picture, tone: Picture | None = None) -> Field:
    """How much lighter each pixel (rows, cols) is than what lies around it: 1 as light."""
    around = luma(tone_of(picture) if tone is None else tone)
    return np.clip(luma(picture) / np.maximum(around, 8), *ROUGHEST)


def colour_near(rng: Generator, picture: Picture, spread: float = 10.0) -> Colour:
    """A colour of the picture itself, a little changed."""
    rows, cols = picture.shape[:2]
    at = rng.integers(0, [max(1, rows - 4), max(1, cols - 4)])
    return varied(rng, picture[at[0] : at[0] + 5, at[1] : at[1] + 5].mean(axis=(0, 1)), spread)


def picked(rng: Generator, colours: Sequence[ArrayLike], spread: float = 10.0) -> Colour:
    """One of the colours (RGB), a little changed."""
    return varied(rng, colours[int(rng.integers(len(colours)))], spread)


def varied(rng: Generator, colour: ArrayLike, spread: float) -> Colour:
    """The colour lighter or darker by about ``spread`` levels, its hue a little changed."""
    changed = np.asarray(colour, np.float32) + rng.normal(0, spread) + rng.normal(0, spread / 4, 3)
    return np.float32(np.clip(changed, 4, 250))


def lit_like(colour: Colour, picture: Picture) -> Colour:
    """The colour under the photograph's light: darker in dark photographs."""
    return np.float32(colour * np.clip(luma(picture).mean() / 140, 0.3, 1.25))


def laid(
    picture: Picture, colour: ArrayLike, share: Share, texture: Field | float = 1.0
) -> Picture:
    """Something of a colour (3, or a picture) over the picture, with this texture in it."""
    surface = np.asarray(colour, np.float32) * np.asarray(texture, np.float32)[..., None]
    return picture + np.asarray(share, np.float32)[..., None] * (surface - picture)


def shaded(picture: Picture, factor: Field) -> Picture:
    """Lighter or darker by a factor (rows, cols)."""
    return picture * np.asarray(factor, np.float32)[..., None]


def darkened(
    rng: Generator,
    picture: Picture,
    share: Share,
    contrast: float,
    tint: float = 0.5,
    inside: Field | None = None,
) -> Picture:
    """A dark opening where ``share`` is 1: so much darker than the tone around it.

    Joints and cracks are both this.  The darkness varies, takes on the tint of the wall (1) or is
    grey (0), and keeps a little of the texture that it hides.  ``inside`` (rows, cols) makes parts
    of it lighter or darker.
    """
    shape = share.shape
    tone = tone_of(picture)
    depth = contrast * (1 + 0.12 * patches(rng, shape, 12) + 0.1 * patches(rng, shape, 60))
    fine = luma(picture)
    fine = (fine - blurred(fine, 1.0)) * np.float32(0.7 - contrast / 2)
    at = np.nonzero(share > LEAST)  # N pixels
    hue = tinted(tone[at], tint)
    left = 1 - np.minimum(depth[at], 0.97)
    if inside is not None:
        left = left * inside[at]
    dark = hue * left[:, None] + fine[at][:, None]
    result = picture.copy()
    result[at] += share[at][:, None] * (dark - picture[at])
    return result


def tinted(colours: Float32, tint: float) -> Float32:
    """Colours (N, 3), grey if ``tint`` is 0, the same if it is 1."""
    grey = (colours @ LUMA)[:, None]
    return grey + np.float32(tint) * (colours - grey)


def shifted(field: Float32, right: float, down: float) -> Float32:
    """Moved by whole or broken pixels; what comes in from the rim repeats it."""
    matrix = np.float32([[1, 0, right], [0, 1, down]])
    return cv2.warpAffine(
        field, matrix, field.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def embossed(height: Field, light_deg: float) -> Field:
    """Slope towards the light (rows, cols): above 0 lit, below 0 shaded."""
    height = np.asarray(height, np.float32)
    rise_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8)
    rise_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8)
    angle = np.deg2rad(light_deg)
    return -(rise_x * np.float32(np.cos(angle)) + rise_y * np.float32(np.sin(angle)))


def light_of(rng: Generator) -> float:
    """Where light comes from, in degrees: 0 right, 90 below; mostly above."""
    return float(rng.normal(270, 50))
