"""Scales from EXIF and markers: the thin lens equation, and tags that must be ignored."""

import math

import numpy as np
import pytest
from affine import Affine
from fakes import LocalEngine, wall
from markers import corners, draw
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from crackcli.errors import InputError, UsageError
from crackcli.inference import opening
from crackcli.inference.options import ModelOptions
from crackcli.rasters.reader import inspect
from crackcli.report.write import ReportTask, write_report
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes import exif
from crackcli.scenes.exif import UnknownPixelSize, acquired_utc, pixel_size
from crackcli.scenes.recorded_scale import Hints, find_scales, store_scales
from crackcli.scenes.scene import Scene

# 50 mm lens on a sensor of 36 x 24 mm and 6000 x 4000 px: a pixel of it is 6 um large.
CAMERA = {
    "EXIF_FocalLength": "(50)",
    "EXIF_FocalPlaneXResolution": "(1666.666667)",
    "EXIF_FocalPlaneResolutionUnit": "3",
    "EXIF_PixelXDimension": "6000",
    "EXIF_PixelYDimension": "4000",
}
PHONE = {"EXIF_FocalLength": "(5.4)", "EXIF_FocalLengthIn35mmFilm": "26"}
SUBJECT, METERED, EXIF_IFD = 0x9206, 2.5, 0x8769


def test_the_size_of_a_pixel_follows_from_the_thin_lens_equation():
    found = pixel_size(CAMERA, 4000, 6000, 2.55)

    assert found.mm_per_px == pytest.approx(0.006 * 2500 / 50)  # 50 mm lie in front of the lens
    assert found.sigma / found.mm_per_px == pytest.approx(
        math.hypot(0.03, math.hypot(0.02 * 2550, 50) / 2500)
    )


def test_the_resolution_may_be_in_inches():
    inches = CAMERA | {
        "EXIF_FocalPlaneXResolution": "4233.33",
        "EXIF_FocalPlaneResolutionUnit": "2",
    }

    assert pixel_size(inches, 4000, 6000, 2.55).mm_per_px == pytest.approx(0.3, rel=1e-4)


def test_the_35_mm_equivalent_gives_the_scale_of_a_phone():
    found = pixel_size(PHONE, 3000, 4000, 1.0)

    view = 43.27 / 26 * (1000 - 5.4)  # length of the diagonal on the wall
    assert found.mm_per_px == pytest.approx(view / 5000, rel=1e-6)


def test_a_distance_noted_by_the_camera_is_much_less_certain():
    noted = pixel_size(CAMERA | {"EXIF_SubjectDistance": "(2.55)"}, 4000, 6000)
    measured = pixel_size(CAMERA, 4000, 6000, 2.55)

    assert noted.mm_per_px == measured.mm_per_px
    assert noted.sigma > 4 * measured.sigma


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (CAMERA, "no distance"),
        (CAMERA | {"EXIF_SubjectDistance": "(0)"}, "no distance"),
        (CAMERA | {"EXIF_SubjectDistance": "(4.29497e+09)"}, "no distance"),
        (CAMERA | {"EXIF_SubjectDistance": "(inf)"}, "no distance"),
        ({"EXIF_SubjectDistance": "3"}, "no focal length"),
        ({"EXIF_SubjectDistance": "3", "EXIF_FocalLength": "(50)"}, "no focal length"),
        (CAMERA | {"EXIF_SubjectDistance": "0.08"}, "too near"),
        (CAMERA | {"EXIF_SubjectDistance": "3", "EXIF_PixelXDimension": "5999"}, "resampled"),
        (CAMERA | {"EXIF_SubjectDistance": "3", "EXIF_FocalLengthIn35mmFilm": "75"}, "contradict"),
        (CAMERA | {"EXIF_SubjectDistance": "1.2.3"}, "no distance"),
    ],
)
def test_missing_or_contradictory_tags_give_no_scale(tags, words):
    with pytest.raises(UnknownPixelSize, match=words):
        pixel_size(tags, 4000, 6000)


FULL_FRAME_50 = CAMERA | {"EXIF_FocalLengthIn35mmFilm": "50"}


@pytest.mark.parametrize(
    "tags",
    [
        FULL_FRAME_50 | {"EXIF_FocalLengthIn35mmFilm": "100"},  # zoomed; the focal plane is not
        FULL_FRAME_50 | {"EXIF_FocalPlaneXResolution": "3333.333"},  # the other way round
    ],
)
def test_a_digital_zoom_that_one_tag_contains_is_taken_into_account(tags):
    found = pixel_size(tags | {"EXIF_DigitalZoomRatio": "(2)"}, 4000, 6000, 2.55)

    assert found.mm_per_px == pytest.approx(0.003 * 2500 / 50, rel=2e-3)


@pytest.mark.parametrize(
    "tags",
    [
        CAMERA,
        PHONE,
        FULL_FRAME_50,  # both or neither may contain it
        FULL_FRAME_50 | {"EXIF_FocalLengthIn35mmFilm": "75"},
    ],
)
def test_a_digital_zoom_that_may_be_in_the_tags_gives_no_scale(tags):
    for written in ("(2)", "2", "2.0"):
        with pytest.raises(UnknownPixelSize, match="zoomed 2 times digitally"):
            pixel_size(tags | {"EXIF_DigitalZoomRatio": written}, 4000, 6000, 2.55)


@pytest.mark.parametrize("ratio", ["(0)", "1", "(1)", "nonsense", ""])
def test_a_ratio_of_one_or_zero_is_no_digital_zoom(ratio):
    zoomed = pixel_size(CAMERA | {"EXIF_DigitalZoomRatio": ratio}, 4000, 6000, 2.55)

    assert zoomed == pixel_size(CAMERA, 4000, 6000, 2.55)


@pytest.mark.parametrize(("cols", "rows"), [(3000, 2000), (4500, 3000), (2000, 1333)])
def test_a_focal_plane_resolution_of_another_size_gives_no_scale(cols, rows):
    smaller = CAMERA | {"EXIF_PixelXDimension": f"{cols}", "EXIF_PixelYDimension": f"{rows}"}

    with pytest.raises(UnknownPixelSize, match="which no camera has"):
        pixel_size(smaller, rows, cols, 2.55)
    with pytest.raises(UnknownPixelSize, match="contradict"):
        pixel_size(smaller | {"EXIF_FocalLengthIn35mmFilm": "50"}, rows, cols, 2.55)


@pytest.mark.parametrize(
    ("shape", "width_mm"),
    [
        ((3456, 5184), 22.99),  # APS-C as Canon writes it
        ((4000, 6000), 23.5),
        ((3376, 6000), 35.9),  # 16:9 of a full frame
        ((3888, 5184), 17.3),
        ((3648, 5472), 13.2),
        ((2976, 3968), 6.17),
    ],
)
def test_sensors_of_cameras_are_known(shape, width_mm):
    rows, cols = shape
    tags = {
        "EXIF_FocalLength": "20",
        "EXIF_FocalPlaneXResolution": f"{cols / width_mm}",
        "EXIF_FocalPlaneResolutionUnit": "4",
    }

    found = pixel_size(tags, rows, cols, 1.02)

    assert found.mm_per_px == pytest.approx(width_mm / cols * 50)


def test_pixels_of_a_sensor_that_are_not_square_give_no_scale():
    with pytest.raises(UnknownPixelSize, match="no size of the sensor"):
        pixel_size(CAMERA | {"EXIF_FocalPlaneYResolution": "(3333.3)"}, 4000, 6000, 2.55)


@pytest.mark.parametrize(
    ("shape", "crop"), [((3000, 4000), 1.0), ((2250, 4000), 1.09), ((3000, 3000), 1.18)]
)
def test_a_35_mm_equivalent_may_be_of_another_crop_within_two_sigma(shape, crop):
    rows, cols = shape
    found = pixel_size(PHONE, rows, cols, 1.0)

    true = found.mm_per_px / crop  # if the tag is that of the whole sensor, 3000 x 4000
    lens = math.sqrt(found.sigma**2 - (0.02 * found.mm_per_px) ** 2)
    assert abs(found.mm_per_px - true) < 2 * lens
    assert lens > 0.035 * found.mm_per_px


def test_the_time_is_in_utc_or_unknown():
    taken = {"EXIF_DateTimeOriginal": "2024:05:01 00:20:30"}

    assert acquired_utc(taken) is None
    assert (
        acquired_utc(taken | {"EXIF_OffsetTimeOriginal": "+02:00"}) == "2024-04-30T22:20:30+00:00"
    )
    assert acquired_utc({}) is None


def jpeg(path, grey, distance=None, orientation=1):
    """A photograph by a camera like `CAMERA` with as many pixels as ``grey`` (rows, cols)."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    ifd = tags.get_ifd(EXIF_IFD)
    ifd[0x920A] = IFDRational(50)
    ifd[0xA20E] = IFDRational(max(grey.shape), 36)  # full frame
    ifd[0xA210] = 4
    ifd[0xA003], ifd[0xA002] = grey.shape
    ifd[0x9003], ifd[0x9011] = "2024:05:01 10:20:30", "+02:00"
    if distance:
        ifd[SUBJECT] = IFDRational(distance)
    Image.fromarray(grey).save(path, quality=95, exif=tags)
    return inspect(path)


@pytest.mark.parametrize("orientation", [1, 6])
def test_tags_are_read_from_a_photograph_as_it_is_stored(tmp_path, orientation):
    info = jpeg(tmp_path / "a.jpg", np.full((64, 96), 200, np.uint8), METERED, orientation)

    found = find_scales(info, Hints())

    (scale,) = found["scales"]
    assert scale["mm_per_px"] == pytest.approx(36 / 96 * 2450 / 50, rel=1e-4)
    assert scale["source"] == "exif"
    assert found["acquired_utc"] == "2024-05-01T08:20:30+00:00"


def test_a_georeferenced_photograph_has_no_exif_scale(tmp_path):
    info = jpeg(tmp_path / "a.jpg", np.full((64, 96), 200, np.uint8), METERED)
    (tmp_path / "a.jgw").write_text("0.5\n0\n0\n-0.5\n100\n200\n")

    mapped = inspect(info.path)

    assert mapped.transform != Affine.identity()
    assert find_scales(mapped, Hints())["scales"] == []


def test_the_error_for_a_distance_without_a_lens_proposes_a_remedy(tmp_path):
    Image.fromarray(np.full((64, 96), 200, np.uint8)).save(tmp_path / "a.png")

    with pytest.raises(InputError, match=r"a\.png: --distance-m gives no scale, .* --gsd-mm"):
        find_scales(inspect(tmp_path / "a.png"), Hints(distance_m=2))


def test_scales_by_marker_and_by_exif_are_both_stored(tmp_path):
    grey = draw((300, 450), [corners((150, 150), 100)])

    found = find_scales(jpeg(tmp_path / "a.jpg", grey), Hints(marker_mm=50, distance_m=2.55))

    sources = {scale["source"]: scale["mm_per_px"] for scale in found["scales"]}
    assert sources == {
        "exif": pytest.approx(36 / 450 * 2500 / 50),
        "marker": pytest.approx(0.5, rel=0.02),
    }


def test_the_same_file_and_hints_are_not_searched_again(tmp_path, monkeypatch):
    info = jpeg(tmp_path / "a.jpg", np.full((64, 96), 200, np.uint8), METERED)
    scene = Scene(tmp_path / "a", 64, 96, Affine.identity(), None)
    scene.folder.mkdir()
    store_scales(scene, find_scales(info, Hints()))
    read = Scene.read(scene.folder)
    monkeypatch.setattr(exif, "pixel_size", None)

    assert find_scales(info, Hints(), read) == read.record.photograph
    with pytest.raises(TypeError):
        find_scales(info, Hints(distance_m=2), read)


@pytest.mark.parametrize("hints", [{"marker_mm": 0}, {"distance_m": -1}, {"marker_mm": math.nan}])
def test_hints_must_be_positive(hints):
    with pytest.raises(UsageError, match=r"--(marker-mm|distance-m) .*: must be above 0"):
        Hints(**hints)


@pytest.fixture
def survey(tmp_path, monkeypatch):
    """A cracked wall with and without a marker, and a function that scans both."""
    engine = LocalEngine()
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: engine)
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    bare = wall(300, 420)
    marked = bare.copy()
    marked[20:160, 240:400] = draw((140, 160), [corners((80, 70), 80, 4)])[..., None]
    for name, image in (("bare", bare), ("marked", marked)):
        Image.fromarray(image).save(photographs / f"{name}.png")

    def scan(**hints):
        engine.backs = 0
        task = SurveyTask(
            (photographs,), tmp_path / "out", ModelOptions(gate=0.3), hints=Hints(**hints)
        )
        return scan_survey(task), engine.backs

    return scan, tmp_path / "out"


def test_a_photograph_without_its_marker_does_not_stop_the_others(survey):
    scan, out = survey

    result, _ = scan(marker_mm=40)

    assert result.exit_code == 3
    (failure,) = result.failures
    assert "bare.png: shows no marker" in failure.message
    assert not (out / "bare").exists()
    (scene,) = write_report(ReportTask(out)).scenes
    assert (scene.scene, scene.mm_per_px) == ("marked", pytest.approx(0.5, rel=0.02))


def test_a_hint_that_is_given_later_computes_no_score_again(survey):
    scan, out = survey
    _, first = scan()

    result, again = scan(marker_mm=40)

    assert first > 0
    assert again == 0
    assert [scene.status for scene in result.scenes] == ["unchanged"]
    (scale,) = Scene.read(out / "marked").record.scales
    assert scale["source"] == "marker"
    assert Scene.read(out / "bare").record.scales == []  # as it was
