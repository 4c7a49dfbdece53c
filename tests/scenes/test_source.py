"""The photograph of a scene is found again, wherever it or the results were moved."""

import json
import logging
import shutil

import cv2
import pytest
from fakes import LocalEngine, wall
from walls import crackcli

from crackcli.errors import InputError
from crackcli.inference import opening
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import find_photograph


@pytest.fixture
def survey(tmp_path, monkeypatch):
    """Two days scanned into one folder, each in a run of its own."""
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
        path = tmp_path / day / f"{day}.png"
        cv2.imwrite(str(path), wall(96, 130, seed=int(day[-1])))
        scan_survey(SurveyTask((path,), tmp_path / "out"))
    return tmp_path


def statuses(out, **options):
    write_report(ReportTask(out, formats=("csv",), **options))
    return {row["scene_id"]: row["status"] for row in read_rows(out / "scenes.csv")}


def test_every_day_has_its_photograph_from_any_working_directory(survey, monkeypatch):
    monkeypatch.chdir("/")

    assert statuses(survey / "out") == {"day1": "measured", "day2": "measured"}


def test_photographs_and_results_can_be_moved_together(survey, tmp_path_factory):
    moved = tmp_path_factory.mktemp("disk") / "survey"
    shutil.move(survey, moved)

    assert statuses(moved / "out") == {"day1": "measured", "day2": "measured"}


def test_a_thumbnail_is_not_taken_for_the_photograph(survey):
    path = survey / "day1" / "day1.png"
    thumbnail = survey / "archive" / "thumbnails" / "day1.png"
    thumbnail.parent.mkdir(parents=True)
    cv2.imwrite(str(thumbnail), wall(48, 65))
    out = survey / "out"

    assert find_photograph(out, Scene.read(out / "day1"), survey / "archive").samefile(path)
    path.unlink()
    with pytest.raises(InputError, match="does not exist; bring it back"):
        find_photograph(out, Scene.read(out / "day1"), survey / "archive")


def test_photographs_that_were_moved_are_found_in_a_folder_of_the_user(survey):
    archive = survey / "archive" / "2026"
    archive.mkdir(parents=True)
    for day in ("day1", "day2"):
        shutil.move(survey / day / f"{day}.png", archive)
    out = survey / "out"

    with pytest.raises(InputError, match=r"day1/day1\.png, .*; bring it back, or .*--photographs"):
        find_photograph(out, Scene.read(out / "day1"))
    assert statuses(out) == {"day1": "mask only", "day2": "mask only"}
    done = crackcli("report", out, "--photographs", survey / "archive")

    assert done.returncode == 0, done.stderr
    rows = read_rows(out / "scenes.csv")
    assert {row["status"] for row in rows} == {"measured"}


def test_of_two_files_of_one_name_the_one_that_was_scanned_counts(survey):
    (survey / "other").mkdir()
    cv2.imwrite(str(survey / "other" / "day1.png"), wall(96, 130, seed=9))
    scene = Scene.read(survey / "out" / "day1")

    found = find_photograph(survey / "out", scene, survey)

    assert found == survey / "day1" / "day1.png"


def test_a_photograph_that_was_renamed_and_scanned_again_counts_once(survey, caplog):
    record = survey / "out" / "day1" / "scene.json"
    facts = json.loads(record.read_text())
    del facts["source"]["notes"]  # as scans of before
    record.write_text(json.dumps(facts))
    (survey / "day1" / "day1.png").rename(survey / "day1" / "north.png")
    scan_survey(SurveyTask((survey / "day1" / "north.png",), survey / "out"))

    with caplog.at_level(logging.WARNING, "crackcli"):
        found = statuses(survey / "out")

    assert found == {"day2": "measured", "north": "measured"}
    assert "day1: left out, as north shows the same photograph" in caplog.text
