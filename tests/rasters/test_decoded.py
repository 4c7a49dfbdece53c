"""HEIC, AVIF and camera raw are read upright, whole and once; without their library, refused."""

import gc
import sys

import numpy as np
import pytest
from cameras import write_dng, write_heic
from fakes import LocalEngine
from PIL import Image
from rasterio.shutil import exists

from crackcli.errors import InputError
from crackcli.inference import opening
from crackcli.rasters.access.opening import open_raster
from crackcli.rasters.access.pages import Page, pages_of
from crackcli.rasters.decoding.decoded import kind_of_photograph
from crackcli.rasters.photograph import read_photograph
from crackcli.rasters.reader import inspect
from crackcli.rasters.score_mask import read_tags
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes import exif
from crackcli.scenes.recorded_scale import Hints, find_scales

ROWS, COLS = 96, 128


@pytest.fixture
def heif():
    return pytest.importorskip("pillow_heif")


@pytest.fixture
def raw():
    return pytest.importorskip("rawpy")


def wall():
    """A grey wall with a dark line, and a coloured corner that shows how it is turned."""
    image = np.full((ROWS, COLS, 3), (150, 140, 120), np.uint8)
    image[40:44] = 30
    image[:16, :32] = (200, 60, 70)
    return image


def noise(rows=400, cols=500):
    return np.random.default_rng(3).integers(0, 256, (rows, cols, 3), np.uint8)


def phone_exif(orientation=1):
    """EXIF of a photograph at 1 m with a lens of 4.25 mm on a sensor 6.17 mm wide."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x8769] = {
        0x9003: "2026:05:01 10:00:00",
        0x9011: "+02:00",
        0x9206: 1.0,
        0x920A: 4.25,
        0xA20E: COLS / 0.617,
        0xA20F: COLS / 0.617,
        0xA210: 3,
        0xA002: COLS,
        0xA003: ROWS,
    }
    return tags.tobytes()


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
@pytest.mark.parametrize("suffix", ["heic", "HEIF", "jpg"])
def test_heic_of_any_name_is_read_upright(heif, tmp_path, suffix, orientation, turns):
    path = write_heic(tmp_path / f"wall.{suffix}", wall(), exif=phone_exif(orientation))

    info = inspect(path)

    assert kind_of_photograph(path) == "HEIC"
    assert pages_of(path) == [Page(path)]
    assert (info.orientation, info.stretch) == (1, None)
    assert info.digest == inspect(path).digest
    np.testing.assert_allclose(read_photograph(path), np.rot90(wall(), turns), atol=3)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1)])
def test_avif_is_read_upright(tmp_path, orientation, turns):
    pytest.importorskip("PIL.AvifImagePlugin")
    path = tmp_path / "wall.avif"
    Image.fromarray(wall()).save(
        path, quality=100, subsampling="4:4:4", exif=phone_exif(orientation)
    )

    assert kind_of_photograph(path) == "AVIF"
    np.testing.assert_allclose(read_photograph(path), np.rot90(wall(), turns), atol=6)


def test_ten_bits_of_heic_are_stretched_as_those_of_other_files(heif, tmp_path):
    rising = np.linspace(0, 65535, COLS).astype(np.uint16)
    image = np.broadcast_to(rising[None, :, None], (ROWS, COLS, 3)).copy()
    path = tmp_path / "wall.heic"
    heif.from_bytes("RGB;16", (COLS, ROWS), image.tobytes()).save(path, quality=-1, chroma=444)

    assert inspect(path).stretch == pytest.approx((0, 65472), abs=700)
    np.testing.assert_allclose(read_photograph(path)[0, :, 1], rising / 257, atol=3)


def test_transparency_of_heic_is_nodata(heif, tmp_path):
    image = np.dstack([wall(), np.full((ROWS, COLS), 255, np.uint8)])
    image[:, 64:, 3] = 0
    path = tmp_path / "wall.heic"
    heif.from_bytes("RGBA", (COLS, ROWS), image.tobytes()).save(path, quality=-1)

    assert inspect(path).masked
    filled = read_photograph(path)[60, [80, 127]]  # fades from the nearest pixel to grey
    np.testing.assert_allclose(filled[0], 0.75 * image[60, 63, :3] + 0.25 * 128, atol=4)
    np.testing.assert_allclose(filled[1], 128, atol=1)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_scale_follows_from_the_exif_of_heic(heif, tmp_path, orientation):
    path = write_heic(tmp_path / "wall.heic", wall(), exif=phone_exif(orientation))

    tags = read_tags(path)
    (found,) = find_scales(inspect(path), Hints())["scales"]

    assert tags["EXIF_FocalLength"] == "(4.25)"
    assert exif.acquired_utc(tags) == "2026-05-01T08:00:00+00:00"
    assert found["mm_per_px"] == pytest.approx(6.17 / COLS / 4.25 * (1000 - 4.25), rel=1e-4)


def damaged(path, *, hole):
    content = path.read_bytes()
    middle = len(content) * 6 // 10
    size = len(content) - middle if hole is None else hole
    path.write_bytes(content[:middle] + bytes(size) + content[middle + size :])
    return path


@pytest.mark.parametrize("hole", [None, 1000])
@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_a_file_with_a_part_that_was_not_copied_is_refused(heif, tmp_path, suffix, hole):
    path = tmp_path / f"wall.{suffix}"
    if suffix == "heic":
        write_heic(path, noise())
    else:
        Image.fromarray(noise()).save(path, quality=90)
    read_photograph(path)

    with pytest.raises(InputError, match="damaged, a part of it is empty; copy it again"):
        inspect(damaged(path, hole=hole))


@pytest.mark.parametrize("tail", [b"\0\0\0\1free\xff", b"\0\0\0\1free" + b"\xff" * 8])
def test_what_is_damaged_behind_the_pixels_does_not_matter(heif, tmp_path, tail):
    path = tmp_path / "wall.heic"
    write_heic(path, noise())
    before = read_photograph(path)

    path.write_bytes(path.read_bytes() + tail)

    assert np.array_equal(read_photograph(path), before)


@pytest.mark.parametrize("content", ["short", "text"])
@pytest.mark.parametrize("suffix", ["heic", "dng", "cr3"])
def test_a_file_that_cannot_be_decoded_is_refused(heif, raw, tmp_path, suffix, content):
    path = tmp_path / f"wall.{suffix}"
    if content == "text":
        path.write_text("no photograph")
    else:
        whole = write_dng(path, wall()) if suffix != "heic" else write_heic(path, noise())
        path.write_bytes(whole.read_bytes()[:4000])

    with pytest.raises(InputError, match="not a readable"):
        inspect(path)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (8, 1)])
@pytest.mark.parametrize("suffix", ["dng", "tif"])
def test_a_raw_file_of_any_name_is_developed(raw, tmp_path, suffix, orientation, turns):
    path = write_dng(tmp_path / f"wall.{suffix}", wall(), orientation)

    info = inspect(path)

    assert kind_of_photograph(path) == "camera raw"
    assert pages_of(path) == [Page(path)]
    assert info.orientation == 1
    low, high = info.stretch
    expected = (257 * np.rot90(wall(), turns).astype(float) - low) * 255 / (high - low)
    inside = np.abs(np.diff(wall().astype(int), axis=0)).sum(axis=2).max(axis=1) == 0
    flat = np.rot90(np.broadcast_to(np.append(inside, False)[:, None], (ROWS, COLS)), turns)
    difference = np.abs(read_photograph(path) - expected.clip(0, 255)).max(axis=2)
    assert np.percentile(difference[flat], 90) < 4  # the filters blur edges


def test_a_raw_file_whose_end_was_not_copied_is_refused(raw, tmp_path):
    path = damaged(write_dng(tmp_path / "wall.dng", wall()), hole=None)

    with pytest.raises(InputError, match=r"damaged, \d+ rows of it are empty; copy it again"):
        inspect(path)


def test_the_exif_of_a_raw_file_is_read(raw, tmp_path):
    focal = [(37386, 5, 1, (35, 1), True)]  # as in TIFF/EP: in the first directory
    path = write_dng(tmp_path / "wall.dng", wall(), exif=focal)

    assert read_tags(path)["EXIF_FocalLength"] == "(35)"


@pytest.mark.parametrize(("library", "extra"), [("pillow_heif", "heif"), ("rawpy", "raw")])
def test_without_the_library_the_refusal_says_what_to_install(
    heif, raw, tmp_path, monkeypatch, library, extra
):
    path = (
        write_heic(tmp_path / "wall.heic", wall())
        if extra == "heif"
        else write_dng(tmp_path / "wall.dng", wall())
    )
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(InputError, match=rf"pip install 'crackcli\[{extra}\]'"):
        inspect(path)


def test_without_the_library_other_photographs_of_a_folder_are_scanned(heif, tmp_path, monkeypatch):
    write_heic(tmp_path / "in.heic", wall())
    Image.fromarray(wall()).save(tmp_path / "in.png")
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)

    result = scan_survey(SurveyTask((tmp_path,), tmp_path / "out"))

    assert [scene.source.name for scene in result.scenes] == ["in.png"]
    assert [failure.source.name for failure in result.failures] == ["in.heic"]
    assert result.exit_code == 3


def test_one_decoded_photograph_is_kept_in_memory(heif, tmp_path):
    names = []
    for number in range(3):
        with open_raster(write_heic(tmp_path / f"{number}.heic", noise(64, 80))) as source:
            names.append(source.name)
    gc.collect()

    kept = [exists(name) for name in names]

    assert kept == [False, False, True]


def test_a_changed_file_is_decoded_again(heif, tmp_path):
    path = write_heic(tmp_path / "wall.heic", wall())
    first = read_photograph(path)
    write_heic(path, 255 - wall())

    assert np.abs(read_photograph(path).astype(int) - (255 - first)).max() <= 6
