"""Shapefiles, for programs that read nothing newer, in a folder of their own.

The names of their fields have at most ten characters, so they are short ones that keep the unit
(`crackcli.report.tables.labels`): ``wmax_mm`` is ``width_max_mm``. Coordinates are those of the
GeoPackage; layers of another CRS end in ``_2`` and so on here too. Texts are UTF-8, cut to 254
bytes.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyogrio import raw
from pyogrio.errors import DataLayerError, DataSourceError

from crackcli.errors import OutputError
from crackcli.report.formats.geopackage import Numbers, arrays, layer_suffix, lines
from crackcli.report.tables.columns import COLUMNS, Row
from crackcli.report.tables.labels import short_name
from crackcli.report.tables.rows import SceneCracks, areas, drawn_rows, rows
from crackcli.report.tables.severity_columns import SeverityProfiles, crack_columns
from crackcli.scenes.frames import Frame, Geometries, map_frame

FOLDER = "shapefiles"  # in the folder of the report; each layer is four or five files
ENCODING = "UTF-8"


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """Write the layers ``cracks``, ``crack_areas`` and ``joints`` of all scenes as shapefiles;
    return the paths of their ``.shp``."""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    numbers: Numbers = {}
    columns = COLUMNS | crack_columns(profiles)
    paths: dict[Path, None] = {}
    for table in tables:
        frame = map_frame(table.scene)
        suffix = layer_suffix(frame, numbers)
        found = rows(table, table.cracks, profiles)
        drawn, beside = drawn_rows(table, profiles), drawn_rows(table, kind="joints")
        for name, kind, shapes, about, fields in (
            ("cracks", "LineString", lines(table, table.cracks, "cracks"), found + drawn, columns),
            ("crack_areas", "Polygon", areas(table.cracks), found, columns),
            (
                *("joints", "LineString", lines(table, table.joints, "joints")),
                *(rows(table, table.joints) + beside, COLUMNS),
            ),
        ):
            path = target / f"{name}{suffix}.shp"
            append(path, kind, frame, shapes, about, fields, profiles)
            paths[path] = None
    return [*paths]


def append(
    path: Path,
    kind: str,
    frame: Frame,
    geometries: Geometries,
    found: list[Row],
    columns: dict[str, type],
    profiles: SeverityProfiles,
) -> None:
    """Append features of one scene to a shapefile; ``geometries`` are in pixel coordinates."""
    values = arrays(found, columns)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # as intended
            warnings.filterwarnings("ignore", "(?s).*has been truncated")  # to 254 bytes
            raw.write(
                path,
                shapely.to_wkb(frame.from_pixels(geometries)),
                [plain(one) for one in values.values()],
                [short_name(name, profiles) for name in columns],
                field_mask=[np.ma.getmaskarray(one) for one in values.values()],
                driver="ESRI Shapefile",
                geometry_type=kind,
                crs=frame.crs_wkt,
                append=path.exists(),
                encoding=ENCODING,
            )
    except (DataSourceError, DataLayerError) as error:
        raise OutputError(
            f"{path}: cannot be written ({error}); free space, or leave --format shp out"
        ) from error


def plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return values without truth values, which a shapefile cannot hold: 1 is true."""
    known = np.asarray(values)
    return known.astype(np.int32) if known.dtype == bool else known
