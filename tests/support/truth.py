"""Photographs of cracks whose widths are exactly known, drawn independently of crackcli.

A crack is the polygon between its two edges; the fraction of each pixel that it covers is counted
on 16 x 16 points. Then surface and crack are mixed (in linear light, as in a sensor, or in encoded
values, as in a drawing program), blurred, made noisy and rounded to 8 bits. The sRGB transfer
function is written again here, so that tests do not rely on `crackcli.rasters.srgb`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from rasterio.features import rasterize

from crackcli.cracks.tracing import trace_runs
from crackcli.masking.runs import find_runs

SUBPIXELS = 16


@dataclass(frozen=True)
class Conditions:
    """How a crack is photographed.

    ``blur_px`` and ``noise`` (fraction of white) are standard deviations; ``wall`` and ``crack``
    are encoded grey values of surface and crack; ``rise`` is the relative rise of brightness across
    the image; a mortar joint runs ``joint_px`` beside the crack.
    """

    blur_px: float = 0.8
    noise: float = 0.02
    wall: float = 170.0
    crack: float = 50.0
    linear: bool = True
    rise: float = 0.0
    joint_px: float | None = None


def decode(values):
    """Return the linear light of sRGB-encoded values, 0 to 255."""
    share = np.asarray(values, float) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def encode(light):
    """Return the sRGB-encoded values, 0 to 255, of linear light."""
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def ribbon(points, widths):
    """Return the polygon of a crack along dense points (N, 2), of these widths (N,)."""
    dx, dy = np.gradient(points, axis=0).T
    normals = np.column_stack([-dy, dx]) / np.hypot(dx, dy)[:, None]
    half = np.broadcast_to(widths, len(points))[:, None] / 2
    return np.concatenate([points + normals * half, (points - normals * half)[::-1]])


def coverage(polygons, shape):
    """Return the fraction (rows, cols) of each pixel that polygons in pixel coordinates cover."""
    polygons_fine = [(shapely.Polygon((points + 0.5) * SUBPIXELS), 1) for points in polygons]
    fine = rasterize(polygons_fine, (shape[0] * SUBPIXELS, shape[1] * SUBPIXELS), dtype=np.uint8)
    return fine.reshape(shape[0], SUBPIXELS, shape[1], SUBPIXELS).mean(axis=(1, 3))


def curve(rng, middle, length, angle_deg, bend_px):
    """Return points (N, 2) along a line of about this length.

    It bends to both sides by ``bend_px``.
    """
    way = np.linspace(-length / 2, length / 2, 4 * int(length))
    wave = bend_px * np.sin(way * 2 * np.pi / rng.uniform(90, 160) + rng.uniform(0, 6))
    angle = np.radians(angle_deg)
    along, beside = (
        np.array([np.cos(angle), -np.sin(angle)]),
        np.array([np.sin(angle), np.cos(angle)]),
    )
    return np.asarray(middle) + np.outer(way, along) + np.outer(wave, beside)


def photograph(rng, covers, conditions, contrasts=None):
    """Return the photograph (rows, cols) uint8 of cracks, each given by its coverage (rows, cols).

    ``contrasts`` are relative to that of the conditions.
    """
    shape = covers[0].shape
    rise = 1 + conditions.rise * np.linspace(-0.5, 0.5, shape[1])[None, :]
    wall = np.broadcast_to(conditions.wall * rise, shape).copy()
    if conditions.joint_px is not None:
        beside = cv2.distanceTransform((covers[0] == 0).astype(np.uint8), cv2.DIST_L2, 5)
        wall[np.abs(beside - conditions.joint_px - 5) < 5] *= 0.85
    work = decode if conditions.linear else lambda values: np.asarray(values, float)
    image, dark = work(wall), work(conditions.crack) / work(conditions.wall)
    for cover, contrast in zip(covers, contrasts or [1.0] * len(covers), strict=True):
        image = image * (1 - cover * (1 - dark) * contrast)
    image = cv2.GaussianBlur(image, (0, 0), conditions.blur_px)
    image = encode(image) if conditions.linear else image
    image = image + rng.normal(0, 255 * conditions.noise, shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def ragged(rng, cover):
    """Return a mask about a pixel off.

    Pixels covered by more than a fifth are crack; the mask is shifted, and its edge extended at
    random.
    """
    mask = (cover > 0.2).astype(np.uint8)
    shift = rng.integers(-1, 2, 2)
    mask = np.roll(mask, tuple(shift), (0, 1)) | mask
    rim = cv2.dilate(mask, np.ones((3, 3), np.uint8)) - mask
    lumps = cv2.GaussianBlur(rng.random(mask.shape), (0, 0), 1.5)
    return mask | (rim & (lumps > np.median(lumps)))


def traced(mask):
    """Return the cracks of a mask, longest first."""
    mask = np.asarray(mask, np.uint8)
    found = trace_runs(find_runs([(mask, mask)], *mask.shape), "wall")
    return sorted(found, key=lambda crack: -crack.length_px)
