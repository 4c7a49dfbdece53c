"""Reports of whole folders, as a library and as a command."""

import json
from inspect import signature

import cv2
import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from walls import crackcli, photographed, polyline, write_scene

from crackcli.cli import app
from crackcli.errors import InputError, UsageError
from crackcli.files import sha256
from crackcli.formats.csv import read_rows
from crackcli.joints import JOINT
from crackcli.report import ReportTask, write_report

FILES = {
    "cracks.csv",
    "scenes.csv",
    "cracks.gpkg",
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


def test_short_cracks_are_left_out_and_the_others_keep_their_ids(out):
    write_report(ReportTask(out, min_length_px=30))

    table = (out / "cracks.csv").read_text()
    assert "north-0001" in table
    assert "north-0002" not in table


def test_a_report_written_twice_is_the_same(out):
    first = write_report(ReportTask(out))
    texts = {path: path.read_bytes() for path in first.paths if path.suffix != ".gpkg"}

    write_report(ReportTask(out))

    assert {path: path.read_bytes() for path in texts} == texts


def test_progress_rises_to_the_end(out):
    shares = []

    write_report(ReportTask(out), progress=lambda share, words: shares.append(share))

    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] <= 1


def test_a_damaged_scene_is_named_and_the_others_are_done(out, mask):
    damage(out / "north" / "mask.tif")
    write_scene(out / "west", mask)
    (out / "west" / "scene.json").write_text("{")

    summary = write_report(ReportTask(out))

    assert [scene.scene for scene in summary.scenes] == ["south"]
    assert list(summary.failed) == ["west", "north"]
    assert "mask.tif is not a readable image or is damaged" in summary.failed["north"]


def test_nothing_readable_is_an_error(out):
    for name in ("north", "south"):
        damage(out / name / "mask.tif")

    with pytest.raises(InputError, match=r"no scene of .* could be read: .*mask\.tif"):
        write_report(ReportTask(out))

    assert not (out / "cracks.csv").exists()


def test_an_option_that_contradicts_the_map_stops_before_any_work(tmp_path, mask):
    write_scene(tmp_path / "wall", mask, Affine.scale(0.001, -0.001), CRS.from_epsg(25832).to_wkt())

    with pytest.raises(UsageError, match="is 1 mm by its map"):
        write_report(ReportTask(tmp_path, gsd_mm=2))


def test_the_command_prints_paths_and_nothing_else_on_stdout(out):
    done = crackcli("report", out, "--gsd-mm", "0.5")

    assert done.returncode == 0, done.stderr
    assert {line.rpartition("/")[2] for line in done.stdout.splitlines()} == FILES
    assert "north has no map tied to the Earth: coordinates in local mm" in done.stderr


def test_the_command_prints_json_and_is_quiet_if_asked(tmp_path, mask):
    for name, drawn in (("north", mask), ("south", 0 * mask)):
        photographed(tmp_path / "out", name, drawn, 160 - 120 * drawn)

    done = crackcli("report", tmp_path / "out", "--json", "-q")

    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert [scene["cracks"] for scene in told["scenes"]] == [2, 0]
    assert told["scenes"][0]["mm_per_px"] is None


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


@pytest.fixture
def gridded(tmp_path):
    """A grid of straight lines from rim to rim, and a crack that wanders beside it."""
    lines = np.zeros((400, 400), np.uint8)
    for at in (100.0, 200.0, 300.0):
        lines |= polyline((400, 400), [(at, 0.0), (at, 240.0)], 3)
    zigzag = [(20.0 + 30 * i, 320.0 + 25 * (i % 2)) for i in range(11)]
    write_scene(tmp_path / "wall", lines | polyline((400, 400), zigzag, 3))
    return tmp_path


def read_joints(folder):
    """The rows of the joints of a report without a map."""
    features = json.loads((folder / "joints.local.geojson").read_text())["features"]
    return [feature["properties"] for feature in features]


def test_straight_parallel_lines_are_set_aside_and_ids_stay(gridded):
    (scene,) = write_report(ReportTask(gridded)).scenes
    aside = read_rows(gridded / "cracks.csv")
    (kept,) = write_report(ReportTask(gridded, joint_likelihood=1)).scenes
    everything = read_rows(gridded / "cracks.csv")

    assert (scene.cracks, scene.joints) == (1, 3)
    assert scene.joints_length_px == pytest.approx(3 * 240, abs=6)
    assert (kept.cracks, kept.joints) == (4, 0)
    assert aside == everything[3:]
    likelihoods = [float(row["joint_likelihood"]) for row in everything]
    assert min(likelihoods[:3]) > 0.5 > likelihoods[3]


def test_no_line_is_set_aside_silently(gridded):
    done = crackcli("report", gridded)
    kept = crackcli("report", gridded, "--joint-likelihood", "1")
    told = json.loads(crackcli("report", gridded, "--json", "-q").stdout)

    (line,) = [line for line in done.stderr.splitlines() if "joint" in line]
    assert line.startswith("set aside as joints (likelihood from 0.5): 3 lines, 72")
    assert "joint" not in kept.stderr
    assert told["scenes"][0]["joints"] == 3


def test_what_is_a_joint_does_not_depend_on_the_least_length(tmp_path):
    long = polyline((400, 400), [(40.0, 20.0), (40.0, 300.0)], 3)
    for at in (60.0, 100.0, 140.0):  # what is left out is what makes it a joint
        long |= polyline((400, 400), [(at, 30.0), (at, 280.0)], 3)
    write_scene(tmp_path / "wall", long)
    write_report(ReportTask(tmp_path, joint_likelihood=1))
    alone, *_ = read_rows(tmp_path / "cracks.csv")

    (scene,) = write_report(ReportTask(tmp_path, min_length_px=265)).scenes

    (joint,) = read_joints(tmp_path)
    assert (scene.cracks, scene.joints) == (0, 1)
    assert joint["joint_likelihood"] == float(alone["joint_likelihood"])


@pytest.mark.parametrize("likelihood", [0, -0.5, 1.01, float("nan")])
def test_a_likelihood_that_is_none_is_refused(out, likelihood):
    with pytest.raises(UsageError, match="a joint likelihood of"):
        ReportTask(out, joint_likelihood=likelihood)


@pytest.mark.parametrize("likelihood", ["0", "5", "nan"])
def test_the_command_refuses_it_too(out, likelihood):
    done = crackcli("report", out, "--joint-likelihood", likelihood)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (out / "cracks.csv").exists()


def test_lengths_of_nothing_are_numbers_with_decimals(out):
    write_report(ReportTask(out))

    _, south = read_rows(out / "scenes.csv")
    assert (south["total_length_px"], south["joints_length_px"]) == ("0.0", "0.0")


def test_the_command_and_the_library_have_the_same_default():
    (default,) = [p for p in app.registered_commands if p.callback.__name__ == "report"]

    assert signature(default.callback).parameters["joint_likelihood"].default == JOINT


@pytest.fixture
def wall(tmp_path):
    """A scan of a photograph with a crack 3 px wide, 5 px by its mask; and the photograph."""
    points = [(20.0, 31.3), (90.0, 52.0), (180.0, 40.4)]
    mask = polyline((90, 200), points, 5)
    image = np.full((90, 200), 160.0) - 120 * polyline((90, 200), points, 3)
    noise = np.random.default_rng(1).normal(0, 2, image.shape)
    image = np.rint(cv2.GaussianBlur(image, (0, 0), 0.7) + noise).astype(np.uint8)
    return tmp_path / "out", photographed(tmp_path / "out", "wall", mask, image)


def told(out, *options):
    """The rows of a report and the warnings on the way, by the command."""
    done = crackcli("report", out, *options)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "widths of its mask" in line]
    return read_rows(out / "cracks.csv"), lines


def test_widths_are_those_of_the_photograph(wall):
    out, _ = wall

    (row,), warnings = told(out, "--tone", "encoded")

    assert warnings == []
    assert row["width_method"] == "photometric"
    assert float(row["width_mean_px"]) == pytest.approx(3, abs=0.3)


def test_a_missing_photograph_is_named_once_and_the_mask_is_measured(wall):
    out, source = wall
    source.unlink()

    (row,), (warning,) = told(out)

    assert str(source) in warning
    assert "bring it back" in warning
    assert row["width_method"] == "area_length"
    assert float(row["width_mean_px"]) == pytest.approx(5, abs=0.3)


def test_another_photograph_of_that_name_is_not_measured(wall):
    out, source = wall
    cv2.imwrite(str(source), np.full((90, 200), 128, np.uint8))

    (row,), (warning,) = told(out)

    assert f"{source} is not the photograph that was scanned, or was changed since" in warning
    assert "bring that one back, or scan this one into another folder" in warning
    assert row["width_method"] == "area_length"


def test_a_photograph_that_is_damaged_is_not_measured(wall):
    out, source = wall
    damage(source)
    record = json.loads((out / "wall" / "scene.json").read_text())
    record["source"]["sha256"] = sha256(source)
    (out / "wall" / "scene.json").write_text(json.dumps(record))

    (row,), (warning,) = told(out)

    assert str(source) in warning
    assert row["width_method"] == "area_length"


def test_a_scan_that_does_not_tell_its_photograph_has_the_widths_of_its_mask(out):
    rows, (warning,) = told(out)

    assert "run.json cannot be read" in warning
    assert {row["width_method"] for row in rows} == {"area_length"}


@pytest.mark.parametrize("tone", ["dark", ""])
def test_a_tone_that_is_none_is_refused(out, tone):
    with pytest.raises(UsageError, match="is none; give linear or encoded"):
        ReportTask(out, tone=tone)


def test_a_scene_of_an_earlier_run_into_the_folder_finds_its_photograph_beside(wall):
    """run.json tells of the last run only."""
    out, source = wall
    facts = json.loads((out / "wall" / "scene.json").read_text())
    facts["source"]["file"] = source.name
    (out / "wall" / "scene.json").write_text(json.dumps(facts))
    later = [{"scene": "other", "source": str(source.parent / "other.png")}]
    (out / "run.json").write_text(json.dumps({"scenes": later}))

    (row,), warnings = told(out)

    assert warnings == []
    assert row["width_method"] == "photometric"
