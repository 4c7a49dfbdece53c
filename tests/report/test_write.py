"""Reports of whole folders, as a library and as a command."""

import json
import re
from inspect import signature
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import shapely
from affine import Affine
from pyogrio import list_layers, raw
from rasterio.crs import CRS
from walls import crackcli, photographed, polyline, write_scene

from crackcli.cli import app
from crackcli.cracks.joints import JOINT_THRESHOLD
from crackcli.errors import InputError, UsageError
from crackcli.rasters.reader import inspect
from crackcli.report.formats.csv import read_rows
from crackcli.report.tracing import ReportTask
from crackcli.report.write import write_report

FILES = {
    "cracks.csv",
    "scenes.csv",
    "cracks.gpkg",
    "cracks.qgs",
    "cracks.local.geojson",
    "crack_areas.local.geojson",
    "joints.local.geojson",
}


@pytest.fixture
def mask():
    """Two cracks, 60 and 20 px long."""
    mask = polyline((80, 100), [(9.5, 20.0), (69.5, 20.0)], 3)
    return mask | polyline((80, 100), [(20.0, 49.5), (20.0, 69.5)], 3)


@pytest.fixture
def out(tmp_path, mask):
    """Two scenes; the second has no cracks."""
    write_scene(tmp_path / "north", mask)
    write_scene(tmp_path / "south", 0 * mask)
    return tmp_path


def damage(path):
    path.write_bytes(path.read_bytes()[:600])


def test_a_report_covers_all_scenes(out):
    summary = write_report(ReportTask(out))

    assert {path.name for path in summary.paths} == FILES
    assert [(scene.scene, scene.cracks) for scene in summary.scenes] == [("north", 2), ("south", 0)]
    assert summary.scenes[0].total_length_px == pytest.approx(80, abs=1)
    assert summary.failed == {}


@pytest.fixture
def scanned(tmp_path):
    """A scan with its photograph: a crack of 2 px and one of 9 px, the right part overexposed."""
    rng = np.random.default_rng(0)
    shape = 256, 512
    fine = polyline(shape, [(20.0, 60.0), (200.0, 70.0)], 2)
    wide = polyline(shape, [(20.0, 160.0), (200.0, 190.0)], 9)
    grey = np.kron(rng.uniform(130, 150, (32, 64)), np.ones((8, 8)))
    grey[(fine | wide) > 0] = 60
    grey = cv2.GaussianBlur(grey, (0, 0), 0.8) + rng.normal(0, 2, shape)
    grey[8:-8, 264:-8] = 255  # up to the edge it would be nodata
    photograph = tmp_path / "wall.png"
    cv2.imwrite(str(photograph), grey.clip(0, 255).astype(np.uint8))
    out = tmp_path / "out"
    write_scene(out / "wall", fine | wide, source={"sha256": inspect(photograph).digest})
    entry = {"scene": "wall", "source": str(photograph)}
    (out / "run.json").write_text(json.dumps({"scenes": [entry]}))
    return out, photograph


def test_a_report_states_its_detection_limits(scanned):
    out, _ = scanned

    summary = write_report(ReportTask(out, gsd_mm=0.1, joint_likelihood=1))

    (scene,) = summary.scenes
    assert scene.not_assessable_pct == 50
    assert scene.statement == summary.statement
    assert re.fullmatch(
        r"2 cracks; cracks of 0.\d+ mm or more would have been seen on 50 % of the surface; "
        r"50 % not assessable \(overexposed\); faint cracks and cracks in masonry excepted",
        summary.statement,
    )
    header, line = (re.split(r"  +", line) for line in summary.table())
    assert header == [
        *("scene", "cracks", "joints", "length mm", "widest mm", "crack", "column,row"),
        *("assessed %", "detection limit mm"),
    ]
    assert (line[0], line[1], line[2], line[7]) == ("wall", "2", "0", "50.0")
    assert float(line[8]) == pytest.approx(scene.detect_limit_px / 10, abs=0.0051)
    (row,) = read_rows(out / "scenes.csv")
    assert row["statement"] == summary.statement
    assert float(row["detect_limit_mm"]) == pytest.approx(scene.detect_limit_px / 10, abs=1e-4)
    collection = json.loads((out / "cracks.local.geojson").read_text())
    (provenance,) = collection["crackcli"]["scenes"]
    assert (provenance["scene_id"], provenance["statement"]) == ("wall", summary.statement)


def test_each_crack_has_the_limits_at_its_place(scanned):
    out, _ = scanned
    (scene,) = write_report(ReportTask(out, joint_likelihood=1)).scenes

    rows = read_rows(out / "cracks.csv")

    for row in rows:
        assert float(row["detect_limit_px"]) == pytest.approx(scene.detect_limit_px, abs=1e-3)
        limit = float(row["measure_limit_px"])
        assert row["measurable"] == str(float(row["width_median_px"]) >= limit).lower()
    fine, wide = sorted(rows, key=lambda row: float(row["width_median_px"]))
    assert (fine["measurable"], wide["measurable"]) == ("false", "true")


def test_detection_limits_are_a_layer_of_the_geopackage(scanned):
    out, _ = scanned
    write_report(ReportTask(out, joint_likelihood=1))

    facts, _, shapes, fields = raw.read(out / "cracks.gpkg", layer="measurability")

    columns = dict(zip(facts["fields"], fields, strict=True))
    boxes = [shapely.from_wkb(shape).bounds for shape in shapes]
    assert boxes == [(0, -256, 256, 0), (256, -256, 512, 0)]
    assert columns["assessable"].tolist() == [True, False]
    assert columns["reason"].tolist() == ["", "overexposed"]
    assert columns["valid_px"].tolist() == [256**2, 256**2]
    assert np.isnan(columns["detect_limit_px"][1])
    facts, _, _, fields = raw.read(out / "cracks.gpkg", layer="layer_styles")
    styles = dict(zip(facts["fields"], fields, strict=True))
    (qml,) = styles["styleQML"][styles["f_table_name"] == "measurability"]
    rules = ElementTree.fromstring(qml.partition("\n")[2]).findall(".//rule")
    filters = [rule.get("filter") for rule in rules]
    limit = columns["detect_limit_px"][0]
    bounds = [[*map(float, re.findall(r"[\d.]+", way)), np.inf] for way in filters[2:]]
    assert len([low for low, high, *_ in bounds if low < limit <= high]) == 1
    assert filters[:2] == [
        '"detect_limit_px" IS NULL AND "reason" IS NOT \'excluded by the user\'',
        "\"reason\" = 'excluded by the user'",
    ]
    labels = [rule.get("label") for rule in rules[:2]]
    assert labels == ["not assessable", "excluded by the user"]


def test_joints_are_mentioned_in_the_statement(scanned):
    out, _ = scanned

    summary = write_report(ReportTask(out))

    assert summary.statement.startswith("no crack of ")
    assert "; 2 lines set aside as likely joints" in summary.statement


def test_without_its_photograph_a_report_has_no_detection_limits(scanned):
    out, photograph = scanned
    photograph.write_bytes(photograph.read_bytes() + b"edited")

    summary = write_report(ReportTask(out, joint_likelihood=1))

    assert summary.statement.endswith("; detection limit unknown: photograph not available")
    rows = read_rows(out / "cracks.csv")
    assert {(row["detect_limit_px"], row["measurable"]) for row in rows} == {("", "")}
    _, _, _, fields = raw.read(out / "cracks.gpkg", layer="cracks", columns=["measurable"])
    assert np.isnan(fields[0]).all()
    assert "measurability" not in list_layers(out / "cracks.gpkg")[:, 0]


def test_short_cracks_are_left_out_and_the_others_keep_their_ids(out):
    write_report(ReportTask(out, min_length_px=30))

    table = (out / "cracks.csv").read_text()
    assert "north-0001" in table
    assert "north-0002" not in table


def test_a_report_written_twice_has_the_same_files(out):
    first = write_report(ReportTask(out))
    texts = {path: path.read_bytes() for path in first.paths if path.suffix != ".gpkg"}

    write_report(ReportTask(out))

    assert {path: path.read_bytes() for path in texts} == texts


def test_progress_rises(out):
    shares = []

    write_report(ReportTask(out), progress=lambda share, words: shares.append(share))

    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] <= 1


def test_a_damaged_scene_is_listed_and_the_others_are_done(out, mask):
    damage(out / "north" / "mask.tif")
    write_scene(out / "west", mask)
    (out / "west" / "scene.json").write_text("{")

    summary = write_report(ReportTask(out))

    assert [scene.scene for scene in summary.scenes] == ["south"]
    assert list(summary.failed) == ["west", "north"]
    assert "mask.tif: not a readable image, or damaged" in summary.failed["north"]


def test_an_output_folder_without_a_readable_scene_is_an_error(out):
    for name in ("north", "south"):
        damage(out / name / "mask.tif")

    with pytest.raises(InputError, match=r"no scene of .* could be read: .*mask\.tif"):
        write_report(ReportTask(out))

    assert not (out / "cracks.csv").exists()


def test_an_option_that_contradicts_the_map_stops_before_any_work(tmp_path, mask):
    write_scene(tmp_path / "wall", mask, Affine.scale(0.001, -0.001), CRS.from_epsg(25832).to_wkt())

    with pytest.raises(UsageError, match=r"a pixel is 0\.9973 mm by its map"):
        write_report(ReportTask(tmp_path, gsd_mm=2))


def test_the_command_prints_paths_and_nothing_else_on_stdout(out):
    done = crackcli("report", out, "--gsd-mm", "0.5")

    assert done.returncode == 0, done.stderr
    assert {line.rpartition("/")[2] for line in done.stdout.splitlines()} == FILES
    message = "2 of 2 scenes without a place on the Earth (north, south): GeoJSON is in local px"
    assert message in done.stderr


def test_the_command_prints_json_and_is_quiet_if_asked(tmp_path, mask):
    for name, drawn in (("north", mask), ("south", 0 * mask)):
        photographed(tmp_path / "out", name, drawn, 160 - 120 * drawn)

    done = crackcli("report", tmp_path / "out", "--json", "-q")

    assert done.stderr == ""
    summary = json.loads(done.stdout)
    assert list(summary) == ["paths", "scenes", "failed", "statement", "caveats"]
    assert [scene["cracks"] for scene in summary["scenes"]] == [2, 0]
    assert summary["scenes"][0]["mm_per_px"] is None


def test_the_command_ends_with_3_if_some_scenes_failed_and_4_if_all(out):
    damage(out / "north" / "mask.tif")

    some = crackcli("report", out)
    damage(out / "south" / "mask.tif")
    none = crackcli("report", out)

    assert (some.returncode, none.returncode) == (3, 4)
    assert "Error: north: " in some.stderr
    assert "Error: 1 of 2 scenes could not be reported; the others are done" in some.stderr
    assert "cracks.csv" in some.stdout
    assert none.stdout == ""
    assert np.sum([line.startswith("Error:") for line in none.stderr.splitlines()]) == 1


def test_the_table_ends_with_the_total_and_names_the_widest_crack(out):
    done = crackcli("report", out, "--gsd-mm", "0.5")

    header, north, south, total = (re.split(r"  +", line) for line in done.stderr.splitlines()[-4:])
    assert header[3:5] == ["length mm", "widest mm"]
    (row, *_) = sorted(read_rows(out / "cracks.csv"), key=lambda row: -float(row["width_max_mm"]))
    place = f"{float(row['width_max_col']):.0f},{float(row['width_max_row']):.0f}"
    (first, _) = read_rows(out / "scenes.csv")
    length = f"{float(first['total_length_mm']):.0f}"
    widest = f"{float(row['width_max_mm']):.2f}"
    assert north == ["north", "2", "0", length, widest, row["crack_id"], place, "-", "-"]
    assert south == ["south", "0", "0", "0", "-", "-", "-", "-", "-"]
    assert total == ["total", *north[1:]]


def test_the_table_has_at_most_20_scenes_and_numbers_at_the_right(tmp_path):
    mask = np.zeros((40, 60), np.uint8)
    mask[20:23, 10:50] = 1
    for number in range(22):
        write_scene(tmp_path / f"s{number:02}", mask)

    header, *rows, more, total = write_report(ReportTask(tmp_path, joint_likelihood=1)).table()

    assert [row.split()[0] for row in rows] == [f"s{number:02}" for number in range(20)]
    assert more == "and 2 more"
    assert total.split()[:2] == ["total", "22"]
    assert {row.index("  1  ") + 3 for row in rows} == {header.index("cracks") + len("cracks")}


@pytest.mark.parametrize("likelihood", [0, -0.5, 1.01, float("nan")])
def test_a_joint_likelihood_out_of_range_is_refused(out, likelihood):
    with pytest.raises(UsageError, match=r"--joint-likelihood .*: must be above 0 and at most 1"):
        ReportTask(out, joint_likelihood=likelihood)


@pytest.mark.parametrize("likelihood", ["0", "5", "nan"])
def test_the_command_refuses_a_joint_likelihood_out_of_range(out, likelihood):
    done = crackcli("report", out, "--joint-likelihood", likelihood)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (out / "cracks.csv").exists()


def test_lengths_without_cracks_have_decimals(out):
    write_report(ReportTask(out))

    _, south = read_rows(out / "scenes.csv")
    assert (south["total_length_px"], south["joints_length_px"]) == ("0.0", "0.0")


def test_the_command_and_the_library_have_the_same_default():
    (default,) = [p for p in app.registered_commands if p.callback.__name__ == "report"]

    assert signature(default.callback).parameters["joint_likelihood"].default == JOINT_THRESHOLD


def test_the_command_grades_and_prints_the_caveat_once(out):
    done = crackcli("report", out, "--gsd-mm", "0.5", "--severity", "burland", "-q")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("should not be used on its own") == 1
    rows = read_rows(out / "cracks.csv")
    assert {row["sev_burland_status"] for row in rows} == {"possibly exceeded"}  # by masks alone
    north, south = read_rows(out / "scenes.csv")
    assert (north["severity_max_burland"], north["sev_burland_n_2"]) == ("2", "2")
    assert (south["severity_max_burland"], south["sev_burland_n_2"]) == ("", "0")
    assert "should not be used on its own" in south["severity_caveats"]


def test_without_a_scale_there_is_no_grade_and_one_warning(out):
    done = crackcli("report", out, "--severity", "burland", "--severity", "aci224-dry")

    assert done.returncode == 0, done.stderr
    warning = "no grades for 2 of 2 scenes, which have no scale (north, south); give --gsd-mm"
    assert done.stderr.count("no grades") == done.stderr.count(warning) == 1
    rows = read_rows(out / "cracks.csv")
    assert {row["sev_burland_class"] + row["sev_aci224_dry_class"] for row in rows} == {""}


def test_an_unknown_profile_stops_before_any_work(out):
    done = crackcli("report", out, "--severity", "bs8110")

    assert done.returncode == 2
    assert done.stderr.startswith("Error: --severity bs8110: unknown profile; use ")
    assert not (out / "cracks.csv").exists()


def test_an_invalid_file_of_limits_is_an_input_error(out):
    (out / "limits.toml").write_text("[ours]\ntitle = 'x'\n")

    done = crackcli("report", out, "--severity", f"user={out / 'limits.toml'}")

    assert done.returncode == 4
    assert "limits.toml: [ours] lacks clause" in done.stderr


def test_a_scene_with_contradictory_scales_is_listed_and_the_others_are_done(out, mask):
    scales = [
        {"mm_per_px": size, "sigma": 0.001, "source": source}
        for size, source in ((0.5, "exif"), (0.6, "marker"))
    ]
    write_scene(out / "west", mask, photograph={"scales": scales})

    summary = write_report(ReportTask(out))
    trusted = write_report(ReportTask(out, scale_source="marker"))

    assert "0.5 mm by EXIF and the distance, but 0.6 mm by its markers" in summary.failed["west"]
    assert [scene.scene for scene in summary.scenes] == ["north", "south"]
    assert trusted.failed == {}
    assert trusted.scenes[2].mm_per_px == 0.6
