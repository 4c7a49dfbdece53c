"""Areas that the user excludes from a scan: polygons in pixels of the upright photograph."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import rasterio.features
import shapely
from affine import Affine

from crackcli.arrays import Bools
from crackcli.rasters.grid import Window

if TYPE_CHECKING:
    from crackcli.rasters.reader import Raster

GRID_PX = 1 / 64  # corners lie on this grid, so that their decimals are exact
DECIMALS = 6  # of a multiple of it
ROWS = 512  # that are counted at once


@dataclass(frozen=True, eq=False)
class ExcludedAreas:
    """Polygons in pixel edges (col, row); a pixel whose centre lies in one is excluded."""

    polygons: shapely.MultiPolygon

    @classmethod
    def of(cls, shapes: list[shapely.Geometry], whole: shapely.Geometry) -> "ExcludedAreas | None":
        """Return the part of ``shapes`` on the photograph, whose outline is ``whole``; None if they
        do not meet it."""
        near = [shape for shape in shapes if shapely.intersects(shape, whole)]
        inside = shapely.intersection(shapely.union_all(near), whole)
        exact = shapely.set_precision(inside, GRID_PX)
        parts = [part for part in shapely.get_parts(exact) if part.area > 0]
        return cls(shapely.normalize(shapely.MultiPolygon(parts))) if parts else None

    @classmethod
    def from_wkt(cls, text: str) -> "ExcludedAreas":
        """Return the areas of `wkt`; raises `ValueError`."""
        try:
            found = shapely.from_wkt(text)
        except (shapely.errors.GEOSException, TypeError) as error:
            raise ValueError(f"its excluded areas are damaged: {error}") from error
        if not isinstance(found, shapely.MultiPolygon) or not shapely.is_valid(found):
            raise ValueError("its excluded areas are no polygons")
        return cls(found)

    @property
    def wkt(self) -> str:
        """The polygons as text, exactly."""
        return shapely.to_wkt(self.polygons, rounding_precision=DECIMALS)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the polygons."""
        return hashlib.sha256(self.wkt.encode()).hexdigest()

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Index of the polygons."""
        return shapely.STRtree(shapely.get_parts(self.polygons))

    def flags(self, window: Window, shape: tuple[int, int] | None = None) -> Bools:
        """Return the excluded pixels (rows, cols) of a window; with ``shape``, at that size."""
        rows, cols = shape or window.shape
        box = shapely.box(window.col, window.row, window.end_col, window.end_row)
        met = self.tree.query(box, "intersects")
        if not len(met):
            return np.zeros((rows, cols), bool)
        parts = self.tree.geometries[np.sort(met)]
        if len(parts) == 1 and shapely.contains_properly(parts[0], box):
            return np.ones((rows, cols), bool)
        wide, high = window.cols / cols, window.rows / rows
        placed = Affine(wide, 0, window.col, 0, high, window.row)
        burnt = rasterio.features.rasterize(list(parts), (rows, cols), transform=placed)
        flags: Bools = burnt > 0
        return flags

    def count(self, raster: "Raster") -> int:
        """Return how many valid pixels of an open raster, read without these areas, they hold."""
        left, top, right, bottom = self.polygons.bounds
        col, end_col = int(left), int(np.ceil(right))
        total = 0
        for row in range(int(top), int(np.ceil(bottom)), ROWS):
            window = Window(row, col, min(ROWS, int(np.ceil(bottom)) - row), end_col - col)
            flags = self.flags(window)
            if flags.any():
                total += int(np.count_nonzero(flags & raster.read_valid(window)))
        return total
