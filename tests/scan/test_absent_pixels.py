"""Pixels that are not of the wall get no score and no mask, and the scan says so once."""

import json
import logging

import cv2
import numpy as np
import pytest
import rasterio
from fakes import LocalEngine, wall

from crackcli.errors import InputError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.rasters.score_mask import read_band
from crackcli.scan.raster import ScanTask, scan_raster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
ROWS, COLS = 401, 515


def scan(photograph, folder, core_px=64):
    scorer = ClassifierScorer(LocalEngine(), gate=0.3)
    return scan_raster(ScanTask(photograph, folder, core_px=core_px), scorer)


@pytest.fixture
def rough():
    grain = np.random.default_rng(0).normal(0, 6, (ROWS, COLS, 1))
    return np.clip(wall(ROWS, COLS, cracks=2) + grain, 1, 255).astype(np.uint8)


def test_the_collar_of_a_turned_wall_is_nodata_for_any_grid(rough, tmp_path, caplog):
    turn = cv2.getRotationMatrix2D((COLS / 2, ROWS / 2), 12, 0.8)
    turned = cv2.warpAffine(rough, turn, (COLS, ROWS))
    collar = cv2.warpAffine(np.ones((ROWS, COLS), np.uint8), turn, (COLS, ROWS)) == 0
    cv2.imwrite(str(tmp_path / "wall.jpg"), turned)

    with caplog.at_level(logging.WARNING):
        summary = scan(tmp_path / "wall.jpg", tmp_path / "out" / "wall")
    notes = [one.getMessage() for one in caplog.records if "border" in one.getMessage()]
    other = scan(tmp_path / "wall.jpg", tmp_path / "other" / "wall", core_px=224)

    mask = read_band(summary.mask)
    assert (mask[collar] == 255).mean() > 0.999
    assert np.array_equal(mask == 255, read_band(other.mask) == 255)
    assert len(notes) == 1
    assert notes[0].startswith("wall.jpg: its flat black border, ")
    source = json.loads((tmp_path / "out" / "wall" / "scene.json").read_text())["source"]
    assert notes[0] == f"wall.jpg: {source['notes'][0]}"


def test_black_cracks_are_found_where_black_is_declared_nodata(rough, tmp_path):
    black = rough.max(axis=2, keepdims=True) < 60
    assert 0.001 < black.mean() < 0.1
    masks = []
    for name, nodata in (("declared", 0), ("not", None)):
        path = tmp_path / f"{name}.tif"
        with rasterio.open(
            path, "w", width=COLS, height=ROWS, count=3, dtype="uint8", nodata=nodata
        ) as file:
            file.write(np.moveaxis(np.where(black, 0, rough), -1, 0))
        masks.append(read_band(scan(path, tmp_path / "out" / name).mask))

    inside = slice(16, -16), slice(16, -16)
    np.testing.assert_array_equal(masks[0][inside], masks[1][inside])
    assert (masks[0] == 1).any()


def test_a_half_copied_photograph_leaves_no_files(rough, tmp_path):
    path = tmp_path / "wall.jpg"
    cv2.imwrite(str(path), rough)
    whole = path.read_bytes()
    kept = len(whole) * 6 // 10
    path.write_bytes(whole[:kept] + bytes(len(whole) - kept))

    with pytest.raises(InputError, match=r"wall\.jpg: damaged \(the last [\d,]+ of its") as error:
        scan(path, tmp_path / "out" / "wall")

    assert error.value.exit_code == 4
    assert not (tmp_path / "out").exists()
