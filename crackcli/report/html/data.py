"""The data of the page: what its scripts read, as JSON.

A page that is opened from a folder cannot fetch files, so each file of data is a script of one
call, ``crackcli.receive(NAME, DATA)``, that the page loads by its address. Its arguments are JSON,
in ASCII and without ``<``, ``>`` and ``&``: a name in it is text wherever it is read.

Coordinates are those of pixel edges, x right and y down, in `FINENESS` of a pixel. A line is its
first point and the steps from each point to the next.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine

from crackcli.arrays import Floats
from crackcli.cracks.crack import Crack
from crackcli.detectability.assessment import areas_of
from crackcli.files import write_text
from crackcli.report.html.classes import Classes
from crackcli.report.html.tiles import Pyramid
from crackcli.report.tables.columns import Row
from crackcli.report.tables.limit_columns import EXCLUDED, parts_of
from crackcli.report.tables.rows import (
    SceneCracks,
    centrelines,
    drawn_lines,
    drawn_rows,
    rows,
    scene_row,
)
from crackcli.report.tables.severity_columns import FIELDS, SeverityProfiles
from crackcli.texts import printable

FINENESS = 4  # steps of coordinates per pixel
SIMPLIFIED_PX = 0.35  # largest deviation of a line on the page
SAMPLES = 160  # of a width profile, at most
CRACK, JOINT, REJECTED, DRAWN = range(4)  # kinds of lines
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}
TABLE = (  # columns of the page's table, of all lines
    *("scene", "id", "kind", "length", "width", "sigma"),
    *("class", "possibly", "x", "y", "direction"),
)
DETAILS = (  # columns of the tables that the page shows of each crack
    *("length_px", "length_mm", "width_max_px", "width_max_unc_px"),
    *("width_max_mm", "width_max_unc_mm", "width_mean_px", "width_mean_mm"),
    *("width_median_px", "width_median_mm", "width_p95_px", "width_p95_mm"),
    *("width_method", "orientation_deg", "tortuosity", "n_branches", "score", "confidence"),
    *("joint_likelihood", "measurable", "detect_limit_px", "detect_limit_mm"),
    *("touches_edge", "touches_nodata", "review", "note"),
    *("width_max_col", "width_max_row", "min_col", "min_row", "max_col", "max_row"),
)
SCENE_DETAILS = (
    *("file", "acquired_utc", "rows", "cols", "gsd_mm", "gsd_unc_mm", "scale_source"),
    *("n_cracks", "n_joints", "n_rejected", "n_drawn", "total_length_px", "total_length_mm"),
    *("width_max_px", "width_max_mm", "not_assessable_pct", "detect_limit_px", "detect_limit_mm"),
    *("model", "model_sha256", "method", "threshold", "mask_sha256", "run_id", "statement"),
)


def write_data(path: Path, name: str, data: Any) -> None:
    """Write a file of data that the page receives under a name."""
    text = json.dumps(clean(data), separators=(",", ":"), allow_nan=False).translate(ESCAPES)
    write_text(path, f'crackcli.receive("{name}",{text});\n')


def clean(value: Any) -> Any:
    """Return JSON in which texts are printable and numbers that are unknown are null."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {printable(str(name)): clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one) for one in value]
    return value


def lines_of(table: SceneCracks, profiles: SeverityProfiles) -> list[tuple[int, Row, Any]]:
    """Return kind, row and geometry of all lines of a scene: cracks, joints, rejected ones and
    those that people drew."""
    found: list[tuple[int, Row, Any]] = []
    measured: list[tuple[Sequence[Crack], int]] = [
        (table.counted, CRACK),
        (table.joints, JOINT),
        (table.rejected, REJECTED),
    ]
    for cracks, kind in measured:
        known = rows(table, cracks, profiles)
        found += zip([kind] * len(known), known, centrelines(cracks), strict=True)
    for layer in ("cracks", "joints"):
        known = drawn_rows(table, profiles, layer)
        found += zip([DRAWN] * len(known), known, drawn_lines(table, layer), strict=True)
    return found


def table_row(number: int, kind: int, row: Row, line: Any, classes: Classes) -> list[Any]:
    """Return a line of scene ``number`` as a row of the page's table, by `TABLE`."""
    unit = classes.unit
    of_class, possibly = classes.class_of(row)
    x, y = row["width_max_col"], row["width_max_row"]
    if x is None:
        x, y = shapely.get_coordinates(line)[0]
    return [
        number,
        row["crack_id"],
        kind,
        short(row[f"length_{unit}"]),
        short(row[f"width_max_{unit}"]),
        short(row[f"width_max_unc_{unit}"]),
        of_class,
        int(possibly),
        round(float(x)),
        round(float(y)),
        None if row["orientation_deg"] is None else round(row["orientation_deg"]),
    ]


def short(value: float | None) -> float | None:
    """Return a number with four digits."""
    return None if value is None else float(f"{value:.4g}")


def encoded(line: Any) -> list[list[int]]:
    """Return the parts of a MultiLineString, each as first point and steps."""
    parts = shapely.get_parts(shapely.simplify(line, SIMPLIFIED_PX, preserve_topology=False))
    found = []
    for part in parts:
        points = np.rint(shapely.get_coordinates(part) * FINENESS).astype(np.int64)
        if len(points):
            steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int64))
            found.append(steps.ravel().tolist())
    return found


def scene_data(
    table: SceneCracks, lines: Sequence[tuple[int, Row, Any]], profiles: SeverityProfiles
) -> dict[str, Any]:
    """Return what the page shows of a scene beside its photograph."""
    grades = [[f"sev_{one.column}_{field}" for field in FIELDS] for one in profiles]
    return {
        "lines": [encoded(line) for _, _, line in lines],
        "names": DETAILS,
        "details": [[row[name] for name in DETAILS] for _, row, _ in lines],
        "grade_names": list(FIELDS),
        "grades": [[[row[name] for name in names] for names in grades] for _, row, _ in lines],
        "areas": areas_without_limit(table),
    }


def areas_without_limit(table: SceneCracks) -> list[dict[str, Any]]:
    """Return where no crack would be seen, or the user looked at nothing: reason and rings in whole
    pixels."""
    found = []
    if table.assessed is not None:
        without = [area for area in areas_of(table.assessed) if area.detection_px is None]
        for reason in sorted({area.reason for area in without}):
            windows = [area.window for area in without if area.reason == reason]
            boxes = [shapely.box(w.col, w.row, w.end_col, w.end_row) for w in windows]
            found.append({"reason": reason, "rings": rings_of(shapely.union_all(boxes))})
    excluded = parts_of(table.scene.record.excluded)
    if excluded:
        found.append({"reason": EXCLUDED, "rings": rings_of(shapely.union_all(excluded))})
    return found


def rings_of(areas: Any) -> list[list[int]]:
    """Return the rings of polygons, outer and inner ones, each as x, y, x, y and so on."""
    polygons = [one for one in shapely.get_parts(areas) if one.geom_type == "Polygon"]
    return [
        np.rint(shapely.get_coordinates(ring)).astype(int).ravel().tolist()
        for polygon in polygons
        for ring in (polygon.exterior, *polygon.interiors)
    ]


def profile_data(table: SceneCracks) -> dict[str, Any]:
    """Return by crack the width along it and its standard uncertainty, in pixels: samples of
    distance, width and uncertainty; of long cracks, means of neighbours."""
    found = {}
    for crack in (*table.cracks, *table.joints):
        profile = crack.widths.profile
        if profile is None or not np.isfinite(profile.width_px).any():
            continue
        step = -(-len(profile.width_px) // SAMPLES)
        along = np.arange(len(profile.width_px)) + 0.5  # samples are about 1 px apart
        values = (along, profile.width_px, profile.sigma_px)
        found[crack.id] = [means(one, step).round(2).tolist() for one in values]
    return found


def means(values: Floats, step: int) -> Floats:
    """Return the means of each ``step`` values, without those that are nan; nan of nothing else."""
    padded = np.pad(values, (0, -len(values) % step), constant_values=np.nan).reshape(-1, step)
    known = np.isfinite(padded)
    counts = np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    return np.asarray(np.where(known, padded, 0).sum(axis=1) / counts)


def scene_facts(
    table: SceneCracks, folder: str, pyramid: Pyramid, profiles: SeverityProfiles
) -> dict[str, Any]:
    """Return the entry of a scene in the list of the page."""
    row = scene_row(table, profiles)
    shape = table.scene.ground_pixel.shape
    return {
        "name": table.scene.name,
        "folder": folder,
        "px_per_mm": None if table.scale is None else px_per_mm(table, shape.sides[0]),
        "north_deg": north_deg(table.scene.transform) if table.scene.crs_wkt else None,
        "levels": pyramid.levels,
        "left_out": pyramid.left_out,
        **{name: row[name] for name in SCENE_DETAILS},
    }


def px_per_mm(table: SceneCracks, width: float) -> float:
    """Return the pixels of a millimetre along a row, whose pixels are ``width`` times the side of
    a square as large."""
    assert table.scale is not None
    return 1 / (table.scale.mm_per_px * width)


def north_deg(transform: Affine) -> float:
    """Return the direction of grid north in the photograph, in degrees clockwise from up."""
    back = ~transform
    return round(math.degrees(math.atan2(back.b, -back.e)), 1)
