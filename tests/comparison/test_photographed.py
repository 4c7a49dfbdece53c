"""Comparisons of photographs: what grew is significant, what did not is not, and alarms."""

import cv2
import numpy as np
import pytest
from walls import crackcli, photographed, polyline

from crackcli.comparison import CompareTask, write_comparison
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows

SHAPE = (120, 200)


def photographed_growth(tmp_path, widths, ends=(180.0, 180.0)):
    """Reports of two photographs of one crack that got wider, or longer, with other noise."""
    folders = []
    for number, (width, end) in enumerate(zip(widths, ends, strict=True)):
        name = ("2024-05-01", "2026-05-04")[number]
        points = [(20.0, 31.3), (end, 31.3 + 0.1 * (end - 20))]
        mask, out = polyline(SHAPE, points, width + 3), tmp_path / name / "out"
        opening = polyline(SHAPE, points, width, finer=15).astype(float)
        noise = np.random.default_rng(number).normal(0, 2, SHAPE)
        image = cv2.GaussianBlur(160 - 110 * opening, (0, 0), 1.0) + noise
        out.mkdir(parents=True)
        photographed(out, "wall", mask, np.rint(image).astype(np.uint8))
        write_report(ReportTask(out, joint_likelihood=1, gsd_mm=0.5))
        folders.append(out)
    return folders


def compared_photographs(tmp_path, *arguments, **growth):
    folders = photographed_growth(tmp_path, **growth)
    options = "-o", tmp_path / "changes", "--same-grid"  # what is drawn has no texture to align
    done = crackcli("compare", *folders, *options, *arguments)
    (row,) = read_rows(tmp_path / "changes" / "changes.csv")
    return done, row


def test_a_crack_that_opened_has_grown_significantly_and_has_a_rate(tmp_path):
    done, row = compared_photographs(tmp_path, widths=(4, 6))

    assert done.returncode == 0, done.stderr
    assert (row["kind"], row["significant"]) == ("grown", "true")
    assert "width_mean" in row["significant_in"]
    assert float(row["d_width_mean_mm"]) == pytest.approx(1.0, abs=0.15)
    assert float(row["d_width_mean_mm"]) > float(row["detection_limit_width_mean_mm"])
    assert float(row["d_width_mean_mm_per_year"]) == pytest.approx(0.5, abs=0.08)
    assert (row["interval_days"], row["date_warning"]) == ("733", "")
    assert "wall-c0001" in done.stderr


def test_two_photographs_of_one_state_have_no_significant_change(tmp_path):
    _, row = compared_photographs(tmp_path, widths=(4, 4))

    assert (row["kind"], row["significant"], row["significant_in"]) == ("stable", "false", "")
    assert abs(float(row["d_width_mean_px"])) < float(row["detection_limit_width_mean_px"])


def test_a_tip_that_advanced_has_its_length(tmp_path):
    _, row = compared_photographs(tmp_path, widths=(4, 4), ends=(130.0, 180.0))

    assert row["kind"] == "grown"
    assert float(row["tip_advance_px"]) == pytest.approx(50, abs=5)
    assert float(row["d_length_px"]) == pytest.approx(float(row["tip_advance_px"]), abs=1)


def test_the_command_ends_with_10_if_a_change_meets_a_condition(tmp_path):
    done, _ = compared_photographs(tmp_path, "--fail-on", "d_width_max_mm > 0.2", widths=(4, 6))
    quiet = crackcli(
        *("compare", tmp_path / "2024-05-01" / "out", tmp_path / "2026-05-04" / "out", "-q"),
        *("--fail-on", "d_width_max_mm > 5", "-o", tmp_path / "changes", "--same-grid"),
    )

    assert done.returncode == 10
    assert "--fail-on d_width_max_mm > 0.2: wall-c0001; look at these changes" in done.stderr
    assert quiet.returncode == 0


def test_dates_of_the_option_precede_those_of_names(tmp_path):
    done, row = compared_photographs(tmp_path, "--dates", "2024-01-10,2024-07-10", widths=(4, 6))

    assert (row["date_before"], row["date_after"]) == ("2024-01-10", "2024-07-10")
    assert "wall: rates per year are under 12 months" in done.stderr


def test_a_crack_below_the_detection_limit_of_the_other_photograph_is_hidden(tmp_path):
    """The earlier photograph is so noisy that it could not have shown the crack."""
    folders = []
    for name, noise, mask in (
        ("before", 60, np.zeros(SHAPE, np.uint8)),
        ("after", 2, polyline(SHAPE, [(20.0, 31.3), (180.0, 40.4)], 4)),
    ):
        out = tmp_path / name / "out"
        out.mkdir(parents=True)
        grain = np.random.default_rng(1).normal(0, noise, SHAPE)
        image = cv2.GaussianBlur(160.0 - 110 * mask, (0, 0), 1.0) + grain
        photographed(out, "wall", mask, np.rint(image).clip(0, 255).astype(np.uint8))
        write_report(ReportTask(out, joint_likelihood=1))
        folders.append(out)

    (scene,) = write_comparison(CompareTask(*folders, tmp_path / "changes")).scenes

    (row,) = read_rows(tmp_path / "changes" / "changes.csv")
    assert (scene.new, scene.hidden) == (0, 1)
    assert row["hidden_by"] in ("not assessable", "below the detection limit")
    assert row["d_length_px"] == ""


def test_without_a_common_stretch_widths_are_not_compared(tmp_path):
    """Of the earlier crack only a bit was found; whole cracks would differ in width without a
    change."""
    folders = []
    for name, end in (("before", 33.0), ("after", 180.0)):
        mask, out = polyline(SHAPE, [(20.0, 31.3), (end, 31.3)], 6), tmp_path / name / "out"
        opening = polyline(SHAPE, [(20.0, 31.3), (180.0, 31.3)], 4)
        noise = np.random.default_rng(3).normal(0, 2, SHAPE)
        image = cv2.GaussianBlur(160.0 - 110 * opening, (0, 0), 1.0) + noise
        out.mkdir(parents=True)
        photographed(out, "wall", mask, np.rint(image).astype(np.uint8))
        write_report(ReportTask(out, joint_likelihood=1))
        folders.append(out)

    write_comparison(CompareTask(*folders, tmp_path / "changes", same_grid=True))

    (row,) = read_rows(tmp_path / "changes" / "changes.csv")
    assert (row["common_length_px"], row["d_width_mean_px"], row["d_width_max_px"]) == (
        "0.0",
        "",
        "",
    )
    assert float(row["d_length_px"]) > 100
