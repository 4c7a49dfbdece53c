"""Tables for spreadsheets and scripts: UTF-8, a header, commas, decimal points, empty is unknown.

``cracks.csv`` has a row per crack, ``scenes.csv`` a row per scene; in it n_cracks, total_area and
width_max are the study's three measures of severity.  A grade never stands without its caveat: a
graded table ends with the column ``severity_caveats``.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from crackcli.errors import InputError
from crackcli.files import atomic_write
from crackcli.report.columns import COLUMNS, SCENE_COLUMNS
from crackcli.report.rows import Row, SceneCracks, rows, scene_row
from crackcli.report.severity_columns import (
    CAVEATS,
    SeverityProfiles,
    caveats,
    crack_columns,
    scene_columns,
)


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """``cracks.csv`` and ``scenes.csv`` of all scenes."""
    scenes: list[Row] = []
    caveat = {CAVEATS: caveats(profiles)} if profiles else {}

    def cracks() -> Iterator[Row]:
        for table in tables:
            scenes.append(scene_row(table, profiles) | caveat)
            yield from (row | caveat for row in rows(table, table.cracks, profiles))

    paths = [folder / "cracks.csv", folder / "scenes.csv"]
    write_rows(paths[0], [*COLUMNS, *crack_columns(profiles), *caveat], cracks())
    write_rows(paths[1], [*SCENE_COLUMNS, *scene_columns(profiles), *caveat], scenes)
    return paths


def write_rows(path: Path, columns: Iterable[str], table: Iterable[Row]) -> None:
    """A whole file of rows, or no file; lists within a row are joined by semicolons."""
    with atomic_write(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow({name: plain(value) for name, value in row.items()})


def plain(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return ";".join(value) if isinstance(value, list | tuple) else value


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table, as text; an `InputError` that names a table which cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); run crackcli report again") from error
