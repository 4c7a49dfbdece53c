"""Measures of a report where pixels are not square on the ground: they depend on the direction."""

import json

import cv2
import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from walls import bar, polyline, trace_array, write_scene

from crackcli.cracks.on_ground import in_squares
from crackcli.files import sha256
from crackcli.rasters.ground.pixel import PixelShape
from crackcli.report.formats.csv import read_rows
from crackcli.report.tracing import ReportTask
from crackcli.report.write import write_report
from crackcli.scenes.scene import Scene

WIDTH_MM, FINER = 12.0, 4
PLANE = 'LOCAL_CS["wall",UNIT["millimetre",0.001]]'
ONE_BY_TWO = Affine(1, 0, 0, 0, -2, 0)  # mm
DEGREES = CRS.from_epsg(4326).to_wkt()
NORTH = Affine(1 / 55.8e6, 0, 9, 0, -2 / 111.412e6, 60)  # the same at 60 degrees north
CRACKS_MM = {
    "along a row": [(30.0, 120.0), (270.0, 120.0)],
    "down a column": [(150.0, 30.0), (150.0, 210.0)],
    "slanting": [(40.0, 50.0), (260.0, 190.0)],
}


def surface(points_mm, size_mm=(240, 300)):
    """A wall with a crack, 1 where it is crack, in pixels of 1 x 2 mm."""
    fine = polyline(
        [side * FINER for side in size_mm],
        np.array(points_mm) * FINER,
        WIDTH_MM * FINER,
        finer=1,
    )
    high, wide = 2 * FINER, FINER
    return fine.reshape(size_mm[0] // 2, high, size_mm[1], wide).mean(axis=(1, 3))


def reported(out, points_mm, transform, crs_wkt, *, photograph):
    """The row of the crack, and that of its scene, in a report by the mask or the photograph."""
    cover = surface(points_mm)
    source = out.parent / "wall.png"
    rng = np.random.default_rng(1)
    image = cv2.GaussianBlur(170 - 120 * cover, (0, 0), 0.7) + rng.normal(0, 1, cover.shape)
    cv2.imwrite(str(source), np.rint(image).clip(0, 255).astype(np.uint8))
    mask = (cover >= 0.5).astype(np.uint8)
    write_scene(out / "wall", mask, transform, crs_wkt, source={"sha256": sha256(source)})
    (out / "run.json").write_text(
        json.dumps({"scenes": [{"scene": "wall", "source": str(source)}]})
    )
    if not photograph:
        source.unlink()
    write_report(ReportTask(out, tone="encoded", joint_likelihood=1, formats=("csv",)))
    (crack,), (scene,) = read_rows(out / "cracks.csv"), read_rows(out / "scenes.csv")
    return crack, scene


@pytest.mark.parametrize("photograph", [False, True], ids=["mask", "photograph"])
@pytest.mark.parametrize("name", CRACKS_MM)
@pytest.mark.parametrize(
    ("transform", "crs_wkt"), [(ONE_BY_TWO, PLANE), (NORTH, DEGREES)], ids=["plane", "degrees"]
)
def test_lengths_and_widths_are_right_in_each_direction(
    tmp_path, name, photograph, transform, crs_wkt
):
    (ax, ay), (bx, by) = CRACKS_MM[name]

    crack, scene = reported(
        tmp_path / "out", CRACKS_MM[name], transform, crs_wkt, photograph=photograph
    )

    length = np.hypot(bx - ax, by - ay)
    assert crack["width_method"] == ("photometric" if photograph else "area_length")
    assert float(crack["length_mm"]) == pytest.approx(length, abs=4)
    for width in ("mean", "median", *(["max"] if photograph else [])):
        assert float(crack[f"width_{width}_mm"]) == pytest.approx(WIDTH_MM, rel=0.1)
    assert float(crack["area_mm2"]) == pytest.approx(WIDTH_MM * length, rel=0.05)
    angle = np.degrees(np.arctan2(ay - by, bx - ax)) % 180
    assert abs((float(crack["orientation_deg"]) - angle + 90) % 180 - 90) < 1.5
    assert float(scene["gsd_mm"]) == pytest.approx(2**0.5, rel=1e-4)
    sides = float(scene["pixel_width_mm"]), float(scene["pixel_height_mm"])
    assert sides == pytest.approx((1, 2), rel=1e-4)
    assert float(crack["length_mm"]) == pytest.approx(
        float(crack["length_px"]) * float(scene["gsd_mm"]), rel=1e-4
    )


def test_a_strip_keeps_its_area_in_squares(tmp_path):
    (crack,) = trace_array(bar(6, 37))
    shape = PixelShape.of(np.array([[0.558, 0.1], [0.0, 1.114]]))

    found = in_squares(crack, shape)

    assert found.centreline is crack.centreline  # places stay
    step = np.diff(crack.centreline[0], axis=0) @ np.array([[0.558, 0.1], [0.0, 1.114]]).T
    length = np.hypot(*step.T).sum() / (0.558 * 1.114) ** 0.5
    assert found.length_px == pytest.approx(length, rel=1e-9)
    assert found.widths.mean_px * found.length_px == pytest.approx(
        crack.widths.mean_px * crack.length_px, rel=2e-3
    )
    assert found.area_px == crack.area_px


def test_limits_are_those_of_the_worst_direction(tmp_path):
    rows = {}
    for name, transform in (("square", None), ("not", ONE_BY_TWO)):
        points = [(30.0, 120.0), (270.0, 120.0)]
        out = tmp_path / name / "out"
        out.parent.mkdir()
        crs_wkt = PLANE if transform else None
        _, rows[name] = reported(out, points, transform, crs_wkt, photograph=True)

    limit, square = (float(rows[name]["detect_limit_px"]) for name in ("not", "square"))
    assert limit == pytest.approx(square * 2**0.5, rel=1e-3)
    assert float(rows["not"]["detect_limit_mm"]) == pytest.approx(square * 2, rel=1e-3)


def test_the_shape_is_known_without_a_scale(tmp_path):
    scene = Scene(tmp_path, 10, 10, Affine(0.001, 0, 0, 0, -0.002, 0), None)

    assert scene.ground_pixel.side_mm is None
    assert scene.ground_pixel.shape.sides == pytest.approx((0.5**0.5, 2**0.5))
