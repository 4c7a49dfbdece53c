"""On which side of the nearest crack a point lies, for cracks of both photographs."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from crackcli.arrays import Float64
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import CRACK
from crackcli.registration.levels import Levels
from crackcli.registration.mapping import Mapping

CELL_PX = 8  # cracks are stored as the mean of their pixels in cells of this size
STRIP_PX = 2**24  # pixels of a mask that are read at once


@dataclass(frozen=True, eq=False)
class CrackSides:
    """Points (N, 2) on cracks, in px of the earlier photograph."""

    points: Float64

    @classmethod
    def of(cls, before: Levels, after: Levels, mapping: Mapping) -> "CrackSides":
        """Return the cracks of both photographs, brought together by ``mapping``."""
        later = mapping.backward(crack_points(after))
        points = np.concatenate([crack_points(before), later[np.isfinite(later).all(axis=1)]])
        return cls(points)

    def at(self, points: Float64, reach_px: float) -> tuple[Float64, Float64]:
        """Return, at points (N, 2), the direction away from the nearest crack (N, 2), and that
        point of the crack (N, 2).

        The direction is a unit vector times a factor that fades from 1 on the crack over
        ``reach_px``.
        """
        if not len(self.points):
            return np.zeros_like(points), points
        distance, index = KDTree(self.points).query(points)
        nearest = self.points[index]
        fade = np.exp(-((distance / reach_px) ** 2))
        away = (points - nearest) * (fade / np.maximum(distance, 1e-6))[:, None]
        return away, nearest


def crack_points(levels: Levels) -> Float64:
    """Return the mean (N, 2) of the crack pixels of each cell that has any, in px."""
    rows, cols = levels.shape
    if levels.cracks is None:
        return np.zeros((0, 2))
    high = max(CELL_PX, STRIP_PX // cols // CELL_PX * CELL_PX)
    found = []
    for row in range(0, rows, high):
        strip = Window(row, 0, min(high, rows - row), cols)
        y, x = np.nonzero(levels.cracks.read(strip) == CRACK)
        cells = (y // CELL_PX) * (cols // CELL_PX + 1) + x // CELL_PX
        _, index, counts = np.unique(cells, return_inverse=True, return_counts=True)
        sums = np.column_stack([np.bincount(index, part) for part in (x + 0.5, y + row + 0.5)])
        found.append(sums / counts[:, None])
    return np.concatenate(found)
