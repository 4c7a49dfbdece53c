"""Joints in a report: a layer and a column of their own, and the same ids."""

import json

import numpy as np
import pytest
from walls import crackcli, polyline, write_scene

from crackcli.report.formats.csv import read_rows
from crackcli.report.tracing import ReportTask
from crackcli.report.write import write_report


@pytest.fixture
def gridded(tmp_path):
    """A grid of straight lines from edge to edge, and a winding crack beside it."""
    lines = np.zeros((400, 400), np.uint8)
    for at in (100.0, 200.0, 300.0):
        lines |= polyline((400, 400), [(at, 0.0), (at, 240.0)], 3)
    zigzag = [(20.0 + 30 * i, 320.0 + 25 * (i % 2)) for i in range(11)]
    write_scene(tmp_path / "wall", lines | polyline((400, 400), zigzag, 3))
    return tmp_path


def read_joints(folder):
    """The rows of the joints of a report without a map."""
    features = json.loads((folder / "joints.local.geojson").read_text())["features"]
    return [feature["properties"] for feature in features]


def test_straight_parallel_lines_are_joints_and_ids_stay(gridded):
    (scene,) = write_report(ReportTask(gridded)).scenes
    cracks = read_rows(gridded / "cracks.csv")
    (kept,) = write_report(ReportTask(gridded, joint_likelihood=1)).scenes
    everything = read_rows(gridded / "cracks.csv")

    assert (scene.cracks, scene.joints) == (1, 3)
    assert scene.joints_length_px == pytest.approx(3 * 240, abs=6)
    assert (kept.cracks, kept.joints) == (4, 0)
    assert cracks == everything[3:]
    likelihoods = [float(row["joint_likelihood"]) for row in everything]
    assert min(likelihoods[:3]) > 0.5 > likelihoods[3]


def test_the_table_counts_joints_in_their_own_column(gridded):
    done = crackcli("report", gridded)
    kept = crackcli("report", gridded, "--joint-likelihood", "1")
    summary = json.loads(crackcli("report", gridded, "--json", "-q").stdout)

    for run, counts in ((done, ["1", "3"]), (kept, ["4", "0"])):
        header, line = (line.split() for line in run.stderr.splitlines()[-2:])
        assert header[:3] == ["scene", "cracks", "joints"]
        assert line[:3] == ["wall", *counts]
    assert summary["scenes"][0]["joints"] == 3
    assert summary["scenes"][0]["joints_length_px"] == pytest.approx(3 * 240, abs=6)


def test_the_joint_likelihood_does_not_depend_on_the_least_length(tmp_path):
    long = polyline((400, 400), [(40.0, 20.0), (40.0, 300.0)], 3)
    for at in (60.0, 100.0, 140.0):  # the lines left out make it a joint
        long |= polyline((400, 400), [(at, 30.0), (at, 280.0)], 3)
    write_scene(tmp_path / "wall", long)
    write_report(ReportTask(tmp_path, joint_likelihood=1))
    alone, *_ = read_rows(tmp_path / "cracks.csv")

    (scene,) = write_report(ReportTask(tmp_path, min_length_px=265)).scenes

    (joint,) = read_joints(tmp_path)
    assert (scene.cracks, scene.joints) == (0, 1)
    assert joint["joint_likelihood"] == float(alone["joint_likelihood"])
