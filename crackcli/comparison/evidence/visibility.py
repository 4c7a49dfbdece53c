"""What a photograph could have shown: whether a crack of the other one would have been found there.

A crack that only one photograph shows is new, or gone, only if the other one could have shown it.
It is hidden there if its place is outside that photograph or nodata, if the alignment is not
trusted, if the photograph is not assessable there, if the crack is narrower than the detection
limit, or if the scan saw something there that stayed below its threshold (faint).

Two photographs of one state (`benchmarks/repeatability.py`): at nine of ten samples of cracks that
only one scan found, the score of the other was `FAINT` of its threshold or more; at three of four
places without a crack it was less.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from crackcli.arrays import Bools, Float64
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import NODATA, SCORE_MAX, Band
from crackcli.scenes.frames import Geometries
from crackcli.scenes.scene import Scene

FAINT = 0.5  # of the threshold of the scan
TILE_PX = 2048  # scores are read in windows of this side


class Hidden(StrEnum):
    """Why a photograph could not have shown a crack."""

    SHOWN = ""
    OUTSIDE = "outside"  # or nodata
    UNALIGNED = "not aligned"
    NOT_ASSESSABLE = "not assessable"
    BELOW_LIMIT = "below the detection limit"
    FAINT = "faint"


# The rest of the same crack was found beside it, so its surroundings can be assessed, and cracks as
# fine are found there; the score alone tells whether it went on.
CONTINUES = (Hidden.SHOWN, Hidden.BELOW_LIMIT, Hidden.NOT_ASSESSABLE)


@dataclass(frozen=True, eq=False)
class Visibility:
    """Detection limits and scores of a scanned photograph.

    ``areas`` (A,) are boxes in px of pixel edges with the detection limits ``limits_px`` (A,), nan
    where not assessable; empty if the report has none, as without the photograph.
    """

    scene: Scene
    areas: Geometries = field(default_factory=lambda: np.zeros(0, object))
    limits_px: Float64 = field(default_factory=lambda: np.zeros(0))

    @property
    def known(self) -> bool:
        """Whether the report has detection limits."""
        return len(self.areas) > 0

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Index of the areas."""
        return shapely.STRtree(self.areas)

    def limit_at(self, points: Float64) -> Float64:
        """Return the detection limit (N,) at points (N, 2); inf where there is none, nan where the
        report has none at all."""
        if not self.known:
            return np.full(len(points), np.nan)
        found = np.full(len(points), np.inf)
        index, area = self.tree.query(shapely.points(points), "intersects")
        limits = np.nan_to_num(self.limits_px[area], nan=np.inf)
        found[index] = limits
        return found

    def inside(self, points: Float64) -> Bools:
        """Return the points (N, 2) inside the photograph."""
        size = self.scene.cols, self.scene.rows
        return np.asarray(((points >= 0) & (points < size)).all(axis=1))

    def scores(self, points: Float64, reach_px: float) -> Float64:
        """Return the highest score, 0 to 1, within ``reach_px`` of points (N, 2) inside the
        photograph; nan where the point itself is nodata."""
        found = np.zeros(len(points))
        reach = math.ceil(reach_px)
        place = np.floor(points).astype(int)
        tiles = place // TILE_PX
        with Band(self.scene.score) as band:
            for tile in np.unique(tiles, axis=0):
                own = np.flatnonzero((tiles == tile).all(axis=1))
                low = np.maximum(place[own].min(axis=0) - reach, 0)
                high = np.minimum(
                    place[own].max(axis=0) + reach + 1, (self.scene.cols, self.scene.rows)
                )
                values = band.read(Window(low[1], low[0], high[1] - low[1], high[0] - low[0]))
                col, row = (place[own] - low).T
                scores = np.where(values == NODATA, 0, values)
                highest = maximum_filter(scores, 2 * reach + 1)[row, col] / SCORE_MAX
                found[own] = np.where(values[row, col] == NODATA, np.nan, highest)
        return found

    def reasons(
        self, points: Float64, width_px: Float64, aligned: Bools, reach_px: float
    ) -> NDArray[np.object_]:
        """Return the reason (N,) why a crack of a width (N,) would not be found at points (N, 2) in
        px of this photograph, `Hidden.SHOWN` where it would be. A width of nan is no reason."""
        reasons = np.full(len(points), Hidden.SHOWN, object)
        inside = self.inside(points)
        threshold = self.scene.record.threshold
        scores = np.full(len(points), np.nan)
        scores[inside] = self.scores(points[inside], reach_px)
        limit = self.limit_at(points)
        reasons[width_px < limit] = Hidden.BELOW_LIMIT
        reasons[np.isinf(limit)] = Hidden.NOT_ASSESSABLE
        if threshold is not None:
            reasons[scores >= FAINT * threshold] = Hidden.FAINT
        reasons[~aligned] = Hidden.UNALIGNED
        reasons[~inside | np.isnan(scores)] = Hidden.OUTSIDE
        return reasons


def most_common(reasons: NDArray[np.object_]) -> Hidden:
    """Return the commonest reason, or `Hidden.SHOWN` if that holds for half or more."""
    if not len(reasons) or np.mean(reasons == Hidden.SHOWN) >= 0.5:
        return Hidden.SHOWN
    names, counts = np.unique(reasons[reasons != Hidden.SHOWN].astype(str), return_counts=True)
    return Hidden(str(names[np.argmax(counts)]))
