"""Scenes that show the same place of the map, so that each crack there counts twice.

Two versions of one orthophoto are an example, or the tiles of a mosaic beside the mosaic.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine

from crackcli.errors import InputError
from crackcli.rasters.ground.crs import to_wgs84
from crackcli.rasters.score_mask import NODATA, Band
from crackcli.scenes.frames import apply_affine
from crackcli.scenes.scene import Scene

log = logging.getLogger(__name__)

TRIFLE = 0.02  # fraction of the smaller scene that may lie on another one
CELLS = 96  # along the longer side of a scene, into which its valid pixels are divided
SHOWN = 5  # pairs that a warning names


class Overlap(NamedTuple):
    """Two scenes, and the fraction of the valid pixels of the smaller one that both show."""

    one: Scene
    other: Scene
    fraction: float


def warn_of_overlaps(scenes: Sequence[Scene]) -> None:
    """Log a warning that names the scenes which show the same place."""
    found = list(overlaps(scenes))
    for overlap in found[:SHOWN]:
        log.warning(
            "%s and %s show the same place (%.0f %% of the smaller one): cracks there count twice; "
            "keep one of them",
            *(overlap.one.name, overlap.other.name, 100 * overlap.fraction),
        )
    if len(found) > SHOWN:
        log.warning("%d other pairs of scenes show the same place, too", len(found) - SHOWN)


def overlaps(scenes: Sequence[Scene]) -> Iterator[Overlap]:
    """Yield the pairs of scenes on a map of which more than a `TRIFLE` shows the same place."""
    placed = [(scene, frame) for scene in scenes if (frame := outline(scene)) is not None]
    tree = shapely.STRtree([frame for _, frame in placed])
    valid = cache(lambda number: valid_area(placed[number][0]) or placed[number][1])
    for number, (scene, frame) in enumerate(placed):
        for found in sorted(map(int, tree.query(frame, predicate="intersects"))):
            other, other_frame = placed[found]
            if found > number and shared(frame, other_frame) > TRIFLE:
                fraction = shared(valid(number), valid(found))
                if fraction > TRIFLE:
                    yield Overlap(scene, other, fraction)


def shared(one: shapely.Geometry, other: shapely.Geometry) -> float:
    """Return the fraction of the smaller area that lies on the other one."""
    smaller = min(shapely.area(one), shapely.area(other))
    both = shapely.area(shapely.intersection(one, other))
    return float(both / smaller) if smaller else 0.0


def outline(scene: Scene) -> shapely.Geometry | None:
    """Return the outline of a scene in longitude and latitude; None if it has no place."""
    return on_map(scene, shapely.box(0, 0, scene.cols, scene.rows))


def valid_area(scene: Scene) -> shapely.Geometry | None:
    """Return the area of the valid pixels of a scene, in cells, in longitude and latitude; None if
    its mask cannot be read."""
    scale = CELLS / max(CELLS, scene.rows, scene.cols)
    rows, cols = max(1, round(scene.rows * scale)), max(1, round(scene.cols * scale))
    try:
        with Band(scene.mask) as mask:
            row, col = np.nonzero(mask.read_reduced(rows, cols) != NODATA)
    except InputError:
        return None
    cells = shapely.union_all(shapely.box(col, row, col + 1, row + 1))
    size = Affine.scale(scene.cols / cols, scene.rows / rows)
    return on_map(scene, shapely.transform(cells, lambda points: apply_affine(size, points)))


def on_map(scene: Scene, area: shapely.Geometry) -> shapely.Geometry | None:
    """Return an area in pixels in longitude and latitude; None if the scene has no place."""
    if scene.crs_wkt is None or scene.transform == Affine.identity():
        return None
    fine = shapely.segmentize(area, max(scene.rows, scene.cols) / 8)  # sides may be bent
    points = shapely.get_coordinates(fine)
    degrees = to_wgs84(scene.crs_wkt, *apply_affine(scene.transform, points).T)
    return None if degrees is None else shapely.set_coordinates(fine, np.transpose(degrees))
