"""Conditions on changes: what they meet, and errors that say what to write."""

import pytest

from crackcli.comparison.outputs.columns import COLUMNS
from crackcli.comparison.outputs.conditions import Condition, alarms
from crackcli.errors import UsageError


def row(name="c1", **values):
    return dict.fromkeys(COLUMNS) | {"change_id": name} | values


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("d_width_max_mm > 0.2", True),
        ("d_width_max_mm>0.3", False),
        ("d_width_max_mm <= 0.3", True),
        ("d_length_mm > -1e3", False),  # unknown
        ("kind == grown", True),
        ("kind != 'grown'", False),
        ("significant == false", True),
        ("hidden_by == 'not aligned'", True),
        ('hidden_by != "not aligned" and kind == grown', False),
        ("significant_in == width_max", True),
        ("significant_in == area", False),
        ("significant_in != width_max", False),
        ("ids_after != w2", True),
        ("d_width_max_mm > 0.2 and significant == true", False),
        ("d_width_max_mm > 0.2 and kind == grown", True),
    ],
)
def test_a_row_meets_a_condition(text, met):
    change = row(
        d_width_max_mm=0.3,
        kind="grown",
        significant=False,
        significant_in=["length", "width_max"],
        hidden_by="not aligned",
        ids_after=["w1"],
    )

    assert Condition.parse(text).met_by(change) == met


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d_width_max_mm", "cannot be read; write a column, one of"),
        ("d_width_max_mm > 0.2 or kind == new", "cannot be read"),
        ("d_width_max > 0.2", "has no column d_width_max; did you mean d_width_max_"),
        ("nothing_alike_xyz > 1", "has no column nothing_alike_xyz; its header lists them"),
        ("d_width_max_mm > wide", "wide is no number; write a number, as"),
        ("d_width_max_mm > nan", "nan is no number; write a number, as"),
        ("kind > new", "kind is a text; compare it by == or !="),
        ("significant > 0", "significant is true or false; write significant == true"),
        ("__import__('os').system('true') > 0", "cannot be read"),
    ],
)
def test_a_wrong_condition_is_an_error_that_says_what_to_write(text, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        Condition.parse(text)


def test_alarms_name_the_changes():
    conditions = [Condition.parse(text) for text in ("kind == new", "kind == gone")]
    rows = [row("c1", kind="new"), row("c2", kind="stable"), row("c3", kind="new")]

    assert alarms(conditions, rows) == {"kind == new": ["c1", "c3"]}
