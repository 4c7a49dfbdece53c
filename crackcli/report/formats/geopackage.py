"""GeoPackage, the reference file: cracks in map coordinates.

Layers: ``cracks`` (centrelines), ``crack_areas`` (outlines), ``joints`` (centrelines) and
``measurability`` (rectangles with detection and quantification limits). A layer has one CRS, so
scenes in another CRS than the first go to ``cracks_2``, ``crack_areas_2`` and ``joints_2``, and so
on. Scenes without a map have an undefined Cartesian CRS and pixels as coordinates, x right and y up
from the upper left corner of the photograph, as QGIS shows it.

Tables: ``width_profiles``, the width along each crack (x and y in the CRS of its layer);
``severity_profiles``, the limits and caveats of grades; both only if there are any; ``reports``,
the masks that the report was made from; and ``layer_styles``, from which QGIS takes default styles.
"""

import contextlib
import json
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyogrio import raw
from pyogrio.errors import DataLayerError, DataSourceError

from crackcli.cracks.crack import Crack
from crackcli.detectability.assessment import areas_of
from crackcli.errors import OutputError
from crackcli.files import atomic_write, temporary_folder
from crackcli.report.formats.geopackage_reader import kind_of
from crackcli.report.formats.qgis_style import layer_style, style_name
from crackcli.report.people.own_tables import style_description
from crackcli.report.tables.columns import COLUMNS, GEOPACKAGE, Row, rounded
from crackcli.report.tables.limit_columns import AREA_COLUMNS, area_polygons, area_rows
from crackcli.report.tables.rows import (
    SceneCracks,
    areas,
    centrelines,
    drawn_lines,
    drawn_rows,
    rows,
)
from crackcli.report.tables.severity_columns import (
    PROFILE_COLUMNS,
    SeverityProfiles,
    crack_columns,
    profile_rows,
)
from crackcli.report.tables.width_table import width_profiles
from crackcli.scenes.frames import Frame, Geometries, map_frame
from crackcli.sqlite_files import quoted

UNDEFINED_CARTESIAN = "-1"  # srs_id of a GeoPackage
LAYER_STYLES = """CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256),
    f_table_schema TEXT(256),
    f_table_name TEXT(256),
    f_geometry_column TEXT(256),
    styleName TEXT(30),
    styleQML TEXT,
    styleSLD TEXT,
    useAsDefault BOOLEAN,
    description TEXT,
    owner TEXT(30),
    ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)"""
REPORT_COLUMNS: dict[str, type] = {
    "scene_id": str,
    "report_id": str,
    "run_id": str,
    "mask_sha256": str,
    "width_window_px": float,
    "gsd_mm": float,
    "transform": str,  # pixel edges (col, row) to (x, y) of its layers, six numbers as JSON
}
VERSION = "1.2"  # of the GeoPackage; GDAL before 3.7 warns of later ones
Numbers = dict[tuple[str | None, str], int]  # of layers, by CRS and space
LAYER_ERRORS = (DataSourceError, DataLayerError, sqlite3.Error)  # of writing a GeoPackage
KINDS = {str: object, float: np.float64, int: np.int32, bool: np.bool_}


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """Write ``cracks.gpkg`` with the cracks and joints of all scenes; return its path."""
    path = folder / GEOPACKAGE
    numbers: Numbers = {}
    with growing(path) as grown:
        for table in tables:
            frame = map_frame(table.scene)
            append_scene(grown, table, frame, layer_suffix(frame, numbers), profiles)
        if profiles:
            about = arrays(profile_rows(profiles), PROFILE_COLUMNS)
            append_table(grown, "severity_profiles", about)
        add_styles(grown, profiles)
    return [path]


@contextlib.contextmanager
def growing(path: Path) -> Iterator[Path]:
    """Yield the path of a GeoPackage that grows in a local temporary folder, and copy it to
    ``path`` when it is complete: SQLite locks files, which network drives do not always support.

    Raises `OutputError` if it cannot be written.
    """
    with temporary_folder() as local:
        grown = local / path.name
        try:
            yield grown
        except LAYER_ERRORS as error:
            raise OutputError(
                f"{local}: cannot be written ({error}); free space there, or set TMPDIR to "
                "another folder"
            ) from error
        with atomic_write(path) as aside:
            shutil.copyfile(grown, aside)


def layer_suffix(frame: Frame, numbers: Numbers) -> str:
    """Return the end of the names of the layers for a frame; ``numbers`` has the earlier ones."""
    number = numbers.setdefault((frame.crs_wkt, frame.space), len(numbers) + 1)
    return "" if number == 1 else f"_{number}"


def append_scene(
    path: Path, table: SceneCracks, frame: Frame, suffix: str, profiles: SeverityProfiles
) -> None:
    """Append a scene to the layers whose names end with ``suffix``, and to the tables."""
    columns = COLUMNS | crack_columns(profiles)
    found = rows(table, table.cracks, profiles)
    graded = arrays(found + drawn_rows(table, profiles), columns)
    outlined = arrays(found, columns)
    beside = rows(table, table.joints) + drawn_rows(table, kind="joints")
    joints = arrays(beside, COLUMNS)  # not graded
    for layer, geometries, kind, about in (
        ("cracks", lines(table, table.cracks, "cracks"), "MultiLineString", graded),
        ("crack_areas", areas(table.cracks), "MultiPolygon", outlined),
        ("joints", lines(table, table.joints, "joints"), "MultiLineString", joints),
    ):
        append(path, layer + suffix, kind, frame, geometries, about)
    widths = width_profiles(table, [*table.cracks, *table.joints])
    if len(widths["crack_id"]):
        append_table(path, "width_profiles", widths)
    if table.assessed is not None:
        assessed, excluded = areas_of(table.assessed), table.scene.record.excluded
        limited = area_rows(table.scene.name, table.scale, assessed, excluded)
        limits, polygons = arrays(limited, AREA_COLUMNS), area_polygons(assessed, excluded)
        append(path, f"measurability{suffix}", "Polygon", frame, polygons, limits)
    append_table(path, "reports", arrays([report_row(table)], REPORT_COLUMNS))


def lines(table: SceneCracks, cracks: Sequence[Crack], kind: str) -> Geometries:
    """Return the centrelines of ``cracks`` and the lines that people drew in the layer ``kind``, in
    pixel coordinates."""
    return np.concatenate([centrelines(cracks), drawn_lines(table, kind)])


def report_row(table: SceneCracks) -> Row:
    """Return what a scene was reported from, by `REPORT_COLUMNS`."""
    known = asdict(table.identity) | {
        "scene_id": table.scene.name,
        "width_window_px": rounded(table.window_px, 3),
        "gsd_mm": table.scale.mm_per_px if table.scale else None,
        "transform": json.dumps(list(map_frame(table.scene).transform)[:6]),
    }
    return {name: known[name] for name in REPORT_COLUMNS}


def append(
    path: Path,
    layer: str,
    kind: str,
    frame: Frame,
    geometries: Geometries,
    columns: dict[str, NDArray[Any]],
) -> None:
    """Append features of one scene to a layer; ``geometries`` are in pixel coordinates."""
    options = {} if frame.crs_wkt else {"SRID": UNDEFINED_CARTESIAN}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # as intended
        raw.write(
            path,
            shapely.to_wkb(frame.from_pixels(geometries)),
            [np.asarray(values) for values in columns.values()],
            list(columns),
            field_mask=[np.ma.getmaskarray(values) for values in columns.values()],
            layer=layer,
            driver="GPKG",
            geometry_type=kind,
            crs=frame.crs_wkt,
            append=path.exists(),
            layer_options=options,
            dataset_options={} if path.exists() else {"VERSION": VERSION},
        )


def append_table(path: Path, name: str, columns: dict[str, NDArray[Any]]) -> None:
    """Append rows without a geometry to a table."""
    raw.write(
        path,
        None,
        list(columns.values()),
        list(columns),
        layer=name,
        driver="GPKG",
        append=True,
    )


def add_styles(path: Path, profiles: SeverityProfiles) -> None:
    """Add the table ``layer_styles`` of QGIS with a default style for each layer."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        (unscaled,) = file.execute("SELECT count(*) FROM reports WHERE gsd_mm IS NULL").fetchone()
    unit = "px" if unscaled else "mm"

    def style(layer: str, columns: list[str]) -> tuple[str, str]:
        kind = kind_of(layer)
        graded = kind in ("cracks", "crack_areas")
        own = profiles if graded else ()
        name = style_name(own, unit) if graded else kind
        return name, layer_style(kind, own, unit, columns)

    insert_styles(path, style)


def insert_styles(path: Path, style: Callable[[str, list[str]], tuple[str, str]]) -> None:
    """Add the table ``layer_styles`` with the name and QML that ``style`` returns for the name and
    the columns of each layer."""
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        layers = file.execute(
            "SELECT table_name, column_name FROM gpkg_geometry_columns"
        ).fetchall()
        file.execute(LAYER_STYLES)
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles')"
        )
        for layer, geometry in layers:
            columns = [row[1] for row in file.execute(f"PRAGMA table_info({quoted(layer)})")]
            name, qml = style(layer, [one for one in columns if one != geometry])
            file.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
                "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, "
                "owner, ui) VALUES ('', '', ?, ?, ?, ?, '', 1, ?, 'crackcli', NULL)",
                (layer, geometry, name, qml, style_description(name, qml)),
            )


def arrays(properties: list[Row], columns: dict[str, type]) -> dict[str, NDArray[Any]]:
    """Return rows as arrays by column."""
    return {name: column(properties, name, kind) for name, kind in columns.items()}


def column(properties: list[Row], name: str, kind: type) -> NDArray[Any]:
    """Return the values of one column; unknown ones are nan or masked, and are written as null."""
    values = [row[name] for row in properties]
    if kind is float:
        values = [np.nan if value is None else value for value in values]
    if kind in (bool, int):
        unknown = [value is None for value in values]
        filled = [0 if value is None else value for value in values]
        return np.ma.array(filled, dtype=KINDS[kind], mask=unknown)
    return np.array(values, dtype=KINDS[kind])
