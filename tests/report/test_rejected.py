"""Cracks that a person rejected are shown, and count in no total."""

import contextlib
import json
import logging
import sqlite3

import cv2
import numpy as np
import pytest
from walls import polyline, write_scene

from crackcli.comparison import CompareTask, write_comparison
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows


def bent(row, width_px=3):
    """A crack that is too crooked for a joint."""
    cols = np.arange(20.0, 181.0, 4)
    return polyline((220, 200), [(col, row + 10 * np.sin(col / 12)) for col in cols], width_px)


WIDE = bent(180, width_px=9)


@pytest.fixture
def out(tmp_path):
    """A report of two cracks, of which the second is the wider and longer one."""
    write_scene(tmp_path / "out" / "west", bent(60) | WIDE)
    write_report(ReportTask(tmp_path / "out", gsd_mm=0.5))
    return tmp_path / "out"


def write_review(out, **words):
    with contextlib.closing(sqlite3.connect(out / "cracks.gpkg")) as file, file:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: 0)  # that triggers call
        for crack, word in words.items():
            file.execute(
                "UPDATE cracks SET review = ? WHERE crack_id = ?", (word, crack.replace("_", "-"))
            )


@pytest.mark.parametrize("word", ["rejected", " Rejected", "no"])
def test_a_rejected_crack_counts_in_no_total(out, word):
    (before,) = read_rows(out / "scenes.csv")
    write_review(out, west_0002=word)

    summary = write_report(ReportTask(out, gsd_mm=0.5))

    rows = {row["crack_id"]: row for row in read_rows(out / "cracks.csv")}
    kept, rejected = rows["west-0001"], rows["west-0002"]
    assert rejected["review"] == word.strip()
    (after,) = read_rows(out / "scenes.csv")
    assert (before["n_cracks"], before["n_rejected"], before["worst_crack_id"]) == (
        *("2", "0", "west-0002"),
    )
    assert (after["n_cracks"], after["n_rejected"], after["worst_crack_id"]) == (
        *("1", "1", "west-0001"),
    )
    for total, own in (
        *(("total_length_px", "length_px"), ("total_area_px", "area_px")),
        *(("width_max_px", "width_max_px"), ("total_length_mm", "length_mm")),
    ):
        assert float(after[total]) == pytest.approx(float(kept[own]))
        assert float(before[total]) > float(after[total])
    (scene,) = summary.scenes
    assert (scene.cracks, scene.rejected) == (1, 1)
    assert scene.total_length_px == pytest.approx(float(kept["length_px"]))
    assert summary.statement == (
        "1 crack seen; detection limit unknown: photograph not available; 1 rejected in review"
    )
    assert summary.table()[1].split()[1] == "1"


def test_grades_of_a_scene_are_those_of_cracks_that_count(out):
    write_report(ReportTask(out, gsd_mm=0.5, severity=("burland",)))
    (before,) = read_rows(out / "scenes.csv")
    write_review(out, west_0001="rejected", west_0002="rejected")

    write_report(ReportTask(out, gsd_mm=0.5, severity=("burland",)))

    (after,) = read_rows(out / "scenes.csv")
    graded = {name for name in before if name.startswith("sev_") and before[name] != after[name]}
    assert graded
    assert len(read_rows(out / "cracks.csv")) == 2


def test_the_overview_dashes_a_rejected_crack(out):
    def coloured():
        image = cv2.imread(str(out / "west" / "overview.png")).astype(int)[:700]
        return int((np.ptp(image, axis=2) > 60).sum())

    before = coloured()
    write_review(out, west_0001="rejected", west_0002="rejected")
    write_report(ReportTask(out, gsd_mm=0.5))

    assert before > 500
    assert coloured() == 0


def test_unknown_words_are_warned_of_by_name(out, caplog):
    write_review(out, west_0001="rejcted", west_0002="accepted")

    with caplog.at_level(logging.WARNING):
        write_report(ReportTask(out))

    assert (
        "1 words in column 'review' are neither accepted nor rejected, and count as unreviewed: "
        "'rejcted' (west-0001)"
    ) in caplog.messages
    (scene,) = read_rows(out / "scenes.csv")
    assert (scene["n_cracks"], scene["n_rejected"]) == ("2", "0")
    assert read_rows(out / "cracks.csv")[0]["review"] == "rejcted"


@pytest.mark.parametrize("rejected_in", ["before", "after"])
def test_a_comparison_does_not_count_what_was_rejected(tmp_path, out, rejected_in):
    later = tmp_path / "later"
    write_scene(later / "west", bent(60) | WIDE | bent(120))
    write_report(ReportTask(later, gsd_mm=0.5))
    folder, crack = (out, "west_0002") if rejected_in == "before" else (later, "west_0003")
    write_review(folder, **{crack: "rejected"})
    write_report(ReportTask(folder, gsd_mm=0.5))

    summary = write_comparison(CompareTask(out, later, tmp_path / "changes"))

    (scene,) = summary.scenes
    kinds = scene.new, scene.grown, scene.stable, scene.gone
    assert (kinds, scene.rejected) == ((1, 0, 1, 0), 1)
    rows = read_rows(tmp_path / "changes" / "changes.csv")
    assert [row["ids_after"] for row in rows] == ["west-0001", "west-0002"]


def test_a_rejected_part_of_a_match_adds_nothing(tmp_path):
    whole = bent(60)
    pieces = whole.copy()
    pieces[:, 98:104] = 0
    for name, mask in (("before", whole), ("after", pieces)):
        write_scene(tmp_path / name / "west", mask)
        write_report(ReportTask(tmp_path / name, gsd_mm=0.5))
    write_review(tmp_path / "after", west_0002="rejected")
    write_report(ReportTask(tmp_path / "after", gsd_mm=0.5))
    first, _ = read_rows(tmp_path / "after" / "cracks.csv")

    write_comparison(CompareTask(tmp_path / "before", tmp_path / "after", tmp_path / "changes"))

    (row,) = read_rows(tmp_path / "changes" / "changes.csv")
    assert row["ids_after"] == "west-0001"
    assert float(row["after_length_px"]) == pytest.approx(float(first["length_px"]), abs=1e-3)


def test_json_has_the_number_of_rejected_cracks(out):
    write_review(out, west_0001="rejected")

    facts = write_report(ReportTask(out)).facts()

    assert json.loads(json.dumps(facts, default=str))["scenes"][0]["rejected"] == 1
