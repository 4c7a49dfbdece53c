"""Tables of numbers, written as CSV and records for programs, as Markdown and text for people."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crackcli.files import write_csv

MISSING = "-"  # a missing number, for people; programs get an empty field


@dataclass(frozen=True)
class Estimate:
    """One number from several runs; nan where a run gave none."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        known = self.known
        return math.fsum(known) / len(known) if known else math.nan

    @property
    def spread(self) -> float:
        """Sample standard deviation; nan for fewer than two values."""
        return float(np.std(self.known, ddof=1)) if len(self.known) > 1 else math.nan

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if not math.isnan(value)]

    def over(self, other: float) -> "Estimate":
        """Divide each value by ``other``; nan if that is 0 or nan."""
        return Estimate(tuple(value / other if other else math.nan for value in self.values))


@dataclass(frozen=True)
class Column:
    """A column: its name for programs, its title and the decimals of its numbers for people.

    ``factor`` converts fractions to per cent; a ``hidden`` column is for programs only.
    """

    name: str
    title: str
    decimals: int | None = None  # None: a column of text
    factor: float = 1.0
    hidden: bool = False


Cell = str | int | Estimate
Row = dict[str, Cell]


@dataclass(frozen=True)
class Table:
    """Rows of cells by column name, with notes for readers."""

    title: str
    columns: tuple[Column, ...]
    rows: list[Row]
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> list[Column]:
        """The columns for people: not hidden, and not empty in every row."""
        return [
            column
            for column in self.columns
            if not column.hidden and any(row.get(column.name, "") != "" for row in self.rows)
        ]

    def texts(self) -> list[list[str]]:
        """Return the cells for people, row by row, in the order of ``shown``."""
        return [[text_of(row.get(c.name, ""), c) for c in self.shown] for row in self.rows]


def text_of(cell: Cell, column: Column) -> str:
    """Return a cell for people: a number, with its spread if there are several runs."""
    if not isinstance(cell, Estimate):
        return str(cell)
    if math.isnan(cell.mean):
        return MISSING
    text = f"{column.factor * cell.mean:.{column.decimals}f}"
    if math.isnan(cell.spread):
        return text
    return f"{text} ± {column.factor * cell.spread:.{column.decimals}f}"


def to_markdown(table: Table) -> str:
    """Return the table as Markdown, with its title above and its notes below."""
    columns = table.shown
    lines = [
        f"### {table.title}",
        "",
        "| " + " | ".join(column.title for column in columns) + " |",
        "| " + " | ".join("---" if c.decimals is None else "---:" for c in columns) + " |",
        *("| " + " | ".join(cells) + " |" for cells in table.texts()),
        "",
        *(line for note in table.notes for line in (note, "")),
    ]
    return "\n".join(lines)


def write_table(path: Path, table: Table) -> None:
    """Write all columns as CSV; a number column is followed by its spread over the runs
    (``_sd``)."""
    names = [name for column in table.columns for name in field_names(column)]
    rows = (
        {name: text for column in table.columns for name, text in csv_fields(row, column).items()}
        for row in table.rows
    )
    write_csv(path, names, rows)


def field_names(column: Column) -> list[str]:
    """Return the names of a column's CSV fields: one for text, two for numbers."""
    return [column.name] if column.decimals is None else [column.name, f"{column.name}_sd"]


def csv_fields(row: Row, column: Column) -> dict[str, str]:
    """Return the CSV fields of a cell by name; a missing number is left out."""
    cell = row.get(column.name)
    if column.decimals is None:
        return {column.name: "" if cell is None else str(cell)}
    if not isinstance(cell, Estimate):
        return {}
    numbers = (column.factor * cell.mean, column.factor * cell.spread)
    return dict(zip(field_names(column), map(number, numbers), strict=True))


def to_records(table: Table) -> list[dict[str, Any]]:
    """Return each row as plain values under all columns.

    A number has its mean, its spread (``_sd``) and the value of each run (``_each``); None means
    missing.
    """
    records = []
    for row in table.rows:
        record: dict[str, Any] = {}
        for column in table.columns:
            cell = row.get(column.name)
            if isinstance(cell, Estimate):
                record[column.name] = finite(column.factor * cell.mean)
                record[f"{column.name}_sd"] = finite(column.factor * cell.spread)
                record[f"{column.name}_each"] = [finite(column.factor * v) for v in cell.values]
            else:
                record[column.name] = cell
        records.append(record)
    return records


def finite(value: float) -> float | None:
    """Return None for nan, which JSON lacks."""
    return None if math.isnan(value) else value


def number(value: float) -> str:
    """Return a number with 6 significant digits; an empty field for nan."""
    return "" if math.isnan(value) else f"{value:.6g}"
