"""Frames: the coordinates in which geometries are told, the map's, WGS 84, or the wall's own.

Pixel coordinates are of edges: (0, 0) is the upper left corner of the first pixel.
"""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from crackcli.arrays import Float64
from crackcli.rasters.crs import to_wgs84
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene

LEAST_DECIMALS = {"wgs84": 10}  # 1e-10 degrees are 0.01 mm on the ground; else 3
CHUNK = 200_000  # points that are handed to PROJ at once

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class Frame:
    """Coordinates for geometries: ``transform`` takes pixel edges (col, row) to (x, y) of the CRS.

    ``space`` is "map", "wgs84" (the map's coordinates turned into longitude and latitude),
    "local_mm" or "local_px": x right and y up from the lower left corner of the photograph.
    """

    space: str
    transform: Affine
    crs_wkt: str | None
    decimals: int

    def place(self, geometries: Geometries) -> Geometries:
        """Geometries in pixel coordinates to this frame, rounded."""
        return shapely.transform(geometries, self.place_points)

    def place_points(self, points: Float64) -> Float64:
        """The same for points (N, 2)."""
        placed = apply(self.transform, points)
        if self.space == "wgs84":
            assert self.crs_wkt is not None
            for begin in range(0, len(points), CHUNK):
                chunk = slice(begin, begin + CHUNK)
                placed[chunk] = np.transpose(to_wgs84(self.crs_wkt, *placed[chunk].T))
        return placed.round(self.decimals)

    def lift(self, geometries: Geometries) -> Geometries:
        """The way back of `place`, for map and local frames."""
        back = ~self.transform
        return shapely.transform(geometries, lambda points: apply(back, points))


def apply(transform: Affine, points: Float64) -> Float64:
    """Points (N, 2) taken through a transform."""
    x, y = points.T
    a, b, c, d, e, f = transform[:6]
    return np.column_stack([a * x + b * y + c, d * x + e * y + f])


def map_frame(scene: Scene, scale: Scale | None) -> Frame:
    """The frame of the scene's own map; that of the wall where there is none."""
    if scene.crs_wkt is None or scene.transform == Affine.identity():
        return local_frame(scene, scale)
    side = math.sqrt(abs(scene.transform.determinant))
    return Frame("map", scene.transform, scene.crs_wkt, decimals("map", side / 100))


def exchange_frame(scene: Scene, scale: Scale | None) -> Frame:
    """WGS 84, as RFC 7946 wants it; the wall's own frame where the map is not tied to the Earth."""
    frame = map_frame(scene, scale)
    if frame.space != "map":
        return frame
    assert scene.crs_wkt is not None
    middle = np.array([scene.cols, scene.rows]) / 2 + [(0, 0), (1, 0), (0, 1)]
    degrees = to_wgs84(scene.crs_wkt, *apply(scene.transform, middle).T)
    if degrees is None:
        return local_frame(scene, scale)
    # A tenth of a pixel is kept, so that no polygon collapses or crosses itself.
    lon, lat = degrees
    side = min(math.hypot(lon[i] - lon[0], lat[i] - lat[0]) for i in (1, 2))
    return Frame("wgs84", scene.transform, scene.crs_wkt, decimals("wgs84", side / 10))


def local_frame(scene: Scene, scale: Scale | None) -> Frame:
    """Millimetres, or pixels without a scale, from the lower left corner of the photograph."""
    size = scale.mm_per_px if scale else 1.0
    transform = Affine(size, 0, 0, 0, -size, size * scene.rows)
    space = "local_mm" if scale else "local_px"
    return Frame(space, transform, None, decimals(space, size / 100))


def decimals(space: str, least: float) -> int:
    """How many decimals it takes to tell ``least`` in the units of a frame."""
    return max(LEAST_DECIMALS.get(space, 3), math.ceil(-math.log10(least)))
