"""One bad scene fails and is named; the others are reported. A photograph that is changed while it
is measured leaves no figures."""

import json
import logging
import os

import numpy as np
import pytest
from walls import crackcli, photographed, polyline, write_scene

from crackcli.errors import InputError, OutputError
from crackcli.report import ReportTask, tracing, write_report
from crackcli.report import write as writing
from crackcli.report.formats.csv import read_rows

MASK = polyline((80, 100), [(9.5, 20.0), (40.0, 30.0), (69.5, 20.0)], 3)


@pytest.fixture
def out(tmp_path):
    for name in ("north", "south"):
        write_scene(tmp_path / name, MASK, source={"sha256": name, "file": f"{name}.jpg"})
    return tmp_path


def edit(out, **facts):
    """Replace values of the record of the scene north."""
    path = out / "north" / "scene.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def of_zeros(path):
    path.write_bytes(bytes(2000))


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGE = {
    "text": lambda out: (out / "north" / "scene.json").write_text("{"),
    "list": lambda out: (out / "north" / "scene.json").write_text("[]"),
    "binary": lambda out: (out / "north" / "scene.json").write_bytes(b"\xff\xfe\x00"),
    "deep": lambda out: (out / "north" / "scene.json").write_text("[" * 100_000),
    "folder": lambda out: folder(out / "north" / "scene.json"),
    "pipe": lambda out: pipe(out / "north" / "scene.json"),
    "no transform": lambda out: edit(out, transform=[0, 0, 0, 0, 0, 0]),
    "short transform": lambda out: edit(out, transform=[1, 2]),
    "text as rows": lambda out: edit(out, rows="80"),
    "other size": lambda out: edit(out, rows=81),
    "unknown map": lambda out: edit(out, crs_wkt="PROJCS[", transform=[1, 0, 5, 0, -1, 5]),
    "scales": lambda out: edit(out, photograph={"scales": [{"mm": 1}]}),
    "no scales": lambda out: edit(out, photograph={"scales": 3}),
    "seconds": lambda out: edit(out, seconds={"mask": "long"}),
    "tiles": lambda out: edit(out, probability=[{"rows": 3}]),
    "path": lambda out: edit(out, source={"path": 4, "sha256": "north", "file": "north.jpg"}),
    "mask": lambda out: of_zeros(out / "north" / "mask.tif"),
    "no mask": lambda out: (out / "north" / "mask.tif").unlink(),
    "mask is a folder": lambda out: folder(out / "north" / "mask.tif"),
    "mask is a pipe": lambda out: pipe(out / "north" / "mask.tif"),
    "score": lambda out: of_zeros(out / "north" / "score.tif"),
    "no score": lambda out: (out / "north" / "score.tif").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_bad_scene_is_named_and_the_others_are_done(out, damage):
    DAMAGE[damage](out)

    summary = write_report(ReportTask(out, formats=("csv", "geojson")))

    assert list(summary.failed) == ["north"]
    assert "\n" not in summary.failed["north"]
    assert [scene.scene for scene in summary.scenes] == ["south"]
    for name in ("cracks.csv", "scenes.csv"):
        assert [row["scene_id"] for row in read_rows(out / name)] == ["south"]


def test_the_exit_code_says_that_some_failed(out):
    edit(out, seconds={"mask": "long"})

    done = crackcli("report", out)

    assert done.returncode == 3
    assert "Error: north: " in done.stderr
    assert "1 of 2 scenes could not be reported; the others are done" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_that_is_null_is_that_of_no_other_scene(out):
    for name in ("north", "south"):
        path = out / name / "scene.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"source": None}))

    summary = write_report(ReportTask(out))

    assert [scene.scene for scene in summary.scenes] == ["north", "south"]


def test_too_little_memory_for_one_scene_is_an_error_of_it(out, monkeypatch):
    trace = tracing.trace

    def fail_once(*arguments, scene, **options):
        if scene == "north":
            raise MemoryError
        return trace(*arguments, scene=scene, **options)

    monkeypatch.setattr(tracing, "trace", fail_once)
    summary = write_report(ReportTask(out))

    assert summary.failed == {"north": "not enough free memory; free some"}
    assert [scene.scene for scene in summary.scenes] == ["south"]


def test_errors_of_the_output_stop_the_report(out, monkeypatch):
    def fail(*arguments):
        raise OutputError("the disk is full")

    monkeypatch.setattr(writing, "trace_scene", fail)

    with pytest.raises(OutputError, match="the disk is full"):
        write_report(ReportTask(out))


@pytest.fixture
def wall(tmp_path):
    image = np.where(MASK, 60, 170).astype(np.uint8)
    image = image + np.random.default_rng(0).integers(0, 9, image.shape, np.uint8)
    return tmp_path / "out", photographed(tmp_path / "out", "wall", MASK, image)


@pytest.mark.parametrize("lines", ["with a crack", "without"])
@pytest.mark.parametrize("change", ["overwritten", "removed", "same time"])
def test_a_photograph_that_is_changed_while_it_is_measured(wall, monkeypatch, change, lines):
    out, source = wall
    write_scene(out / "other", MASK)
    if lines == "without":
        from crackcli.rasters.reader import RasterInfo
        from crackcli.rasters.writing.cog import write_cog
        from crackcli.scenes.scene import Scene

        scene = Scene.read(out / "wall")
        info = RasterInfo(source, scene.rows, scene.cols, scene.transform, None, 1, None, "")
        write_cog(scene.mask, [np.zeros_like(MASK)], info, {}, "nearest")
    assess = tracing.assess

    def change_it(*arguments):
        found = assess(*arguments)
        state = source.stat()
        if change == "removed":
            source.unlink()
        else:
            data = bytearray(source.read_bytes())
            data[-20] ^= 1
            source.write_bytes(data)
        if change == "same time":
            os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns))
        return found

    monkeypatch.setattr(tracing, "assess", change_it)
    summary = write_report(ReportTask(out))

    assert list(summary.failed) == ["wall"]
    words = "does not exist" if change == "removed" else "was changed while it was read"
    assert words in summary.failed["wall"]
    assert [row["scene_id"] for row in read_rows(out / "scenes.csv")] == ["other"]


def test_an_overview_shows_no_other_photograph(wall, monkeypatch, caplog):
    out, source = wall
    publish = writing.write_overviews

    def change_it(*arguments):
        source.write_bytes(source.read_bytes() + b"more")
        publish(*arguments)

    monkeypatch.setattr(writing, "write_overviews", change_it)
    with caplog.at_level(logging.WARNING):
        write_report(ReportTask(out))

    assert "wall.png: the overview has no photograph: " in caplog.text
    assert (out / "wall" / "overview.png").exists()


def test_a_report_without_a_readable_scene_names_the_first_error(out):
    for name in ("north", "south"):
        (out / name / "scene.json").write_text("{")

    with pytest.raises(InputError, match=r"no scene of .* could be read: .*scene\.json"):
        write_report(ReportTask(out))
