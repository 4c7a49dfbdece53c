"""Gauges: the same stretch of a crack measured in every campaign."""

import json

import cv2
import numpy as np
import pytest
import shapely
from pyogrio import raw
from walls import crackcli, photographed, polyline

from crackcli.comparison import CompareTask, write_comparison
from crackcli.comparison.gauges import COLUMNS
from crackcli.comparison.outputs.gauge_chart import draw_gauges
from crackcli.errors import InputError
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows

SHAPE = (140, 220)
UPPER, LOWER = [(20.0, 40.0), (200.0, 44.0)], [(20.0, 100.0), (200.0, 96.0)]
WIDTHS = {"2022-05-01": (6, 4), "2023-05-02": (7, 4), "2024-05-03": (8, 4)}


@pytest.fixture(scope="module")
def surveys(tmp_path_factory):
    """Three photographs of two cracks; the upper one opens by 1 px at each."""
    root, folders = tmp_path_factory.mktemp("surveys"), []
    for number, (name, widths) in enumerate(WIDTHS.items()):
        mask, image = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 160.0)
        for points, width in zip((UPPER, LOWER), widths, strict=True):
            mask |= polyline(SHAPE, points, width + 2)
            image -= 110 * polyline(SHAPE, points, width, finer=15).astype(float)
        noise = np.random.default_rng(number).normal(0, 2, SHAPE)
        image = np.rint(cv2.GaussianBlur(image, (0, 0), 1.0) + noise).clip(0, 255).astype(np.uint8)
        out = root / name / "out"
        out.mkdir(parents=True)
        photographed(out, "wall", mask, image)
        write_report(ReportTask(out, joint_likelihood=1, gsd_mm=0.5, tone="encoded"))
        folders.append(out)
    return folders


def compare(surveys, output, gauges):
    task = CompareTask(
        *surveys[:2], output, later=(surveys[2],), gauges=str(gauges), same_grid=True
    )
    return write_comparison(task)


def points_file(path, *geometries):
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": kind, "coordinates": places}}
        for kind, places in geometries
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_the_widest_places_are_measured_in_every_campaign(surveys, tmp_path):
    summary = compare(surveys, tmp_path, "auto")

    rows = read_rows(tmp_path / "gauges.csv")
    assert {tmp_path / "gauges.csv", tmp_path / "gauges.png"} <= set(summary.paths)
    assert [row["gauge_id"] for row in rows] == ["g1"] * 3 + ["g2"] * 3
    assert {row["status"] for row in rows} == {"measured"}
    assert [row["date"] for row in rows[:3]] == list(WIDTHS)
    for gauge, expected in ((rows[:3], (3.0, 3.5, 4.0)), (rows[3:], (2.0, 2.0, 2.0))):
        assert [float(row["width_mm"]) for row in gauge] == pytest.approx(expected, abs=0.15)
        errors = [float(row["width_mm"]) - true for row, true in zip(gauge, expected, strict=True)]
        assert all(
            abs(error) < 3 * float(row["width_unc_mm"])
            for error, row in zip(errors, gauge, strict=True)
        )
        places = {(round(float(row["col"])), round(float(row["row"]))) for row in gauge}
        assert max(places)[0] - min(places)[0] <= 2  # the same stretch


def test_gauges_of_a_file_are_points_on_cracks_and_lines_across_them(surveys, tmp_path):
    file = points_file(
        tmp_path / "gauges.geojson",
        ("Point", [120.0, 98.0]),
        ("LineString", [[60.0, 25.0], [60.0, 60.0]]),
    )

    compare(surveys, tmp_path / "out", file)

    rows = read_rows(tmp_path / "out" / "gauges.csv")
    assert [float(row["width_px"]) for row in rows] == pytest.approx([4, 4, 4, 6, 7, 8], abs=0.3)
    assert float(rows[0]["col"]) == pytest.approx(119.5, abs=2)
    assert float(rows[3]["col"]) == pytest.approx(59.5, abs=2)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_gauges_may_be_in_a_layer_of_a_geopackage(surveys, tmp_path):
    path = tmp_path / "gauges.gpkg"
    for layer, shape in (
        ("tell-tales", shapely.MultiPoint([(120.0, -98.0)])),  # y up, as in QGIS
        ("doors", shapely.Point(9, 9)),
        ("walls", shapely.box(0, 0, 9, 9)),
    ):
        raw.write(
            *(path, shapely.to_wkb(np.array([shape])), [], []),
            layer=layer,
            driver="GPKG",
            geometry_type=shape.geom_type,
            append=path.exists(),
            layer_options={"SRID": "-1"},
        )

    compare(surveys, tmp_path / "out", f"{path}|layername=tell-tales")

    rows = read_rows(tmp_path / "out" / "gauges.csv")
    assert [float(row["width_px"]) for row in rows] == pytest.approx([4, 4, 4], abs=0.3)
    with pytest.raises(InputError, match=r"several layers of points or lines .doors, tell-tales."):
        compare(surveys, tmp_path / "other", path)


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (("Point", [120.0, 70.0]), "gauge 1 is more than 20 px from every crack"),
        (("Point", [9000.0, 70.0]), "or outside; move it onto a crack of the first campaign"),
        (("Polygon", [[[0, 0], [9, 0], [9, 9], [0, 0]]]), "geometry 1 is no point or line"),
    ],
    ids=["between", "outside", "polygon"],
)
def test_a_gauge_on_no_crack_is_an_error_and_nothing_is_written(
    surveys, tmp_path, geometry, message
):
    file = points_file(tmp_path / "gauges.geojson", geometry)

    with pytest.raises(InputError, match=message):
        compare(surveys, tmp_path / "out", file)

    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_the_error_for_a_missing_file_names_it(surveys, tmp_path):
    done = crackcli(
        *("compare", *surveys, "-o", tmp_path / "out", "--same-grid"),
        *("--gauges", tmp_path / "none.geojson"),
    )

    assert done.returncode == 4
    assert "none.geojson: does not exist; give a file, or auto" in done.stderr


def test_a_chart_has_a_cell_for_each_measured_gauge():
    row = dict.fromkeys(COLUMNS) | {"campaign": "a", "crack_id": "c", "width_unc_px": 0.1}
    rows = [row | {"gauge_id": f"g{number}", "width_px": 2.0} for number in range(1, 5)]

    one, four = draw_gauges(rows[:1]), draw_gauges(rows)

    assert four.shape[0] == 2 * one.shape[0]
    assert four.shape[1] == 3 * one.shape[1]
    assert draw_gauges([row | {"gauge_id": "g1"}]) is None
