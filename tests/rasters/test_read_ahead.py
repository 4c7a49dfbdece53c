"""Reading ahead gives the same pixels as reading, and decodes each block of rows once."""

import cv2
import numpy as np
import pytest
import rasterio
from fakes import LocalEngine

from crackcli.errors import InputError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.views import View, score_view
from crackcli.rasters import read_ahead as reading
from crackcli.rasters.grid import Window
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.rasters.reader import Raster, inspect

ROWS, COLS = 333, 270

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def picture(bands=3, dtype=np.uint8):
    rng = np.random.default_rng(4)
    return rng.integers(0, np.iinfo(dtype).max, (bands, ROWS, COLS), dtype, endpoint=True)


def tiff(path, bands, mask=None, **profile):
    profile = {"driver": "GTiff", "dtype": bands.dtype, "count": len(bands)} | profile
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", height=ROWS, width=COLS, **profile) as file,
    ):
        file.write(bands)
        if mask is not None:
            file.write_mask(mask)
    return path


def tiled(path):
    return tiff(
        path / "a.tif",
        picture(),
        photometric="rgb",
        tiled=True,
        blockxsize=64,
        blockysize=48,
    )


def holed(path):
    mask = np.full((ROWS, COLS), 255, np.uint8)
    mask[40:90, 30:] = 0
    return tiff(path / "a.tif", picture(), mask, tiled=True, blockxsize=64, blockysize=64)


def in_rows(path):
    return tiff(path / "a.tif", picture(), blockysize=7, compress="deflate")


def deep_grey(path):
    return tiff(path / "a.tif", picture(1, np.uint16), nodata=0)


def not_all_numbers(path):
    values = picture(1).astype(np.float32)
    values[0, 10:20, 100:] = np.nan
    return tiff(path / "a.tif", values, tiled=True, blockxsize=64, blockysize=64)


def png(path):
    cv2.imwrite(str(path / "a.png"), np.moveaxis(picture(), 0, -1))
    return path / "a.png"


def turned(path):
    plain = cv2.imencode(".jpg", np.moveaxis(picture(), 0, -1))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06" + bytes(7)
    head = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (path / "a.jpg").write_bytes(plain[:2] + head + plain[2:])
    return path / "a.jpg"


FILES = [tiled, holed, in_rows, deep_grey, not_all_numbers, png, turned]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_ROWS", 100)
    monkeypatch.setattr(reading, "ABOVE_PX", 60)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_reading_ahead_gives_the_same_pixels_as_reading(tmp_path, make, threads):
    chosen = (1, 1, 1) if make is not_all_numbers else ()  # floats are read only if chosen
    info = inspect(make(tmp_path), chosen)
    rows, cols = info.rows, info.cols
    windows = [
        Window(-70, -50, 160, cols + 100),
        Window(50, 0, 90, cols),
        Window(20, -50, 180, cols + 101),
        Window(180, 20, rows - 180 + 65, 100),
        Window(-40, -30, 45, 31),  # most of it is reflected
        Window(rows - 3, cols - 2, 40, 50),
        Window(0, 0, rows, cols),
    ]
    with Raster(info) as raster, ReadAhead(info, threads) as ahead:
        for window in windows:
            expected, pixels = raster.read(window), ahead.read(window)
            np.testing.assert_array_equal(pixels.rgb, expected.rgb)
            np.testing.assert_array_equal(pixels.valid, expected.valid)
            inside = window.clipped(rows, cols)
            np.testing.assert_array_equal(ahead.read_valid(inside), raster.read_valid(inside))


def test_each_block_is_decoded_once_from_top_to_bottom(tmp_path, monkeypatch):
    info = inspect(tiled(tmp_path))
    decoded = []
    monkeypatch.setattr(
        reading, "decode", lambda piece, rgb, valid, raster: decoded.append(piece.row)
    )
    with ReadAhead(info, 1) as ahead:
        for row in range(0, ROWS, 64):
            ahead.begin_strip(Window(row, 0, min(64, ROWS - row), COLS))
            ahead.read(Window(row - 10, -10, 84, COLS + 20))
            ahead.read(Window(max(0, row - 60), 0, 80, COLS))
            assert len(ahead.blocks) <= 4

    assert sorted(set(decoded)) == list(range(0, ROWS, 96))
    assert len(decoded) == len(set(decoded)) * len({piece.col for piece in ahead.pieces(ALL)})


ALL = Window(0, 0, 96, COLS)


def test_blocks_that_no_strip_needs_again_are_dropped(tmp_path):
    with ReadAhead(inspect(tiled(tmp_path)), 1) as ahead:
        for row in (0, 96, 192):
            ahead.begin_strip(Window(row, 0, 96, COLS))
            ahead.read(Window(row - 20, 0, 106, COLS))
        assert sorted(ahead.blocks) == [1, 2, 3]  # block 1 for its last 20 rows, block 3 ahead
        ahead.begin_strip(Window(0, 0, 96, COLS))  # another view
        assert not ahead.blocks


def test_the_large_need_of_an_early_strip_is_forgotten(tmp_path):
    with ReadAhead(inspect(tiled(tmp_path)), 1) as ahead:
        for row, above in ((192, 192), (224, 20), (256, 20), (288, 20)):
            ahead.begin_strip(Window(row, 0, 32, COLS))
            ahead.read(Window(row - above, 0, 32 + above, COLS))
        assert min(ahead.blocks) == (288 - reading.ABOVE_PX) // ahead.block_rows


@pytest.mark.parametrize("zoom", [0.5, 1.0])
@pytest.mark.parametrize("first", [0, 2])  # as of a scan, and of one that goes on
def test_strips_of_a_raster_with_holes_are_explained_the_same(tmp_path, zoom, first):
    info = inspect(holed(tmp_path))
    scorers = [ClassifierScorer(LocalEngine(), 0.0) for _ in range(2)]
    view = View.of(info, zoom, scorers[0], 32)
    with Raster(info) as raster, ReadAhead(info, 2) as ahead:
        for index in range(first, len(view.grid)):
            ahead.begin_strip(view.window(index, info))
            scores, expected = (
                score_view(scorer, source, view, index)
                for scorer, source in zip(scorers, (ahead, raster), strict=True)
            )
            np.testing.assert_array_equal(scores.relevance, expected.relevance)
            np.testing.assert_array_equal(scores.valid, expected.valid)
            assert scores.relevance.any()


def test_nodata_is_black_in_any_window(tmp_path):
    info = inspect(holed(tmp_path))
    with Raster(info) as raster:
        pixels = raster.read(Window(0, 0, ROWS, COLS))
        assert not pixels.rgb[~pixels.valid].any()
        assert (raster.read(Window(40, 64, 50, 64)).rgb == 0).all()


def test_validity_alone_is_reflected_like_pixels(tmp_path):
    info = inspect(holed(tmp_path))
    with Raster(info) as raster, ReadAhead(info, 1) as ahead:
        for window in (Window(-70, -50, 160, COLS + 100), Window(-40, -30, 45, 31)):
            expected = raster.read(window).valid
            np.testing.assert_array_equal(ahead.read_valid(window), expected)


def test_a_file_damaged_further_down_is_an_error_when_that_part_is_read(tmp_path):
    path = tiff(tmp_path / "a.tif", picture(), tiled=True, blockxsize=64, blockysize=64)
    info = inspect(path)
    path.write_bytes(path.read_bytes()[:150_000])
    with ReadAhead(info, 2) as ahead:
        ahead.read(Window(0, 0, 64, COLS))
        with pytest.raises(InputError, match=r"a\.tif: not a readable image, or damaged"):
            ahead.read(Window(200, 0, ROWS - 200, COLS))
