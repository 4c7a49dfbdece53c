"""A warning names scenes that show the same place of the map."""

import logging

import cv2
import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from fakes import LocalEngine, wall
from rasterio.crs import CRS
from walls import write_scene

from crackcli.inference import opening
from crackcli.report import ReportTask, write_report
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.overlaps import overlaps

UTM32 = CRS.from_epsg(32632).to_wkt()
UTM33 = CRS.from_epsg(32633).to_wkt()
ROWS, COLS = 300, 400
GSD_M = 0.002


def scene(folder, x_m=0.0, y_m=0.0, crs=UTM32, mask=None, gsd_m=GSD_M):
    """A scene whose upper left corner lies so far from a place in Germany."""
    transform = Affine(gsd_m, 0, 500_000 + x_m, 0, -gsd_m, 5_300_000 + y_m)
    mask = np.zeros((ROWS, COLS), np.uint8) if mask is None else mask
    return write_scene(folder, mask, transform, crs)


def found(*scenes):
    return [(each.one.name, each.other.name, round(each.fraction, 2)) for each in overlaps(scenes)]


def test_two_versions_of_one_map_overlap(tmp_path):
    one, other = scene(tmp_path / "odm"), scene(tmp_path / "odm.original")
    half = scene(tmp_path / "half", x_m=COLS * GSD_M / 2)

    assert found(one, other) == [("odm", "odm.original", 1.0)]
    assert found(one, half) == [("odm", "half", 0.5)]


def test_a_part_lies_in_the_whole_at_another_resolution(tmp_path):
    whole = scene(tmp_path / "whole", gsd_m=10 * GSD_M)
    part = scene(tmp_path / "part", x_m=1.0, y_m=-1.0)

    assert found(whole, part) == [("whole", "part", 1.0)]


@pytest.mark.parametrize("x_m", [COLS * GSD_M, COLS * GSD_M - 3 * GSD_M, 100.0])
def test_neighbours_do_not_overlap(tmp_path, x_m):
    assert found(scene(tmp_path / "a"), scene(tmp_path / "b", x_m=x_m)) == []


def test_tiles_with_a_common_margin_overlap(tmp_path):
    margin = 0.06 * COLS * GSD_M

    assert found(scene(tmp_path / "a"), scene(tmp_path / "b", x_m=COLS * GSD_M - margin)) == [
        ("a", "b", 0.06)
    ]


def test_empty_corners_do_not_count(tmp_path):
    """Two strips along a slanting road: their frames overlap, their pixels do not."""
    row, col = np.mgrid[:ROWS, :COLS]
    upper = np.where(row / ROWS + col / COLS < 0.98, 0, 255).astype(np.uint8)
    lower = np.where(row / ROWS + col / COLS > 1.02, 0, 255).astype(np.uint8)

    a, b = scene(tmp_path / "a", mask=upper), scene(tmp_path / "b", mask=lower)

    assert found(a, b) == []
    assert found(a, scene(tmp_path / "c", mask=upper)) == [("a", "c", 1.0)]


def test_scenes_of_two_maps_overlap_where_they_show_the_same_place(tmp_path):
    zones = CRS.from_epsg(32632), CRS.from_epsg(32633)
    (x,), (y,) = rasterio.warp.transform(*zones, [700_000], [5_300_000])
    a = scene(tmp_path / "a", x_m=200_000)
    b = scene(tmp_path / "b", x_m=x - 500_000, y_m=y - 5_300_000, crs=UTM33)

    ((one, other, fraction),) = found(a, b)
    assert (one, other) == ("a", "b")
    assert fraction > 0.8  # the maps are turned against each other


def test_photographs_without_a_map_never_overlap(tmp_path):
    plain = [write_scene(tmp_path / name, np.zeros((ROWS, COLS), np.uint8)) for name in "ab"]
    local = [scene(tmp_path / f"{name}_local", crs=None) for name in "ab"]

    assert found(*plain, *local) == []


def geotiff(path, seed):
    image = np.moveaxis(wall(96, 130, seed), -1, 0)
    profile = {"driver": "GTiff", "count": 3, "height": 96, "width": 130, "dtype": "uint8"}
    path.parent.mkdir(exist_ok=True)
    with rasterio.open(
        path, "w", **profile, crs="EPSG:32632", transform=Affine(0.002, 0, 5e5, 0, -0.002, 5.3e6)
    ) as file:
        file.write(image)


def test_scan_and_report_warn_of_them(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    caplog.set_level(logging.WARNING)
    geotiff(tmp_path / "in/odm_orthophoto.tif", 1)
    geotiff(tmp_path / "in/odm_orthophoto.original.tif", 2)
    cv2.imwrite(str(tmp_path / "in/detail.png"), wall(96, 130, 3))
    words = (
        "odm_orthophoto and odm_orthophoto.original show the same place (100 % of the smaller "
        "one): cracks there count twice; keep one of them"
    )

    scan_survey(SurveyTask((tmp_path / "in",), tmp_path / "out"))
    assert [record.getMessage() for record in caplog.records] == [words]
    caplog.clear()
    write_report(ReportTask(tmp_path / "out", formats=("csv",)))

    assert words in [record.getMessage() for record in caplog.records]
