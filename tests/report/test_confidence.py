"""Cracks have a confidence if the model of the scan has one, and it was made for such scans."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from affine import Affine

from crackcli.cracks.confidence import ConfidenceModel
from crackcli.cracks.tracing import trace_runs
from crackcli.masking.runs import find_runs
from crackcli.report.confidence import find_confidence
from crackcli.report.formats import csv as csv_format
from crackcli.report.formats import geopackage, geopackage_reader
from crackcli.report.summary import summarise
from crackcli.report.tables.rows import SceneCracks, rows
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scene import Scene

MODEL = ConfidenceModel(
    intercept=-3.0, probability=1.2, length=0.5, shortest_px=5.0, longest_px=200.0
)
TAGS = {"CRACKCLI_SCORE": "root of P(crack)", "CRACKCLI_SCORE_TOP": "0.9"}


def record(cracks=MODEL, recipe="refined", threshold=None, zooms=(1.0,)):
    calibration = {"threshold": 0.1, "cracks": cracks and asdict(cracks)}
    return SceneRecord(
        {
            "scored": {"engine": {"calibration": calibration}, "zooms": list(zooms)},
            "masking": {"recipe": recipe, "threshold": threshold, "min_area_px": None},
        }
    )


def table(folder, found):
    """Two cracks of equal length, the upper one with the lower score."""
    mask, score = np.zeros((2, 40, 60), np.uint8)
    mask[8:12, 5:45] = mask[28:32, 5:45] = 1
    score[:20], score[20:] = 127, 254
    cracks = list(trace_runs(find_runs([(mask, score)], *mask.shape), "wall"))
    scene = Scene(folder / "wall", *mask.shape, Affine.identity(), None, record())
    return SceneCracks(scene, None, cracks, mask.size, confidence=found)


def test_the_confidence_is_that_of_the_mean_probability_and_length(tmp_path):
    both = table(tmp_path, find_confidence(record(), TAGS))

    faint, clear = (row["confidence"] for row in rows(both, both.cracks))

    length = both.cracks[0].length_px
    assert faint == pytest.approx(MODEL.confidence((0.9 * 0.5) ** 2, length), abs=1e-4)
    assert clear == pytest.approx(MODEL.confidence(0.9**2, length), abs=1e-4)
    assert 0 < faint < clear < 1
    assert summarise(both).report.expected_cracks == pytest.approx(faint + clear, abs=0.01)


@pytest.mark.parametrize(
    ("facts", "tags"),
    [
        (SceneRecord(), TAGS),
        (record(cracks=None), TAGS),
        (record(recipe="plain"), TAGS),
        (record(threshold=0.2), TAGS),
        (record(zooms=(0.5, 1.0)), TAGS),
        (record(), TAGS | {"CRACKCLI_SCORE": "root of positive relevance"}),
    ],
)
def test_without_a_calibration_for_the_scan_it_is_empty(tmp_path, facts, tags):
    found = find_confidence(facts, tags)
    without = table(tmp_path, found)

    csv_format.write(tmp_path, [without])

    assert found is None
    assert [row["confidence"] for row in csv_format.read_rows(tmp_path / "cracks.csv")] == ["", ""]
    assert summarise(without).report.expected_cracks is None


def test_a_geopackage_holds_the_confidence(tmp_path):
    both = table(tmp_path, find_confidence(record(), TAGS))
    both = replace(both, scene=replace(both.scene, folder=tmp_path / "wall"))

    geopackage.write(tmp_path, [both])

    ((_, _, columns),) = [
        found
        for found in geopackage_reader.read_lines(
            tmp_path / "cracks.gpkg", ("crack_id", "confidence"), "crackcli report"
        )
        if found[0] == "cracks"
    ]
    expected = [row["confidence"] for row in rows(both, both.cracks)]
    assert columns["confidence"] == pytest.approx(expected)
