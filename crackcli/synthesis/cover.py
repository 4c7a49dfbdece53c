"""Cracks of exactly known width: their paths, coverage of pixels, and painting.

A crack is a list of `CrackPath`: the stem, then its branches (made by `random_cracks`). `coverage`
computes the fraction of each pixel that they cover, and `paint` darkens a photograph by it. The
coverage is the exact area between the two edges. Summed across a crack it gives the width, at any
angle, for 0.5 px as exactly as for 20 px.

Coordinates are (x right, y down) in pixels; (0, 0) is the centre of the first pixel.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from crackcli.arrays import Float32, Float64, Floats, UInt8

Real = TypeVar("Real", bound=np.floating[Any])

MAX_SEGMENT_PX = 16.0  # of a segment; longer ones are divided, so that their boxes stay small
BATCH = 500_000  # pixels processed at once

SURROUND_PX = 12.0  # sigma of the surroundings of a crack pixel
GRAIN_PX = 1.0  # sigma; finer detail is grain and stays visible inside the crack
RELIEF_PX = 2.0  # sigma of the rims; hairlines have none
INNER_WALLS = (1.5, 5.0)  # shade on one inner wall, light on the other; relative to the rim's
DARKNESS_WAVE_PX = 14  # over which the contrast varies
DARKEST, BRIGHTEST = 0.6, 1.9  # of the inner walls, relative to the crack's brightness
RIM_WAVE_PX = 4  # over which the rims vary
CHANGED_WITHIN_PX = 10  # of a crack (plus 3 times the blur) pixels may change, not beyond


@dataclass(frozen=True, eq=False)
class CrackPath:
    """A crack without branches: N points with its width.

    points    (N, 2)  x and y
    width_px  (N)     between the two edges, across the path; 0 where it is interrupted
    shift_px  (N)     of the opening's middle to the right of the path, for ragged edges
    """

    points: Float64
    width_px: Float64
    shift_px: Float64

    @classmethod
    def of(cls, points: ArrayLike, width_px: ArrayLike) -> "CrackPath":
        """Make a path from points and one width, or one width per point, without shift."""
        points = np.asarray(points, np.float64)
        widths = np.broadcast_to(np.asarray(width_px, np.float64), len(points))
        return cls(points, widths.copy(), np.zeros(len(points)))

    @property
    def along_px(self) -> Float64:
        """Arc length from the first point to each point (N)."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_px(self) -> float:
        """Length of the open parts."""
        open_ = np.maximum(self.width_px[1:], self.width_px[:-1]) > 0
        return float(np.diff(self.along_px)[open_].sum())

    @property
    def area_px(self) -> float:
        """Area between the edges."""
        return float(np.trapezoid(self.width_px, self.along_px))

    def sampled(self, along_px: Float64) -> "CrackPath":
        """Return the path interpolated at these arc lengths."""
        way = self.along_px
        x, y, width, shift = (
            np.interp(along_px, way, values)
            for values in (*self.points.T, self.width_px, self.shift_px)
        )
        return CrackPath(np.column_stack([x, y]), width, shift)

    def widened(self, by_px: float) -> "CrackPath":
        """Return the path ``by_px`` wider, with less growth towards closed tips."""
        tip = np.clip(2 * self.width_px / max(self.width_px.max(), 1e-9), 0, 1)
        return replace(self, width_px=self.width_px + by_px * tip)

    def shortened(self, keep: float, taper_px: float) -> "CrackPath":
        """Return the first fraction ``keep`` of the path, closing over its last ``taper_px``."""
        way = self.along_px
        end = keep * way[-1]
        first = self.sampled(np.append(way[way < end], end))
        closing = np.clip((end - first.along_px) / taper_px, 0, 1) ** 0.5
        return replace(first, width_px=first.width_px * closing)


def coverage(paths: Iterable[CrackPath], shape: tuple[int, ...]) -> Float32:
    """Return the fraction (rows, cols) of each pixel that lies between the edges of the paths."""
    cover = np.zeros(shape, np.float32)
    inside = np.full(shape, -np.inf, np.float32)  # px from the nearest edge, of drawn pixels
    for path in paths:
        way = path.along_px
        parts = np.maximum(1, np.ceil(np.diff(way) / MAX_SEGMENT_PX)).astype(int)
        if parts.max(initial=1) > 1:
            cuts = [
                np.linspace(a, b, n + 1)[1:]
                for a, b, n in zip(way[:-1], way[1:], parts, strict=True)
            ]
            path = path.sampled(np.concatenate([[0.0], *cuts]))
        reach = MAX_SEGMENT_PX / 2 + path.width_px.max() / 2 + np.abs(path.shift_px).max() + 1.5
        batch = max(1, int(BATCH / (2 * reach + 1) ** 2))
        for first in range(0, len(path.points) - 1, batch):
            part = slice(first, first + batch + 1)
            piece = CrackPath(path.points[part], path.width_px[part], path.shift_px[part])
            cover_segments(piece, cover, inside)
    return cover


def cover_segments(path: CrackPath, cover: Float32, inside: Float32) -> None:
    """Draw the S segments of a path into ``cover`` (rows, cols), each in a box of K by K pixels.

    Where segments overlap, the one whose edges are farthest from a pixel wins: see ``inside``.
    """
    start, chord = path.points[:-1], np.diff(path.points, axis=0)  # (S, 2)
    length = np.linalg.norm(chord, axis=1)
    half, shift = path.width_px / 2, path.shift_px
    reach = (length / 2).max() + half.max() + np.abs(shift).max() + 1.5
    box = np.arange(-np.ceil(reach), np.ceil(reach) + 1)  # (K)
    middle = np.rint(start + chord / 2)
    cols = middle[:, 0, None, None] + box[None, None, :]  # (S, 1, K)
    rows = middle[:, 1, None, None] + box[None, :, None]  # (S, K, 1)
    x, y = cols - start[:, 0, None, None], rows - start[:, 1, None, None]
    dx, dy = chord[:, 0, None, None], chord[:, 1, None, None]
    fraction = np.clip((x * dx + y * dy) / np.maximum(dx**2 + dy**2, 1e-12), 0, 1)  # (S, K, K)
    off_x, off_y = x - fraction * dx, y - fraction * dy  # from the nearest point of the segment
    distance = np.hypot(off_x, off_y)
    to_right = np.where(dx * y - dy * x < 0, -distance, distance)

    def along(values: Float64) -> Float64:
        return values[:-1, None, None] + fraction * np.diff(values)[:, None, None]

    half, to_right = along(half), to_right - along(shift)
    within = (half - np.abs(to_right)).astype(np.float32)
    # The unit vector across: from the segment to the pixel, or the normal for pixels on it.
    on_line = distance < 1e-6
    safe = np.maximum(distance, 1e-6)
    unit = np.maximum(length, 1e-9)[:, None, None]
    across_x = np.where(on_line, np.abs(dy) / unit, np.abs(off_x) / safe)
    across_y = np.where(on_line, np.abs(dx) / unit, np.abs(off_y) / safe)
    area = area_before(half - to_right, across_x, across_y)
    area -= area_before(-half - to_right, across_x, across_y)

    height, width = cover.shape
    kept = (area > 0) & (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    pixels = (rows * width + cols)[kept].astype(np.int64)
    within, area = within[kept], area[kept]
    np.maximum.at(inside.reshape(-1), pixels, within)
    deepest = within == inside.reshape(-1)[pixels]
    cover.reshape(-1)[pixels[deepest]] = np.clip(area[deepest], 0, 1)


def area_before(distance: Float64, across_x: Float64, across_y: Float64) -> Float64:
    """Return the fraction of a pixel that lies before a straight edge.

    The edge runs at ``distance`` px beyond the pixel's centre; (across_x, across_y) is its unit
    normal, without signs. Projected onto the normal, a pixel is a trapezoid; this is the area of
    the part before the edge.
    """
    long = np.maximum(np.maximum(across_x, across_y), 0.5)  # 0 where a segment has no length
    short = np.maximum(np.minimum(across_x, across_y), 1e-9)
    away = np.abs(distance)
    slope = np.maximum((long + short) / 2 - away, 0)
    beyond = np.where(away < (long - short) / 2, 0.5 - away / long, slope**2 / (2 * long * short))
    return np.where(distance < 0, beyond, 1 - beyond)


@dataclass(frozen=True)
class PaintStyle:
    """How `paint` draws a crack."""

    contrast: float = 0.6  # to its surroundings, where it fills a pixel
    variation: float = 0.15  # of the contrast along the crack, as a fraction
    blur_px: float = 0.5  # sigma of the edges
    tint: float = 0.8  # 0 grey, 1 the colour of the dark parts around it
    rim: float = 0.2  # relative brightening of the lit lip of a wide crack, darkening of the other
    light_deg: float = 225.0  # direction of the light: 0 right, 90 below, 225 above left


def paint(image: UInt8, cover: Float32, rng: Generator, style: PaintStyle = PaintStyle()) -> UInt8:
    """Return a photograph (rows, cols, 3) with a crack drawn where ``cover`` (rows, cols) is not 0.

    Where ``cover`` is 1, a pixel with surroundings S becomes S * (1 - contrast). Elsewhere this is
    blended with the pixel by ``cover``.
    """
    open_rows, open_cols = (np.flatnonzero(cover.any(axis=axis)) for axis in (1, 0))
    result = image.copy()
    if not len(open_rows):
        return result
    rim = CHANGED_WITHIN_PX + int(np.ceil(3 * style.blur_px))
    far = rim + int(3 * SURROUND_PX)
    box = tuple(
        slice(max(0, spots[0] - far), spots[-1] + far + 1) for spots in (open_rows, open_cols)
    )
    part, opening = image[box].astype(np.float32), cover[box]
    soft = blur(opening, style.blur_px)[..., None]
    depth = style.contrast * (
        1 + style.variation * coarse_noise(rng, opening.shape, DARKNESS_WAVE_PX)
    )
    grain = part - blur(part, GRAIN_PX)
    dark = surroundings(part, style.tint) * (1 - depth[..., None])
    crumbs = (1 + coarse_noise(rng, opening.shape, RIM_WAVE_PX)) * (
        1 + coarse_noise(rng, opening.shape, DARKNESS_WAVE_PX)
    )
    lips = (relief(opening, style.light_deg) * crumbs * style.rim)[..., None]
    inner = np.where(lips < 0, INNER_WALLS[0] * lips, INNER_WALLS[1] * lips)
    dark = dark * np.clip(1 + inner, DARKEST, BRIGHTEST) + grain * (1 - style.contrast / 2)
    painted = part * (1 + lips) * (1 - soft) + dark * soft
    near = cv2.dilate((opening > 0).astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1)))
    painted = np.where(near[..., None] > 0, np.rint(painted), part)
    result[box] = np.clip(painted, 0, 255).astype(np.uint8)
    return result


def surroundings(part: Float32, tint: float) -> Floats:
    """Return the mean brightness around each pixel, in the colour of the darker parts there."""
    mean = blur(part, SURROUND_PX)
    brightness = mean.mean(axis=2, keepdims=True)
    weight = np.exp(-part.mean(axis=2, keepdims=True) / 32)  # falls to 1/e per 32 levels
    tinted = blur(part * weight, SURROUND_PX)
    tinted /= np.maximum(tinted.mean(axis=2, keepdims=True), 1e-9)
    coloured: Floats = brightness * (1 + tint * (tinted - 1))
    return coloured


def relief(opening: Floats, light_deg: float) -> Floats:
    """Return 1 on the lip that faces the light, -1 on the other, 0 along hairlines and far away."""
    smooth = blur(opening, RELIEF_PX)
    wide = np.clip(2 * cv2.dilate(smooth, np.ones((9, 9))) - 1, 0, 1)
    rise_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=RELIEF_PX / 4)
    rise_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=RELIEF_PX / 4)
    angle = np.deg2rad(light_deg)
    lips: Floats = np.clip(rise_x * np.cos(angle) + rise_y * np.sin(angle), -1, 1) * wide
    return lips


def coarse_noise(rng: Generator, shape: tuple[int, ...], wave_px: int) -> Float32:
    """Return noise (rows, cols) between -1 and 1 that changes over about ``wave_px``."""
    knots = rng.uniform(-1, 1, [side // wave_px + 2 for side in shape]).astype(np.float32)
    return resize(knots, shape, cv2.INTER_LINEAR)


def resize(values: NDArray[Real], shape: tuple[int, ...], interpolation: int) -> NDArray[Real]:
    """Resize an array to (rows, cols); channels are kept."""
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=interpolation), values.dtype)


def blur(values: NDArray[Real], sigma_px: float) -> NDArray[Real]:
    """Apply a Gaussian filter, cut off at 3 sigma, to each channel of (rows, cols, ...)."""
    if sigma_px <= 0:
        return values
    side = 2 * int(np.ceil(3 * sigma_px)) + 1
    smooth = cv2.GaussianBlur(values, (side, side), sigma_px, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(smooth, values.dtype).reshape(values.shape)
