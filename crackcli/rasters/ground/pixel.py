"""Size and shape of a pixel on the ground, by geodesy where the raster lies.

The scale of a map differs from place to place and, unless the map is conformal, by direction: a
metre of Web Mercator is 0.64 m of ground at 50 degrees north. So a step of pixels is measured on
the ellipsoid: both of its ends are converted to geocentric coordinates x, y, z, in metres, of
WGS 84 at height 0. Height adds 0.016 % per 1000 m, which is left out.

With J (3, 2) the change of x, y, z per pixel along a row and down a column, a step d = (col, row)
is sqrt(d' M d) long, with M = J'J. M is s^2 N with det N = 1: s is the side of a square as large as
the pixel, and N is its shape.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from affine import Affine

from crackcli.arrays import Float64
from crackcli.rasters.ground.crs import UnknownUnits, map_units, to_wgs84

EQUATOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563  # WGS 84
STEP_M = 100.0  # PROJ's inverse projections are exact to about 1 mm, so a pixel is too short
SQUARE_WITHIN = 1e-4  # lengths that differ less by direction are those of a square


@dataclass(frozen=True)
class PixelShape:
    """Shape of a pixel: the matrix N = ((along_row, mixed), (mixed, down_column)), det N = 1.

    Measures "in px" of a raster are in squares as large as its pixel. An area is then the same as
    in pixels. A step d is ``stretch(d)`` times as long as in pixels, so a strip along d is as many
    times narrower.
    """

    along_row: float = 1.0
    mixed: float = 0.0
    down_column: float = 1.0

    @classmethod
    def of(cls, step: Float64) -> "PixelShape":
        """Return the shape by the change (2 or 3, 2) of a place per pixel along a row and down a
        column; a square if it is one within `SQUARE_WITHIN`."""
        metric = step.T @ step
        metric = metric / math.sqrt(np.linalg.det(metric))
        shape = cls(float(metric[0, 0]), float(metric[0, 1]), float(metric[1, 1]))
        return SQUARE if shape.largest_stretch - 1 < SQUARE_WITHIN / 2 else shape

    @property
    def is_square(self) -> bool:
        return self == SQUARE

    @property
    def largest_stretch(self) -> float:
        """Return the stretch of the direction with the longest pixels; 1 over it is the least."""
        half = max(1.0, (self.along_row + self.down_column) / 2)
        return math.sqrt(half + math.sqrt(half**2 - 1))

    @property
    def sides(self) -> tuple[float, float]:
        """Return the width and the height of a pixel, 1 for a square."""
        return math.sqrt(self.along_row), math.sqrt(self.down_column)

    def in_squares(self, points: Float64) -> Float64:
        """Return points (N, 2), in pixels, in squares: by the symmetric root of N, no turn."""
        size = math.sqrt(self.along_row + self.down_column + 2)
        root = np.array([[self.along_row + 1, self.mixed], [self.mixed, self.down_column + 1]])
        found: Float64 = points @ (root / size)
        return found

    def stretch(self, directions: Float64) -> Float64:
        """Return by which factor steps in ``directions`` (N, 2), of length 1, are longer in
        squares than in pixels."""
        if self.is_square:
            return np.ones(len(directions))
        found: Float64 = np.hypot(*self.in_squares(directions).T)
        return found


SQUARE = PixelShape()


@dataclass(frozen=True)
class GroundPixel:
    """A pixel on the ground: side of a square as large, in mm, its shape, and if the side is
    None, why it is unknown."""

    side_mm: float | None
    shape: PixelShape = SQUARE
    unknown: str = ""


@lru_cache(maxsize=1024)
def find_ground_pixel(transform: Affine, crs_wkt: str | None, rows: int, cols: int) -> GroundPixel:
    """Return the pixel in the middle of a raster of ``rows`` by ``cols``.

    ``transform`` takes pixels (col, row) to map (x, y); the identity is no map: a square of
    unknown size. A map in unknown units has a shape only.
    """
    if transform == Affine.identity():
        return GroundPixel(None, unknown="it has no map")
    plane = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    if not np.isfinite(plane).all() or np.linalg.det(plane) == 0:
        return GroundPixel(None, unknown="its map is not a grid of pixels")
    try:
        kind, size = map_units(crs_wkt)
    except UnknownUnits as error:
        return GroundPixel(None, PixelShape.of(plane), str(error))
    step: Float64 | None = size * plane
    if crs_wkt is not None and kind != "local":
        metres = size * EQUATOR_M if kind == "geographic" else size
        step = geodetic_steps(transform, crs_wkt, rows, cols, metres * np.hypot(*plane))
    if step is None:
        unknown = "its place on the Earth is unknown by its coordinate reference system"
        return GroundPixel(None, PixelShape.of(plane), unknown)
    area = math.sqrt(np.linalg.det(step.T @ step))
    return GroundPixel(1000 * math.sqrt(area), PixelShape.of(step))


def geodetic_steps(
    transform: Affine, crs_wkt: str, rows: int, cols: int, lengths: Float64
) -> Float64 | None:
    """Return the geocentric change (3, 2), in metres, per pixel along a row and down a column in
    the middle of a raster; None if its place is unknown.

    ``lengths`` (2,) are rough sizes of a pixel in metres: differences are over 2 `STEP_M`.
    """
    away = STEP_M / lengths
    steps = np.array([(-away[0], 0), (away[0], 0), (0, -away[1]), (0, away[1])])
    col, row = (np.array([cols / 2, rows / 2]) + steps).T
    a, b, c, d, e, f = transform[:6]
    degrees = to_wgs84(crs_wkt, a * col + b * row + c, d * col + e * row + f)
    if degrees is None or np.abs(degrees[1]).max() > 90:
        return None
    before_col, after_col, before_row, after_row = geocentric(*np.radians(degrees))
    along_row, down_column = after_col - before_col, after_row - before_row
    found: Float64 = np.column_stack([along_row, down_column]) / (2 * away)
    return found if abs(np.linalg.det(found.T @ found)) > 0 else None


def geocentric(lon: Float64, lat: Float64) -> Float64:
    """Return x, y, z (N, 3) in metres of longitudes and latitudes (N,) in radians, at height 0."""
    squared = FLATTENING * (2 - FLATTENING)  # eccentricity
    normal = EQUATOR_M / np.sqrt(1 - squared * np.sin(lat) ** 2)  # radius across the meridian
    level = normal * np.cos(lat)
    return np.column_stack(
        [level * np.cos(lon), level * np.sin(lon), (1 - squared) * normal * np.sin(lat)]
    )
