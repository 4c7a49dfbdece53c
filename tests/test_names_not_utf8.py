"""Names that are not UTF-8, as archives and old cameras make them: read like all others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import LocalEngine, wall
from walls import crackcli

from crackcli.datasets.folders import list_photographs
from crackcli.datasets.pixel_labels import find_sets
from crackcli.figures.chart import Canvas, text_px
from crackcli.figures.sheet import text_line
from crackcli.files import utf8_path, write_json
from crackcli.inference import opening
from crackcli.rasters.reader import inspect
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.scene import Scene

LATIN = os.fsdecode("café".encode("latin-1"))
SOUTH = os.fsdecode("Süd".encode("latin-1"))


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    for number, name in enumerate(("a.png", f"{LATIN}.png", f"{SOUTH}/wall.png", "z.png")):
        try:
            write(tmp_path / "in" / name, wall(96, 130, number))
        except OSError:
            pytest.skip("this file system takes no such names")
    return tmp_path


def test_they_are_scanned_under_a_cleaned_name_and_reported(folder):
    out = folder / "out"

    result = scan_survey(SurveyTask((folder / "in",), out))

    assert result.exit_code == 0
    assert [one.scene for one in result.scenes] == ["a", "caf_", "z", "S_d_wall"]
    sources = {
        one["scene"]: one["source"] for one in json.loads((out / "run.json").read_text())["scenes"]
    }
    assert sources["caf_"] == str(folder / "in" / f"{LATIN}.png")
    again = scan_survey(SurveyTask((folder / "in",), out))
    assert {one.status for one in again.scenes} == {"unchanged"}

    write_report(ReportTask(out))
    assert {row["status"] for row in read_rows(out / "scenes.csv")} == {"measured"}
    text = (out / "cracks.local.geojson").read_text(encoding="utf-8")
    files = [scene["file"] for scene in json.loads(text)["crackcli"]["scenes"]]
    assert files == ["wall.png", "a.png", r"caf\xe9.png", "z.png"]


def test_names_that_are_equal_when_cleaned_are_told_apart(folder):
    write(folder / "in" / os.fsdecode(b"caf\xe8.png"), wall(96, 130, 9))

    result = scan_survey(SurveyTask((folder / "in",), folder / "out"))

    assert result.failures == []
    assert len({one.scene for one in result.scenes}) == 5
    assert all(one.scene.isprintable() for one in result.scenes)


def test_a_damaged_one_fails_under_its_escaped_name_and_the_others_are_done(folder):
    (folder / "in" / f"{LATIN}.png").write_bytes(b"\x89PNG\r\n")

    done = crackcli("scan", folder / "in", "-o", folder / "out", "--method", "raw")

    assert done.returncode == 3
    assert r"caf\xe9.png: not a readable image" in done.stderr
    run = json.loads((folder / "out/run.json").read_text(encoding="utf-8"))
    assert (len(run["scenes"]), run["exit_code"]) == (3, 3)
    assert [one["source"] for one in run["failures"]] == [str(folder / "in" / f"{LATIN}.png")]


def test_stdout_has_their_bytes(folder):
    done = subprocess.run(
        [sys.executable, "-m", "crackcli", "scan", "in/a.png", "-o", SOUTH, "--method", "raw"],
        capture_output=True,
        cwd=folder,
        check=True,
    )

    path = Path(os.fsdecode(done.stdout.rstrip(b"\n")))
    assert path == Path(SOUTH) / "a" / "mask.tif"
    assert Scene.read((folder / path).parent).record.result.crack_px > 0


def test_they_are_trained_on(folder):
    for label in ("crack", "no_crack"):
        for number in range(2):
            write(folder / label / f"{LATIN}{number}.png", wall(96, 130, number))

    found = list_photographs(folder)

    assert sorted(item.path.name for item in found) == [f"{LATIN}{n}.png" for n in (0, 0, 1, 1)]


def test_the_files_beside_a_photograph_are_found_by_its_name(folder):
    """A worldfile gives the place of a photograph, a mask its valid pixels."""
    path = folder / "in" / f"{LATIN}.png"
    path.with_suffix(".pgw").write_text("0.5\n0\n0\n-0.5\n100\n200\n")

    info = inspect(path)

    assert (info.transform.a, info.path) == (0.5, path)
    with utf8_path(path) as named:
        assert sorted(each.name for each in named.parent.iterdir()) == ["caf_.pgw", "caf_.png"]
    assert not named.exists()


def test_json_keeps_their_bytes(tmp_path):
    write_json(tmp_path / "a.json", {LATIN: [SOUTH, "größe"]})

    assert (tmp_path / "a.json").read_bytes().decode("utf-8")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {
        LATIN: [SOUTH, "größe"]
    }


def test_they_are_drawn_into_charts_and_sheets():
    canvas = Canvas(200, 40)
    canvas.text((10, 20), LATIN)

    assert text_line(LATIN, 200).tolist() == text_line(r"caf\xe9", 200).tolist()
    assert canvas.image().min() < 128
    assert text_px(LATIN) == text_px(r"caf\xe9")


def test_a_mask_of_labels_is_read(folder):
    labels = np.zeros((96, 130), np.uint8)
    labels[20:60, 60:66] = 255
    write(folder / "images" / f"{LATIN}.png", wall(96, 130))
    write(folder / "masks" / f"{LATIN}.png", labels)

    (found,) = find_sets(folder)

    assert [item.label_values().sum() for item in found.photographs] == [40 * 6 * 255]
