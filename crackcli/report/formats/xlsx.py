"""Excel workbook ``cracks.xlsx``: a sheet for each table; ``pip install 'crackcli[xlsx]'``.

Sheets: ``cracks`` (with the lines that people drew), ``joints``, ``scenes``, and
``severity_profiles`` if there are any. Numbers are numbers in any language of the spreadsheet. A
text is text, also if it begins like a formula or an address. Equal reports give equal bytes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from crackcli.errors import OutputError
from crackcli.files import atomic_write, temporary_folder
from crackcli.report.tables.columns import COLUMNS, SCENE_COLUMNS, Row
from crackcli.report.tables.labels import label_of
from crackcli.report.tables.rows import SceneCracks, drawn_rows, rows, scene_row
from crackcli.report.tables.severity_columns import (
    CAVEATS,
    PROFILE_COLUMNS,
    SeverityProfiles,
    caveats,
    crack_columns,
    profile_rows,
    scene_columns,
)
from crackcli.texts import printable_lines

NAME = "cracks.xlsx"
MAX_ROWS = 1_048_575  # of a sheet, below its header
MAX_TEXT = 32_767  # characters of a cell
CREATED = datetime(2000, 1, 1)  # in the properties of every workbook
WIDE = 14  # characters of a column


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """Write ``cracks.xlsx`` of all scenes; return its path.

    Raises `OutputError` if there are more cracks than a sheet has rows.
    """
    path = folder / NAME
    caveat: Row = {CAVEATS: caveats(profiles)} if profiles else {}
    graded = [*COLUMNS, *crack_columns(profiles), *caveat]
    with atomic_write(path) as aside, temporary_folder() as parts:
        options = {
            "constant_memory": True,
            "tmpdir": str(parts),
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": False,
        }
        with xlsxwriter.Workbook(aside, options) as book:
            book.set_properties({"created": CREATED, "comments": "written by crackcli"})
            sheets = [
                Sheet(book.add_worksheet("cracks"), graded, profiles),
                Sheet(book.add_worksheet("joints"), [*COLUMNS]),
                Sheet(book.add_worksheet("scenes"), [*SCENE_COLUMNS, *scene_columns(profiles)]),
            ]
            cracks, joints, scenes = sheets
            for table in tables:
                found = rows(table, table.cracks, profiles) + drawn_rows(table, profiles)
                cracks.add(row | caveat for row in found)
                joints.add(rows(table, table.joints) + drawn_rows(table, kind="joints"))
                scenes.add([scene_row(table, profiles)])
            if profiles:
                about = Sheet(book.add_worksheet("severity_profiles"), [*PROFILE_COLUMNS])
                about.add(profile_rows(profiles))
    return [path]


class Sheet:
    """A sheet that grows row by row below its header, in which a comment explains each column."""

    def __init__(
        self, sheet: Worksheet, columns: Sequence[str], profiles: SeverityProfiles = ()
    ) -> None:
        self.sheet, self.columns, self.count = sheet, columns, 0
        sheet.freeze_panes(1, 1)
        sheet.set_column(0, len(columns) - 1, WIDE)
        for number, name in enumerate(columns):
            sheet.write_string(0, number, name)
            if label_of(name, profiles) != name:
                sheet.write_comment(0, number, label_of(name, profiles), {"author": ""})

    def add(self, found: Iterable[Row]) -> None:
        """Write rows by column."""
        for row in found:
            self.count += 1
            if self.count > MAX_ROWS:
                raise OutputError(
                    f"{NAME}: more rows than the {MAX_ROWS:,} of a sheet; leave --format xlsx out, "
                    "or leave short cracks out by --min-length-px"
                )
            for number, name in enumerate(self.columns):
                self.put(number, row[name])

    def put(self, column: int, value: object) -> None:
        """Write one value into the last row; None and nan are empty."""
        if isinstance(value, bool):
            self.sheet.write_boolean(self.count, column, value)
        elif isinstance(value, int | float):
            if value == value:  # not nan
                self.sheet.write_number(self.count, column, value)
        elif value is not None:
            text = printable_lines(str(value))[:MAX_TEXT]
            self.sheet.write_string(self.count, column, text)
