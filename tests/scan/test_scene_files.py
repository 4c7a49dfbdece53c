"""A scan replaces what a scan wrote, makes damaged files again, and keeps everything else."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from fakes import LocalEngine, wall

from crackcli.errors import InTheWay, OutputError
from crackcli.inference import opening
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.masking.refinement import Masking
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.scan.scene_files import SceneFiles, State
from crackcli.scan.survey import SurveyTask, scan_survey


@pytest.fixture
def photograph(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), wall(96, 130))
    return tmp_path / "wall.png"


def scan(photograph, engine=None, **options):
    task = ScanTask(photograph, photograph.with_suffix(""), **{"core_px": 64} | options)
    return scan_raster(task, ClassifierScorer(engine or LocalEngine(), 0.3))


def raster(path):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 96, "width": 130}
    with rasterio.open(path, "w", transform=Affine.scale(2), **profile) as file:
        file.write(np.full((1, 96, 130), 7, np.uint8))


def other_json(path):
    path.write_text('{"scene": "of a game", "objects": []}')


def text(path):
    path.write_text("my notes")


def folder(path):
    path.mkdir()
    (path / "inside.txt").write_text("my notes")


def link(path):
    (path.parent / "target.txt").write_text("my notes")
    path.symlink_to("target.txt")


def broken_link(path):
    path.symlink_to("nowhere")


def files_in(folder):
    """Return the content of all files below a folder, by path, and None for each folder."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


FOREIGN = [(name, make) for name in ("mask.tif", "score.tif") for make in (raster, text, folder)]
FOREIGN += [("mask.tif", link), ("score.tif", broken_link), ("mask.tif", lambda path: path.touch())]
FOREIGN += [("scene.json", make) for make in (other_json, text, folder)]


@pytest.mark.parametrize(("name", "make"), FOREIGN)
def test_what_crackcli_did_not_write_is_not_replaced(photograph, tmp_path, name, make):
    (tmp_path / "wall").mkdir()
    make(tmp_path / "wall" / name)
    before = files_in(tmp_path)

    with pytest.raises(
        InTheWay,
        match=rf"wall/{name}: is not of crackcli; move it away, .*, or add --overwrite",
    ):
        scan(photograph)

    assert files_in(tmp_path) == before


def test_it_is_replaced_if_the_user_says_so(photograph, tmp_path):
    (tmp_path / "wall").mkdir()
    raster(tmp_path / "wall" / "mask.tif")

    assert scan(photograph, overwrite=True).status == "done"
    assert SceneFiles.inspect(tmp_path / "wall").mask is State.OURS


def test_folders_called_work_are_not_ours(photograph, tmp_path):
    for name in ("wall/work", "wall/drafts"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "work.json").write_text('{"digest": ""}')
        (tmp_path / name / "mask.tif").write_text("drawn by hand")
    before = files_in(tmp_path)

    scan(photograph)
    scan(photograph, masking=Masking("study"))
    scan(photograph, overwrite=True)

    after = files_in(tmp_path)
    assert {path: after.get(path) for path in before} == before
    assert sorted(path.name for path in (tmp_path / "wall").iterdir()) == [
        *("drafts", "mask.qml", "mask.tif", "scene.json", "score.qml", "score.tif", "work")
    ]


def test_a_work_folder_without_our_note_is_kept_and_refused(photograph, tmp_path):
    (tmp_path / "wall" / ".crackcli-work").mkdir(parents=True)
    (tmp_path / "wall" / ".crackcli-work" / "notes.txt").touch()

    with pytest.raises(OutputError, match=r"\.crackcli-work: was not made by crackcli; move it"):
        scan(photograph)

    assert (tmp_path / "wall" / ".crackcli-work" / "notes.txt").exists()


def test_a_work_folder_that_is_a_link_is_not_emptied(photograph, tmp_path):
    (tmp_path / "wall").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.json").write_text('{"made_by": "crackcli", "digest": ""}')
    (tmp_path / "mine" / "notes.txt").touch()
    (tmp_path / "wall" / ".crackcli-work").symlink_to(tmp_path / "mine")

    with pytest.raises(OutputError, match=r"\.crackcli-work: was not made by crackcli"):
        scan(photograph)

    assert (tmp_path / "mine" / "notes.txt").exists()


def test_an_overview_beside_no_scene_is_kept(photograph, tmp_path):
    (tmp_path / "wall").mkdir()
    (tmp_path / "wall" / "overview.png").write_text("drawn by hand")

    scan(photograph)

    assert (tmp_path / "wall" / "overview.png").read_text() == "drawn by hand"


def edit(path):
    """Draw into a raster, as a user does in QGIS."""
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.write(np.ones((1, 20, 20), np.uint8), window=((0, 20), (0, 20)))


def test_a_mask_that_was_edited_is_kept_with_a_warning(photograph, tmp_path, caplog):
    mask = scan(photograph).mask
    edit(mask)
    before = mask.read_bytes()

    assert scan(photograph).status == "unchanged"
    assert "mask.tif: was changed since it was scanned, and is kept; --overwrite" in caplog.text
    with pytest.raises(InTheWay, match=r"mask\.tif: was changed since it was scanned; move it"):
        scan(photograph, masking=Masking("study"))
    assert mask.read_bytes() == before
    assert scan(photograph, overwrite=True).status == "done"
    assert mask.read_bytes() != before


DAMAGE = {
    "empty": lambda content: b"",
    "halved": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["mask.tif", "score.tif"])
def test_a_damaged_raster_is_made_again(photograph, tmp_path, name, damage):
    scan(photograph)
    path = tmp_path / "wall" / name
    whole, engine = path.read_bytes(), LocalEngine()
    path.write_bytes(DAMAGE[damage](whole))

    assert scan(photograph, engine).status == "done"

    assert path.read_bytes() == whole
    assert (engine.backs > 0) == (name == "score.tif")
    assert scan(photograph).status == "unchanged"


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_made_again(photograph, tmp_path, damage):
    scan(photograph)
    record = tmp_path / "wall" / "scene.json"
    record.write_bytes(DAMAGE[damage](record.read_bytes()))

    assert scan(photograph).status == "done"
    assert json.loads(record.read_text())["scene"] == "wall"


def test_the_scenes_beside_are_done(photograph, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    cv2.imwrite(str(tmp_path / "tower.png"), wall(96, 130, 1))
    (tmp_path / "out" / "tower").mkdir(parents=True)
    raster(tmp_path / "out" / "tower" / "mask.tif")

    result = scan_survey(SurveyTask((tmp_path,), tmp_path / "out"))

    assert [scene.scene for scene in result.scenes] == ["wall"]
    assert [failure.exit_code for failure in result.failures] == [73]
    assert result.exit_code == 3


IN_THE_WAY = {
    "a file of that name": lambda out: (out / "tower").write_text("my notes"),
    "a link to nowhere": lambda out: (out / "tower").symlink_to("nowhere"),
    "a work folder of others": lambda out: (out / "tower/.crackcli-work/mine").mkdir(parents=True),
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_whatever_is_in_the_way_of_one_scene_stays_and_the_others_are_done(
    photograph, tmp_path, monkeypatch, kind, overwrite
):
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    cv2.imwrite(str(tmp_path / "tower.png"), wall(96, 130, 1))
    (tmp_path / "out").mkdir()
    IN_THE_WAY[kind](tmp_path / "out")
    before = files_in(tmp_path / "out")

    task = SurveyTask((tmp_path,), tmp_path / "out", overwrite=overwrite)
    result = scan_survey(task)

    assert [scene.scene for scene in result.scenes] == ["wall"]
    assert [failure.exit_code for failure in result.failures] == [73]
    assert before.items() <= files_in(tmp_path / "out").items()


@pytest.mark.parametrize("content", ['{"steps": []}', "[]", "my notes", ""])
def test_a_run_json_of_another_program_is_not_replaced(photograph, tmp_path, monkeypatch, content):
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    path = tmp_path / "out" / "run.json"
    path.parent.mkdir()
    path.write_text(content)
    task = SurveyTask((photograph,), tmp_path / "out")

    with pytest.raises(InTheWay, match=r"run\.json: is not of crackcli; move it away"):
        scan_survey(task)

    assert [each.name for each in path.parent.iterdir()] == ["run.json"]
    assert path.read_text() == content
    assert scan_survey(replace(task, overwrite=True)).exit_code == 0
