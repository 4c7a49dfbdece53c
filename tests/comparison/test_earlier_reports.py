"""Reports of earlier versions: lines in mm from the lower left corner of the photograph."""

import contextlib
import sqlite3

import numpy as np
import pytest
import shapely
from walls import polyline, write_scene

from crackcli.comparison.campaign import Report
from crackcli.finetuning.reviews import in_pixels, read_reviews
from crackcli.report import ReportTask, write_report
from crackcli.scenes.areas.geometry_blob import shape_of
from crackcli.scenes.scene import Scene

SHAPE = (80, 100)
GSD_MM = 0.25


def as_earlier(path):
    """Change the GeoPackage of a report into that of version 0.1."""
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: 0)
        file.execute("ALTER TABLE reports DROP COLUMN transform")
        for number, blob in file.execute("SELECT fid, geom FROM cracks").fetchall():
            shape = shapely.transform(shape_of(blob), lambda at: GSD_MM * np.add(at, (0, SHAPE[0])))
            head = b"GP\x00\x01" + (-1).to_bytes(4, "little", signed=True)
            changed = (head + shapely.to_wkb(shape, byte_order=1), number)
            file.execute("UPDATE cracks SET geom = ? WHERE fid = ?", changed)
        file.execute("UPDATE cracks SET review = 'accepted'")


def test_the_lines_of_a_report_of_before_lie_where_they_did(tmp_path):
    mask = polyline(SHAPE, [(9.5, 20.0), (60.0, 35.0), (75.0, 70.0)], 3)
    write_scene(tmp_path / "wall", mask)
    write_report(ReportTask(tmp_path, gsd_mm=GSD_MM))
    scene = Scene.read(tmp_path / "wall")
    now = Report.read(tmp_path).campaign(scene).lines

    as_earlier(tmp_path / "cracks.gpkg")

    before = Report.read(tmp_path).campaign(scene).lines
    (reviewed,) = in_pixels(scene, read_reviews(tmp_path / "cracks.gpkg")["wall"])
    places = shapely.get_coordinates(now)
    assert len(places) >= 3
    assert shapely.get_coordinates(before) == pytest.approx(places, abs=0.01)
    # learn takes the scale of the rounded lengths
    assert shapely.get_coordinates(reviewed.line) == pytest.approx(places, abs=0.05)
