"""GeoPackage, the reference file: cracks in the coordinates of the map itself.

Layers ``cracks`` (centrelines), ``crack_areas`` (outlines), ``joints`` (centrelines of what was
set aside) and ``measurability`` (rectangles, with the narrowest crack that can be seen there).  A
layer has one CRS, so scenes in another CRS than the first go to ``cracks_2``,
``crack_areas_2`` and ``joints_2``, and so on.  Scenes without a map have an undefined Cartesian CRS
and local coordinates: millimetres (pixels without a scale), x right and y up from the lower left
corner of the photograph.

Beside the layers there are tables: ``width_profiles``, the width all along each crack (x and y in
the CRS of its layer), ``severity_profiles``, by which cracks are graded, with their caveats, both
only if there are such; and ``layer_styles``, which QGIS looks for.
"""

import contextlib
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from pyogrio import list_layers, raw, read_info
from pyogrio.errors import DataLayerError, DataSourceError

from crackcli.detectability.assessment import areas_of
from crackcli.errors import InputError, OutputError
from crackcli.files import atomic_write
from crackcli.report.columns import COLUMNS
from crackcli.report.formats.qgis_style import name_of, style
from crackcli.report.limit_columns import AREA_COLUMNS, area_rows, boxes
from crackcli.report.rows import Row, SceneCracks, areas, centrelines, rows
from crackcli.report.severity_columns import (
    PROFILE_COLUMNS,
    SeverityProfiles,
    crack_columns,
    profile_rows,
)
from crackcli.report.width_table import width_profiles
from crackcli.scenes.frames import Frame, Geometries, map_frame

NAME = "cracks.gpkg"
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
# Columns that reports of earlier versions lack; what reads a report back does without them.
NEWER = {
    *("asset_id", "campaign_id", "area_width_px", "area_width_mm2", "relevance_sum", "note"),
    *("detect_limit_px", "detect_limit_mm", "measure_limit_px", "measure_limit_mm", "measurable"),
}
KINDS = {str: object, float: np.float64, int: np.int32, bool: np.bool_}


@dataclass(frozen=True, eq=False)
class Recorded:
    """Cracks, or joints, of one scene as a report tells them: centrelines in map or local
    coordinates, and their properties by column."""

    geometries: Geometries
    columns: dict[str, NDArray]


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """``cracks.gpkg`` with the cracks and joints of all scenes.

    It grows in a local folder for temporary files and is copied when whole: SQLite locks files,
    which network drives do not always bear.
    """
    path = folder / NAME
    columns = COLUMNS | crack_columns(profiles)
    numbers: dict[tuple[str | None, str], int] = {}
    with tempfile.TemporaryDirectory(prefix="crackcli-") as local:
        grown = Path(local) / NAME
        try:
            for table in tables:
                frame = map_frame(table.scene, table.scale)
                number = numbers.setdefault((frame.crs_wkt, frame.space), len(numbers) + 1)
                suffix = "" if number == 1 else f"_{number}"
                properties = rows(table, table.cracks, profiles)
                graded = arrays(properties, columns)
                joints = arrays(rows(table, table.joints), COLUMNS)  # which are not graded
                for layer, geometries, kind, about in (
                    ("cracks", centrelines(table.cracks), "MultiLineString", graded),
                    ("crack_areas", areas(table.cracks), "MultiPolygon", graded),
                    ("joints", centrelines(table.joints), "MultiLineString", joints),
                ):
                    append(grown, layer + suffix, kind, frame, geometries, about)
                widths = width_profiles(table, [*table.cracks, *table.joints])
                if len(widths["crack_id"]):
                    append_table(grown, "width_profiles", widths)
                if table.assessed is not None:
                    found = areas_of(table.assessed)
                    limits = arrays(area_rows(table.scene.name, table.scale, found), AREA_COLUMNS)
                    layer = f"measurability{suffix}"
                    append(grown, layer, "Polygon", frame, boxes(found), limits)
            if profiles:
                about = arrays(profile_rows(profiles), PROFILE_COLUMNS)
                append_table(grown, "severity_profiles", about)
            add_styles(grown, profiles)
        except (DataSourceError, DataLayerError, sqlite3.Error) as error:
            raise OutputError(f"{path} cannot be written ({error}); free space") from error
        with atomic_write(path) as aside:
            shutil.copyfile(grown, aside)
    return [path]


def append(
    path: Path,
    layer: str,
    kind: str,
    frame: Frame,
    geometries: Geometries,
    columns: dict[str, NDArray],
) -> None:
    """Features of one scene, ``geometries`` in pixel coordinates, at the end of a layer."""
    options = {} if frame.crs_wkt else {"SRID": UNDEFINED_CARTESIAN}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # as is meant
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


def append_table(path: Path, name: str, columns: dict[str, NDArray]) -> None:
    """Rows without a geometry at the end of a table."""
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
    """The table ``layer_styles`` in the form that QGIS gives it, a default style for each layer."""
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
            name = name_of(own) if graded else kind
            file.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
                "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, "
                "owner, ui) VALUES ('', '', ?, ?, ?, ?, '', 1, ?, 'crackcli', NULL)",
                (layer, geometry, name, style(kind, own), f"crackcli: {name}"),
            )


def arrays(properties: list[Row], columns: dict[str, type]) -> dict[str, NDArray]:
    """Rows as arrays by column."""
    return {name: column(properties, name, kind) for name, kind in columns.items()}


def column(properties: list[Row], name: str, kind: type) -> NDArray:
    """The values of one column; an unknown number is nan, an unknown flag is masked, and both are
    written as null."""
    values = [row[name] for row in properties]
    if kind is float:
        values = [np.nan if value is None else value for value in values]
    if kind is bool:
        return np.ma.array(values, dtype=bool, mask=[value is None for value in values])
    return np.array(values, dtype=KINDS[kind])


def read(folder: Path) -> dict[str, dict[str, Recorded]]:
    """The "cracks" and the "joints" of a report, each by scene; scenes without any are missing.

    Raises `InputError` where the folder has no readable report.
    """
    path = folder / NAME
    if not path.exists():
        raise InputError(f"{folder} holds no {NAME}; run crackcli report {folder} first")
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
) -> list[tuple[str, Geometries, dict[str, NDArray]]]:
    """The centrelines of every layer of a report's file: "cracks" or "joints", their geometries
    (N,) and the ``wanted`` columns (N,).

    Raises `InputError` with the ``command`` that writes such a file where it is none.
    """
    found = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's, of a foreign file
            for layer in list_layers(path)[:, 0]:
                kind = str(layer).partition("_")[0]  # of cracks_2, too
                if kind not in LINES:
                    continue
                missing = sorted(set(wanted) - set(read_info(path, layer=layer)["fields"]))
                if missing:
                    raise InputError(f"{path} lacks {', '.join(missing)}; run {command} again")
                facts, _, shapes, fields = raw.read(path, layer=layer, columns=list(wanted))
                columns = dict(zip(facts["fields"], fields, strict=True))
                found.append((kind, shapely.from_wkb(shapes), columns))
    except (DataSourceError, DataLayerError, shapely.errors.GEOSException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read ({reason}); run {command} again") from error
    return found
