"""A second photograph of a wall, from another place and in other light, with its map known exactly.

The photograph is resampled by the map of the camera: a tilted and shifted view (homography), the
lens, and a smooth displacement that stands for relief seen from another side. A crack may open: the
two sides move apart, less with the distance from it. Then come light, blur, noise and JPEG.

Points are (x, y) in px from the upper left corner: the middle of the first pixel is (0.5, 0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import KDTree

from crackcli.arrays import Bools, Float64, UInt8

RELIEF_STEP = 16  # px between the points at which the relief is stored
RELIEF_SIGMA = 150.0  # px over which it varies
INVERSIONS = 40
CRACK_GREY = 0.35  # of a crack, as a fraction of the wall's brightness
CHUNK_ROWS = 256  # resampled at once
LATTICE = 8  # px between the points that are mapped one by one, away from the crack


@dataclass(frozen=True)
class Difficulty:
    """Largest differences between two photographs: ``tilt`` and ``roll`` in degrees, ``scale`` and
    its inverse, lost overlap as a fraction, ``relief_px``, ``lens`` (relative shift at the corner),
    ``gamma``, ``light`` (logarithm of its change over the wall), ``blur_px``, ``noise`` in grey
    values, ``quality`` of the JPEG, whether a shadow falls."""

    tilt: float = 9.0
    roll: float = 6.0
    scale: float = 1.2
    lost: float = 0.18
    relief_px: float = 3.5
    lens: float = 0.01
    gamma: float = 0.25
    light: float = 0.35
    blur_px: float = 0.7
    noise: float = 3.0
    quality: int = 75
    shadow: bool = True


EASY = Difficulty(4, 2, 1.08, 0.08, 1.5, 0.004, 0.1, 0.15, 0.4, 2.0, 90, shadow=False)
MEDIUM = Difficulty()
HARD = Difficulty(15, 10, 1.4, 0.3, 6.0, 0.02, 0.4, 0.5, 1.1, 4.0, 75)


@dataclass(frozen=True, eq=False)
class Opening:
    """A crack along ``path`` (N, 2), points about 1 px apart, that was ``width_px`` wide and opens
    by ``px``; the sides move over about ``reach_px``."""

    path: Float64
    width_px: float
    px: float
    reach_px: float = 150.0

    def sides(self, points: Float64) -> tuple[Float64, Float64, Float64]:
        """Return, at points (N, 2): distance from the crack (N,), direction to the right of it, or
        to its left on that side (N, 2), and how much of the opening is there (N,), 0 at the tips.
        """
        smooth = gaussian_filter(self.path, (8, 0))
        along = np.gradient(smooth, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        right = np.column_stack([-along[:, 1], along[:, 0]])
        near = KDTree(self.path).query(points)
        distance, index = np.asarray(near[0]), np.asarray(near[1])
        side = np.sign(((points - self.path[index]) * right[index]).sum(axis=1))
        taper = np.sqrt(np.sin(np.pi * index / (len(self.path) - 1)).clip(0))
        share = taper * np.exp(-((distance / self.reach_px) ** 2))
        return distance, right[index] * np.where(side == 0, 1, side)[:, None], share


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """The map from a wall, as the first photograph shows it, to a second photograph of ``shape``.

    ``homography`` (3, 3) maps px of the first photograph, moved by ``relief`` (2, h, w) stored at
    every `RELIEF_STEP` px, to the second one without its ``lens``.
    """

    shape: tuple[int, int]
    homography: Float64
    lens: float
    relief: Float64
    opening: Opening | None = None

    def to_wall(self, points: Float64) -> Float64:
        """Return points (N, 2) of the second photograph on the wall as it is then."""
        middle, half = self.middle_and_half()
        bent = (points - middle) / half
        bent = bent * (1 + self.lens * (bent**2).sum(axis=1, keepdims=True)) * half + middle
        mapped = np.column_stack([bent, np.ones(len(bent))]) @ np.linalg.inv(self.homography).T
        return np.asarray(mapped[:, :2] / mapped[:, 2:])

    def to_first(self, points: Float64, *, opened: bool = True) -> Float64:
        """Return points (N, 2) of the second photograph in the first one; without ``opened``, as if
        the crack had not opened."""
        wall = self.to_wall(points)
        moved = wall + self.displacement(wall)
        if self.opening is not None and opened:
            _, outwards, share = self.opening.sides(wall)
            moved -= outwards * (self.opening.px / 2 * share)[:, None]
        return np.asarray(moved)

    def to_second(self, points: Float64) -> Float64:
        """Return points (N, 2) of the first photograph in the second one, the crack not opened."""
        wall = points
        for _ in range(INVERSIONS):
            wall = points - self.displacement(wall)
        mapped = np.column_stack([wall, np.ones(len(wall))]) @ self.homography.T
        middle, half = self.middle_and_half()
        straight = (mapped[:, :2] / mapped[:, 2:] - middle) / half
        bent = straight
        for _ in range(INVERSIONS):
            bent = straight / (1 + self.lens * (bent**2).sum(axis=1, keepdims=True))
        return np.asarray(bent * half + middle)

    def middle_and_half(self) -> tuple[Float64, float]:
        """Return the middle (2,) of the second photograph, and half of its diagonal, in px."""
        rows, cols = self.shape
        return np.array([cols, rows]) / 2, float(np.hypot(cols, rows) / 2)

    def displacement(self, wall: Float64) -> Float64:
        """Return the displacement (N, 2) by relief at points (N, 2) of the wall."""
        place = wall.T[::-1] / RELIEF_STEP
        return np.stack(
            [map_coordinates(part, place, order=3, mode="nearest") for part in self.relief], axis=1
        )

    def photograph(self, image: UInt8) -> UInt8:
        """Return the second photograph (rows, cols, 3), in the light of the first.

        ``image`` is the first photograph, or a larger copy of it by a whole number, which gives a
        sharper result.
        """
        rows, cols = self.shape
        first_cols = (self.relief.shape[2] - 1) * RELIEF_STEP
        finer = max(1, round(image.shape[1] / first_cols))
        scale = float(np.sqrt(abs(np.linalg.det(self.homography[:2, :2])))) / finer
        source = image
        if scale < 1:
            sigma = 0.45 * np.sqrt(1 / scale**2 - 1)
            source = np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)), np.uint8)
        result = np.empty((rows, cols, 3), np.uint8)
        for row in range(0, rows, CHUNK_ROWS):
            high = min(CHUNK_ROWS, rows - row)
            places, near, points = self.places_of_rows(row, high)
            maps = (places * finer - 0.5).astype(np.float32)
            map_x, map_y = (np.ascontiguousarray(maps[..., axis]) for axis in (0, 1))
            part = cv2.remap(source, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
            if self.opening is not None:
                shown = np.asarray(part[near], np.uint8)
                part[near] = self.with_crack(shown, points, scale * finer)
            result[row : row + high] = part
        return result

    def places_of_rows(self, row: int, high: int) -> tuple[Float64, Bools, Float64]:
        """Return where the pixels of rows lie in the first photograph (high, cols, 2), which of
        them are near the crack (high, cols), and the points (N, 2) of these.

        The map is exact near the crack, and elsewhere linear between points every `LATTICE` px.
        """
        cols = self.shape[1]
        y, x = (np.arange(0, side + LATTICE, LATTICE, dtype=float) for side in (high, cols))
        grid = np.stack(np.meshgrid(x, row + y), axis=-1).reshape(-1, 2)
        values = [self.to_first(grid)]
        if self.opening is not None:
            values.append(self.opening.sides(self.to_wall(grid))[0][:, None])
        lattice = np.hstack(values).reshape(len(y), len(x), -1).astype(np.float32)
        inside = np.meshgrid(*((np.arange(n) + 0.5) / LATTICE for n in (cols, high)))
        map_x, map_y = (part.astype(np.float32) for part in inside)
        dense = cv2.remap(lattice, map_x, map_y, cv2.INTER_LINEAR)
        places = np.asarray(dense[..., :2], np.float64)
        near: Bools = np.zeros((high, cols), bool)
        if self.opening is not None:
            near = dense[..., 2] < self.opening.width_px + self.opening.px + 4 * LATTICE
        points = np.asarray(np.argwhere(near)[:, ::-1] + (0.5, row + 0.5), np.float64)
        if len(points):
            places[near] = self.to_first(points)
        return places, near, points

    def with_crack(self, colours: UInt8, points: Float64, scale: float) -> UInt8:
        """Return the colours (N, 3) at points (N, 2) of the second photograph with the crack drawn
        at its present width, edges soft."""
        assert self.opening is not None
        distance, _, share = self.opening.sides(self.to_wall(points))
        half = (self.opening.width_px + self.opening.px * share) / 2
        covered = np.clip((half - distance) * scale + 0.5, 0, 1)[:, None]
        darkened = np.rint(colours * (1 - covered * (1 - CRACK_GREY)))
        return np.asarray(darkened, np.uint8)


def random_viewpoint(
    rng: Generator,
    shape: tuple[int, int],
    difficulty: Difficulty = MEDIUM,
    opening: Opening | None = None,
) -> Viewpoint:
    """Return a random place of a second photograph of a wall; the first one has ``shape``."""
    rows, cols = shape
    distance = 1.2 * max(shape)
    scale = difficulty.scale ** rng.uniform(-1, 1)
    tilt = np.deg2rad(difficulty.tilt) * np.sqrt(rng.uniform(0.5, 1))
    azimuth = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(azimuth), np.sin(azimuth), 0])
    tilted, _ = cv2.Rodrigues(axis * tilt)
    rolled, _ = cv2.Rodrigues(np.array([0, 0, np.deg2rad(rng.uniform(-1, 1) * difficulty.roll)]))
    turned = rolled @ tilted
    view = np.eye(3)
    view[:2, :2] = turned[:2, :2]
    view[2, :2] = turned[2, :2] / distance
    size = np.array([cols, rows]) * np.clip(scale, 0.85, 1.15)
    aside = np.array([np.cos(azimuth + 1), np.sin(azimuth + 1)])
    aside *= difficulty.lost / np.abs(aside).sum()
    homography = (
        moved(size / 2 + aside * (cols, rows) * scale)
        @ np.diag([scale, scale, 1])
        @ view
        @ moved(np.array([-cols / 2, -rows / 2]))
    )
    lens = rng.uniform(-1, 1) * difficulty.lens
    relief = random_relief(rng, shape, difficulty.relief_px)
    high, wide = round(size[1]), round(size[0])
    return Viewpoint((high, wide), homography, lens, relief, opening)


def moved(by: Float64) -> Float64:
    """Return the homography of a shift by (x, y)."""
    return np.array([[1, 0, by[0]], [0, 1, by[1]], [0, 0, 1.0]])


def random_relief(rng: Generator, shape: tuple[int, int], most_px: float) -> Float64:
    """Return a smooth displacement of up to ``most_px``, mostly along one direction."""
    size = tuple(-(-side // RELIEF_STEP) + 1 for side in shape)
    smooth = [
        gaussian_filter(rng.standard_normal(size), sigma / RELIEF_STEP, mode="reflect")
        for sigma in (RELIEF_SIGMA, RELIEF_SIGMA / 3, RELIEF_SIGMA)
    ]
    high, fine, across = (part / np.abs(part).max() for part in smooth)
    along = 0.75 * high + 0.25 * fine
    turn = rng.uniform(0, 2 * np.pi)
    x, y = np.cos(turn), np.sin(turn)
    relief = np.stack([x * along - 0.2 * y * across, y * along + 0.2 * x * across])
    return np.asarray(most_px * relief)


def in_other_light(rng: Generator, image: UInt8, difficulty: Difficulty = MEDIUM) -> UInt8:
    """Return a photograph in other light, with blur, noise and JPEG."""
    rows, cols = image.shape[:2]
    y, x = np.mgrid[:rows, :cols].astype(np.float32) / (rows, cols)[0]
    turn = rng.uniform(0, 2 * np.pi)
    across = (x - cols / rows / 2) * np.cos(turn) + (y - 0.5) * np.sin(turn)
    light = np.exp(2 * rng.uniform(-1, 1) * difficulty.light * across) * rng.uniform(0.85, 1.1)
    if difficulty.shadow:
        edge = across + 0.04 * np.sin(12 * y) - np.quantile(across, 0.7)
        light *= 1 - 0.5 / (1 + np.exp(np.clip(-edge * rows / 3, -50, 50)))
    gamma = np.exp(rng.uniform(-1, 1) * difficulty.gamma)
    lit = 255 * (image / 255.0) ** gamma * light[..., None]
    lit = cv2.GaussianBlur(lit.clip(0, 255), (0, 0), max(difficulty.blur_px, 0.1))
    lit += rng.normal(0, difficulty.noise, lit.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, difficulty.quality]
    _, file = cv2.imencode(".jpg", np.rint(lit).clip(0, 255).astype(np.uint8), quality)
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)
