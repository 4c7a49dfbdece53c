"""GeoPackage, the reference file: cracks in the coordinates of the map itself.

Layers ``cracks`` (centrelines), ``crack_areas`` (outlines), ``joints`` (centrelines of what was
set aside) and ``measurability`` (rectangles, with the narrowest crack that can be seen there).  A
layer has one CRS, so scenes in another CRS than the first go to ``cracks_2``,
``crack_areas_2`` and ``joints_2``, and so on.  Scenes without a map have an undefined Cartesian CRS
and local coordinates: millimetres (pixels without a scale), x right and y up from the lower left
corner of the photograph.
"""

import shutil
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

from crackcli.assessment import areas_of
from crackcli.errors import InputError, OutputError
from crackcli.features import (
    COLUMNS,
    Frame,
    Geometries,
    Row,
    SceneCracks,
    areas,
    centrelines,
    map_frame,
    rows,
)
from crackcli.files import written_aside
from crackcli.limit_features import AREA_COLUMNS, area_rows, boxes

NAME = "cracks.gpkg"
LINES = ("cracks", "joints")  # layers of centrelines
UNDEFINED_CARTESIAN = "-1"  # srs_id of a GeoPackage
KINDS = {str: object, float: np.float64, int: np.int32, bool: np.bool_}


@dataclass(frozen=True, eq=False)
class Recorded:
    """Cracks, or joints, of one scene as a report tells them: centrelines in map or local
    coordinates, and their properties by column."""

    geometries: Geometries
    columns: dict[str, NDArray]


def write(folder: Path, tables: Iterable[SceneCracks]) -> list[Path]:
    """``cracks.gpkg`` with the cracks and joints of all scenes.

    It grows in a local folder for temporary files and is copied when whole: SQLite locks files,
    which network drives do not always bear.
    """
    path = folder / NAME
    numbers: dict[tuple[str | None, str], int] = {}
    with tempfile.TemporaryDirectory(prefix="crackcli-") as local:
        grown = Path(local) / NAME
        try:
            for table in tables:
                frame = map_frame(table.scene, table.scale)
                number = numbers.setdefault((frame.crs_wkt, frame.space), len(numbers) + 1)
                suffix = "" if number == 1 else f"_{number}"
                properties, joints = rows(table, table.cracks), rows(table, table.joints)
                for layer, geometries, kind, about in (
                    ("cracks", centrelines(table.cracks), "MultiLineString", properties),
                    ("crack_areas", areas(table.cracks), "MultiPolygon", properties),
                    ("joints", centrelines(table.joints), "MultiLineString", joints),
                ):
                    append(grown, layer + suffix, kind, frame, geometries, about, COLUMNS)
                if table.assessed is not None:
                    found = areas_of(table.assessed)
                    about = area_rows(table.scene.name, table.scale, found)
                    layer = f"measurability{suffix}"
                    append(grown, layer, "Polygon", frame, boxes(found), about, AREA_COLUMNS)
        except (DataSourceError, DataLayerError) as error:
            raise OutputError(f"{path} cannot be written ({error}); free space") from error
        with written_aside(path) as aside:
            shutil.copyfile(grown, aside)
    return [path]


def append(
    path: Path,
    layer: str,
    kind: str,
    frame: Frame,
    geometries: Geometries,
    properties: list[Row],
    columns: dict[str, type],
) -> None:
    """Features of one scene, ``geometries`` in pixel coordinates, at the end of a layer."""
    options = {} if frame.crs_wkt else {"SRID": UNDEFINED_CARTESIAN}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # as is meant
        raw.write(
            path,
            shapely.to_wkb(frame.place(geometries)),
            [column(properties, name, columns[name]) for name in columns],
            list(columns),
            field_mask=[unknown(properties, name) for name in columns],
            layer=layer,
            driver="GPKG",
            geometry_type=kind,
            crs=frame.crs_wkt,
            append=path.exists(),
            layer_options=options,
        )


def column(properties: list[Row], name: str, kind: type) -> NDArray:
    """The values of one column; an unknown number is nan, which is written as null."""
    values = [row[name] for row in properties]
    if kind is float:
        values = [np.nan if value is None else value for value in values]
    return np.array(values, dtype=KINDS[kind])


def unknown(properties: list[Row], name: str) -> NDArray | None:
    """Where a flag is not known; None where all are."""
    gaps = np.array([row[name] is None for row in properties], bool)
    return gaps if gaps.any() else None


def read(folder: Path) -> dict[str, dict[str, Recorded]]:
    """The "cracks" and the "joints" of a report, each by scene; scenes without any are missing.

    Raises `InputError` where the folder has no readable report.
    """
    path = folder / NAME
    if not path.exists():
        raise InputError(f"{folder} holds no {NAME}; run crackcli report {folder} first")
    found: dict[str, dict[str, Recorded]] = {kind: {} for kind in LINES}
    for kind, geometries, columns in read_lines(path, tuple(COLUMNS), f"crackcli report {folder}"):
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
