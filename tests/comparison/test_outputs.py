"""changes.gpkg: the rows of changes.csv as a layer of the map, with a style of each kind."""

import sqlite3
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from walls import polyline, write_scene

from crackcli.comparison import CompareTask, write_comparison
from crackcli.comparison.outputs.columns import COLUMNS
from crackcli.comparison.outputs.geopackage import KINDS
from crackcli.comparison.write import KINDS as COUNTED
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
