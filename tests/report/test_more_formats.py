"""Formats that a report writes on request: a workbook and shapefiles."""

import contextlib
import sqlite3

import openpyxl
import pytest
import shapely
from affine import Affine
from pyogrio import raw
from rasterio.crs import CRS
from walls import crackcli, polyline, write_scene

from crackcli.errors import OutputError, UsageError
from crackcli.report import ReportTask, write_report
from crackcli.report.formats import xlsx
from crackcli.report.formats.csv import read_rows
from crackcli.report.tables.columns import COLUMNS, SCENE_COLUMNS
from crackcli.texts import cell_text

MAP = Affine(0.001, 0, 2_600_000, 0, -0.001, 1_200_000)
FORMULA = "=1+1"


@pytest.fixture
def out(tmp_path):
    """Two scenes, one on a map; the name of one begins like a formula."""
    mask = polyline((80, 100), [(9.5, 20.0), (60.0, 35.0), (75.0, 70.0)], 3)
    mask |= polyline((80, 100), [(5.0, 75.0), (95.0, 75.0)], 3)
    write_scene(tmp_path / FORMULA, mask)
    write_scene(tmp_path / "map", mask, MAP, CRS.from_epsg(2056).to_wkt())
    return tmp_path


def report(out, *formats, **options):
    return write_report(ReportTask(out, formats=("csv", "gpkg", *formats), **options))


def sheet_rows(book, name):
    header, *rows = book[name].iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_workbook_has_a_sheet_for_each_table_with_the_values_of_the_csv_tables(out):
    report(out, "xlsx", severity=("burland",))

    book = openpyxl.load_workbook(out / "cracks.xlsx")
    assert book.sheetnames == ["cracks", "joints", "scenes", "severity_profiles"]
    for name, columns in (("cracks", COLUMNS), ("scenes", SCENE_COLUMNS)):
        rows = sheet_rows(book, name)
        table = read_rows(out / f"{name}.csv")
        assert len(rows) == len(table) > 0
        for row, expected in zip(rows, table, strict=True):
            for column, kind in columns.items():
                if row[column] is None:
                    assert expected[column] == ""
                elif kind in (float, int):
                    assert row[column] == pytest.approx(float(expected[column]))
                elif kind is bool:
                    assert str(row[column]).lower() == expected[column]
                else:
                    assert row[column] == cell_text(expected[column])
    assert "not be used on its own" in sheet_rows(book, "cracks")[0]["severity_caveats"]


def test_text_that_begins_like_a_formula_stays_text(out):
    report(out, "xlsx", asset_id="https://example.org", campaign_id="www.a.org")

    sheet = openpyxl.load_workbook(out / "cracks.xlsx")["cracks"]
    header = [one.value for one in sheet[1]]
    row = dict(zip(header, sheet[2], strict=True))
    texts = {"scene_id": FORMULA, "asset_id": "https://example.org", "campaign_id": "www.a.org"}
    for column, text in texts.items():
        assert (row[column].value, row[column].data_type) == (text, "s")
        assert row[column].hyperlink is None


def test_equal_reports_give_equal_workbooks(out):
    report(out, "xlsx")
    before = (out / "cracks.xlsx").read_bytes()
    report(out, "xlsx")

    assert (out / "cracks.xlsx").read_bytes() == before


def test_a_sheet_that_is_too_short_is_an_error_that_says_what_to_do(out, monkeypatch):
    monkeypatch.setattr(xlsx, "MAX_ROWS", 1)

    with pytest.raises(OutputError, match="leave --format xlsx out"):
        report(out, "xlsx")
    assert not (out / "cracks.xlsx").exists()


def test_shapefiles_have_short_names_with_units_and_the_geometries_of_the_geopackage(out):
    report(out, "shp", severity=("burland",), gsd_mm=1.0, scale_source="option")

    files = sorted((out / "shapefiles").glob("*.shp"))
    assert [path.stem for path in files] == [
        *("crack_areas", "crack_areas_2", "cracks", "cracks_2", "joints", "joints_2")
    ]
    for path in files:
        facts, _, shapes, fields = raw.read(path)
        other, _, expected, columns = raw.read(out / "cracks.gpkg", layer=path.stem)
        names = facts["fields"].tolist()
        assert len(shapes) == len(expected)
        assert shapely.equals(shapely.from_wkb(shapes), shapely.from_wkb(expected)).all()
        values = dict(zip(names, fields, strict=True))
        known = dict(zip(other["fields"], columns, strict=True))
        assert values["wmax_mm"].tolist() == pytest.approx(known["width_max_mm"].tolist())
        assert values["wmax_px"].tolist() == pytest.approx(known["width_max_px"].tolist())
        assert values["at_edge"].tolist() == known["touches_edge"].tolist()
        assert values["scene_id"].tolist() == known["scene_id"].tolist()
        assert ("s1_class" in names) == (not path.stem.startswith("joints"))


def test_a_long_note_is_cut_in_a_shapefile_only(out):
    report(out)
    note = "ä" * 200
    with contextlib.closing(sqlite3.connect(out / "cracks.gpkg")) as file:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: 0)
        with file:
            file.execute("UPDATE cracks SET note = ?", (note,))

    report(out, "shp")

    facts, _, _, fields = raw.read(out / "shapefiles" / "cracks.shp")
    texts = dict(zip(facts["fields"], fields, strict=True))["note"].tolist()
    assert texts == [note[:127]] * len(texts)
    assert {row["note"] for row in read_rows(out / "cracks.csv")} == {note, ""}


def test_the_command_writes_more_formats_and_refuses_unknown_ones(out):
    done = crackcli("report", out, "--format", "xlsx", "-q")
    wrong = crackcli("report", out, "--format", "dxf")

    assert done.returncode == 0, done.stderr
    assert (out / "cracks.xlsx").is_file()
    assert str(out / "cracks.geojson") in done.stdout
    assert wrong.returncode == 2
    assert "--format dxf: unknown; choose one of: shp, xlsx" in wrong.stderr


def test_a_task_refuses_an_unknown_format(out):
    with pytest.raises(UsageError, match="--format dxf: unknown"):
        report(out, "dxf")
