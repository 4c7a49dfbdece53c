"""Copies styles, layers and tables of people from one GeoPackage of a report to the next.

A style is ours if its description ends with the digest of its QML (`style_description`); one that
was changed or added in QGIS is kept, as the default if it was that. Columns that people added are
added again, with the values of `crackcli.report.people.placing`.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from crackcli.sqlite_files import quoted, tables

STYLES = "layer_styles"
OURS = ("width_profiles", "severity_profiles", "reports", STYLES)
OUR_LAYERS = ("cracks", "crack_areas", "joints", "measurability")
CONTENTS = ("gpkg_contents", "gpkg_geometry_columns", "gpkg_ogr_contents")
DIGITS = 12  # of a digest


def style_description(name: str, qml: str) -> str:
    """Return the description of a style of ours."""
    return f"crackcli: {name} [{hashlib.sha256(qml.encode()).hexdigest()[:DIGITS]}]"


def is_ours(description: str | None, qml: str | None, owner: str | None) -> bool:
    """Return True for a style that a report wrote and nobody changed; of reports that stored no
    digest, for each that names crackcli as its owner."""
    text = description or ""
    if not text.endswith("]"):
        return owner == "crackcli" and text.startswith("crackcli: ")
    return text.endswith(style_description("", qml or "").rpartition(" ")[2])


def is_our_table(name: str) -> bool:
    """Return True for the name of a layer or table that a report writes."""
    stem, _, number = name.rpartition("_")
    return name in (*OURS, *OUR_LAYERS) or (stem in OUR_LAYERS and number.isdigit())


def copy_tables(earlier: Path, grown: Path) -> tuple[list[str], list[str]]:
    """Copy styles, layers and tables of people into the new file ``grown``.

    Returns the names of those copied, and of those that could not be.
    """
    with connected(grown) as file:
        file.execute("ATTACH ? AS earlier", (str(earlier),))
        with file:
            styles = copy_styles(file)
            layers, left = copy_layers(file)
        return [*styles, *layers], left


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that can change rows, but no geometry: triggers of a GeoPackage name
    functions that only GDAL has."""
    with closing(sqlite3.connect(path)) as file:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: None)
        yield file


def copy_styles(file: sqlite3.Connection) -> list[str]:
    """Copy the styles of people; a style of ours of the same name is replaced."""
    known = file.execute("SELECT 1 FROM earlier.sqlite_master WHERE name = ?", (STYLES,)).fetchone()
    if known is None:
        return []
    columns = [row[1] for row in file.execute(f"PRAGMA main.table_info({STYLES})")]
    old = {row[1] for row in file.execute(f"PRAGMA earlier.table_info({STYLES})")}
    shared = [name for name in columns if name in old and name != "id"]
    found = file.execute(f"SELECT {', '.join(shared)} FROM earlier.{STYLES}").fetchall()
    names = []
    for row in found:
        style = dict(zip(shared, row, strict=True))
        if is_ours(style["description"], style["styleQML"], style["owner"]):
            continue
        place = (style["f_table_name"], style["styleName"])
        file.execute(f"DELETE FROM {STYLES} WHERE f_table_name = ? AND styleName = ?", place)
        if style["useAsDefault"]:
            file.execute(
                f"UPDATE {STYLES} SET useAsDefault = 0 WHERE f_table_name = ?",
                place[:1],
            )
        marks = ", ".join("?" * len(shared))
        file.execute(f"INSERT INTO {STYLES} ({', '.join(shared)}) VALUES ({marks})", row)
        names.append(f"style '{style['styleName']}' of {style['f_table_name']}")
    return names


def copy_layers(file: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """Copy the layers and tables of people; return the names of those copied, and of those whose
    CRS has a number that stands for another one in the new file."""
    query = "SELECT name, sql FROM earlier.sqlite_master WHERE type = 'table' ORDER BY name"
    found = {
        name: sql
        for name, sql in file.execute(query).fetchall()
        if sql and not name.startswith(("sqlite_", "gpkg_", "rtree_")) and not is_our_table(name)
    }
    file.execute(
        "INSERT OR IGNORE INTO gpkg_spatial_ref_sys SELECT * FROM earlier.gpkg_spatial_ref_sys"
    )
    clash = """SELECT table_name FROM earlier.gpkg_geometry_columns
        JOIN earlier.gpkg_spatial_ref_sys AS old USING (srs_id)
        JOIN main.gpkg_spatial_ref_sys AS new USING (srs_id)
        WHERE old.definition != new.definition"""
    left = {name for (name,) in file.execute(clash).fetchall()} & found.keys()
    for name, sql in found.items():
        if name in left:
            continue
        if name not in tables(file):
            file.execute(sql)
        file.execute(f"INSERT INTO main.{quoted(name)} SELECT * FROM earlier.{quoted(name)}")
        for table in CONTENTS:
            file.execute(
                f"INSERT OR IGNORE INTO main.{table} "
                f"SELECT * FROM earlier.{table} WHERE table_name = ?",
                (name,),
            )
    return [f"table {name}" for name in found.keys() - left], [f"table {name}" for name in left]


def add_columns(grown: Path, columns: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Add the columns of people, by name and SQL type, to the layers of cracks and joints, with
    their ``values`` by crack id and column."""
    if not columns:
        return
    with connected(grown) as file, file:
        for layer in tables(file):
            if layer.rstrip("0123456789").rstrip("_") not in ("cracks", "joints"):
                continue
            for name, kind in columns.items():
                file.execute(f"ALTER TABLE {quoted(layer)} ADD COLUMN {quoted(name)} {kind}")
            for crack, row in values.items():
                for name in columns.keys() & row.keys():
                    file.execute(
                        f"UPDATE {quoted(layer)} SET {quoted(name)} = ? WHERE crack_id = ?",
                        (row[name], crack),
                    )
