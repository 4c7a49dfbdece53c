"""Work of people in cracks.gpkg: it survives every later report, or is kept aside and told."""

import contextlib
import json
import logging
import shutil
import sqlite3

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from walls import polyline, write_scene

from crackcli.errors import Locked
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows
from crackcli.report.formats.geopackage_reader import shape_of
from crackcli.scenes.frames import apply_affine

SHAPE = (220, 200)
ROWS = range(20, 220, 40)  # of five cracks
UTM = CRS.from_epsg(25832).to_wkt()
HALF = Affine(0.0005, 0, 500_000, 0, -0.0005, 5_500_000)
GPKG = "cracks.gpkg"


def bent(row, shape=SHAPE, width_px=3):
    """A crack that is too crooked for a joint."""
    cols = np.arange(20.0, 181.0, 4)
    return polyline(shape, [(col, row + 10 * np.sin(col / 12)) for col in cols], width_px)


def straight(shape=SHAPE):
    return polyline(shape, [(5.0, 210.0), (195.0, 210.0)], 3)


def cracked(rows=ROWS):
    return np.maximum.reduce([bent(row) for row in rows])


@contextlib.contextmanager
def edited(path):
    """Yield a connection like that of QGIS: it knows the functions that the triggers call."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: 0)
        with file:
            yield file


def in_gpkg(line, srs_id=-1):
    """The geometry of a GeoPackage for a line."""
    head = b"GP\x00\x01" + int(srs_id).to_bytes(4, "little", signed=True)
    return head + shapely.to_wkb(line, byte_order=1)


def draw(out, points, layer="cracks", **values):
    """Insert a line as QGIS does: most columns are null."""
    names, marks = ["geom", *values], ["?"] * (1 + len(values))
    with edited(out / GPKG) as file:
        file.execute(
            f"INSERT INTO {layer} ({', '.join(names)}) VALUES ({', '.join(marks)})",
            (in_gpkg(shapely.MultiLineString([points])), *values.values()),
        )


def rows_of(out, layer="cracks"):
    with contextlib.closing(sqlite3.connect(out / GPKG)) as file:
        file.row_factory = sqlite3.Row
        return [dict(row) for row in file.execute(f"SELECT * FROM {layer} ORDER BY crack_id")]


def reviews(out, layer="cracks"):
    return {row["crack_id"]: (row["review"], row["note"]) for row in rows_of(out, layer)}


FORMATS = ("csv", "gpkg")


def report(out, formats=FORMATS, **options):
    return write_report(ReportTask(out, formats=formats, **options))


@pytest.fixture
def out(tmp_path):
    """A scene with five cracks, reported with a scale."""
    write_scene(tmp_path / "west", cracked())
    report(tmp_path, gsd_mm=0.5)
    return tmp_path


def test_reviews_notes_and_drawn_cracks_survive_two_later_reports(tmp_path, caplog):
    out = tmp_path
    for name in ("north", "south", "west"):
        write_scene(out / name, cracked())
    write_report(ReportTask(out, gsd_mm=0.5))
    ids = [row["crack_id"] for row in rows_of(out)]
    assert len(ids) == 15
    with edited(out / GPKG) as file:
        for number, crack in enumerate(ids):
            file.execute(
                "UPDATE cracks SET review = ?, note = ? WHERE crack_id = ?",
                (("accepted", "Rejected")[number % 2], f"note {number}", crack),
            )
    points = [(20.0, -180.0), (20.0, -60.0), (32.0, -30.0)]  # px, from the upper left corner
    draw(out, points, scene_id="south", note="seen on site")
    expected = {c: (("accepted", "Rejected")[n % 2], f"note {n}") for n, c in enumerate(ids)}
    expected["south-d0001"] = ("unreviewed", "seen on site")

    with caplog.at_level(logging.INFO, "crackcli"):
        write_report(ReportTask(out, severity=("burland",)))
    first = reviews(out)
    write_report(ReportTask(out))

    assert first == reviews(out) == expected
    assert "15 reviews, 15 notes, 1 drawn lines" in caplog.text
    assert "cracks.gpkg: not as crackcli left it; kept as cracks.edited.gpkg" in caplog.text
    table = {row["crack_id"]: row for row in read_rows(out / "cracks.csv")}
    assert {name: (row["review"], row["note"]) for name, row in table.items()} == expected
    drawn = table["south-d0001"]
    length = 60 + np.hypot(6, 15)
    assert float(drawn["length_mm"]) == pytest.approx(length, abs=0.01)
    assert (drawn["width_method"], drawn["width_max_px"]) == ("drawn", "")
    (line,) = [row["geom"] for row in rows_of(out) if row["crack_id"] == "south-d0001"]
    assert shapely.from_wkb(line[40:]).equals(shapely.MultiLineString([points]))
    scenes = {row["scene_id"]: row for row in read_rows(out / "scenes.csv")}
    assert [scenes[name]["n_drawn"] for name in ("north", "south", "west")] == ["0", "1", "0"]
    assert [scenes[name]["n_cracks"] for name in ("north", "south", "west")] == ["3", "2", "3"]
    assert [scenes[name]["n_rejected"] for name in ("north", "south", "west")] == ["2", "3", "2"]
    features = json.loads((out / "cracks.local.geojson").read_text(encoding="utf-8"))["features"]
    assert {f["properties"]["crack_id"]: f["properties"]["note"] for f in features} == {
        name: note for name, (_, note) in expected.items()
    }
    assert sorted(path.name for path in out.glob("*.edited*")) == ["cracks.edited.gpkg"]


def test_a_review_follows_its_place_when_the_numbers_of_cracks_change(tmp_path):
    write_scene(tmp_path / "wall", cracked([60, 140]), HALF, UTM)
    report(tmp_path)
    with edited(tmp_path / GPKG) as file:
        file.execute("UPDATE cracks SET review = 'accepted' WHERE crack_id = 'wall-0002'")
    shutil.rmtree(tmp_path / "wall")
    moved = np.roll(cracked([20, 60, 140]), 1, axis=0)  # another crack above, all 1 px lower
    write_scene(tmp_path / "wall", moved, HALF, UTM)

    report(tmp_path)

    assert {name: review for name, (review, _) in reviews(tmp_path).items()} == {
        "wall-0001": "unreviewed",
        "wall-0002": "unreviewed",
        "wall-0003": "accepted",
    }


def test_a_review_of_a_crack_that_is_missing_waits_until_it_is_back(out, caplog):
    with edited(out / GPKG) as file:
        file.execute("UPDATE cracks SET review = 'accepted' WHERE crack_id = 'west-0003'")

    report(out, min_length_px=1000)
    gone = rows_of(out)
    text = caplog.text
    report(out)

    assert gone == []
    assert "1 edits of the earlier report have no place in this one (west-0003)" in text
    assert reviews(out)["west-0003"] == ("accepted", None)
    assert json.loads((out / "report.json").read_text())["unplaced"] == []


def test_two_reviews_that_contradict_each_other_are_kept_aside(tmp_path, caplog):
    whole = bent(60)
    pieces = whole.copy()
    pieces[:, 98:102] = 0
    write_scene(tmp_path / "wall", pieces)
    report(tmp_path)
    with edited(tmp_path / GPKG) as file:
        file.execute("UPDATE cracks SET review = 'accepted' WHERE crack_id = 'wall-0001'")
        file.execute("UPDATE cracks SET review = 'rejected' WHERE crack_id = 'wall-0002'")
    shutil.rmtree(tmp_path / "wall")
    write_scene(tmp_path / "wall", whole)

    report(tmp_path)

    kept = json.loads((tmp_path / "report.json").read_text())["unplaced"]
    assert reviews(tmp_path) == {"wall-0001": ("unreviewed", None)}
    assert {edit["crack_id"]: edit["values"]["review"] for edit in kept} == {
        "wall-0001": "accepted",
        "wall-0002": "rejected",
    }
    assert "no place in this one" in caplog.text


def test_a_deleted_crack_comes_back_as_rejected(out):
    with edited(out / GPKG) as file:
        file.execute("DELETE FROM cracks WHERE crack_id = 'west-0002'")

    for _ in range(2):
        report(out)

        assert reviews(out)["west-0002"] == ("rejected", "deleted in cracks.gpkg")
        assert reviews(out)["west-0001"] == ("unreviewed", None)


def test_a_line_moved_from_joints_to_cracks_stays_there(tmp_path):
    write_scene(tmp_path / "wall", bent(60) | straight())
    report(tmp_path)
    (joint,) = rows_of(tmp_path, "joints")
    assert len(rows_of(tmp_path)) == 1
    with edited(tmp_path / GPKG) as file:
        columns = ", ".join(name for name in joint if name != "fid")
        file.execute(f"INSERT INTO cracks ({columns}) SELECT {columns} FROM joints")
        file.execute("DELETE FROM joints")

    for _ in range(2):
        summary = report(tmp_path)

        assert len(rows_of(tmp_path)) == 2
        assert rows_of(tmp_path, "joints") == []
        assert (summary.scenes[0].cracks, summary.scenes[0].joints) == (2, 0)


def test_an_overruled_class_stays_and_counts(out):
    report(out, severity=("burland",))
    before = rows_of(out)[0]["sev_burland_class"]
    with edited(out / GPKG) as file:
        file.execute("UPDATE cracks SET sev_burland_class = '4' WHERE crack_id = 'west-0001'")

    for severity in (("burland",), (), ("burland",)):  # without the profile it waits
        report(out, severity=severity)

    row = rows_of(out)[0]
    scenes = {row["scene_id"]: row for row in read_rows(out / "scenes.csv")}
    assert before != "4"
    assert (row["crack_id"], row["sev_burland_class"]) == ("west-0001", "4")
    assert (row["sev_burland_status"], row["sev_burland_limit_mm"]) == ("by hand", None)
    assert scenes["west"]["sev_burland_n_4"] == "1"
    assert scenes["west"]["severity_max_burland"] == "4"


def test_columns_styles_and_layers_of_people_survive(out):
    with edited(out / GPKG) as file:
        file.execute("ALTER TABLE cracks ADD COLUMN inspector TEXT")
        file.execute("UPDATE cracks SET inspector = 'MB' WHERE crack_id = 'west-0004'")
        file.execute(
            "UPDATE layer_styles SET styleQML = '<qgis/>', description = '' "
            "WHERE f_table_name = 'cracks'"
        )
        file.execute("CREATE TABLE rust (fid INTEGER PRIMARY KEY, words TEXT)")
        file.execute("INSERT INTO rust (words) VALUES ('stain at pier 3')")
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
            "VALUES ('rust', 'attributes', 'rust')"
        )

    for _ in range(2):
        report(out, severity=("burland",))

        found = {row["crack_id"]: row["inspector"] for row in rows_of(out)}
        assert {name for name, word in found.items() if word == "MB"} == {"west-0004"}
        with contextlib.closing(sqlite3.connect(out / GPKG)) as file:
            defaults = file.execute(
                "SELECT styleQML FROM layer_styles "
                "WHERE f_table_name = 'cracks' AND useAsDefault = 1"
            ).fetchall()
            assert defaults == [("<qgis/>",)]
            assert file.execute("SELECT words FROM rust").fetchall() == [("stain at pier 3",)]


def test_the_scale_of_the_earlier_report_is_used_again_and_told(out, caplog):
    summary = report(out)

    assert {scene.mm_per_px for scene in summary.scenes} == {0.5}
    assert "--gsd-mm 0.5 of the earlier report is used again" in caplog.text
    assert {s.mm_per_px for s in report(out, gsd_mm=0.7).scenes} == {0.7}
    assert {s.mm_per_px for s in report(out).scenes} == {0.7}


def test_a_table_that_was_edited_or_made_by_others_is_kept_aside(out, caplog):
    report(out, formats=("csv", "geojson"))
    (out / "cracks.csv").write_text("my own numbers\n")
    (out / "joints.local.geojson").write_text("drawn by hand")
    (out / "cracks.geojson").write_text("exported by others")  # this report writes no such file

    report(out, formats=("csv", "geojson"))
    report(out, formats=("csv", "geojson"))

    assert (out / "cracks.edited.csv").read_text() == "my own numbers\n"
    assert (out / "joints.local.edited.geojson").read_text() == "drawn by hand"
    assert (out / "cracks.edited.geojson").read_text() == "exported by others"
    assert not (out / "cracks.geojson").exists()
    assert "kept as cracks.edited.csv" in caplog.text
    assert len(list(out.glob("*.edited*"))) == 3


def test_only_a_file_whose_content_changed_is_kept_aside(out):
    with contextlib.closing(sqlite3.connect(out / GPKG)) as file:
        file.execute("PRAGMA journal_mode=WAL")  # as QGIS does; the bytes change
        file.execute("SELECT count(*) FROM cracks").fetchone()
        file.execute("PRAGMA journal_mode=DELETE")

    report(out)

    assert list(out.glob("*.edited*")) == []


def test_a_report_of_an_earlier_version_keeps_its_reviews(out):
    with edited(out / GPKG) as file:
        file.execute("UPDATE cracks SET review = 'accepted' WHERE crack_id = 'west-0002'")
        file.execute("DROP TABLE reports")
        for layer in ("cracks", "crack_areas"):  # they had mm from the lower left corner
            for number, blob in file.execute(f"SELECT fid, geom FROM {layer}").fetchall():
                shape = shapely.transform(shape_of(blob), lambda at: np.add(at, (0, SHAPE[0])) / 2)
                old = (in_gpkg(shape), number)
                file.execute(f"UPDATE {layer} SET geom = ? WHERE fid = ?", old)
    (out / "report.json").unlink()

    report(out, gsd_mm=0.25)

    assert {n for n, (r, _) in reviews(out).items() if r == "accepted"} == {"west-0002"}


def test_a_geopackage_open_in_qgis_is_left_alone(out):
    before = (out / "cracks.csv").read_bytes()
    with contextlib.closing(sqlite3.connect(out / GPKG)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("UPDATE layer_styles SET description = 'x' WHERE id = 1")
        file.commit()

        with pytest.raises(Locked, match=r"cracks.gpkg: open in another program; save the edits"):
            report(out, min_length_px=1000)

        assert (out / "cracks.csv").read_bytes() == before
    assert len(rows_of(out)) == 5
    report(out)
    assert len(rows_of(out)) == 5


def test_edits_left_in_a_log_by_a_crash_are_merged_and_no_log_outlives_its_file(out):
    path = out / GPKG
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            file.create_function(name, 1, lambda blob: 0)
        file.execute("UPDATE cracks SET review = 'rejected' WHERE crack_id = 'west-0005'")
        file.commit()
        crashed = out / "crashed"
        crashed.mkdir()
        for ending in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{ending}", crashed)
    for ending in ("", "-wal", "-shm"):
        shutil.copy(crashed / f"{GPKG}{ending}", out)
    shutil.rmtree(crashed)

    report(out)

    assert reviews(out)["west-0005"] == ("rejected", None)
    assert {f.name for f in out.glob("cracks.gpkg*")} == {GPKG}


def test_a_drawn_crack_on_a_map_is_as_long_as_on_the_ground(tmp_path):
    """Pixels of 1 x 2 mm: 100 px along a row are 0.1 m, 100 px down a column 0.2 m."""
    oblong = Affine(0.001, 0, 500_000, 0, -0.002, 5_500_000)
    write_scene(tmp_path / "wall", cracked([60]), oblong, UTM)
    report(tmp_path)
    places = [
        tuple(place) for place in apply_affine(oblong, np.array([(20, 30), (120, 30), (120, 130)]))
    ]
    draw(tmp_path, places, review="accepted")  # the only scene: no scene_id is needed

    for _ in range(2):
        report(tmp_path)

        (drawn,) = [row for row in rows_of(tmp_path) if row["crack_id"] == "wall-d0001"]
        assert drawn["length_mm"] == pytest.approx(300, rel=1e-3)
        assert (drawn["scene_id"], drawn["review"]) == ("wall", "accepted")
        shape = shapely.from_wkb(drawn["geom"][40:])
        assert shapely.get_coordinates(shape) == pytest.approx(np.array(places), abs=2e-5)
