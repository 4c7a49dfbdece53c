"""A GeoPackage is read as the SQLite file that it is, and nothing that it names is opened."""

import contextlib
import os
import sqlite3

import pytest
from walls import polyline, write_scene

from crackcli.comparison.campaign import Report
from crackcli.errors import InputError
from crackcli.finetuning.reviews import read_reviews
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.geopackage_reader import read

VRT = """<OGRVRTDataSource><OGRVRTLayer name="cracks">
<SrcDataSource>/vsicurl/http://127.0.0.1:9/cracks.geojson</SrcDataSource>
</OGRVRTLayer></OGRVRTDataSource>"""


@pytest.fixture
def out(tmp_path):
    mask = polyline((80, 100), [(9.5, 20.0), (60.0, 35.0), (75.0, 70.0)], 3)
    write_scene(tmp_path / "wall", mask)
    write_report(ReportTask(tmp_path))
    return tmp_path


def as_text(path):
    path.write_text(VRT)


def as_other_database(path):
    """A database that another driver of GDAL would open, with a layer of the same name."""
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE geometry_columns (f_table_name, f_geometry_column)")
        file.execute("INSERT INTO geometry_columns VALUES ('cracks', 'geom')")
        file.execute("CREATE TABLE cracks (geom, crack_id, scene_id)")


def as_pipe(path):
    os.mkfifo(path)


@pytest.mark.parametrize("make", [as_text, as_other_database, as_pipe])
def test_what_is_no_geopackage_is_refused_at_once(out, make):
    path = out / "cracks.gpkg"
    path.unlink()
    make(path)

    for reading in (read, Report.read, lambda folder: read_reviews(folder / "cracks.gpkg")):
        with pytest.raises(InputError, match=r"cracks\.gpkg"):
            reading(out)


@pytest.mark.parametrize("make", [as_text, as_other_database])
def test_a_report_keeps_aside_what_has_the_name_of_its_geopackage(out, make, caplog):
    path = out / "cracks.gpkg"
    path.unlink()
    make(path)
    before = path.read_bytes()

    write_report(ReportTask(out))

    assert (out / "cracks.edited.gpkg").read_bytes() == before
    assert len(read(out)["cracks"]["wall"].geometries) == 1
    assert "kept as cracks.edited.gpkg" in caplog.text


def test_a_column_that_is_missing_is_named(out):
    with contextlib.closing(sqlite3.connect(out / "cracks.gpkg")) as file, file:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: 0)
        file.execute("ALTER TABLE cracks DROP COLUMN length_px")

    with pytest.raises(InputError, match="lacks length_px; run crackcli report"):
        read(out)


def test_numbers_that_are_none_and_geometries_that_are_broken_are_unknown(out):
    with contextlib.closing(sqlite3.connect(out / "cracks.gpkg")) as file, file:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: 0)
        file.execute("UPDATE cracks SET length_px = 'long', geom = x'00'")

    found = read(out)["cracks"]["wall"]

    assert found.columns["length_px"].tolist() == pytest.approx([float("nan")], nan_ok=True)
    assert found.geometries.tolist() == [None]
