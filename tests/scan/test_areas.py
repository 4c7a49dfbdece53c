"""Excluded areas in a scan: nodata of the mask, not computed, recorded, part of the options."""

import json
import logging

import cv2
import numpy as np
import pytest
import rasterio
from fakes import DirectEngine, LocalEngine, wall

from crackcli.errors import InputError
from crackcli.inference import opening
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.grid import Window
from crackcli.scan import raster as scan_module
from crackcli.scan.dry_run.estimate import estimate_survey
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.areas.survey_areas import AreaOptions
from crackcli.scenes.scene import Scene

ROWS, COLS = 400, 300
BOX = (40, 250, 90, 300)  # columns, then rows, of the upper half of the first crack
INSIDE = np.zeros((ROWS, COLS), bool)
INSIDE[90:300, 40:250] = True


@pytest.fixture
def engine(monkeypatch):
    made = LocalEngine()
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: made)
    return made


@pytest.fixture
def photograph(tmp_path):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "wall.png"), wall(ROWS, COLS))
    return tmp_path / "in" / "wall.png"


def polygon(path, box=BOX, scene=None):
    left, right, top, bottom = box
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    path.write_text(
        json.dumps({"type": "Feature", "properties": {"scene": scene}, "geometry": geometry})
    )
    return str(path)


def scan(tmp_path, name="out", *, overwrite=False, **areas):
    options = AreaOptions(**areas)
    task = SurveyTask(
        (tmp_path / "in",), tmp_path / name, areas=options, core_px=64, overwrite=overwrite
    )
    return scan_survey(task)


def mask_of(tmp_path, name="out"):
    with rasterio.open(tmp_path / name / "wall" / "mask.tif") as file:
        return file.read(1)


def test_an_excluded_area_is_nodata_and_the_rest_is_as_before(engine, photograph, tmp_path):
    path = polygon(tmp_path / "windows.geojson")
    (plain,) = scan(tmp_path, "plain").scenes
    (scene,) = scan(tmp_path, exclude=(path,)).scenes

    before, mask = mask_of(tmp_path, "plain"), mask_of(tmp_path)
    assert np.array_equal(mask == 255, INSIDE)
    far = cv2.dilate(INSIDE.astype(np.uint8), np.ones((161, 161))) == 0
    assert np.array_equal(mask[far], before[far])
    assert (plain.excluded_px, scene.excluded_px) == (0, INSIDE.sum())
    assert 0 < scene.crack_px == (mask == 1).sum() < plain.crack_px
    record = Scene.read(tmp_path / "out" / "wall").record
    assert record.facts["excluded"] == {
        "files": [path],
        "px": INSIDE.sum(),
        "polygons": "MULTIPOLYGON (((40 90, 40 300, 250 300, 250 90, 40 90)))",
    }
    assert np.array_equal(record.excluded.flags(Window(0, 0, ROWS, COLS)), INSIDE)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["options"]["areas"] == {"exclude": [path], "include": [], "areas_in": None}
    assert run["scenes"][0]["excluded_px"] == INSIDE.sum()


def test_include_is_the_reverse(engine, photograph, tmp_path):
    scan(tmp_path, include=(polygon(tmp_path / "wall.geojson"),))

    assert np.array_equal(mask_of(tmp_path) == 255, ~INSIDE)


@pytest.mark.parametrize("zooms", [(0.5, 1.0), (2.0,)])
def test_areas_are_exact_at_every_zoom(engine, photograph, tmp_path, zooms):
    areas = AreaOptions(exclude=(polygon(tmp_path / "a.geojson", (41, 249, 91, 299)),))
    scan_survey(SurveyTask((photograph,), tmp_path / "out", areas=areas, core_px=64, zooms=zooms))
    expected = np.zeros_like(INSIDE)
    expected[91:299, 41:249] = True

    assert np.array_equal(mask_of(tmp_path) == 255, expected)


def test_a_mask_image_beside_the_photograph_is_no_photograph(engine, photograph, tmp_path):
    cv2.imwrite(str(photograph.with_name("wall.exclude.png")), INSIDE.astype(np.uint8) * 255)

    result = scan(tmp_path)

    assert [scene.scene for scene in result.scenes] == ["wall"]
    assert np.array_equal(mask_of(tmp_path) == 255, INSIDE)


def test_a_mask_image_of_no_photograph_is_warned_of(engine, photograph, tmp_path, caplog):
    mask = photograph.with_name("wall.png.exclude.png")
    cv2.imwrite(str(mask), INSIDE.astype(np.uint8) * 255)

    result = scan(tmp_path)

    assert [scene.excluded_px for scene in result.scenes] == [0]
    assert f"{mask}: is beside no photograph of its name, and excludes nothing" in caplog.messages


def test_a_mask_image_of_another_size_fails_its_scene_only(engine, photograph, tmp_path):
    cv2.imwrite(str(photograph.with_name("tower.png")), wall(ROWS, COLS, seed=1))
    cv2.imwrite(str(photograph.with_name("wall.exclude.png")), np.ones((ROWS // 2, COLS), np.uint8))

    result = scan(tmp_path)

    assert [scene.scene for scene in result.scenes] == ["tower"]
    assert "is 300 x 200 px, but wall.png is 300 x 400 px" in result.failures[0].message
    assert result.exit_code == 3


def test_other_areas_are_other_options(engine, photograph, tmp_path):
    path = polygon(tmp_path / "a.geojson")
    scan(tmp_path, exclude=(path,))

    same = scan(tmp_path, exclude=(polygon(tmp_path / "copy.geojson"),))
    other = scan(tmp_path, exclude=(polygon(tmp_path / "b.geojson", (0, 9, 0, 9)),))
    again = scan(tmp_path, overwrite=True)

    assert [scene.status for scene in same.scenes] == ["unchanged"]
    assert same.scenes[0].excluded_px == INSIDE.sum()
    assert "was scanned with other options (other areas of " in other.failures[0].message
    assert [scene.status for scene in again.scenes] == ["done"]
    assert not (mask_of(tmp_path) == 255).any()
    assert "excluded" not in Scene.read(tmp_path / "out" / "wall").record.facts


class Stopped(BaseException):
    """Stands in for a signal."""


def test_a_continued_scan_equals_an_uninterrupted_one(engine, photograph, tmp_path, monkeypatch):
    path = polygon(tmp_path / "a.geojson")
    scan(tmp_path, "whole", exclude=(path,))
    put, done = scan_module.StripStore.put, []

    def stop(*arguments):
        if len(done) == 3:
            raise Stopped
        done.append(arguments)
        return put(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(scan_module.StripStore, "put", stop)
        with pytest.raises(Stopped):
            scan(tmp_path, exclude=(path,))
    scan(tmp_path, exclude=(path,))

    for name in ("mask.tif", "score.tif"):
        whole, continued = (tmp_path / out / "wall" / name for out in ("whole", "out"))
        assert whole.read_bytes() == continued.read_bytes()


class Counting(DirectEngine):
    """An engine that counts the pixels that it computes."""

    computed_px = 0

    def maps(self, images):
        self.computed_px += images[..., 0].size
        return super().maps(images)


def test_blocks_that_are_excluded_as_a_whole_are_not_computed(photograph, tmp_path, monkeypatch):
    made = Counting("window")
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: made)
    scan(tmp_path, "plain")
    before, made.computed_px = made.computed_px, 0

    scan(tmp_path, exclude=(polygon(tmp_path / "a.geojson", (0, COLS, 64, ROWS)),))

    assert made.computed_px < before / 4


def test_a_dry_run_knows_the_areas(engine, photograph, tmp_path):
    areas = AreaOptions(exclude=(polygon(tmp_path / "a.geojson", (0, COLS, 128, ROWS)),))
    task = SurveyTask((photograph,), tmp_path / "out", areas=areas, core_px=64)

    new = estimate_survey(task)
    scan_survey(task)
    done = estimate_survey(task)
    other = estimate_survey(SurveyTask((photograph,), tmp_path / "out", core_px=64))

    assert new.scenes[0].data_share < 0.5
    assert [found.scenes[0].status for found in (new, done)] == ["new", "unchanged"]
    assert "was scanned with other options (other areas of " in other.failures[0].message


def test_areas_that_exclude_nothing_or_all_are_warned_of(engine, photograph, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    far = polygon(tmp_path / "far.geojson", (900, 950, 0, 50))
    scan(tmp_path, "far", exclude=(far,))
    scan(tmp_path, "tower", exclude=(polygon(tmp_path / "tower.geojson", scene="tower\n\x1b[31m"),))
    scan(tmp_path, "all", include=(far,))

    assert caplog.messages == [
        "nothing was excluded in wall: no area meets it",
        "areas are for scenes that were not scanned: tower\\x0a\\x1b[31m",
        "all of wall was excluded: nothing was scanned there",
    ]


def test_a_damaged_file_of_areas_stops_the_run_before_it_begins(engine, photograph, tmp_path):
    (tmp_path / "a.geojson").write_text("{")

    with pytest.raises(InputError, match=r"a\.geojson: is neither GeoJSON"):
        scan(tmp_path, exclude=(str(tmp_path / "a.geojson"),))

    assert not (tmp_path / "out").exists()


def test_areas_of_a_scan_before_do_not_change_the_next(engine, photograph, tmp_path):
    whole = scan(tmp_path, "first").scenes[0].crack_px
    scan(tmp_path, "second", exclude=(polygon(tmp_path / "a.geojson"),))

    assert scan(tmp_path, "third").scenes[0].crack_px == whole


def test_records_of_damaged_areas_are_input_errors(engine, photograph, tmp_path):
    scan(tmp_path, exclude=(polygon(tmp_path / "a.geojson"),))
    path = tmp_path / "out" / "wall" / "scene.json"
    path.write_text(path.read_text().replace("MULTIPOLYGON", "POINT"))

    with pytest.raises(InputError, match="excluded areas are"):
        _ = Scene.read(tmp_path / "out" / "wall").record.excluded
    assert isinstance(ExcludedAreas.from_wkt("MULTIPOLYGON EMPTY"), ExcludedAreas)
