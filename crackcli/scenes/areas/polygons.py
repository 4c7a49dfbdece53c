"""Read polygons from GeoJSON and GeoPackage files of people."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from shapely.geometry import shape

from crackcli.errors import InputError
from crackcli.files import kind_of
from crackcli.rasters.ground.crs import check_crs, crs_of_code
from crackcli.scenes.areas.geometry_blob import shape_of
from crackcli.sqlite_files import is_sqlite, quoted, reading

MAX_BYTES = 200 * 1024**2  # of a GeoJSON file, which is held in memory
MAX_POINTS = 1_000_000  # of all polygons of a file
LAYER = "|layername="  # between a file and a layer of it, as QGIS writes it
WGS84 = "EPSG:4326"  # of GeoJSON that states no other
SCENE_NAMES = ("scene", "scene_id")  # of the property that restricts a polygon to one scene
Found = tuple[shapely.Geometry | None, str]  # a geometry, and the scene that it is for
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)


class Kinds(NamedTuple):
    """Geometries that are wanted from a file, and the types of their layers in a GeoPackage."""

    name: str
    types: tuple[str, ...]


POLYGONS = Kinds(
    "polygons", ("POLYGON", "MULTIPOLYGON", "CURVEPOLYGON", "MULTISURFACE", "GEOMETRY")
)


@dataclass(frozen=True, eq=False)
class AreaPolygon:
    """A polygon in coordinates of its file, and the scene that it is for; "": for all."""

    polygon: shapely.Geometry
    scene: str


@dataclass(frozen=True, eq=False)
class AreaFile:
    """The polygons of one file, and the CRS that it states; None if it states none."""

    name: str
    crs_wkt: str | None
    polygons: list[AreaPolygon]


def read_area_file(source: str) -> AreaFile:
    """Read the polygons of a GeoJSON file, or of a GeoPackage or one layer of it
    (``areas.gpkg|layername=windows``).

    Raises `InputError` if it cannot be read or contains anything but valid polygons.
    """
    crs_wkt, found = read_geometries(source, POLYGONS)
    areas = [
        AreaPolygon(checked(source, number, one), scene)
        for number, (one, scene) in enumerate(found, start=1)
        if one is not None and not shapely.is_empty(one)
    ]
    if not areas:
        raise InputError(f"{source}: contains no polygon; draw one around each area")
    if sum(int(shapely.get_num_coordinates(area.polygon)) for area in areas) > MAX_POINTS:
        raise InputError(
            f"{source}: its polygons have more than {MAX_POINTS:,} corners; simplify them"
        )
    return AreaFile(source, crs_wkt, areas)


def read_geometries(source: str, kinds: Kinds) -> tuple[str | None, list[Found]]:
    """Return the CRS of a GeoJSON file, or of a GeoPackage or one layer of it, if it states one,
    and its geometries with their scenes.

    ``kinds`` says which layers of a GeoPackage are meant. Raises `InputError` if it cannot be read.
    """
    name, _, layer = source.partition(LAYER) if not Path(source).exists() else (source, "", "")
    path = Path(name)
    try:
        kind = kind_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    if kind != "file":
        raise InputError(
            f"{path}: is a {kind}; give a GeoJSON or GeoPackage file with {kinds.name}"
        )
    return read_layer(path, layer, kinds) if is_sqlite(path) else read_geojson(path)


def checked(source: str, number: int, found: shapely.Geometry) -> shapely.Geometry:
    """Return a geometry in two dimensions; raises `InputError` if it is no valid polygon."""
    where = f"{source}: geometry {number}"
    if not isinstance(found, shapely.Polygon | shapely.MultiPolygon):
        raise InputError(f"{where} is a {type(found).__name__}; give polygons only")
    flat = shapely.force_2d(found)
    if not np.isfinite(shapely.get_coordinates(flat)).all():
        raise InputError(f"{where} has a corner that is not finite; draw it again")
    if not shapely.is_valid(flat):
        reason = shapely.is_valid_reason(flat)
        raise InputError(
            f"{where} is no valid polygon ({reason}); mend it (in QGIS: Fix geometries)"
        )
    return flat


def read_geojson(path: Path) -> tuple[str | None, list[Found]]:
    """Return the CRS of a GeoJSON file, if it states one, and its geometries with their scenes."""
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: is larger than {MAX_BYTES >> 20} MB; simplify its polygons")
    try:
        facts = json.loads(path.read_text(encoding="utf-8-sig"))
        with np.errstate(invalid="ignore"):  # such corners are refused later
            features = list(features_of(facts))
        crs = facts.get("crs")
        stated = None if crs is None else str(crs["properties"]["name"])
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); change its permissions"
        ) from error
    except (*DAMAGED, RecursionError, shapely.errors.ShapelyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: is neither GeoJSON nor a GeoPackage, or damaged ({reason}); export it again"
        ) from error
    if stated is None:
        return None, features
    try:
        return crs_of_code(stated), features
    except ValueError as error:
        raise InputError(
            f"{path}: its coordinate reference system {stated!r} is unknown; export it in WGS 84"
        ) from error


def features_of(facts: Any) -> Iterator[Found]:
    """Yield the geometries of a GeoJSON object with the scenes that they are for."""
    kind = facts["type"]
    if kind == "FeatureCollection":
        for feature in facts["features"]:
            yield from features_of(feature)
    elif kind == "Feature":
        geometry = facts["geometry"]
        scene = scene_of(facts.get("properties") or {})
        yield (None if geometry is None else shape(geometry)), scene
    else:
        yield shape(facts), ""


def scene_of(values: dict[str, Any]) -> str:
    """Return the scene that the properties of a polygon restrict it to, or ""."""
    return next((str(values[name]) for name in SCENE_NAMES if values.get(name)), "")


def read_layer(path: Path, layer: str, kinds: Kinds) -> tuple[str | None, list[Found]]:
    """Return the CRS of a layer of these ``kinds``, and its geometries with their scenes; of the
    only one if none is named."""
    try:
        with reading(path) as file:
            known = file.execute(
                "SELECT table_name, column_name, srs_id, geometry_type_name "
                "FROM gpkg_geometry_columns ORDER BY table_name"
            ).fetchall()
            layers = {row[0]: row for row in known if str(row[3]).upper() in kinds.types}
            if layer:
                layers = {name: row for name, row in layers.items() if name == layer}
            if len(layers) != 1:
                raise InputError(layers_text(path, layer, list(layers), kinds.name))
            ((table, geometry, srs_id, _),) = layers.values()
            rows = file.execute(f"SELECT * FROM {quoted(table)}")
            columns = [name for name, *_ in rows.description]
            found: list[Found] = []
            for row in rows.fetchmany(MAX_POINTS + 1):
                values = dict(zip(columns, row, strict=True))
                blob = values.pop(geometry)
                shape_found = shape_of(blob)
                if blob is not None and shape_found is None:
                    raise InputError(
                        f"{path}: geometry {len(found) + 1} of {table} cannot be read, as a curve; "
                        "make it a polygon (in QGIS: Segmentize)"
                    )
                found.append((shape_found, scene_of(values)))
            crs = file.execute(
                "SELECT definition FROM gpkg_spatial_ref_sys WHERE srs_id = ?", (srs_id,)
            ).fetchone()
    except (sqlite3.Error, KeyError, shapely.errors.ShapelyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); export it again") from error
    if srs_id in (0, -1) or crs is None:  # undefined
        return None, found
    try:
        check_crs(str(crs[0]))
    except ValueError as error:
        raise InputError(
            f"{path}: the coordinate reference system of {table} cannot be read; export it in "
            "WGS 84"
        ) from error
    return str(crs[0]), found


def layers_text(path: Path, layer: str, names: list[str], wanted: str) -> str:
    """Return the error for a GeoPackage without the one layer that is ``wanted``."""
    if layer:
        return f"{path}: has no layer of {wanted} named {layer}; check the name"
    if not names:
        return f"{path}: has no layer of {wanted}; give a file with one"
    return (
        f"{path}: has several layers of {wanted} ({', '.join(names)}); name one: "
        f"{path}{LAYER}{names[0]}"
    )
