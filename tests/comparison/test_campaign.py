"""Differences between the options of two scans and reports of one wall."""

import logging

import pytest
from walls import polyline, write_scene

from crackcli.comparison.campaign import scan_differences
from crackcli.comparison.changes import CompareTask
from crackcli.comparison.write import write_comparison
from crackcli.files import sha256
from crackcli.report import ReportTask, write_report
from crackcli.shipped_models import shipped

MASK = polyline((120, 200), [(20.0, 30.0), (170.0, 30.0)], 3)
ENGINE = {"model": "a.safetensors", "model_sha256": "0123456789abcdef", "method": "lrp"}


def scan(folder, engine=ENGINE, **changes):
    """A finished scene with a record of its model and options."""
    scored = {"engine": engine, "gate": 0.5, "look": None, "zooms": [1.0]} | changes
    masking = {"recipe": "refined", "threshold": None, "min_area_px": None}
    return write_scene(folder, MASK, scored=scored, masking=masking)


def test_scans_with_the_same_options_do_not_differ(tmp_path):
    before, after = scan(tmp_path / "before"), scan(tmp_path / "after", source_sha256="another")
    without = write_scene(tmp_path / "early", MASK)
    quick = scan(tmp_path / "quick", look=["int8", 0.35, "01ab"])

    assert scan_differences(before, after) == scan_differences(without, after) == []
    assert scan_differences(before, quick) == []  # prescreening in int8 does not change masks


def test_a_shipped_checkpoint_and_its_graphs_are_one_model(tmp_path):
    """A GPU uses one of them by default, a CPU the other."""
    suffixes = ".safetensors", ".lrp.margin.onnx", ".gradient.margin.onnx"
    files = [*map(shipped, suffixes), *(shipped(s, "student") for s in (".safetensors", ".onnx"))]
    before, after, another, checkpoint, graph = (
        scan(tmp_path / path.name, ENGINE | {"model": path.name, "model_sha256": sha256(path)})
        for path in files
    )

    assert scan_differences(before, after) == scan_differences(before, another) == []
    assert scan_differences(checkpoint, graph) == []
    assert scan_differences(before, checkpoint) != []
    assert scan_differences(before, scan(tmp_path / "own")) != []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gate": 0.7}, ["gate (0.5; 0.7)"]),
        ({"zooms": [0.5, 1.0]}, ["zoom (1.0; 0.5,1.0)"]),
        (
            {"engine": ENGINE | {"model_sha256": "fedcba9876543210"}},
            ["model (a.safetensors 01234567; a.safetensors fedcba98)"],
        ),
        (
            {"engine": ENGINE | {"method": "gradient"}, "look": 0.2},
            ["method (lrp; gradient)", "look (none; 0.2)"],
        ),
    ],
    ids=["gate", "zooms", "weights", "several"],
)
def test_differences_are_listed_with_both_values(tmp_path, changes, words):
    assert scan_differences(scan(tmp_path / "before"), scan(tmp_path / "after", **changes)) == words


def test_a_comparison_warns_once_of_scenes_with_the_same_differences(tmp_path, caplog):
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
    assert several.startswith(
        "2 scenes (east, ...): the two surveys were processed differently (gate (0.5; 0.7)), so"
    )
    assert one.startswith(
        "west: the two surveys were processed differently (gate (0.5; 0.9)), so changes may be"
    )
    assert list(summary.made_apart) == ["east", "north", "west"]


def test_differences_between_reports_are_listed(tmp_path):
    folders = tmp_path / "2024", tmp_path / "2026"
    for folder, shortest, joints in zip(folders, (0.0, 60.0), (1.0, 0.5), strict=True):
        scan(folder / "wall")
        write_report(ReportTask(folder, joint_likelihood=joints, min_length_px=shortest))

    summary = write_comparison(CompareTask(*folders, tmp_path / "changes"))

    words = ["min-length-px (0.0; 60.0)", "joint-likelihood (1.0; 0.5)"]
    assert summary.made_apart == {"wall": words}
