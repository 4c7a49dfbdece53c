"""Coordinate frames of geometries: the map, WGS 84, or local coordinates of the photograph.

Pixel coordinates are of edges: (0, 0) is the upper left corner of the first pixel.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from crackcli.arrays import Float64
from crackcli.rasters.ground.crs import to_wgs84
from crackcli.scenes.scene import Scene

LOCAL = Affine(1, 0, 0, 0, -1, 0)
MIN_DECIMALS = {"wgs84": 10}  # 1e-10 degrees are 0.01 mm on the ground; else 3
CHUNK = 200_000  # points passed to PROJ in one call

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class Frame:
    """Coordinates for geometries: ``transform`` takes pixel edges (col, row) to (x, y) of the CRS.

    ``space`` is one of
      map                 coordinates of the scene's CRS;
      wgs84               the same as longitude and latitude;
      grid                coordinates of the scene's transform, whose CRS is unknown or not of the
                          Earth;
      local_px  pixels, x right and y up from the upper left corner of the photograph, so that y is
                minus the row: QGIS shows a photograph without a map in these coordinates.
    """

    space: str
    transform: Affine
    crs_wkt: str | None
    decimals: int

    def from_pixels(self, geometries: Geometries) -> Geometries:
        """Return geometries in pixel coordinates in this frame, rounded."""
        return shapely.transform(geometries, self.points_from_pixels)

    def points_from_pixels(self, points: Float64) -> Float64:
        """Return points (N, 2) in pixel coordinates in this frame, rounded."""
        placed = apply_affine(self.transform, points)
        if self.space == "wgs84":
            assert self.crs_wkt is not None
            for begin in range(0, len(points), CHUNK):
                chunk = slice(begin, begin + CHUNK)
                degrees = to_wgs84(self.crs_wkt, *placed[chunk].T)
                assert degrees is not None  # `exchange_frame` checks it
                placed[chunk] = np.transpose(degrees)
        return placed.round(self.decimals)


def to_pixels(transform: Affine, geometries: Geometries) -> Geometries:
    """Return geometries in the pixel coordinates that ``transform`` takes to theirs."""
    back = ~transform
    return shapely.transform(geometries, lambda points: apply_affine(back, points))


def apply_affine(transform: Affine, points: Float64) -> Float64:
    """Return points (N, 2) after an affine transform."""
    x, y = points.T
    a, b, c, d, e, f = transform[:6]
    return np.column_stack([a * x + b * y + c, d * x + e * y + f])


def map_frame(scene: Scene) -> Frame:
    """Return the frame of the scene's map, or the local frame if it has no map."""
    if scene.transform == Affine.identity():
        return Frame("local_px", LOCAL, None, decimals("local_px", 1 / 100))
    side = math.sqrt(abs(scene.transform.determinant))
    space = "map" if scene.crs_wkt else "grid"
    return Frame(space, scene.transform, scene.crs_wkt, decimals(space, side / 100))


def exchange_frame(scene: Scene) -> Frame:
    """Return the WGS 84 frame that RFC 7946 requires; if the scene is not in a geographic or
    projected CRS, the frame of its grid, or the local frame without one."""
    frame = map_frame(scene)
    if frame.space != "map":
        return frame
    assert scene.crs_wkt is not None
    middle = np.array([scene.cols, scene.rows]) / 2 + [(0, 0), (1, 0), (0, 1)]
    degrees = to_wgs84(scene.crs_wkt, *apply_affine(scene.transform, middle).T)
    if degrees is None:
        return replace(frame, space="grid")
    # A tenth of a pixel is kept, so that no polygon collapses or crosses itself.
    lon, lat = degrees
    side = min(math.hypot(lon[i] - lon[0], lat[i] - lat[0]) for i in (1, 2))
    return Frame("wgs84", scene.transform, scene.crs_wkt, decimals("wgs84", side / 10))


def earlier_transform(scene: Scene, mm_per_px: float | None) -> Affine:
    """Return the transform of geometries in a report that stores none: without a map or a grid they
    are in mm (px without a scale), y up from the lower left corner of the photograph."""
    if scene.transform != Affine.identity():
        return scene.transform
    size = mm_per_px or 1.0
    return Affine(size, 0, 0, 0, -size, size * scene.rows)


def decimals(space: str, smallest: float) -> int:
    """Return how many decimals resolve a length ``smallest`` in the units of a frame."""
    return max(MIN_DECIMALS.get(space, 3), math.ceil(-math.log10(smallest)))
