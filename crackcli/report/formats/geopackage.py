"""GeoPackage, the reference file: cracks in map coordinates.

Layers: ``cracks`` (centrelines), ``crack_areas`` (outlines), ``joints`` (centrelines) and
``measurability`` (rectangles with detection and quantification limits). A layer has one CRS, so
scenes in another CRS than the first go to ``cracks_2``, ``crack_areas_2`` and ``joints_2``, and so
on. Scenes without a map have an undefined Cartesian CRS and local coordinates: millimetres (pixels
without a scale), x right and y up from the lower left corner of the photograph.

Tables: ``width_profiles``, the width along each crack (x and y in the CRS of its layer);
``severity_profiles``, the limits and caveats of grades; both only if there are any; ``reports``,
the masks that the report was made from; and ``layer_styles``, from which QGIS takes default styles.
"""

import contextlib
import shutil
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyogrio import list_layers, raw, read_info
from pyogrio.errors import DataLayerError, DataSourceError

from crackcli.cracks.crack import Crack
from crackcli.detectability.assessment import areas_of
from crackcli.errors import InputError, OutputError
from crackcli.files import atomic_write, temporary_folder
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
from crackcli.sqlite_files import is_sqlite, reading

LINES = ("cracks", "joints")  # layers of centrelines
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
# Columns that reports of earlier versions lack; reading a report does not require them.
NEWER = {
    *("asset_id", "campaign_id", "area_width_px", "area_width_mm2", "relevance_sum", "note"),
    *("detect_limit_px", "detect_limit_mm", "measure_limit_px", "measure_limit_mm", "measurable"),
    "confidence",
}
REPORT_COLUMNS: dict[str, type] = {
    "scene_id": str,
    "report_id": str,
    "run_id": str,
    "mask_sha256": str,
    "width_window_px": float,
    "gsd_mm": float,
}
KINDS = {str: object, float: np.float64, int: np.int32, bool: np.bool_}


@dataclass(frozen=True, eq=False)
class Recorded:
    """Cracks, or joints, of one scene read from a report: centrelines (N,) in map or local
    coordinates, and values (N,) by column."""

    geometries: Geometries
    columns: dict[str, NDArray[Any]]


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """Write ``cracks.gpkg`` with the cracks and joints of all scenes; return its path.

    It grows in a local temporary folder and is copied when complete: SQLite locks files, which
    network drives do not always support.
    """
    path = folder / GEOPACKAGE
    numbers: dict[tuple[str | None, str], int] = {}
    with temporary_folder() as local:
        grown = local / GEOPACKAGE
        try:
            for table in tables:
                frame = map_frame(table.scene, table.scale)
                number = numbers.setdefault((frame.crs_wkt, frame.space), len(numbers) + 1)
                append_scene(grown, table, frame, "" if number == 1 else f"_{number}", profiles)
            if profiles:
                about = arrays(profile_rows(profiles), PROFILE_COLUMNS)
                append_table(grown, "severity_profiles", about)
            add_styles(grown, profiles)
        except (DataSourceError, DataLayerError, sqlite3.Error) as error:
            raise OutputError(
                f"{local}: cannot be written ({error}); free space there, or set TMPDIR to "
                "another folder"
            ) from error
        with atomic_write(path) as aside:
            shutil.copyfile(grown, aside)
    return [path]


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
            kind = "crack_areas" if layer.startswith("crack_areas") else layer.partition("_")[0]
            graded = kind in ("cracks", "crack_areas")
            own = profiles if graded else ()
            name, qml = style_name(own) if graded else kind, layer_style(kind, own)
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


def read_widths(folder: Path) -> dict[str, NDArray[Any]]:
    """Read the table ``width_profiles`` of a report, by column; empty if the report has none."""
    path = folder / GEOPACKAGE
    with reading_layers(path, f"crackcli report {folder}") as layers:
        if "width_profiles" not in layers:
            return {}
        facts, _, _, columns = raw.read(path, layer="width_profiles", read_geometry=False)
        return dict(zip(facts["fields"], columns, strict=True))


def read_limits(folder: Path) -> dict[str, tuple[Geometries, NDArray[np.float64]]]:
    """Read the layers ``measurability`` of a report: by scene its areas (A,), in map or local
    coordinates, and their detection limits in px, nan where not assessable."""
    path = folder / GEOPACKAGE
    found: dict[str, tuple[Geometries, NDArray[np.float64]]] = {}
    with reading_layers(path, f"crackcli report {folder}") as layers:
        for layer in layers:
            if layer.partition("_")[0] != "measurability":
                continue
            wanted = ["scene_id", "detect_limit_px"]
            facts, _, shapes, fields = raw.read(path, layer=layer, columns=wanted)
            columns = dict(zip(facts["fields"], fields, strict=True))
            geometries = shapely.from_wkb(shapes)
            names = columns["scene_id"].astype(str)
            for scene in np.unique(names):
                own = names == scene
                limits = columns["detect_limit_px"][own].astype(np.float64)
                found[str(scene)] = geometries[own], limits
    return found


def read_report_ids(path: Path) -> set[str]:
    """Return the `report_id` of each report in a GeoPackage; none for those of earlier versions."""
    try:
        with reading(path) as file:
            return {name for (name,) in file.execute("SELECT report_id FROM reports") if name}
    except sqlite3.Error:
        return set()


def read_lines(
    path: Path, wanted: Sequence[str], command: str
) -> list[tuple[str, Geometries, dict[str, NDArray[Any]]]]:
    """Read the centrelines of a report's GeoPackage: for each layer "cracks" or "joints", its
    geometries (N,), and the ``wanted`` columns (N,).

    Raises `InputError` that names the ``command`` to run if the file is not of a report.
    """
    found = []
    with reading_layers(path, command) as layers:
        for layer in layers:
            kind = layer.partition("_")[0]  # "cracks" for cracks_2
            if kind not in LINES:
                continue
            missing = sorted(set(wanted) - set(read_info(path, layer=layer)["fields"]))
            if missing:
                raise InputError(f"{path}: lacks {', '.join(missing)}; run {command} again")
            facts, _, shapes, fields = raw.read(path, layer=layer, columns=list(wanted))
            columns = dict(zip(facts["fields"], fields, strict=True))
            found.append((kind, shapely.from_wkb(shapes), columns))
    return found


@contextlib.contextmanager
def reading_layers(path: Path, command: str) -> Iterator[list[str]]:
    """Yield the names of the layers of a report's GeoPackage; what fails within raises
    `InputError` that names the ``command`` to run."""
    if not is_sqlite(path):  # GDAL would open whatever else the file names
        raise InputError(f"{path}: cannot be read (no GeoPackage); run {command} again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of GDAL, for other files
            yield [str(layer) for layer in list_layers(path)[:, 0]]
    except (DataSourceError, DataLayerError, shapely.errors.GEOSException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read ({reason}); run {command} again") from error
