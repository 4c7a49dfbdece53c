"""What can be seen and measured, as values of columns: along a crack, on a scene, in each area."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from crackcli.arrays import Float64
from crackcli.detectability.assessment import Area, Assessed
from crackcli.scenes.scale import Scale, in_mm

Row = dict[str, Any]

AREA_COLUMNS: dict[str, type] = {
    "scene_id": str,
    "detect_limit_px": float,
    "detect_limit_mm": float,
    "measure_limit_px": float,
    "measure_limit_mm": float,
    "assessable": bool,
    "reason": str,  # why it is not
    "valid_px": int,
}


def in_both(name: str, value_px: float | None, scale: Scale | None) -> Row:
    """A length in pixels and, with a scale, in millimetres; None is unknown."""
    if value_px is None:
        return {f"{name}_px": None, f"{name}_mm": None}
    return {f"{name}_px": round(value_px, 3), f"{name}_mm": in_mm(value_px, scale)}


def crack_limits(
    assessed: Assessed | None,
    scale: Scale | None,
    centreline: Sequence[Float64],
    width_px: float,
) -> Row:
    """The limits where a crack lies, and whether its usual width ``width_px`` can be measured."""
    detect, measure = None, None
    if assessed is not None:
        detect, measure = assessed.limits_along(np.concatenate(centreline))
    measurable = None if assessed is None else measure is not None and width_px >= measure
    return {
        **in_both("detect_limit", detect, scale),
        **in_both("measure_limit", measure, scale),
        "measurable": measurable,
    }


def scene_limits(assessed: Assessed | None, scale: Scale | None) -> Row:
    """The limits of a scene as a whole, and how much of it is not assessable."""
    share = None
    if assessed is not None and assessed.assessed_px:
        share = round(100 * assessed.not_assessable_px / assessed.assessed_px, 2)
    return {
        "not_assessable_pct": share,
        "not_assessable_m2": not_assessable_m2(assessed, scale),
        **in_both("detect_limit", assessed.detection_limit_px if assessed else None, scale),
        **in_both("measure_limit", assessed.quantification_limit_px if assessed else None, scale),
    }


def not_assessable_m2(assessed: Assessed | None, scale: Scale | None) -> float | None:
    """How much of a scene is not assessable; None without a scale, or where it is not known."""
    if assessed is None or scale is None:
        return None
    return round(assessed.not_assessable_px * scale.mm_per_px**2 / 1e6, 6)


def area_rows(scene: str, scale: Scale | None, areas: Sequence[Area]) -> list[Row]:
    """Areas on which about the same can be seen, as rows by `AREA_COLUMNS`."""
    return [
        {
            "scene_id": scene,
            **in_both("detect_limit", area.detection_px, scale),
            **in_both("measure_limit", area.quantification_px, scale),
            "assessable": not area.reason,
            "reason": area.reason,
            "valid_px": area.valid_px,
        }
        for area in areas
    ]


def boxes(areas: Sequence[Area]) -> NDArray[np.object_]:
    """The areas as Polygons, in coordinates of pixel edges."""
    sides = [(w.col, w.row, w.end_col, w.end_row) for w in (area.window for area in areas)]
    return shapely.box(*np.array(sides, np.float64).reshape(-1, 4).T)
