"""Widths of reports with their photograph, without it, and with another one."""

import json

import cv2
import numpy as np
import pytest
from walls import crackcli, photographed, polyline, write_scene

from crackcli.errors import UsageError
from crackcli.files import sha256
from crackcli.report.formats.csv import read_rows
from crackcli.report.tracing import ReportTask


@pytest.fixture
def wall(tmp_path):
    """A scan of a photograph with a crack 3 px wide, 5 px by its mask; and the photograph."""
    points = [(20.0, 31.3), (90.0, 52.0), (180.0, 40.4)]
    mask = polyline((90, 200), points, 5)
    image = np.full((90, 200), 160.0) - 120 * polyline((90, 200), points, 3)
    noise = np.random.default_rng(1).normal(0, 2, image.shape)
    image = np.rint(cv2.GaussianBlur(image, (0, 0), 0.7) + noise).astype(np.uint8)
    return tmp_path / "out", photographed(tmp_path / "out", "wall", mask, image)


def report(out, *options):
    """The rows of a report by the command, and its warnings."""
    done = crackcli("report", out, *options)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "widths are measured on the mask" in line]
    return read_rows(out / "cracks.csv"), lines


def test_widths_are_those_of_the_photograph(wall):
    out, _ = wall

    (row,), warnings = report(out, "--tone", "encoded")

    assert warnings == []
    assert row["width_method"] == "photometric"
    assert float(row["width_mean_px"]) == pytest.approx(3, abs=0.3)


def test_a_scene_contains_the_conditions_of_its_width_measurement(wall):
    out, source = wall
    names = ("tone", "tone_share", "min_length_px", "n_left_out", "joints_from")

    report(out, "--tone", "encoded", "--min-length-px", "12", "--joint-likelihood", "0.9")
    (given,) = read_rows(out / "scenes.csv")
    report(out)
    (found,) = read_rows(out / "scenes.csv")
    source.unlink()
    report(out)
    (by_mask,) = read_rows(out / "scenes.csv")

    assert [given[name] for name in names] == ["encoded", "0.0", "12.0", "0", "0.9"]
    assert float(given["blur_px"]) == pytest.approx(0.7, abs=0.2)
    assert (found["tone"], found["min_length_px"], found["joints_from"]) == ("edges", "0.0", "0.5")
    assert 0 <= float(found["tone_share"]) <= 1
    assert {by_mask[name] for name in ("tone", "tone_share", "blur_px")} == {""}


def test_a_missing_photograph_gives_one_warning_and_widths_of_the_mask(wall):
    out, source = wall
    source.unlink()

    (row,), (warning,) = report(out)

    assert str(source) in warning
    assert "bring it back" in warning
    assert row["width_method"] == "area_length"
    assert float(row["width_mean_px"]) == pytest.approx(5, abs=0.3)


def test_another_photograph_of_that_name_is_not_measured(wall):
    out, source = wall
    cv2.imwrite(str(source), np.full((90, 200), 128, np.uint8))

    (row,), (warning,) = report(out)

    assert f"{source} is not the photograph that was scanned, or was changed since" in warning
    assert "bring that one back, or scan this one into another folder" in warning
    assert row["width_method"] == "area_length"


def test_a_damaged_photograph_is_not_measured(wall):
    out, source = wall
    source.write_bytes(source.read_bytes()[:600])
    record = json.loads((out / "wall" / "scene.json").read_text())
    record["source"]["sha256"] = sha256(source)
    (out / "wall" / "scene.json").write_text(json.dumps(record))

    (row,), (warning,) = report(out)

    assert str(source) in warning
    assert row["width_method"] == "area_length"


def test_a_scan_without_the_path_of_its_photograph_has_widths_of_the_mask(tmp_path):
    mask = polyline((80, 100), [(9.5, 20.0), (69.5, 20.0)], 3)
    write_scene(tmp_path / "north", mask)
    write_scene(tmp_path / "south", 0 * mask)  # nothing to measure, nothing to warn of

    rows, (warning,) = report(tmp_path)

    assert "run.json: cannot be read" in warning
    assert {row["width_method"] for row in rows} == {"area_length"}


def test_a_crack_that_is_too_short_is_mentioned_in_the_statement(wall):
    out, _ = wall

    rows, _ = report(out, "--min-length-px", "500")

    assert rows == []
    (scene,) = read_rows(out / "scenes.csv")
    assert scene["statement"].startswith("0 cracks; cracks of ")
    assert "; 1 line shorter than 500 px left out" in scene["statement"]


@pytest.mark.parametrize("tone", ["dark", ""])
def test_an_unknown_tone_is_refused(tmp_path, tone):
    with pytest.raises(UsageError, match=f"--tone {tone}: unknown tone; use linear or encoded"):
        ReportTask(tmp_path, tone=tone)


@pytest.mark.parametrize("folders", [("a", "b"), ("b", "a")])
def test_the_scanned_one_of_two_photographs_with_the_same_name_is_measured(wall, folders):
    out, source = wall
    facts = json.loads((out / "wall" / "scene.json").read_text())
    facts["source"]["file"] = source.name
    (out / "wall" / "scene.json").write_text(json.dumps(facts))
    own, other = (out.parent / folder for folder in folders)
    for folder in (own, other):
        folder.mkdir()
    (other / source.name).write_bytes(b"something else")
    source.rename(own / source.name)
    later = [{"scene": folder, "source": str(out.parent / folder / "x.png")} for folder in folders]
    (out / "run.json").write_text(json.dumps({"scenes": later}))

    (row,), warnings = report(out)

    assert warnings == []
    assert row["width_method"] == "photometric"


def test_the_photograph_of_an_earlier_run_is_found_beside_those_of_the_last(wall):
    """run.json lists the photographs of the last run only."""
    out, source = wall
    facts = json.loads((out / "wall" / "scene.json").read_text())
    facts["source"]["file"] = source.name
    (out / "wall" / "scene.json").write_text(json.dumps(facts))
    later = [{"scene": "other", "source": str(source.parent / "other.png")}]
    (out / "run.json").write_text(json.dumps({"scenes": later}))

    (row,), warnings = report(out)

    assert warnings == []
    assert row["width_method"] == "photometric"


def test_a_crack_that_is_not_measurable_exceeds_a_limit_at_most_possibly(tmp_path):
    """Its blur is as wide as the crack, whose width is measured, but not to 25 %."""
    points = [(20.0, 80.3), (130.0, 92.0), (240.0, 80.4)]
    mask = polyline((256, 256), points, 3)
    image = np.full(mask.shape, 160.0) - 120 * polyline(mask.shape, points, 3)
    noise = np.random.default_rng(1).normal(0, 3, image.shape)
    image = np.rint(cv2.GaussianBlur(image, (0, 0), 3) + noise).astype(np.uint8)
    out = tmp_path / "out"
    photographed(out, "wall", mask, image)
    options = ("--tone", "encoded", "--joint-likelihood", "1", "--severity", "burland")

    (row,), _ = report(out, *options, "--gsd-mm", "40")

    assert (row["width_method"], row["measurable"]) == ("photometric", "false")
    assert (row["sev_burland_class"], row["sev_burland_status"]) == ("5", "possibly exceeded")
    assert float(row["sev_burland_exceed_sigma"]) > 1
    (scene,) = read_rows(out / "scenes.csv")
    assert scene["sev_burland_max_status"] == "possibly exceeded"


def test_json_contains_the_caveats_of_the_profiles(wall):
    out, _ = wall

    done = crackcli("report", out, "--severity", "burland", "--json", "-q")
    bare = crackcli("report", out, "--json", "-q")

    (name, caveat), *more = json.loads(done.stdout)["caveats"].items()
    assert (name, more) == ("burland", [])
    assert "should not be used on its own" in caveat
    assert json.loads(bare.stdout)["caveats"] == {}
