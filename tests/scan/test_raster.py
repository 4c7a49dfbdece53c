"""A scan is the same if interrupted, on the grid of its photograph, and complete or absent."""

import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from fakes import LocalEngine, wall

from crackcli.errors import InputError, InTheWay
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.licences import Licence
from crackcli.masking import scene_mask as mask_scene
from crackcli.masking.refinement import Masking
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import read_band, read_tags
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.scan.remaining_work import differences
from crackcli.scenes.scene import Scene

ROTATED = Affine(0.002, 0.0005, 2600000, 0.0005, -0.002, 1200000)


class Stopped(BaseException):
    """Stands in for a signal."""


def geotiff(path, image, transform=ROTATED):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "rgb"}
    profile |= {"height": image.shape[0], "width": image.shape[1]}
    with rasterio.open(path, "w", crs="EPSG:2056", transform=transform, **profile) as file:
        file.write(np.moveaxis(image, -1, 0))
    return path


@pytest.fixture
def photograph(tmp_path):
    return geotiff(tmp_path / "wall.tif", wall(401, 515, cracks=2))


def scan(photograph, folder, engine=None, progress=lambda share, words: None, **options):
    task = ScanTask(photograph, folder, **{"core_px": 64} | options)
    return scan_raster(task, ClassifierScorer(engine or LocalEngine(), gate=0.3), progress)


def everything(path):
    with rasterio.open(path) as file:
        return file.read(1)


def test_cracks_are_masked_and_the_background_is_not(photograph, tmp_path):
    summary = scan(photograph, tmp_path / "out" / "wall")

    mask = everything(summary.mask)
    assert summary.status == "done"
    assert summary.crack_px == (mask == 1).sum()
    for col in (128, 386):
        assert (mask[100:300, col : col + 6] == 1).mean() > 0.95
    assert (mask[:, 180:360] == 0).all()


def test_score_and_mask_lie_on_the_grid_of_the_photograph(photograph, tmp_path):
    scan(photograph, tmp_path / "wall")

    for name in ("score.tif", "mask.tif"):
        with rasterio.open(tmp_path / "wall" / name) as file:
            assert file.shape == (401, 515)
            assert file.transform.almost_equals(ROTATED)
            assert file.crs.to_epsg() == 2056
            assert file.nodata == 255
            assert file.dtypes == ("uint8",)
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_the_record_holds_options_and_results(photograph, tmp_path):
    scan(photograph, tmp_path / "wall", masking=Masking(min_area_px=30))

    record = json.loads((tmp_path / "wall" / "scene.json").read_text())
    assert record["source"]["file"] == "wall.tif"
    assert len(record["source"]["sha256"]) == 64
    assert record["scored"]["engine"]["model_sha256"] == "0" * 64
    assert record["masking"] == {"recipe": "refined", "threshold": None, "min_area_px": 30}
    assert record["threshold"] == pytest.approx(0.01, abs=0.004)
    assert sorted(record["seconds"]) == ["explain", "mask", "score"]
    assert [path.name for path in sorted((tmp_path / "wall").iterdir())] == [
        *("mask.qml", "mask.tif", "scene.json", "score.qml", "score.tif")
    ]


def strips_in(folder):
    """The files of finished strips in the work folder."""
    return list((folder / ".crackcli-work").glob("strip_*.npz"))


@pytest.mark.parametrize("strips", [1, 4])
def test_an_interrupted_scan_continues_where_it_stopped(photograph, tmp_path, strips):
    scan(photograph, tmp_path / "whole" / "wall")
    engine, shares = LocalEngine(), []

    def stop(share, words):
        shares.append(share)
        if len(strips_in(tmp_path / "again" / "wall")) >= strips:
            raise Stopped

    with pytest.raises(Stopped):
        scan(photograph, tmp_path / "again" / "wall", engine, stop)
    assert not (tmp_path / "again/wall/scene.json").exists()
    assert shares == sorted(shares)
    assert len(shares) > 3 * strips  # progress within strips is reported too
    before, engine.backs = engine.backs, 0
    scan(photograph, tmp_path / "again" / "wall", engine)

    fresh = LocalEngine()
    scan(photograph, tmp_path / "third" / "wall", fresh)
    again = before + engine.backs - fresh.backs
    assert 0 <= again <= 1  # at most the strip in which it was interrupted
    for name in ("score.tif", "mask.tif"):
        whole, again = (tmp_path / which / "wall" / name for which in ("whole", "again"))
        assert whole.read_bytes() == again.read_bytes()


def test_a_truncated_strip_file_is_computed_again(photograph, tmp_path):
    scan(photograph, tmp_path / "whole" / "wall")

    def stop(share, words):
        if strips_in(tmp_path / "wall"):
            raise Stopped

    with pytest.raises(Stopped):
        scan(photograph, tmp_path / "wall", progress=stop)
    (strip,) = strips_in(tmp_path / "wall")
    strip.write_bytes(strip.read_bytes()[:50])
    scan(photograph, tmp_path / "wall")

    expected = everything(tmp_path / "whole" / "wall" / "mask.tif")
    np.testing.assert_array_equal(everything(tmp_path / "wall" / "mask.tif"), expected)


def test_a_finished_scan_is_not_repeated(photograph, tmp_path):
    scan(photograph, tmp_path / "wall")
    engine = LocalEngine()

    summary = scan(photograph, tmp_path / "wall", engine)

    assert summary.status == "unchanged"
    assert engine.backs == 0


def test_other_masking_options_reuse_the_score(photograph, tmp_path):
    first = scan(photograph, tmp_path / "wall")
    engine = LocalEngine()

    summary = scan(photograph, tmp_path / "wall", engine, masking=Masking("study"))

    assert summary.status == "masked again"
    assert engine.backs == 0
    assert summary.crack_px != first.crack_px
    assert read_tags(summary.mask)["CRACKCLI_RECIPE"] == "study"


def test_a_photograph_that_changed_is_scanned_again(photograph, tmp_path):
    scan(photograph, tmp_path / "wall")
    geotiff(photograph, wall(401, 515, cracks=1))

    summary = scan(photograph, tmp_path / "wall")

    assert summary.status == "done"
    assert not (everything(summary.mask)[:, 120:140] == 1).any()


def test_overwrite_repeats_everything(photograph, tmp_path):
    scan(photograph, tmp_path / "wall")
    engine = LocalEngine()

    summary = scan(photograph, tmp_path / "wall", engine, overwrite=True)

    assert summary.status == "done"
    assert engine.backs > 0


@pytest.mark.parametrize(("rows", "cols"), [(32, 32), (33, 200), (257, 63)])
def test_any_size_from_32_px_on_can_be_scanned(tmp_path, rows, cols):
    summary = scan(geotiff(tmp_path / "small.tif", wall(rows, cols)), tmp_path / "small")

    assert everything(summary.mask).shape == (rows, cols)


def test_the_mask_does_not_depend_on_the_blocks(photograph, tmp_path, monkeypatch):
    expected = everything(scan(photograph, tmp_path / "a").mask)
    monkeypatch.setattr(mask_scene, "CORE_PX", 96)

    actual = everything(scan(photograph, tmp_path / "b", core_px=320).mask)

    both = ((actual == 1) & (expected == 1)).sum()
    assert both / ((actual == 1) | (expected == 1)).sum() >= 0.99


def test_a_damaged_photograph_leaves_no_files(photograph, tmp_path):
    photograph.write_bytes(photograph.read_bytes()[:150_000])

    with pytest.raises(InputError, match=r"wall\.tif: not a readable image, or damaged"):
        scan(photograph, tmp_path / "out" / "wall")

    assert not (tmp_path / "out" / "wall").exists()


def test_nodata_stays_nodata(tmp_path):
    image = wall(128, 300)
    path = geotiff(tmp_path / "wall.tif", image)
    valid = np.full(image.shape[:2], 255, np.uint8)
    valid[:, :40] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(valid)

    summary = scan(path, tmp_path / "wall")

    mask = everything(summary.mask)
    assert (mask[:, :40] == 255).all()
    assert (mask[:, 40:] != 255).all()
    score = read_band(Scene.read(tmp_path / "wall").score, Window(0, 0, 128, 300))
    assert ((score == 255) == (mask == 255)).all()


@pytest.mark.parametrize(("margin", "threshold"), [(1.0, 0.0044), (9.0, 0.0132)])
def test_the_bounds_of_the_threshold_scale_with_the_margin_of_the_network(
    photograph, tmp_path, margin, threshold
):
    engine = LocalEngine()
    engine.facts = replace(engine.facts, margin=margin)

    assert scan(photograph, tmp_path / "wall", engine).threshold == pytest.approx(threshold)


class Untouchable(LocalEngine):
    """An engine that must not be called."""

    def features(self, images):
        raise AssertionError("the network was asked again")

    head = back = features


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_finished_scan_runs_no_network(photograph, tmp_path, device):
    scan(photograph, tmp_path / "wall")
    engine = Untouchable()
    engine.facts = replace(engine.facts, device=device)  # the device does not count

    same = scan(photograph, tmp_path / "wall", engine)
    score = (tmp_path / "wall" / "score.tif").read_bytes()
    other = scan(photograph, tmp_path / "wall", engine, masking=Masking(threshold=0.02))

    assert (same.status, other.status) == ("unchanged", "masked again")
    assert other.threshold == 0.02
    assert (tmp_path / "wall" / "score.tif").read_bytes() == score
    assert not (tmp_path / "wall" / ".crackcli-work").exists()


CHANGES = {
    "model_sha256": ("1" * 64, "another --model of the name local.onnx"),
    "model": ("other.onnx", "--model local.onnx, now other.onnx"),
    "method": ("gradient", "--method lrp, now gradient"),
    "start": ("both", "--start margin, now both"),
    "margin": (9.0, "another --model of the name local.onnx"),
    "calibration": ({"threshold": 0.31, "isotonic": [0.1] * 99}, "another --model of the name"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_model_or_method_replaces_a_scan_only_with_overwrite(photograph, tmp_path, name):
    value, words = CHANGES[name]
    scan(photograph, tmp_path / "wall")
    before = {path: path.read_bytes() for path in (tmp_path / "wall").iterdir()}
    engine = LocalEngine()
    engine.facts = replace(engine.facts, **{name: value})

    with pytest.raises(InTheWay, match=rf"wall: was scanned with other options \({words}") as error:
        scan(photograph, tmp_path / "wall", engine)
    assert len(str(error.value)) < len(str(tmp_path)) + 200
    assert {path: path.read_bytes() for path in (tmp_path / "wall").iterdir()} == before
    summary = scan(photograph, tmp_path / "wall", engine, overwrite=True)

    assert summary.status == "done"
    assert engine.backs > 0
    assert Scene.read(summary.mask.parent).record.engine[name] == value


def test_the_options_that_differ_are_named(photograph, tmp_path):
    one = scan(photograph, tmp_path / "wall").mask.parent
    scored = {**Scene.read(one).record.scored, "gate": 0.5, "crs_wkt": None}
    engine = {**scored["engine"], "method": "student", "network": "student", "start": "none"}
    other = {**scored, "engine": engine, "gate": 0.3, "zooms": [1.0, 2.0], "crs_wkt": "LOCAL_CS"}

    assert list(differences(scored, other)) == [
        "--method lrp, now student",
        "--zoom 1, now 1,2",
        "the image is read in another way, or lies elsewhere on the map",
    ]
    assert list(differences(scored, scored)) == []


def with_gate(photograph, folder, gate, progress=lambda share, words: None):
    return scan_raster(
        ScanTask(photograph, folder, core_px=64), ClassifierScorer(LocalEngine(), gate), progress
    )


def same_files(one, other):
    return all(
        (one / n).read_bytes() == (other / n).read_bytes() for n in ("score.tif", "mask.tif")
    )


def test_another_gate_reuses_nothing(photograph, tmp_path):
    def stop(share, words):
        if share > 0.4:
            raise Stopped

    with_gate(photograph, tmp_path / "whole", 0.9)
    with pytest.raises(Stopped):
        with_gate(photograph, tmp_path / "wall", 0.3, stop)
    assert len(strips_in(tmp_path / "wall")) > 1

    with_gate(photograph, tmp_path / "wall", 0.9)
    assert same_files(tmp_path / "wall", tmp_path / "whole")

    with pytest.raises(InTheWay, match=r"other options \(--gate 0.9, now 0.3\).*--overwrite"):
        with_gate(photograph, tmp_path / "wall", 0.3)
    assert same_files(tmp_path / "wall", tmp_path / "whole")


def test_finished_strips_are_not_computed_again(photograph, tmp_path, monkeypatch):
    asked = []
    score_strip = ClassifierScorer.score_strip

    def third_fails_at_first(scorer, raster, grid, index, report):
        asked.append(index)
        if asked == [0, 1, 2]:
            raise Stopped
        return score_strip(scorer, raster, grid, index, report)

    monkeypatch.setattr(ClassifierScorer, "score_strip", third_fails_at_first)
    with pytest.raises(Stopped):
        scan(photograph, tmp_path / "wall")
    scan(photograph, tmp_path / "wall")

    assert asked == [0, 1, 2, 2, 3, 4, 5, 6]


def test_a_scan_interrupted_while_masking_reuses_its_score(photograph, tmp_path):
    scan(photograph, tmp_path / "whole")

    def stop(share, words):
        if words.endswith("mask"):
            raise Stopped

    with pytest.raises(Stopped):
        scan(photograph, tmp_path / "wall", progress=stop)
    assert not (tmp_path / "wall" / "scene.json").exists()
    summary = scan(photograph, tmp_path / "wall", Untouchable())

    assert summary.status == "done"
    assert same_files(tmp_path / "wall", tmp_path / "whole")
    assert not (tmp_path / "wall" / ".crackcli-work").exists()


def test_the_record_is_written_last(photograph, tmp_path, monkeypatch):
    def stop(scene):
        assert scene.score.exists()
        assert scene.mask.exists()
        assert not (scene.folder / "scene.json").exists()
        raise Stopped

    scan(photograph, tmp_path / "wall")
    monkeypatch.setattr(Scene, "write", stop)
    with pytest.raises(Stopped):
        scan(photograph, tmp_path / "wall", overwrite=True)
    monkeypatch.undo()

    assert scan(photograph, tmp_path / "wall", Untouchable()).status == "done"
    assert (tmp_path / "wall" / "scene.json").exists()


def test_the_record_identifies_file_and_network(photograph, tmp_path):
    summary = scan(photograph, tmp_path / "wall", masking=Masking("study", threshold=0.1))

    record = Scene.read(summary.mask.parent).record.facts
    digest = hashlib.sha256(photograph.read_bytes()).hexdigest()
    assert record["source"]["sha256"] == record["scored"]["source_sha256"] == digest
    assert record["threshold"] == summary.threshold == 0.1
    assert record["masking"]["recipe"] == "study"
    outside = {"device": record["device"], "licence": Licence(record["licence"] or "")}
    assert record["scored"]["engine"] | outside == vars(LocalEngine().facts)


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 3), (8, 1)])
def test_cracks_lie_where_a_viewer_shows_them(tmp_path, orientation, turns):
    image = wall(96, 200)
    plain = cv2.imencode(".jpg", image)[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
    exif += bytes([orientation]) + bytes(6)
    head = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "turned.jpg").write_bytes(plain[:2] + head + plain[2:])
    upright = np.rot90(cv2.imdecode(np.frombuffer(plain, np.uint8), 1), turns)
    cv2.imwrite(str(tmp_path / "upright.png"), np.ascontiguousarray(upright))

    turned, expected = (
        read_band(scan(tmp_path / name, tmp_path / folder).mask, Window(0, 0, *upright.shape[:2]))
        for name, folder in (("turned.jpg", "a"), ("upright.png", "b"))
    )

    assert (expected == 1).sum() > 300
    np.testing.assert_array_equal(turned, expected)


def test_files_of_an_interrupted_masking_are_removed(photograph, tmp_path):
    scan(photograph, tmp_path / "wall")
    work = tmp_path / "wall" / ".crackcli-work"

    def stop(share, words):
        if words.endswith("mask"):
            raise Stopped

    with pytest.raises(Stopped):
        scan(photograph, tmp_path / "wall", progress=stop, masking=Masking("study"))
    assert work.exists()

    assert scan(photograph, tmp_path / "wall").status == "unchanged"
    assert not (tmp_path / "wall" / ".crackcli-work").exists()


def test_overwrite_keeps_a_mask_that_was_corrected_by_hand(photograph, tmp_path, caplog):
    summary = scan(photograph, tmp_path / "wall")
    with rasterio.open(summary.mask, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        corrected = file.read(1)
        corrected[:20] = 1
        file.write(corrected, 1)

    scan(photograph, tmp_path / "wall", overwrite=True)

    assert (everything(tmp_path / "wall" / "mask.edited.tif") == corrected).all()
    assert not (everything(summary.mask) == corrected).all()
    assert "mask.tif: not as crackcli left it; kept as mask.edited.tif" in caplog.text
