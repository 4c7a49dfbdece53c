"""Tables of numbers: rows once, as CSV for programs and as Markdown or plain cells for people."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NOTHING = "-"  # where there is no number, for people; programs get an empty field


@dataclass(frozen=True)
class Estimate:
    """What several runs gave for one number; nan where a run gave none."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        known = self.known
        return math.fsum(known) / len(known) if known else math.nan

    @property
    def spread(self) -> float:
        """Sample standard deviation; nan of fewer than two."""
        return float(np.std(self.known, ddof=1)) if len(self.known) > 1 else math.nan

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if not math.isnan(value)]

    def over(self, other: float) -> "Estimate":
        """Each value as a multiple of ``other``; nan where that is 0 or nan."""
        return Estimate(tuple(value / other if other else math.nan for value in self.values))


@dataclass(frozen=True)
class Column:
    """A column: its name for programs, its title for people, decimals of its numbers for people.

    ``factor`` turns shares into percent; a ``hidden`` column is for programs only.
    """

    name: str
    title: str
    decimals: int | None = None  # None: a text
    factor: float = 1.0
    hidden: bool = False


Cell = str | int | Estimate
Row = dict[str, Cell]


@dataclass(frozen=True)
class Table:
    """Rows of cells by column name, and what is to be known when reading them."""

    title: str
    columns: tuple[Column, ...]
    rows: list[Row]
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> list[Column]:
        """The columns for people: those that say anything."""
        return [
            column
            for column in self.columns
            if not column.hidden and any(row.get(column.name, "") != "" for row in self.rows)
        ]

    def texts(self) -> list[list[str]]:
        """The cells for people, row by row, in the order of ``shown``."""
        return [[text_of(row.get(c.name, ""), c) for c in self.shown] for row in self.rows]


def text_of(cell: Cell, column: Column) -> str:
    """A cell for people: a number, and its spread where there are several runs."""
    if not isinstance(cell, Estimate):
        return str(cell)
    if math.isnan(cell.mean):
        return NOTHING
    text = f"{column.factor * cell.mean:.{column.decimals}f}"
    if math.isnan(cell.spread):
        return text
    return f"{text} ± {column.factor * cell.spread:.{column.decimals}f}"


def to_markdown(table: Table) -> str:
    """The table with its title above and its notes below."""
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


def to_csv(table: Table) -> str:
    """All columns, each number beside its spread over ``models`` runs; empty where there is
    none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header(table.columns))
    for row in table.rows:
        writer.writerow(
            [field for column in table.columns for field in fields_of(row.get(column.name), column)]
        )
    return text.getvalue()


def header(columns: Sequence[Column]) -> list[str]:
    return [
        name
        for column in columns
        for name in (
            [column.name] if column.decimals is None else [column.name, f"{column.name}_sd"]
        )
    ]


def fields_of(cell: Cell | None, column: Column) -> list[str]:
    """One field of a text, two of a number."""
    if column.decimals is None:
        return ["" if cell is None else str(cell)]
    if not isinstance(cell, Estimate):
        return ["", ""]
    return [number(column.factor * cell.mean), number(column.factor * cell.spread)]


def to_records(table: Table) -> list[dict[str, Any]]:
    """All columns of each row as plain values: a number with its spread and the value of each run;
    None where there is none."""
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
    return None if math.isnan(value) else value


def number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
