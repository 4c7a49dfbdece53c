"""The layer, the chart and the crops of a comparison."""

import sqlite3
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from walls import polyline, write_scene

from crackcli.comparison import CompareTask, write_comparison
from crackcli.comparison.compared import KINDS as COUNTED
from crackcli.comparison.evidence.samples import SameGrid
from crackcli.comparison.outputs.columns import COLUMNS
from crackcli.comparison.outputs.crops import Sides, draw_crop, window_around
from crackcli.comparison.outputs.geopackage import KINDS
from crackcli.comparison.outputs.growth_chart import MOST as MOST_IN_CHART
from crackcli.comparison.outputs.growth_chart import ROW_PX, draw_growth
from crackcli.rasters.reader import inspect
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows
from crackcli.report.formats.geopackage_reader import read_layers
from crackcli.scenes.frames import apply_affine

UTM = CRS.from_epsg(25832).to_wkt()
TENTH = Affine(0.1, 0, 500_000, 0, -0.1, 5_500_000)
SHAPE = (120, 200)


@pytest.fixture
def written(tmp_path):
    """A comparison of two scenes on two maps; in each a crack is gone and another grew."""
    for name, ends in (("before", (100.0, True)), ("after", (170.0, False))):
        mask = polyline(SHAPE, [(20.0, 30.0), (ends[0], 30.0)], 3)
        if ends[1]:
            mask |= polyline(SHAPE, [(20.0, 90.0), (160.0, 95.0)], 3)
        write_scene(tmp_path / name / "east", mask, TENTH, UTM)
        write_scene(tmp_path / name / "west", mask, TENTH, CRS.from_epsg(25833).to_wkt())
        write_report(ReportTask(tmp_path / name, joint_likelihood=1))
    task = CompareTask(tmp_path / "before", tmp_path / "after", tmp_path / "changes")
    assert tmp_path / "changes" / "changes.gpkg" in write_comparison(task).paths
    return tmp_path / "changes"


def test_the_layers_have_the_rows_of_the_table(written):
    rows = read_rows(written / "changes.csv")
    layers = read_layers(written / "changes.gpkg", ("changes",))

    found = [row for layer in layers for row in layer.rows]

    assert [layer.name for layer in layers] == ["changes", "changes_2"]
    assert {tuple(row) for row in found} == {tuple(COLUMNS)}
    assert [row["change_id"] for row in found] == [row["change_id"] for row in rows]
    assert [row["kind"] for row in found] == ["grown", "gone"] * 2
    for row, text in zip(found, rows, strict=True):
        assert row["d_length_px"] == float(text["d_length_px"])
        assert row["ids_before"] == text["ids_before"]
        assert row["significant"] is None  # no photographs, no uncertainties


def test_lines_lie_on_the_map(written):
    layer, _ = read_layers(written / "changes.gpkg", ("changes",))

    middle = shapely.get_coordinates(shapely.centroid(layer.shapes[1]))[0]

    (place,) = apply_affine(TENTH, np.array([[90.5, 93.0]]))
    np.testing.assert_allclose(middle, place, atol=0.1)


def test_every_layer_has_a_style_with_all_kinds(written):
    with sqlite3.connect(written / "changes.gpkg") as file:
        styles = file.execute("SELECT f_table_name, styleQML FROM layer_styles").fetchall()

    assert [name for name, _ in styles] == ["changes", "changes_2"]
    for _, qml in styles:
        rules = ElementTree.fromstring(qml).findall("renderer-v2/rules/rule")
        assert [rule.get("label") for rule in rules] == list(KINDS)
    assert set(KINDS) == set(COUNTED)


def textured(shape, seed=0):
    """A smooth random texture (rows, cols, 3)."""
    noise = np.random.default_rng(seed).normal(size=shape)
    grey = 128 + 400 * cv2.GaussianBlur(noise, (0, 0), 3)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


class Moved(SameGrid):
    """The later photograph begins 30 px further right and 20 px further down."""

    SHIFT = np.array([30.0, 20.0])

    def to_after(self, points):
        return points - self.SHIFT

    def to_before(self, points):
        return points + self.SHIFT


def test_a_crop_shows_what_is_new_and_nothing_else(tmp_path):
    """The earlier photograph is larger, from another place and darker; its difference is grey."""
    before = textured((220, 300))
    after = before[20:200, 30:260].copy()
    cv2.line(after, (40, 90), (190, 90), (10, 10, 10), 3)
    for name, image in (("before", before * 0.8), ("after", after)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    infos = [inspect(tmp_path / f"{name}.png") for name in ("before", "after")]
    line = shapely.MultiLineString([[(40.5, 90.5), (190.5, 90.5)]])

    window = window_around(line, infos[1])
    sheet = draw_crop(Sides(*infos, Moved()), line, "grown")

    assert (window.col, window.cols, window.rows) == (16, 198, 96)
    cell = sheet[: sheet.shape[0] - 26, -400:, 0].astype(int)
    scale = 400 / window.cols
    row = round((90 - window.row) * scale)
    assert (cell[row, round(40 * scale) : round(160 * scale)] < 60).all()
    away = np.abs(np.arange(len(cell)) - row) > 10 * scale
    assert np.abs(cell[away] - 128).max() < 16


def test_a_crop_of_a_place_that_only_the_later_photograph_shows_is_white(tmp_path):
    for name in ("before", "after"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), textured((100, 120)))
    infos = [inspect(tmp_path / f"{name}.png") for name in ("before", "after")]

    class Elsewhere(Moved):
        SHIFT = np.array([500.0, 0.0])

    sheet = draw_crop(
        Sides(*infos, Elsewhere()), shapely.MultiLineString([[(20, 50), (90, 50)]]), ""
    )

    assert (sheet[:50, -300:] == 255).all()


def growth_row(name, change, unc=0.1, **values):
    known = {
        "change_id": name,
        "kind": "grown",
        "p_value": 0.01,
        "d_width_max_px": change,
        "d_width_max_unc_px": unc,
        "detection_limit_width_max_px": 0.3,
    }
    return dict.fromkeys(COLUMNS) | known | values


def test_the_chart_has_a_row_for_each_of_the_most_certain_changes():
    rows = [growth_row(f"c{number}", 0.1 * number, p_value=1 / number) for number in range(1, 40)]

    few, many = draw_growth(rows[:3]), draw_growth(rows)

    assert many.shape[0] - few.shape[0] == (MOST_IN_CHART - 3) * ROW_PX
    assert draw_growth([growth_row("c1", 0.5, unc=None)]) is None


def test_the_chart_shows_an_opening_right_of_a_closing():
    chart = draw_growth([growth_row("c1", 1.0), growth_row("c2", -1.0, kind="gone")]).astype(int)

    red = np.argwhere(chart[..., 0] - chart[..., 2] > 120)
    blue = np.argwhere(chart[..., 2] - chart[..., 0] > 80)

    assert red[:, 1].mean() > blue[:, 1].mean() + 200
    assert red[:, 0].mean() < blue[:, 0].mean()
