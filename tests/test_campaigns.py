"""Two scans of one wall: in what they differ is told before their cracks are."""

import logging

import pytest
from walls import polyline, write_scene

from crackcli.campaigns import scanned_apart
from crackcli.comparison import CompareTask, write_comparison
from crackcli.report import ReportTask, write_report

MASK = polyline((120, 200), [(20.0, 30.0), (170.0, 30.0)], 3)
ENGINE = {"model": "a.safetensors", "model_sha256": "0123456789abcdef", "method": "lrp"}


def scan(folder, engine=ENGINE, **changes):
    """A finished scene that says what it was scanned by."""
    scored = {"engine": engine, "gate": 0.5, "zooms": [1.0]} | changes
    masking = {"recipe": "refined", "threshold": None, "min_area_px": None}
    return write_scene(folder, MASK, scored=scored, masking=masking)


def test_scans_by_the_same_do_not_differ(tmp_path):
    before, after = scan(tmp_path / "before"), scan(tmp_path / "after", source_sha256="another")

    assert scanned_apart(before, after) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gate": 0.7}, ["gate (0.5; 0.7)"]),
        ({"zooms": [0.5, 1.0]}, ["zoom (1.0; 0.5,1.0)"]),
        (
            {"engine": ENGINE | {"model_sha256": "fedcba9876543210"}},
            ["weights (01234567; fedcba98)"],
        ),
        (
            {"engine": {"model": "a.safetensors", "method": "raw"}},
            ["weights (01234567; none)", "method (lrp; raw)"],
        ),
    ],
    ids=["gate", "zooms", "weights", "several"],
)
def test_what_differs_is_told_with_both_values(tmp_path, changes, words):
    assert scanned_apart(scan(tmp_path / "before"), scan(tmp_path / "after", **changes)) == words


def test_a_comparison_warns_once_of_all_scenes_that_differ_in_the_same(tmp_path, caplog):
    folders = tmp_path / "2024", tmp_path / "2026"
    for name, gate in (("east", 0.7), ("north", 0.7), ("south", 0.5), ("west", 0.9)):
        scan(folders[0] / name)
        scan(folders[1] / name, gate=gate)
    for folder in folders:
        write_report(ReportTask(folder, joint_likelihood=1))
    caplog.clear()

    with caplog.at_level(logging.WARNING):
        summary = write_comparison(CompareTask(*folders, tmp_path / "changes"))

    several, one = (record.getMessage() for record in caplog.records)
    assert several.startswith("2 scenes, east the first: the scans differ in gate (0.5; 0.7), so")
    assert one.startswith("west: the scans differ in gate (0.5; 0.9), so that a crack may seem new")
    assert list(summary.scanned_apart) == ["east", "north", "west"]
