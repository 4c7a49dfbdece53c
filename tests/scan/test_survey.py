"""A survey names its scenes, survives failures of some, and locks its output folder."""

import json
import subprocess
import sys

import cv2
import pytest
from fakes import LocalEngine, photograph, wall

from crackcli.errors import InputError, Interrupted, Locked, OutputError, UsageError
from crackcli.inference import opening
from crackcli.inference.options import ModelOptions
from crackcli.masking.refinement import Masking
from crackcli.scan import survey
from crackcli.scan.inputs import Failure, find_rasters
from crackcli.scan.survey import SurveyResult, SurveyTask, scan_survey


@pytest.fixture
def engine(monkeypatch):
    made = LocalEngine()
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: made)
    return made


def names(*sources):
    found = find_rasters(sources)
    assert found.failures == []
    return {name: page.path.name for name, page in found.named().items()}


def test_a_scene_is_named_after_the_stem_of_its_file(tmp_path):
    for name in ("south.jpg", "north.png", "notes.txt", ".hidden.jpg"):
        photograph(tmp_path / "wall.png").rename(tmp_path / name)

    assert names(tmp_path) == {"north": "north.png", "south": "south.jpg"}


def test_files_that_share_a_stem_get_different_names(tmp_path):
    for path in ("a/wall.jpg", "a/wall.png", "b/wall.png", "b/Tower.png", "b/tower.tif"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()

    found = names(tmp_path / "a", tmp_path / "b")

    assert sorted(found) == ["Tower_png", "b_wall", "tower_tif", "wall_jpg", "wall_png"]


def test_a_file_given_twice_is_scanned_once(tmp_path):
    path = photograph(tmp_path / "wall.png")

    assert names(path, tmp_path, path) == {"wall": "wall.png"}


@pytest.mark.parametrize(
    "name",
    [
        *("run.json.png", "RUN.JSON.png", ".lock.png", "cracks.gpkg.png", "scenes.csv.png"),
        *("cracks.local.geojson.png", "cracks.gpkg-wal.png", ".crackcli-work.png"),
    ],
)
def test_no_scene_is_named_like_a_file_of_the_run(tmp_path, name):
    (tmp_path / name).touch()

    assert list(names(tmp_path / name)) == [name.replace(".png", "_png")]


@pytest.mark.parametrize("name", ["..png", "...png"])
def test_a_file_whose_name_is_a_folder_is_refused(engine, tmp_path, name):
    path = photograph(tmp_path / "in" / "wall.png").rename(tmp_path / "in" / name)
    (tmp_path / "out").mkdir()
    before = sorted(tmp_path.rglob("*"))

    result = scan_survey(SurveyTask((path,), tmp_path / "out"))

    assert [failure.message for failure in result.failures] == [
        f"{path}: its name gives no name for a scene; rename it"
    ]
    assert result.exit_code == 4
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bad_file_does_not_stop_the_others(engine, tmp_path):
    photograph(tmp_path / "in/a.png")
    (tmp_path / "in/b.tif").write_text("no image")
    photograph(tmp_path / "in/c.png")
    heard = []

    result = scan_survey(SurveyTask((tmp_path / "in",), tmp_path / "out"), on_failure=heard.append)

    assert [scene.scene for scene in result.scenes] == ["a", "c"]
    assert result.exit_code == 3
    assert [failure.source.name for failure in heard] == ["b.tif"]
    assert "b.tif: not a readable image" in heard[0].message
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert [scene["status"] for scene in run["scenes"]] == ["done", "done"]
    assert run["failures"][0]["exit_code"] == 4
    assert run["exit_code"] == 3
    assert run["engine"]["model"] == "local.onnx"
    assert run["options"]["gate"] == 0.5


@pytest.mark.parametrize(("bad", "code"), [(1, 4), (3, 4)])
def test_the_exit_code_is_that_of_the_only_kind_of_failure(engine, tmp_path, bad, code):
    for number in range(bad):
        (tmp_path / f"{number}.tif").write_text("no image")

    result = scan_survey(SurveyTask((tmp_path,), tmp_path / "out"))

    assert result.exit_code == code


def test_the_exit_code_of_several_kinds_of_failure_is_3(tmp_path):
    failures = [Failure(tmp_path, "unreadable", 4), Failure(tmp_path, "unforeseen", 1)]

    assert SurveyResult(failures=failures).exit_code == 3


def test_an_unexpected_error_in_one_scene_is_a_failure_of_it(engine, tmp_path, monkeypatch):
    first, second = photograph(tmp_path / "a.png"), photograph(tmp_path / "b.png", seed=1)
    scan = survey.scan_raster

    def fail_once(task, *rest):
        if task.source == first:
            raise ZeroDivisionError("by zero")
        return scan(task, *rest)

    monkeypatch.setattr(survey, "scan_raster", fail_once)
    result = scan_survey(SurveyTask((first, second), tmp_path / "out"))

    assert "unexpected ZeroDivisionError: by zero" in result.failures[0].message
    assert result.exit_code == 3


def test_a_scene_without_enough_memory_is_a_failure_of_it(engine, tmp_path, monkeypatch):
    first, second = photograph(tmp_path / "a.png"), photograph(tmp_path / "b.png", seed=1)
    scan = survey.scan_raster

    def fail_once(task, *rest):
        if task.source == first:
            raise MemoryError("Unable to allocate 8 GiB")
        return scan(task, *rest)

    monkeypatch.setattr(survey, "scan_raster", fail_once)
    result = scan_survey(SurveyTask((first, second), tmp_path / "out"))

    (failure,) = result.failures
    assert failure.message == (
        f"{first}: not enough free memory; free some, or give a smaller --core-px"
    )
    assert failure.exit_code == 5
    assert result.exit_code == 3


def test_a_folder_without_images_is_an_input_error(engine, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").touch()

    result = scan_survey(SurveyTask((tmp_path / "in",), tmp_path / "out"))

    assert result.exit_code == InputError.exit_code
    assert "no images in it; give a folder with" in result.failures[0].message


def test_progress_counts_megapixels_and_no_time_for_what_is_unchanged(engine, tmp_path):
    photograph(tmp_path / "in/a.png")
    scan_survey(SurveyTask((tmp_path / "in",), tmp_path / "out"))
    cv2.imwrite(str(tmp_path / "in/b.png"), wall(96, 390))
    photograph(tmp_path / "in/c.png")
    (tmp_path / "in/d.png").write_text("no image")
    reported = []

    scan_survey(
        SurveyTask((tmp_path / "in",), tmp_path / "out"),
        lambda fraction, words: reported.append((fraction, words.split(":")[0])),
    )

    last = {name: fraction for fraction, name in reported}
    whole = 390 + 130 + (390 + 130 + 130) / 3  # b, c, and a damaged file like the others
    assert last == {"b.png": pytest.approx(390 / whole), "c.png": pytest.approx(520 / whole)}
    assert [fraction for fraction, _ in reported] == sorted(fraction for fraction, _ in reported)


def test_an_interrupted_run_is_recorded(engine, tmp_path, monkeypatch):
    photograph(tmp_path / "a.png")

    def interrupt(*arguments):
        raise Interrupted("terminated", 143)

    monkeypatch.setattr(survey, "scan_raster", interrupt)
    with pytest.raises(Interrupted):
        scan_survey(SurveyTask((tmp_path / "a.png",), tmp_path / "out"))

    assert json.loads((tmp_path / "out/run.json").read_text())["exit_code"] == 143


@pytest.mark.parametrize(
    "stop", [Interrupted("terminated", 143), OutputError("b: cannot be written")]
)
def test_finished_scenes_survive_the_end_of_a_run(engine, tmp_path, monkeypatch, stop):
    for number, name in enumerate("abc"):
        photograph(tmp_path / "in" / f"{name}.png", number)
    scan = survey.scan_raster

    def stop_at_b(task, *rest):
        if task.source.name == "b.png":
            raise stop
        return scan(task, *rest)

    monkeypatch.setattr(survey, "scan_raster", stop_at_b)
    with pytest.raises(type(stop)):
        scan_survey(SurveyTask((tmp_path / "in",), tmp_path / "out"))

    run = json.loads((tmp_path / "out/run.json").read_text())
    assert [scene["scene"] for scene in run["scenes"]] == ["a"]
    assert run["exit_code"] == stop.exit_code
    assert not (tmp_path / "out/c").exists()


HOLD = """
import sys
from pathlib import Path
from crackcli.files import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_runs_do_not_share_an_output_folder(engine, tmp_path):
    photograph(tmp_path / "a.png")
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Locked, match="out: in use by another run; try again later"):
            scan_survey(SurveyTask((tmp_path / "a.png",), out))
        other.stdin.close()
        other.wait()

    assert scan_survey(SurveyTask((tmp_path / "a.png",), out)).exit_code == 0


def test_an_output_that_cannot_be_written_ends_the_run(engine, tmp_path):
    photograph(tmp_path / "a.png")
    (tmp_path / "out").touch()

    with pytest.raises(OutputError, match=r"out: cannot be written .* choose another"):
        scan_survey(SurveyTask((tmp_path / "a.png",), tmp_path / "out"))


def test_a_block_size_that_does_not_suit_the_network_is_an_error(engine, tmp_path):
    photograph(tmp_path / "a.png")

    with pytest.raises(UsageError, match="--core-px 100: must be a multiple of 32; use 128"):
        scan_survey(SurveyTask((tmp_path / "a.png",), tmp_path / "out", core_px=100))


def test_the_gate_must_be_a_probability(tmp_path):
    with pytest.raises(UsageError, match=r"--gate 1\.5: must be a probability; use 0 to 1"):
        ModelOptions(gate=1.5)


def test_missing_files_load_no_model_and_make_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "open_engine", None)
    heard = []

    task = SurveyTask((tmp_path / "wal.tif", tmp_path / "survey"), tmp_path / "out")
    result = scan_survey(task, on_failure=heard.append)

    assert result.exit_code == 4
    assert [failure.message for failure in heard] == [
        f"{path}: does not exist; check the name" for path in task.sources
    ]
    assert not (tmp_path / "out").exists()


def test_a_scan_says_that_the_report_is_older_now(tmp_path, engine, caplog):
    path, out = photograph(tmp_path / "wall.png"), tmp_path / "out"
    scan_survey(SurveyTask((path,), out))
    record = {"complete": True, "files": {}, "scenes": {"wall": {"mask_sha256": "0"}}}
    (out / "report.json").write_text(json.dumps(record))

    scan_survey(SurveyTask((path,), out))
    assert "older" not in caplog.text
    scan_survey(SurveyTask((path,), out, masking=Masking(threshold=0.02)))

    assert f"{out}: its report is older than the masks of wall; run crackcli report" in caplog.text
