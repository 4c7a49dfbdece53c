"""Dense matches: where each small patch of the earlier photograph lies in the later one.

The later photograph is warped by the map found so far; what is left is a small shift per patch. It
minimises the squared difference of texture in a Gaussian window (Lucas and Kanade), with three
changes. The gradients of both photographs are used in one product, so that noise, which they do not
share, cancels and does not shorten the shift. Pixels of cracks and nodata have no weight, those
that differ much (stains, edges of shadows) little. And sums over windows are formed from sums over
cells, so that the work per pixel does not depend on the number of patches.

Lucas, B. D., Kanade, T. (1981). An iterative image registration technique. IJCAI.
Benhimane, S., Malis, E. (2004). Real-time image-based tracking of planes using efficient
second-order minimization. IROS. (mean of both gradients)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64
from crackcli.rasters.grid import Window
from crackcli.registration.levels import Level
from crackcli.registration.mapping import Mapping
from crackcli.registration.texture import normalised

CELL = 8  # px of the level
WINDOW_CELLS = 1.3  # sigma of the window of a patch: about 10 px
HALO_CELLS = 8  # around a piece: reach of the window and of the local mean
PIECE_CELLS = 128  # side of a piece that is warped at once
LATTICE = 16  # px between the points that are mapped one by one; the map is linear between them
SURPRISE = 1.2  # difference of texture, in standard deviations, that has a quarter of the weight
MIN_WEIGHT = 0.35  # of a patch, as a fraction of one without cracks, nodata and differences
MIN_CORRELATION = 0.35
MAX_SHIFT = 2.0  # px of the level; larger ones are wrong, or come closer in the next pass
INDEPENDENT_PX = 16.0  # pixels that count as one observation, as noise of neighbours is alike
BEST_SIGMA = 0.05  # px of the level; no patch is known better (interpolation, shading)


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of the earlier photograph: their middles (N, 2) in its px, ``shift`` (N, 2) by which
    the map so far is off there, ``information`` (N, 2, 2) of the shift, ``correlation`` (N,) and
    whether the shift counts (N,)."""

    points: Float64
    shift: Float64
    information: Float64
    correlation: Float64
    found: Bools


def match_patches(before: Level, after: Level, mapping: Mapping, every: int = 2) -> Patches:
    """Match patches at every ``every`` cells of ``before`` that lie in both photographs."""
    pieces = [match_piece(before, after, mapping, core, every) for core in pieces_of(before)]
    return Patches(
        *(
            np.concatenate([getattr(piece, name) for piece in pieces])
            for name in Patches.__dataclass_fields__
        )
    )


def pieces_of(level: Level) -> Iterator[Window]:
    """Yield windows of whole cells that cover a level, from top to bottom."""
    side = PIECE_CELLS * CELL
    for row in range(0, level.rows, side):
        for col in range(0, level.cols, side):
            rows, cols = min(side, level.rows - row), min(side, level.cols - col)
            yield Window(row, col, -(-rows // CELL) * CELL, -(-cols // CELL) * CELL)


def match_piece(before: Level, after: Level, mapping: Mapping, core: Window, every: int) -> Patches:
    """Match the patches whose middles lie in the window ``core`` of ``before``."""
    padded = core.grown(HALO_CELLS * CELL)
    warped = warp(after, mapping, before, padded)
    own = before.read(padded)
    usable = own.usable & warped.usable
    sums = cell_sums(normalised(own.values, usable), normalised(warped.values, usable), usable)
    cut = slice(HALO_CELLS + every // 2, -HALO_CELLS, every)
    kept = sums[cut, cut].reshape(-1, sums.shape[-1]).astype(np.float64)
    rows, cols = (
        np.arange(side // CELL)[every // 2 :: every] * CELL + CELL / 2 for side in core.shape
    )
    x, y = np.meshgrid(core.col + cols, core.row + rows)
    points = np.column_stack([x.ravel(), y.ravel()]) * before.px
    return solve(points, kept, float(before.px.mean()))


def cell_sums(a: Float32, b: Float32, usable: Bools) -> Float32:
    """Return the weighted means (cells, cells, 10) of products of two textures in windows.

    They are the weight, a, b, aa, bb, ab, the products of gradients xx, xy and yy, and those of the
    gradient and the difference in x and y.
    """
    difference = a - b
    weight = np.asarray(usable / (1 + (difference / SURPRISE) ** 2) ** 2, np.float32)
    ax, ay, bx, by = (gradient(image, axis) for image in (a, b) for axis in (0, 1))
    slope_x, slope_y = (ax + bx) / 2, (ay + by) / 2
    products = [
        weight,
        weight * a,
        weight * b,
        weight * a * a,
        weight * b * b,
        weight * a * b,
        weight * ax * bx,
        weight * (ax * by + ay * bx) / 2,
        weight * ay * by,
        weight * slope_x * difference,
        weight * slope_y * difference,
    ]
    size = a.shape[1] // CELL, a.shape[0] // CELL
    sums = np.dstack([cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in products])
    return np.dstack(
        [
            cv2.GaussianBlur(sums[..., k], (0, 0), WINDOW_CELLS, borderType=cv2.BORDER_CONSTANT)
            for k in range(sums.shape[-1])
        ]
    )


def gradient(image: Float32, axis: int) -> Float32:
    """Return the derivative along x (axis 0) or y (axis 1), per px."""
    return np.asarray(cv2.Scharr(image, cv2.CV_32F, 1 - axis, axis, scale=1 / 32), np.float32)


def solve(points: Float64, sums: Float64, px: float) -> Patches:
    """Return the patches at ``points`` (N, 2) from their ``sums`` (N, 11); a level's pixel has
    ``px`` px."""
    weight, a, b, aa, bb, ab, xx, xy, yy, x, y = sums.T
    safe = np.maximum(weight, 1e-6)
    variance_a, variance_b = aa - a * a / safe, bb - b * b / safe
    covariance = ab - a * b / safe
    correlation = covariance / np.sqrt(np.maximum(variance_a * variance_b, 1e-12))
    tensor = np.stack([xx, xy, xy, yy], axis=1).reshape(-1, 2, 2)
    least = np.linalg.eigvalsh(tensor)[:, 0]
    noise = np.maximum(aa + bb - 2 * ab, 1e-4) / safe  # variance of the difference
    observations = 4 * np.pi * (WINDOW_CELLS * CELL) ** 2 / INDEPENDENT_PX
    steep = least * observations > 4 * noise  # the worst direction is known to half a px
    steep &= least > 1e-4
    tensor[~steep] = np.eye(2)
    shift = np.linalg.solve(tensor, np.stack([x, y], axis=1)[..., None])[..., 0]
    information = tensor * (observations / noise)[:, None, None]
    covariances = np.linalg.inv(information) + BEST_SIGMA**2 * np.eye(2)
    found = steep & (weight > MIN_WEIGHT) & (correlation > MIN_CORRELATION)
    found &= np.hypot(*shift.T) < MAX_SHIFT
    return Patches(
        points,
        shift * px,
        np.asarray(np.linalg.inv(covariances) / px**2, np.float64),
        correlation,
        np.asarray(found),
    )


@dataclass(frozen=True, eq=False)
class Warped:
    """A window of the earlier photograph filled from the later one: ``values``, ``usable``."""

    values: Float32
    usable: Bools


def warp(after: Level, mapping: Mapping, before: Level, window: Window) -> Warped:
    """Return what the later photograph shows in a window of a level of the earlier one."""
    nothing = Warped(np.zeros(window.shape, np.float32), np.zeros(window.shape, bool))
    rows, cols = (np.arange(-(-side // LATTICE) + 1) * LATTICE for side in window.shape)
    x, y = np.meshgrid(window.col + cols, window.row + rows)
    places = mapping.forward(np.column_stack([x.ravel(), y.ravel()]) * before.px)
    places = after.to_level(places)
    inside = (places > -64).all(axis=1) & (places < (after.cols + 64, after.rows + 64)).all(axis=1)
    if not inside.any():
        return nothing
    low = np.floor(places[inside].min(axis=0)).astype(int) - 2
    high = np.ceil(places[inside].max(axis=0)).astype(int) + 3
    part = Window(low[1], low[0], high[1] - low[1], high[0] - low[0])
    part = part.clipped(after.rows, after.cols)
    if part.rows < 4 or part.cols < 4:
        return nothing
    places = np.where(np.isnan(places), -1e4, places)
    lattice = (places - (part.col, part.row) - 0.5).reshape(len(rows), len(cols), 2)
    map_x, map_y = spread(lattice.astype(np.float32), window.shape)
    grey = after.read(part)
    values = cv2.remap(
        grey.values, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    usable = cv2.remap(
        grey.usable.astype(np.uint8),
        map_x,
        map_y,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return Warped(np.asarray(values, np.float32), np.asarray(usable > 0))


def spread(lattice: Float32, shape: tuple[int, int]) -> tuple[Float32, Float32]:
    """Return the maps of x and y (rows, cols) at the middle of every pixel, linear between the
    points of a ``lattice`` (h, w, 2) at every `LATTICE` px from the corner of the first pixel."""
    x, y = ((np.arange(side) + 0.5) / LATTICE for side in shape[::-1])
    grid = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    maps = np.asarray(cv2.remap(lattice, grid[0], grid[1], cv2.INTER_LINEAR), np.float32)
    return np.ascontiguousarray(maps[..., 0]), np.ascontiguousarray(maps[..., 1])
