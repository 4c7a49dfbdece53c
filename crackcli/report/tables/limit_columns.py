"""Detection and quantification limits as values of columns: per crack, scene and area."""

from collections.abc import Sequence

import numpy as np
import shapely

from crackcli.arrays import Float64
from crackcli.detectability.assessment import Area, Assessed
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.report.tables.columns import Row
from crackcli.scenes.frames import Geometries
from crackcli.scenes.scale import Scale, in_mm

EXCLUDED = "excluded by the user"  # a reason
AREA_COLUMNS: dict[str, type] = {
    "scene_id": str,
    "detect_limit_px": float,
    "detect_limit_mm": float,
    "measure_limit_px": float,
    "measure_limit_mm": float,
    "assessable": bool,
    "reason": str,  # why it is not assessable
    "valid_px": int,  # unknown where it was excluded
}


def length_columns(name: str, value_px: float | None, scale: Scale | None) -> Row:
    """Return a length in pixels and, with a scale, in millimetres; None is unknown."""
    if value_px is None:
        return {f"{name}_px": None, f"{name}_mm": None}
    return {f"{name}_px": round(value_px, 3), f"{name}_mm": in_mm(value_px, scale)}


def crack_limits(
    assessed: Assessed | None,
    scale: Scale | None,
    centreline: Sequence[Float64],
    width_px: float,
) -> Row:
    """Return the limits along a crack, and whether its median width ``width_px`` is measurable."""
    detect, measure = None, None
    if assessed is not None:
        detect, measure = assessed.limits_along(np.concatenate(centreline))
    measurable = None if assessed is None else measure is not None and width_px >= measure
    return {
        **length_columns("detect_limit", detect, scale),
        **length_columns("measure_limit", measure, scale),
        "measurable": measurable,
    }


def scene_limits(assessed: Assessed | None, scale: Scale | None) -> Row:
    """Return the limits of a scene, and how much of it is not assessable."""
    percent = None
    if assessed is not None and assessed.assessed_px:
        percent = round(100 * assessed.not_assessable_px / assessed.assessed_px, 2)
    return {
        "not_assessable_pct": percent,
        "not_assessable_m2": not_assessable_m2(assessed, scale),
        **length_columns("detect_limit", assessed.detection_limit_px if assessed else None, scale),
        **length_columns(
            "measure_limit", assessed.quantification_limit_px if assessed else None, scale
        ),
    }


def not_assessable_m2(assessed: Assessed | None, scale: Scale | None) -> float | None:
    """Return the area of a scene without a detection limit; None if unknown or without a scale."""
    if assessed is None or scale is None:
        return None
    return round(assessed.not_assessable_px * scale.mm_per_px**2 / 1e6, 6)


def area_rows(
    scene: str,
    scale: Scale | None,
    areas: Sequence[Area],
    excluded: ExcludedAreas | None = None,
) -> list[Row]:
    """Return areas with about the same limits, and excluded ones, as rows by `AREA_COLUMNS`."""
    without = length_columns("detect_limit", None, scale) | length_columns(
        "measure_limit", None, scale
    )
    found: list[Row] = [
        {
            "scene_id": scene,
            **length_columns("detect_limit", area.detection_px, scale),
            **length_columns("measure_limit", area.quantification_px, scale),
            "assessable": not area.reason,
            "reason": area.reason,
            "valid_px": area.valid_px,
        }
        for area in areas
    ]
    return found + [
        {"scene_id": scene, **without, "assessable": False, "reason": EXCLUDED, "valid_px": None}
        for _ in parts_of(excluded)
    ]


def parts_of(excluded: ExcludedAreas | None) -> list[shapely.Geometry]:
    """Return excluded areas as Polygons, in coordinates of pixel edges."""
    return [] if excluded is None else list(shapely.get_parts(excluded.polygons))


def area_polygons(areas: Sequence[Area], excluded: ExcludedAreas | None = None) -> Geometries:
    """Return the areas, and excluded ones, as Polygons, in coordinates of pixel edges."""
    windows = [area.window for area in areas]
    boxes = [shapely.box(w.col, w.row, w.end_col, w.end_row) for w in windows]
    return np.array([*boxes, *parts_of(excluded)], dtype=object)
