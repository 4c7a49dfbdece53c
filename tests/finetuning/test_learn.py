"""Reviews from QGIS: read from the report, cut into patches, trained on, and their effect."""

import contextlib
import json
import shutil
import sqlite3

import cv2
import numpy as np
import pytest
import shapely
from affine import Affine
from reviewed import BARS, review, wave, write_reviewed_scan
from tiny import train_shallow, write_photographs
from walls import write_scene

pytest.importorskip("torch")

from crackcli.errors import InputError, ModelError, OutputError
from crackcli.files import sha256, write_json
from crackcli.finetuning.corrections import choose_held_out, choose_patches
from crackcli.finetuning.learning import (
    LearnTask,
    Outcome,
    ReviewOutcome,
    learn,
    scan_checkpoint,
    summarise,
)
from crackcli.finetuning.reviews import (
    ReviewedCrack,
    in_pixels,
    read_reviews,
)
from crackcli.networks.checkpoint import Checkpoint
from crackcli.report.verdicts import ACCEPTED, REJECTED, UNREVIEWED
from crackcli.report.write import ReportTask, write_report
from crackcli.scenes.scene import Scene, finished_scenes
from crackcli.shipped_models import shipped

MAP = Affine(0.002, 0, 2600000, 0, -0.002, 1200000)
LV95 = 'PROJCS["LV95",GEOGCS["b",DATUM["b",SPHEROID["b",6377397,299]],PRIMEM["G",0],'
LV95 += 'UNIT["degree",0.0174532925199433]],PROJECTION["Hotine_Oblique_Mercator_Azimuth_Center"],'
LV95 += 'PARAMETER["latitude_of_center",46.95],PARAMETER["longitude_of_center",7.44],'
LV95 += 'PARAMETER["azimuth",90],PARAMETER["rectified_grid_angle",90],PARAMETER["scale_factor",1],'
LV95 += 'PARAMETER["false_easting",2600000],PARAMETER["false_northing",1200000],UNIT["metre",1]]'


def reported(folder, gsd_mm=None, transform=None, crs_wkt=None):
    """Write a report on a mask with three wavy lines."""
    mask = np.zeros((300, 400), np.uint8)
    for row in (40, 140, 240):
        wave(mask, row, range(50, 350), 4, 1)
    write_scene(folder / "wall", mask, transform, crs_wkt)
    write_report(ReportTask(folder, gsd_mm=gsd_mm, formats=("csv", "gpkg")))
    return folder / "cracks.gpkg"


@pytest.mark.parametrize(
    ("gsd_mm", "transform", "crs_wkt"), [(None, None, None), (0.7, None, None), (None, MAP, LV95)]
)
def test_reviewed_cracks_are_converted_to_pixels(tmp_path, gsd_mm, transform, crs_wkt):
    path = review(reported(tmp_path, gsd_mm, transform, crs_wkt), {"wall-0001": "ok"})

    cracks = in_pixels(Scene.read(tmp_path / "wall"), read_reviews(path)["wall"])

    for crack, row in zip(cracks, (40, 140, 240), strict=True):
        xs, ys = shapely.get_coordinates(crack.line).T
        assert ys == pytest.approx(row + 0.5 + 10 * np.sin((xs - 0.5) / 12), abs=3)
        assert (xs.min(), xs.max()) == pytest.approx((50, 350), abs=5)


def test_several_words_mean_the_same_verdict(tmp_path):
    words = {"wall-0001": " Accept", "wall-0002": "NO", "wall-0003": None}
    path = review(reported(tmp_path), words)

    rows = read_reviews(path)["wall"]

    assert [row["review"] for row in rows] == [ACCEPTED, REJECTED, UNREVIEWED]


def test_an_unknown_word_is_named(tmp_path):
    path = review(reported(tmp_path), {"wall-0001": "perhaps", "wall-0002": "yes"})

    with pytest.raises(
        InputError,
        match=r"unknown words in column 'review': 'perhaps' \(1\); in QGIS, write accepted",
    ):
        read_reviews(path)


def test_without_a_review_the_error_explains_how_to_review(tmp_path):
    path = reported(tmp_path)

    with pytest.raises(InputError, match="none of its 3 cracks was reviewed; in QGIS, write"):
        read_reviews(path)


def test_a_file_that_is_no_report_is_named(tmp_path):
    (tmp_path / "text.gpkg").write_text("no database")
    with contextlib.closing(sqlite3.connect(tmp_path / "empty.gpkg")) as file:
        file.execute("CREATE TABLE t (a)")

    with pytest.raises(InputError, match=r"text.gpkg: cannot be read .*; run crackcli report"):
        read_reviews(tmp_path / "text.gpkg")
    with pytest.raises(InputError, match=r"empty.gpkg:? (cannot be read|contains no cracks)"):
        read_reviews(tmp_path / "empty.gpkg")
    with pytest.raises(
        InputError, match=r"none.gpkg: does not exist; give the cracks.gpkg of a report"
    ):
        read_reviews(tmp_path / "none.gpkg")


def reviewed(number, verdict):
    line = shapely.LineString([(0, 0), (9 + number, 9)])
    return ReviewedCrack(f"wall-{number:04d}", "wall", verdict, line)


def test_short_cracks_are_held_out_of_a_kind_that_has_enough():
    cracks = [reviewed(number, ACCEPTED) for number in range(10)]
    cracks += [reviewed(number, REJECTED) for number in range(10, 14)]

    held = choose_held_out(cracks, np.random.default_rng(0))

    assert len(held) == 2
    assert all(int(crack[-4:]) < 5 for crack in held)  # of the shorter half


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shallow")
    photographs = write_photographs(folder / "photographs")
    return train_shallow(photographs, folder / "shallow.safetensors")


@pytest.fixture
def scan(model, tmp_path, monkeypatch):
    """Write a scan and reviewed report of a photograph with three cracks and three green lines."""
    monkeypatch.setattr(
        "crackcli.finetuning.corrections.ORDINARY_BELOW", 0.9
    )  # P(crack) of a small network is rarely lower
    return write_reviewed_scan(tmp_path, model)


def task(scan, **changes):
    given = {
        "out": scan,
        "reviewed": scan / "cracks.gpkg",
        "output": scan.parent / "mine.safetensors",
        "minutes": 1,
        "device": "cpu",
    }
    return LearnTask(**(given | changes))


def test_rejected_cracks_get_a_low_p_crack_and_accepted_ones_keep_a_high_one(scan, monkeypatch):
    monkeypatch.setattr("crackcli.training.objectives.classification.FROZEN_WHEN_WARM", 2)
    monkeypatch.setattr("crackcli.finetuning.learning.RATE", 4e-3)
    monkeypatch.setattr("crackcli.finetuning.learning.EPOCHS", 100)

    learned = learn(task(scan, minutes=60))  # ends after its epochs, on a busy machine too

    accepted, _ = summarise(learned.changes)[0]
    assert (accepted.after, accepted.of) == (3, 3)
    of = {REJECTED: [], ACCEPTED: []}
    for change in learned.changes:
        of[change.review].append(change)
    assert all(change.p_before > 0.7 for change in of[REJECTED])  # there was something to learn
    assert all(change.p_after < change.p_before - 0.2 for change in of[REJECTED])
    assert max(c.p_after for c in of[REJECTED]) < min(c.p_after for c in of[ACCEPTED])
    assert len(learned.table.read_text().splitlines()) == 1 + len(BARS)
    Checkpoint.read(learned.output).build()


def test_patches_of_rejected_cracks_show_no_other_cracks(scan, model):
    from crackcli.engines.torch import TorchEngine
    from crackcli.finetuning.corrections import ReviewedPhotograph
    from crackcli.inference.tile_map import tile_probabilities
    from crackcli.rasters.reader import inspect

    (scene,) = finished_scenes(scan)
    info = inspect(scan.parent / "wall.png")
    cracks = in_pixels(scene, read_reviews(scan / "cracks.gpkg")["wall"])
    photograph = ReviewedPhotograph(
        scene, info, tile_probabilities(info, TorchEngine(model, device="cpu")), cracks
    )

    patches = choose_patches(photograph, {"wall-0001", "wall-0002"}, np.random.default_rng(0))

    def ids_in(patch):
        window = patch.window
        box = shapely.box(window.col, window.row, window.end_col, window.end_row)
        return {crack.id for crack in cracks if crack.line.intersects(box)}

    verdicts = {crack.id: crack.verdict for crack in cracks}
    for patch in patches:
        ids = ids_in(patch)
        if patch.source == "ordinary":
            assert ids == set()
            continue
        assert patch.crack in ids
        assert patch.label == (verdicts[patch.crack] == ACCEPTED)
        if patch.label == 0:
            assert {verdicts[found] for found in ids} == {REJECTED}
        if not patch.held_out:
            assert not ids & {"wall-0001", "wall-0002"}
    counts = {crack: sum(patch.crack == crack for patch in patches) for crack in verdicts}
    assert counts["wall-0001"] == counts["wall-0002"] == 2
    assert all(counts[crack] >= 8 for crack in list(verdicts)[2:])
    assert {patch.held_out for patch in patches if patch.source == "ordinary"} == {True, False}


def test_bad_photographs_are_left_out_and_counted(model, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("crackcli.finetuning.corrections.ORDINARY_BELOW", 0.9)
    monkeypatch.setattr("crackcli.finetuning.learning.EPOCHS", 1)
    scan = write_reviewed_scan(tmp_path, model, ("east", "north", "west"))
    (tmp_path / "north.png").write_bytes((tmp_path / "north.png").read_bytes()[:9000])
    (tmp_path / "west.png").unlink()

    learned = learn(task(scan))

    assert learned.sources == [tmp_path / "east.png"]
    assert {change.scene_id for change in learned.changes} == {"east"}
    assert "out: 1 of 3 photographs left out: not a readable image, or damaged" in caplog.text
    assert "(north.png)" in caplog.text
    assert "west.png, the photograph of west, does not exist" in caplog.text


def test_a_changed_or_missing_photograph_is_named(scan):
    source = scan.parent / "wall.png"
    cv2.imwrite(str(source), cv2.imread(str(source))[:, ::-1])

    with pytest.raises(InputError, match=r"wall.png is not the photograph that was scanned"):
        learn(task(scan))
    source.unlink()
    with pytest.raises(InputError, match=r"wall.png, the photograph of wall, does not exist"):
        learn(task(scan))


def test_a_report_of_another_scan_is_named(scan):
    shutil.move(scan / "wall", scan / "gable")

    with pytest.raises(
        InputError, match=r"has cracks of a scene 'wall' that is not in .*; give the output folder"
    ):
        learn(task(scan))


def change(review, before, after, held_out=False):
    return ReviewOutcome("wall-0001", "wall", review, held_out, 0, before, after, False)


def test_the_summary_counts_detections_by_verdict():
    changes = [
        change(ACCEPTED, 0.9, 0.6),
        change(ACCEPTED, 0.9, 0.4, held_out=True),
        change(REJECTED, 0.9, 0.4, held_out=True),
        change(REJECTED, 0.9, 0.5),
        change(REJECTED, 0.4, 0.3),  # was not found before
        change(UNREVIEWED, 0.9, 0.3),
        change(UNREVIEWED, 0.4, 0.3),
    ]

    assert summarise(changes) == [
        (Outcome("accepted, found", 2, 1, 2), Outcome("accepted, found", 1, 0, 1)),
        (Outcome("rejected, left out", 1, 2, 3), Outcome("rejected, left out", 0, 1, 1)),
        (Outcome("unreviewed, found", 1, 0, 2), Outcome("unreviewed, found", 0, 0, 0)),
    ]


def test_the_model_of_the_scan_is_found_or_requested(scan, model, tmp_path, monkeypatch):
    scenes = finished_scenes(scan)
    run = json.loads((scan / "run.json").read_text())

    assert scan_checkpoint(scan, scenes) == model
    write_json(scan / "run.json", run | {"options": {"model": None}})
    with pytest.raises(ModelError, match="another version of the shipped model vgg11_128; scan"):
        scan_checkpoint(scan, scenes)
    monkeypatch.setitem(scenes[0].record.engine, "model_sha256", sha256(shipped(".safetensors")))
    assert scan_checkpoint(scan, scenes).name == "vgg11_128.safetensors"
    monkeypatch.undo()
    write_json(scan / "run.json", run | {"options": {"model": str(tmp_path / "gone.onnx")}})
    with pytest.raises(
        ModelError, match="does not exist any more; give its checkpoint with --from"
    ):
        scan_checkpoint(scan, scenes)
    (tmp_path / "other.safetensors").write_text("other")
    run["options"]["model"] = str(tmp_path / "other.safetensors")
    write_json(scan / "run.json", run)
    with pytest.raises(
        ModelError, match="has changed since the scan; give its checkpoint with --from"
    ):
        scan_checkpoint(scan, scenes)


def test_an_existing_model_is_refused_before_any_work(scan):
    (scan.parent / "mine.safetensors").touch()

    with pytest.raises(
        OutputError, match="exists already; choose another output or add --overwrite"
    ):
        learn(task(scan))
