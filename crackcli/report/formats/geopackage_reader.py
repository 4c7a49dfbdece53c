"""Reads the GeoPackage of a report: lines, their values, and the frame of each scene.

It is read as an SQLite file, not by GDAL, which would open whatever else a file of this name is or
refers to.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from crackcli.arrays import Float64
from crackcli.errors import InputError
from crackcli.report.tables.columns import COLUMNS, GEOPACKAGE, Row
from crackcli.report.tables.width_table import COLUMNS as WIDTH_COLUMNS
from crackcli.scenes.areas.geometry_blob import shape_of
from crackcli.scenes.frames import Geometries
from crackcli.sqlite_files import is_sqlite, quoted, reading, tables

LINES = ("cracks", "joints")  # layers of centrelines
WIDTHS = "width_profiles"  # a table
# Columns that reports of earlier versions lack; reading a report does not require them.
NEWER = {
    *("asset_id", "campaign_id", "area_width_px", "area_width_mm2", "relevance_sum", "note"),
    *("detect_limit_px", "detect_limit_mm", "measure_limit_px", "measure_limit_mm", "measurable"),
    "confidence",
}


@dataclass(frozen=True, eq=False)
class Recorded:
    """Cracks, or joints, of one scene read from a report: centrelines (N,) in map or local
    coordinates, and values (N,) by column."""

    geometries: Geometries
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer: its name, its rows without id and geometry, its geometries (None: of no simple
    kind), and the SQL type of each column of the rows."""

    name: str
    rows: list[Row]
    shapes: list[shapely.Geometry | None]
    types: dict[str, str]

    @property
    def kind(self) -> str:
        """Return the name without its number: "cracks" for cracks_2."""
        return kind_of(self.name)


def kind_of(layer: str) -> str:
    """Return the name of a layer without its number: "cracks" for cracks_2."""
    stem, _, number = layer.rpartition("_")
    return stem if stem and number.isdigit() else layer


def read(folder: Path) -> dict[str, dict[str, Recorded]]:
    """Read the "cracks" and the "joints" of a report, by scene; scenes without any are missing.

    Raises `InputError` if the folder has no readable report.
    """
    path = folder / GEOPACKAGE
    if not path.exists():
        raise InputError(f"{folder}: contains no {GEOPACKAGE}; run crackcli report {folder} first")
    found: dict[str, dict[str, Recorded]] = {kind: {} for kind in LINES}
    wanted = tuple(name for name in COLUMNS if name not in NEWER)
    for kind, geometries, columns in read_lines(path, wanted, f"crackcli report {folder}"):
        for scene in np.unique(columns["scene_id"].astype(str)):
            own = columns["scene_id"] == scene
            chosen = {name: values[own] for name, values in columns.items()}
            found[kind][str(scene)] = Recorded(geometries[own], chosen)
    return found


def read_lines(
    path: Path, wanted: Sequence[str], command: str
) -> list[tuple[str, Geometries, dict[str, NDArray[Any]]]]:
    """Read the centrelines of a report's GeoPackage: for each layer "cracks" or "joints", its
    geometries (N,), and the ``wanted`` columns (N,).

    Raises `InputError` that names the ``command`` to run if the file is not of a report.
    """
    found = []
    with errors_of(path, f"run {command} again"):
        for layer in read_layers(path, LINES):
            missing = sorted(set(wanted) - set(layer.types))
            if missing:
                raise InputError(f"{path}: lacks {', '.join(missing)}; run {command} again")
            columns = {
                name: values_of((row[name] for row in layer.rows), COLUMNS[name]) for name in wanted
            }
            found.append((layer.kind, np.array(layer.shapes, dtype=object), columns))
    return found


def read_widths(folder: Path) -> dict[str, NDArray[Any]]:
    """Read the table ``width_profiles`` of a report, by column; empty if the report has none."""
    path = folder / GEOPACKAGE
    with errors_of(path, f"run crackcli report {folder} again"), reading(path) as file:
        if WIDTHS not in tables(file):
            return {}
        about = file.execute(f"PRAGMA table_info({WIDTHS})").fetchall()
        names = [name for _, name, _, _, _, key in about if not key]
        found = {}
        for name in names:  # one by one: there are millions of rows
            read = file.execute(f"SELECT {quoted(name)} FROM {WIDTHS} ORDER BY rowid")
            found[name] = values_of((value for (value,) in read), WIDTH_COLUMNS.get(name, str))
        return found


def read_limits(folder: Path) -> dict[str, tuple[Geometries, Float64]]:
    """Read the layers ``measurability`` of a report: by scene its areas (A,), in map or local
    coordinates, and their detection limits in px, nan where not assessable."""
    path = folder / GEOPACKAGE
    found: dict[str, tuple[Geometries, Float64]] = {}
    with errors_of(path, f"run crackcli report {folder} again"):
        for layer in read_layers(path, ("measurability",)):
            names = values_of((row["scene_id"] for row in layer.rows), str).astype(str)
            limits = values_of((row["detect_limit_px"] for row in layer.rows), float)
            shapes = np.array(layer.shapes, dtype=object)
            for scene in np.unique(names):
                found[str(scene)] = shapes[names == scene], limits[names == scene]
    return found


@contextlib.contextmanager
def errors_of(path: Path, remedy: str) -> Iterator[None]:
    """Turn errors in reading a GeoPackage into an `InputError` that ends in ``remedy``."""
    if not is_sqlite(path):
        raise InputError(f"{path}: cannot be read (no GeoPackage); {remedy}")
    try:
        yield
    except (sqlite3.Error, shapely.errors.GEOSException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read ({reason}); {remedy}") from error


def read_layers(path: Path, kinds: Sequence[str]) -> list[Layer]:
    """Read the layers of these ``kinds``; errors are those of `sqlite3`."""
    found = []
    with reading(path) as file:
        query = "SELECT table_name, column_name FROM gpkg_geometry_columns ORDER BY table_name"
        for name, geometry in file.execute(query).fetchall():
            if kind_of(name) not in kinds:
                continue
            about = file.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
            types = {column: kind for _, column, kind, *_ in about}
            columns = ", ".join(map(quoted, types))
            read = file.execute(f"SELECT {columns} FROM {quoted(name)}").fetchall()
            rows: list[Row] = [dict(zip(types, row, strict=True)) for row in read]
            shapes = [shape_of(row.pop(geometry)) for row in rows]
            keys = [column for _, column, _, _, _, key in about if key]
            for key in keys:
                for row in rows:
                    del row[key]
            for column in (geometry, *keys):
                del types[column]
            found.append(Layer(name, rows, shapes, types))
    return found


def values_of(values: Iterable[object], kind: type) -> NDArray[Any]:
    """Return the values of one column (N,): texts, or numbers; nan stands for unknown ones and for
    what is no number."""
    if kind is str:
        return np.array([*values], dtype=object)
    numbers = (value if isinstance(value, int | float) else np.nan for value in values)
    return np.fromiter(numbers, np.float64)


def read_transforms(path: Path) -> dict[str, Affine]:
    """Return the transforms from pixel edges to the coordinates of a GeoPackage, by scene; none for
    reports of earlier versions."""
    try:
        with reading(path) as file:
            rows = file.execute("SELECT scene_id, transform FROM reports").fetchall()
        return {scene: Affine(*json.loads(transform)) for scene, transform in rows if transform}
    except (sqlite3.Error, ValueError, TypeError):
        return {}


def mm_per_px(rows: Iterable[Row]) -> float | None:
    """Return the scale of a report by the longest of its rows; None if it had none."""
    known = [row for row in rows if row.get("length_mm") and row.get("length_px")]
    longest = max(known, key=lambda row: row["length_px"], default=None)
    return None if longest is None else float(longest["length_mm"] / longest["length_px"])


def read_report_ids(path: Path) -> set[str]:
    """Return the `report_id` of each report in a GeoPackage; none for those of earlier versions."""
    try:
        with reading(path) as file:
            return {name for (name,) in file.execute("SELECT report_id FROM reports") if name}
    except sqlite3.Error:
        return set()
