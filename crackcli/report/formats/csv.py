"""CSV tables: UTF-8, a header, commas, decimal points; empty means unknown.

``cracks.csv`` has a row per crack and per line that people drew, ``scenes.csv`` a row per scene. A
table with grades ends with the column ``severity_caveats``.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from crackcli.errors import InputError
from crackcli.files import refuse_special, write_csv
from crackcli.report.tables.columns import COLUMNS, SCENE_COLUMNS, Row
from crackcli.report.tables.rows import SceneCracks, drawn_rows, rows, scene_row
from crackcli.report.tables.severity_columns import (
    CAVEATS,
    SeverityProfiles,
    caveats,
    crack_columns,
    scene_columns,
)
from crackcli.texts import cell_text


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """Write ``cracks.csv`` and ``scenes.csv`` of all scenes; return their paths."""
    scenes: list[Row] = []
    caveat = {CAVEATS: caveats(profiles)} if profiles else {}

    def cracks() -> Iterator[Row]:
        for table in tables:
            scenes.append(scene_row(table, profiles) | caveat)
            found = rows(table, table.cracks, profiles) + drawn_rows(table, profiles)
            yield from (row | caveat for row in found)

    paths = [folder / "cracks.csv", folder / "scenes.csv"]
    write_csv(paths[0], [*COLUMNS, *crack_columns(profiles), *caveat], cracks())
    write_csv(paths[1], [*SCENE_COLUMNS, *scene_columns(profiles), *caveat], scenes)
    return paths


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a table as text; raises `InputError` if it cannot be read."""
    refuse_special(path, InputError, "run crackcli report again")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); run crackcli report again") from error
    return [
        {name: cell_text(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]
