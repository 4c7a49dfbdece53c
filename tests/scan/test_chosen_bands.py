"""Bands that were chosen for a scan are part of it, and a report reads the same."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from fakes import LocalEngine, wall

from crackcli.inference import opening
from crackcli.inference.options import ModelOptions
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import inspect_original


@pytest.fixture
def scan(tmp_path, monkeypatch):
    """A function that scans a raster of floats with some bands, and the result."""
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    image = np.moveaxis(wall(96, 128), -1, 0).astype(np.float32) / 255
    path = tmp_path / "wall.tif"
    profile = {"count": 4, "height": 96, "width": 128, "dtype": "float32"}
    place = {"transform": Affine(0.001, 0, 3, 0, -0.001, 4)}
    with rasterio.open(path, "w", driver="GTiff", **profile, **place) as raster:
        raster.write(np.concatenate([100 + image[:1], image]))

    def run(*bands):
        task = SurveyTask((path,), tmp_path / "out", ModelOptions(gate=0.3), bands=bands)
        return scan_survey(task)

    return run, tmp_path / "out"


def test_a_raster_of_floats_needs_chosen_bands(scan):
    run, _ = scan

    result = run()

    assert result.exit_code == 4
    assert "--bands 1,2,3" in result.failures[0].message


def test_a_report_reads_the_bands_that_were_scanned(scan):
    run, out = scan

    assert run(2, 3, 4).exit_code == 0
    scene = Scene.read(out / "wall")
    info = inspect_original(out, scene, "scan again")

    assert scene.record.bands == info.bands == (2, 3, 4)
    assert info.stretch[1] < 2  # of the colours, not of the elevations around 100


def test_other_bands_are_another_scan(scan):
    run, out = scan

    statuses = [run(2, 3, 4).scenes[0].status for _ in range(2)]
    other = run(4, 3, 2)

    assert statuses == ["done", "unchanged"]
    assert other.exit_code == 73
    assert "(--bands 2,3,4, now 4,3,2)" in other.failures[0].message
    assert Scene.read(out / "wall").record.bands == (2, 3, 4)
