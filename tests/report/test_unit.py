"""A report is one unit: complete or told, and never older than its masks without a word."""

import contextlib
import json
import pickle
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from walls import photographed, polyline, write_scene

from crackcli.comparison import CompareTask, write_comparison
from crackcli.errors import InputError, Locked, OutputError
from crackcli.files import lock_folder, sha256
from crackcli.outputs import Record
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows

SHAPE = (120, 200)
FORMATS = ("csv", "gpkg")


def wave(row, width_px=3):
    """A crack that is too crooked for a joint."""
    cols = np.arange(20.0, 181.0, 4)
    return polyline(SHAPE, [(col, row + 10 * np.sin(col / 12)) for col in cols], width_px)


def reported(folder, mask=None, **options):
    write_scene(folder / "wall", wave(60) if mask is None else mask)
    write_report(ReportTask(folder, formats=FORMATS, **options))
    return folder


def facts(out):
    return json.loads((out / "report.json").read_text())


def test_the_files_of_a_report_name_its_masks_and_its_window(tmp_path):
    out = reported(tmp_path, gsd_mm=0.5)

    (row,) = read_rows(out / "scenes.csv")
    assert row["mask_sha256"] == sha256(out / "wall" / "mask.tif")
    assert row["report_id"] == facts(out)["report_id"]
    assert float(row["width_window_px"]) == 5  # of the mask: the photograph is missing
    assert facts(out)["complete"] is True
    assert facts(out)["files"].keys() == {
        *("cracks.csv", "cracks.gpkg", "cracks.qgs", "scenes.csv", "wall/overview.png")
    }


def test_a_second_report_waits_for_the_first(tmp_path):
    out = reported(tmp_path)

    with lock_folder(out), pytest.raises(Locked, match="in use by another run"):
        write_report(ReportTask(out))


def test_a_report_that_cannot_be_written_leaves_the_earlier_one_whole(tmp_path, monkeypatch):
    out = reported(tmp_path)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def full(folder, tables, profiles=()):
        (folder / "scenes.csv").write_text("half")
        raise OutputError("no space")

    monkeypatch.setattr("crackcli.report.formats.geopackage.write", full)
    with pytest.raises(OutputError, match="no space"):
        write_report(ReportTask(out, min_length_px=1000, formats=FORMATS))

    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_report_interrupted_while_it_is_published_is_told_and_repaired(tmp_path, monkeypatch):
    before = reported(tmp_path / "before")
    after = reported(tmp_path / "after")
    record = Record.read(after / "report.json")
    whole = {**record.facts, "complete": False}
    (after / "report.json").write_text(json.dumps(whole))

    with pytest.raises(InputError, match=r"its files are of several reports.*report .*after again"):
        write_comparison(CompareTask(before, after, tmp_path / "changes"))

    write_report(ReportTask(after, formats=FORMATS))
    write_comparison(CompareTask(before, after, tmp_path / "changes"))
    assert list(after.glob("*.edited*")) == []


def test_files_of_two_reports_are_not_compared(tmp_path):
    before, after = reported(tmp_path / "before"), reported(tmp_path / "after")
    other = reported(tmp_path / "other", min_length_px=1000)
    shutil.copy(other / "scenes.csv", after)

    with pytest.raises(InputError, match="its files are of several reports"):
        write_comparison(CompareTask(before, after, tmp_path / "changes"))


def test_a_report_older_than_its_mask_is_not_compared(tmp_path, caplog):
    before, after = reported(tmp_path / "before"), reported(tmp_path / "after")
    shutil.rmtree(after / "wall")
    write_scene(after / "wall", wave(30))

    with pytest.raises(InputError, match=r"its report is older than the masks of wall; run"):
        write_comparison(CompareTask(before, after, tmp_path / "changes"))
    write_report(ReportTask(after, formats=FORMATS))
    assert "masks changed since the earlier report: wall" in caplog.text
    write_comparison(CompareTask(before, after, tmp_path / "changes"))
    assert {row["kind"] for row in read_rows(tmp_path / "changes" / "changes.csv")} == {
        "new",
        "gone",
    }


def test_a_report_without_a_record_is_compared_with_a_warning(tmp_path, caplog):
    before, after = reported(tmp_path / "before"), reported(tmp_path / "after")
    (before / "report.json").unlink()

    write_comparison(CompareTask(before, after, tmp_path / "changes"))

    assert "before: its report is of an earlier version" in caplog.text


def test_largest_widths_of_reports_with_other_windows_are_compared_over_the_same(tmp_path):
    """A crack 4 px wide with one wide place: over 5 px its largest width is twice that over 50."""
    mask = wave(60, 4) | polyline(SHAPE, [(92.0, 68.0), (104.0, 68.0)], 12)
    image = np.where(mask > 0, 40, 190).astype(np.uint8)
    for name, gsd_mm in (("before", None), ("after", 0.1)):
        out = tmp_path / name
        photographed(out, "wall", mask, image)
        write_report(ReportTask(out, gsd_mm=gsd_mm, joint_likelihood=1, formats=FORMATS))

    write_comparison(CompareTask(tmp_path / "before", tmp_path / "after", tmp_path / "changes"))

    (row,) = read_rows(tmp_path / "changes" / "changes.csv")
    assert row["kind"] == "stable"
    assert float(row["before_width_max_px"]) > float(row["after_width_max_px"]) + 4
    assert row["d_width_max_px"] == "0.0"
    assert row["d_width_mean_px"] == "0.0"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.slow
def test_a_report_killed_at_any_time_is_told_or_whole(tmp_path):
    before, after = reported(tmp_path / "before"), reported(tmp_path / "after")
    rng = np.random.default_rng(0)
    command = [sys.executable, "-m", "crackcli", "report", str(after), "--min-length-px"]
    for number in range(12):
        run = subprocess.Popen([*command, str(number % 2)], stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 4))
        run.kill()
        run.wait()
        with contextlib.suppress(InputError):  # or the changes are those of two whole reports
            summary = write_comparison(CompareTask(before, after, tmp_path / "changes"))
            assert [(one.new, one.gone, one.grown) for one in summary.scenes] == [(0, 0, 0)]
    write_report(ReportTask(after, formats=FORMATS))
    write_comparison(CompareTask(before, after, tmp_path / "changes"))
    assert {row["kind"] for row in read_rows(tmp_path / "changes" / "changes.csv")} == {"stable"}


def test_a_foreign_folder_in_the_way_is_kept(tmp_path):
    out = reported(tmp_path)
    work = out / ".crackcli-work"
    work.mkdir()
    (work / "mine.txt").write_text("mine")

    with pytest.raises(OutputError, match="was not made by crackcli"):
        write_report(ReportTask(out, formats=FORMATS))

    assert (work / "mine.txt").read_text() == "mine"


def test_a_full_temporary_folder_ends_with_73_and_its_name(tmp_path, monkeypatch):
    out = reported(tmp_path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pickle, "dump", full)
    with pytest.raises(OutputError, match=r"crackcli-\w+: cannot be written \(No space .*TMPDIR"):
        write_report(ReportTask(out, formats=FORMATS))
