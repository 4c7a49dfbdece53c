"""Cracks as others see them: rows of a table and features of a map.

The columns are one literal table, used by every format.  ``_px`` columns always hold numbers,
their ``_mm`` and ``_mm2`` twins only where the scene has a scale.  Geometries are built in pixel
coordinates (of edges) and then placed in a frame: the map's, WGS 84, or the wall's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from crackcli.assessment import Assessed
from crackcli.centerline import Numbers
from crackcli.cracks import Crack
from crackcli.limit_features import crack_limits, scene_limits
from crackcli.raster import to_wgs84
from crackcli.scale import Scale
from crackcli.scene import Scene
from crackcli.statements import Told, statement

SIMPLIFIED_PX = 0.1  # how far a written centreline may stray from the measured one
LEAST_DECIMALS = {"wgs84": 10}  # 1e-10 degrees are 0.01 mm on the ground; else 3
CHUNK = 200_000  # points that are handed to PROJ at once

COLUMNS: dict[str, type] = {
    "crack_id": str,
    "scene_id": str,
    "length_px": float,
    "length_mm": float,
    "main_length_px": float,
    "main_length_mm": float,
    "area_px": int,
    "area_mm2": float,
    "width_mean_px": float,
    "width_mean_mm": float,
    "width_median_px": float,
    "width_median_mm": float,
    "width_p95_px": float,
    "width_p95_mm": float,
    "width_max_px": float,
    "width_max_mm": float,
    "width_max_col": float,  # where, in pixels; whole numbers are pixel centres
    "width_max_row": float,
    "width_max_x": float,  # the same place in the units of the map, or of the local frame
    "width_max_y": float,
    "width_method": str,
    "orientation_deg": float,
    "tortuosity": float,
    "n_branches": int,
    "n_junctions": int,
    "n_endpoints": int,
    "min_col": int,  # first and last pixels, all within the crack's box
    "min_row": int,
    "max_col": int,
    "max_row": int,
    "score": float,
    "joint_likelihood": float,
    "touches_edge": bool,
    "touches_nodata": bool,
    "review": str,
    "detect_limit_px": float,  # the narrowest crack that is seen along it, nine of ten times
    "detect_limit_mm": float,
    "measure_limit_px": float,  # and that is measured
    "measure_limit_mm": float,
    "measurable": bool,  # false: narrower than that, and its widths are upper bounds
}

# The three measures of severity of the study (arXiv 2309.11267) are n_cracks, total_area and
# width_max: cracks per patch, their area, and the largest width.
SCENE_COLUMNS: dict[str, type] = {
    "scene_id": str,
    "file": str,
    "rows": int,
    "cols": int,
    "gsd_mm": float,
    "scale_source": str,
    "n_cracks": int,
    "total_length_px": float,
    "total_length_mm": float,
    "total_area_px": int,
    "total_area_mm2": float,
    "area_fraction": float,  # of what is not no data
    "width_max_px": float,
    "width_max_mm": float,
    "worst_crack_id": str,
    "n_joints": int,  # set aside: in no other column of this row
    "joints_length_px": float,
    "joints_length_mm": float,
    "assessed_px": int,
    "model": str,
    "model_sha256": str,
    "method": str,
    "threshold": float,
    "not_assessable_pct": float,  # of assessed_px
    "detect_limit_px": float,  # from this width on cracks are seen on 90 % of the assessable wall
    "detect_limit_mm": float,
    "measure_limit_px": float,  # and measured
    "measure_limit_mm": float,
    "statement": str,
}

# Where scene.json tells these facts of a scan.
FACTS: dict[str, tuple[str, ...]] = {
    "file": ("source", "file"),
    "model": ("scored", "engine", "model"),
    "model_sha256": ("scored", "engine", "model_sha256"),
    "method": ("scored", "engine", "method"),
    "threshold": ("threshold",),
}

Row = dict[str, Any]
Geometries = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class SceneCracks:
    """What was traced in one scene, cracks and lines that are likely joints apart, and what turns
    both into rows and features.  ``joints`` are `Crack` too: they were measured like cracks."""

    scene: Scene
    scale: Scale | None
    cracks: Sequence[Crack]
    assessed_px: int
    joints: Sequence[Crack] = ()
    assessed: Assessed | None = None  # None: the photograph is not at hand


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

    def place_points(self, points: Numbers) -> Numbers:
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


def apply(transform: Affine, points: Numbers) -> Numbers:
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


def centrelines(cracks: Sequence[Crack]) -> Geometries:
    """The centrelines as MultiLineStrings, in coordinates of pixel edges."""
    lines = [line for crack in cracks for line in crack.centreline]
    points = np.concatenate([*lines, np.zeros((0, 2))]) + 0.5
    ends = np.cumsum([0, *map(len, lines)])
    parts = np.cumsum([0, *(len(crack.centreline) for crack in cracks)])
    kind = shapely.GeometryType.MULTILINESTRING
    exact = shapely.from_ragged_array(kind, points, (ends, parts))
    return shapely.simplify(exact, SIMPLIFIED_PX, preserve_topology=False)


def areas(cracks: Sequence[Crack]) -> Geometries:
    """The outlines as MultiPolygons, in coordinates of pixel edges."""
    return np.array([crack.outline for crack in cracks], dtype=object)


def rows(table: SceneCracks, cracks: Sequence[Crack]) -> list[Row]:
    """``cracks`` of a scene, or its joints, as rows by `COLUMNS`; None is unknown."""
    if not cracks:
        return []
    places = np.array([crack.widths.max_at for crack in cracks])
    placed = map_frame(table.scene, table.scale).place_points(places + 0.5)
    mapped = zip(cracks, placed.tolist(), strict=True)
    return [row_of(crack, table, x, y) for crack, (x, y) in mapped]


def row_of(crack: Crack, table: SceneCracks, x: float, y: float) -> Row:
    widths = crack.widths
    min_col, min_row, max_col, max_row = crack.bbox
    lengths = {
        "length": crack.length_px,
        "main_length": crack.main_length_px,
        "width_mean": widths.mean_px,
        "width_median": widths.median_px,
        "width_p95": widths.p95_px,
        "width_max": widths.max_px,
    }
    known = {
        "crack_id": crack.id,
        "scene_id": table.scene.name,
        **{f"{name}_px": round(value, 3) for name, value in lengths.items()},
        **{f"{name}_mm": in_mm(value, table.scale) for name, value in lengths.items()},
        "area_px": crack.area_px,
        "area_mm2": in_mm2(crack.area_px, table.scale),
        "width_max_col": round(widths.max_at[0], 2),
        "width_max_row": round(widths.max_at[1], 2),
        "width_max_x": x,
        "width_max_y": y,
        "width_method": widths.method,
        "orientation_deg": round(crack.orientation_deg, 2),
        "tortuosity": round(crack.tortuosity, 4),
        "n_branches": crack.branches,
        "n_junctions": crack.junctions,
        "n_endpoints": crack.endpoints,
        "min_col": min_col,
        "min_row": min_row,
        "max_col": max_col,
        "max_row": max_row,
        "score": rounded(crack.score, 4),
        "joint_likelihood": rounded(crack.joint_likelihood, 4),
        "touches_edge": crack.touches_edge,
        "touches_nodata": crack.touches_nodata,
        "review": "unreviewed",
        **crack_limits(table.assessed, table.scale, crack.centreline, widths.median_px),
    }
    return {name: known[name] for name in COLUMNS}


def told(table: SceneCracks) -> Told:
    """What a scene adds to a statement."""
    mm_per_px = table.scale.mm_per_px if table.scale else None
    return Told(len(table.cracks), mm_per_px, table.assessed, len(table.joints))


def scene_row(table: SceneCracks) -> Row:
    """The row of a scene by `SCENE_COLUMNS`; None is unknown."""
    scene, scale, cracks = table.scene, table.scale, table.cracks
    worst = max(cracks, key=lambda crack: crack.widths.max_px, default=None)
    length = sum((crack.length_px for crack in cracks), 0.0)
    joints_length = sum((crack.length_px for crack in table.joints), 0.0)
    area = sum(crack.area_px for crack in cracks)
    known = {
        "scene_id": scene.name,
        "rows": scene.rows,
        "cols": scene.cols,
        "gsd_mm": scale.mm_per_px if scale else None,
        "scale_source": scale.source if scale else None,
        "n_cracks": len(cracks),
        "total_length_px": rounded(length, 3),
        "total_length_mm": in_mm(length, scale),
        "total_area_px": area,
        "total_area_mm2": in_mm2(area, scale),
        "area_fraction": rounded(area / table.assessed_px if table.assessed_px else None, 8),
        "width_max_px": rounded(worst.widths.max_px if worst else None, 3),
        "width_max_mm": in_mm(worst.widths.max_px, scale) if worst else None,
        "worst_crack_id": worst.id if worst else None,
        "n_joints": len(table.joints),
        "joints_length_px": rounded(joints_length, 3),
        "joints_length_mm": in_mm(joints_length, scale),
        "assessed_px": table.assessed_px,
        **{name: fact(scene.record, name) for name in FACTS},
        **scene_limits(table.assessed, scale),
        "statement": statement([told(table)]),
    }
    return {name: known[name] for name in SCENE_COLUMNS}


def rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


def in_mm(value_px: float, scale: Scale | None) -> float | None:
    return round(value_px * scale.mm_per_px, 4) if scale else None


def in_mm2(value_px: float, scale: Scale | None) -> float | None:
    return round(value_px * scale.mm_per_px**2, 4) if scale else None


def fact(record: Row, name: str) -> Any:
    """What ``scene.json`` says by `FACTS`; None if it does not say."""
    found: Any = record
    for step in FACTS[name]:
        found = found.get(step) if isinstance(found, dict) else None
    return found
