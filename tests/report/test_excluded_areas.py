"""Excluded areas in a report: in no figure but their own, on the map and on the overview."""

import json
import sqlite3

import cv2
import numpy as np
import pytest
import shapely
from pyogrio import raw
from walls import photographed, polyline

from crackcli.errors import InputError
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.score_mask import read_band
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows
from crackcli.scenes.source import inspect_as_scanned
from crackcli.selftest.run import without_masked

ROWS, COLS = 512, 512
AREA = shapely.box(256, 0, 512, 256)  # a quarter, one block


def scanned(tmp_path, area=AREA):
    """A grainy wall with a crack on its left, a quarter of it excluded."""
    rng = np.random.default_rng(0)
    crack = polyline((ROWS, COLS), [(60.0, 60.0), (90.0, 230.0), (70.0, 450.0)], 5)
    grey = cv2.GaussianBlur(np.where(crack, 60.0, 160.0), (0, 0), 0.8)
    grey = grey + rng.normal(0, 2, grey.shape)
    excluded = ExcludedAreas.of([area], shapely.box(0, 0, COLS, ROWS))
    mask = crack.copy()
    flags = shapely.contains_xy(area, *np.meshgrid(np.arange(COLS) + 0.5, np.arange(ROWS) + 0.5))
    mask[flags] = 255
    out = tmp_path / "out"
    source = photographed(out, "wall", mask, grey.clip(0, 255).astype(np.uint8))
    path = out / "wall" / "scene.json"
    facts = json.loads(path.read_text())
    facts["excluded"] = {"files": ["a"], "px": int(flags.sum()), "polygons": excluded.wkt}
    path.write_text(json.dumps(facts))
    return out, source


def test_an_excluded_area_is_neither_assessed_nor_nodata(tmp_path):
    out, _ = scanned(tmp_path)

    summary = write_report(ReportTask(out, gsd_mm=0.5, joint_likelihood=1))

    (row,) = read_rows(out / "scenes.csv")
    assert (row["excluded_px"], row["excluded_pct"]) == ("65536", "25.0")
    assert float(row["excluded_m2"]) == pytest.approx(65536 * 0.25e-6)
    assert (row["assessed_px"], row["nodata_pct"]) == (str(3 * 65536), "0.0")
    assert row["not_assessable_pct"] == "0.0"
    assert row["statement"] == summary.statement
    assert summary.statement.startswith("1 crack; cracks of ")
    assert summary.statement.endswith(
        "would have been seen on 75 % of the surface; 25 % excluded by the user; "
        "faint cracks and cracks in masonry excepted"
    )
    assert summary.table()[1].split()[-2] == "75.0"


def test_a_scene_that_is_excluded_as_a_whole_says_so(tmp_path):
    out, _ = scanned(tmp_path, shapely.box(0, 0, COLS, ROWS))

    summary = write_report(ReportTask(out))

    assert summary.statement == (
        "0 cracks seen; none of the surface is assessable; 100 % excluded by the user"
    )


def test_the_map_has_the_excluded_area_and_its_reason(tmp_path):
    out, _ = scanned(tmp_path)
    write_report(ReportTask(out))

    with sqlite3.connect(out / "cracks.gpkg") as file:
        query = "SELECT reason, assessable, valid_px FROM measurability ORDER BY reason"
        rows = file.execute(query).fetchall()
    file.close()
    _, _, shapes, _ = raw.read(out / "cracks.gpkg", layer="measurability")
    covered = [shapely.area(shape) for shape in shapely.from_wkb(shapes)]
    assert rows[-1] == ("excluded by the user", 0, None)
    assert [reason for reason, *_ in rows[:-1]] == [""] * (len(rows) - 1)
    assert sum(covered) == ROWS * COLS


def test_the_overview_shows_the_photograph_hatched(tmp_path):
    out, _ = scanned(tmp_path)
    write_report(ReportTask(out))

    image = cv2.imread(str(out / "wall" / "overview.png"))
    factor = image.shape[1] / COLS
    inside = image[: round(250 * factor), round(262 * factor) :].mean(axis=2)
    outside = image[round(262 * factor) : round(500 * factor), round(262 * factor) :].mean(axis=2)
    hatched = abs(inside - 120) < 12
    assert 0.2 < hatched.mean() < 0.3
    assert np.median(inside[~hatched]) == pytest.approx(np.median(outside), abs=3)


def test_widths_beside_an_excluded_area_are_those_of_the_photograph(tmp_path):
    beside, out = tmp_path / "beside", tmp_path / "far"
    beside.mkdir()
    out.mkdir()
    near, _ = scanned(beside, shapely.box(100, 0, 512, 512))  # 10 px from the crack
    far, _ = scanned(out)

    widths = []
    for folder in (near, far):
        write_report(ReportTask(folder, joint_likelihood=1))
        (row,) = read_rows(folder / "cracks.csv")
        widths.append(float(row["width_mean_px"]))

    assert widths[0] == pytest.approx(widths[1], abs=0.01)


def test_a_damaged_record_of_areas_is_an_error_of_its_scene(tmp_path):
    out, _ = scanned(tmp_path)
    path = out / "wall" / "scene.json"
    path.write_text(path.read_text().replace("MULTIPOLYGON", "POLYGON"))

    with pytest.raises(InputError, match="its excluded areas are damaged"):
        write_report(ReportTask(out))


def test_a_selftest_reads_the_photograph_without_excluded_areas(tmp_path):
    out, source = scanned(tmp_path)
    mask = read_band(out / "wall" / "mask.tif")

    info = inspect_as_scanned(source, out)
    assert (
        info.excluded.digest
        == ExcludedAreas.from_wkt("MULTIPOLYGON (((256 0, 256 256, 512 256, 512 0, 256 0)))").digest
    )
    cv2.imwrite(str(source.with_name("wall.exclude.png")), ((mask == 255) * 255).astype(np.uint8))
    assert without_masked(inspect_as_scanned(source, out)).excluded.digest == info.excluded.digest
