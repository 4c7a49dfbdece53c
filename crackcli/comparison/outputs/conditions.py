"""Conditions on changes, as ``d_width_max_mm > 0.2 and significant == true``: for alarms by cron.

A condition is one or several comparisons of a column with a number, true, false or a word, joined
by "and". A text with spaces stands in quotes; a column with several values, such as ids, equals
each of them. It is read here, not evaluated as code. A value that is unknown meets no comparison.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from crackcli.comparison.outputs.columns import COLUMNS
from crackcli.errors import UsageError
from crackcli.report.tables.columns import Row

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
COMPARISON = re.compile(r"\s*(\w+)\s*(<=|>=|==|!=|<|>)\s*('[^']*'|\"[^\"]*\"|\S+)\s*")
EXAMPLE = '"d_width_max_mm > 0.2"'
TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Comparison:
    """A column, an operator of `OPERATORS` and a value of the column's type."""

    column: str
    sign: str
    value: float | bool | str

    def met_by(self, row: Row) -> bool:
        """Return True if a row meets it."""
        value = row[self.column]
        if isinstance(value, list | tuple):
            return (self.value in value) == (self.sign == "==")
        return value is not None and OPERATORS[self.sign](value, self.value)


@dataclass(frozen=True)
class Condition:
    """Comparisons that a row must meet, and the text that they were read from."""

    text: str
    comparisons: tuple[Comparison, ...]

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read a condition; raises a `UsageError` that names what is wrong."""
        parts = re.split(r"\s+and\s+", text.strip())
        return cls(text, tuple(parse_comparison(part, text) for part in parts))

    def met_by(self, row: Row) -> bool:
        """Return True if a row meets all comparisons."""
        return all(one.met_by(row) for one in self.comparisons)


def parse_comparison(part: str, text: str) -> Comparison:
    """Read one comparison of the condition ``text``."""
    found = COMPARISON.fullmatch(part)
    if found is None:
        raise UsageError(
            f"--fail-on {text}: cannot be read; write a column, one of {' '.join(OPERATORS)} and a "
            f"value, as {EXAMPLE}, several joined by and"
        )
    column, sign, value = found.groups()
    kind = COLUMNS.get(column)
    if kind is None:
        near = get_close_matches(column, COLUMNS, 3)
        raise UsageError(
            f"--fail-on {text}: changes.csv has no column {column}; "
            + (f"did you mean {' or '.join(near)}?" if near else "its header lists them")
        )
    if kind is str:
        if sign not in ("==", "!="):
            raise UsageError(f"--fail-on {text}: {column} is a text; compare it by == or !=")
        return Comparison(column, sign, value.strip("'\""))
    if kind is bool:
        if value.lower() not in TRUTH or sign not in ("==", "!="):
            raise UsageError(f"--fail-on {text}: {column} is true or false; write {column} == true")
        return Comparison(column, sign, TRUTH[value.lower()])
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--fail-on {text}: {value} is no number; write a number, as {EXAMPLE}")
    return Comparison(column, sign, number)


def alarms(conditions: Iterable[Condition], rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return the ids of the changes that meet each condition, by its text; without those that no
    change meets."""
    rows = list(rows)
    found = {
        one.text: [str(row["change_id"]) for row in rows if one.met_by(row)] for one in conditions
    }
    return {text: ids for text, ids in found.items() if ids}
