"""A sketch of a photograph, to find quickly which photographs show the same part of a wall."""

from dataclasses import dataclass

from crackcli.registration.coarse.features import (
    Features,
    Search,
    find_features,
)
from crackcli.registration.coarse.search import is_likely, match_found
from crackcli.registration.levels import Levels, Photograph

SEARCH = Search(500, 3000, 0.9)


@dataclass(frozen=True, eq=False)
class Sketch:
    """Features of a photograph of ``shape`` (rows, cols) at low resolution."""

    features: Features
    shape: tuple[int, int]
    px: float  # px of the photograph for one of the reduced one

    @classmethod
    def of(cls, photograph: Photograph) -> "Sketch":
        """Return the sketch of an open raster."""
        levels = Levels(photograph, None)
        level = levels.of_side(SEARCH.side_px)
        return cls(find_features(level, SEARCH.features), levels.shape, float(level.px.mean()))


def common_points(before: Sketch, after: Sketch) -> int:
    """Return how many points two photographs have in common, by a plausible map; 0 without."""
    homography, points = match_found(
        before.features, after.features, SEARCH.ratio, after.shape, after.px
    )
    return len(points) if is_likely(homography, points, before.shape) else 0
