"""A photograph whose data end in nothing, or have a hole, is refused."""

import logging
import re

import cv2
import numpy as np
import pytest
import rasterio
from fakes import wall
from PIL import Image

from crackcli.errors import InputError
from crackcli.rasters.access.warned import collected_warnings
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect, inspect_header

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
ROWS, COLS = 512, 640
TEXTURE = np.random.default_rng(1).normal(0, 8, (ROWS, COLS, 1))
PHOTOGRAPH = np.clip(wall(ROWS, COLS) + TEXTURE, 1, 255).astype(np.uint8)


def by_opencv(*options):
    return lambda path: cv2.imwrite(str(path), PHOTOGRAPH[..., ::-1], list(options))


def by_pillow(**options):
    return lambda path: Image.fromarray(PHOTOGRAPH).save(path, **options)


def by_gdal(**options):
    def write(path):
        with rasterio.open(
            path, "w", width=COLS, height=ROWS, count=3, dtype="uint8", **options
        ) as file:
            file.write(np.moveaxis(PHOTOGRAPH, -1, 0))

    return write


CONTAINERS = {
    "baseline.jpg": by_opencv(cv2.IMWRITE_JPEG_QUALITY, 90),
    "optimised.jpg": by_opencv(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "progressive.jpg": by_opencv(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarting.jpg": by_opencv(cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "lossy.webp": by_pillow(quality=85),
    "lossless.webp": by_pillow(lossless=True),
    "plain.png": by_pillow(),
    "plain.jp2": by_gdal(driver="JP2OpenJPEG", quality=30),
    "plain.gif": by_pillow(),
    **{
        f"{code}_{'tiles' if tiled else 'rows'}.tif": by_gdal(
            driver="GTiff",
            compress=code,
            tiled=tiled,
            blockxsize=128 if tiled else COLS,
            blockysize=128 if tiled else 32,
        )
        for code in ("deflate", "lzw", "zstd", "packbits", "webp")
        for tiled in (True, False)
    },
    "jpeg_tiles.tif": by_gdal(
        driver="GTiff",
        compress="jpeg",
        photometric="ycbcr",
        tiled=True,
        blockxsize=128,
        blockysize=128,
    ),
}


def read(path):
    info = inspect(path)
    with Raster(info) as raster:
        return raster.read(Window(0, 0, info.rows, info.cols))


def written(tmp_path, name):
    path = tmp_path / name
    CONTAINERS[name](path)
    return path


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_photograph_is_read(tmp_path, name):
    assert read(written(tmp_path, name)).valid.all()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_photograph_that_ends_in_zeros_is_refused(tmp_path, name, share):
    path = written(tmp_path, name)
    whole = path.read_bytes()
    kept = round(len(whole) * (1 - share))
    path.write_bytes(whole[:kept] + bytes(len(whole) - kept))

    with pytest.raises(InputError, match=rf"{re.escape(name)}: .*damaged \(.*\); "):
        read(path)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_photograph_that_is_cut_off_is_refused(tmp_path, name):
    path = written(tmp_path, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])

    with pytest.raises(InputError, match=rf"{re.escape(name)}: .*damaged \(.*\); "):
        read(path)


# Of these, the decoder cannot notice a hole: the code has no check.
UNNOTICED = ("plain.jp2", "zstd_tiles.tif", "zstd_rows.tif")


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name not in UNNOTICED])
def test_a_photograph_with_a_hole_is_refused(tmp_path, name):
    path = written(tmp_path, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(1000) + whole[len(whole) // 2 + 1000 :])

    with pytest.raises(InputError, match=rf"{re.escape(name)}: .*damaged \(.*\); "):
        read(path)


def test_a_jpeg_that_ends_in_another_photograph_is_refused(tmp_path):
    path = written(tmp_path, "baseline.jpg")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + whole[: len(whole) - len(whole) // 2])

    with pytest.raises(InputError, match=r"damaged \(foreign data from byte [\d,]+ of [\d,]+\)"):
        inspect(path)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png", "jp2", "tif"])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_photograph_of_one_colour_is_not_damaged(tmp_path, suffix, grey):
    path = tmp_path / f"flat.{suffix}"
    options = [cv2.IMWRITE_JPEG_OPTIMIZE, 1] if suffix == "jpg" else []
    cv2.imwrite(str(path), np.full((2000, 2000, 3), grey, np.uint8), options)

    inspect(path)


def test_a_mosaic_of_a_damaged_tiff_is_refused(tmp_path):
    path = written(tmp_path, "deflate_rows.tif")
    (tmp_path / "wall.vrt").write_text(
        f"""<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}">
        <VRTRasterBand dataType="Byte" band="1"><SimpleSource>
        <SourceFilename relativeToVRT="1">{path.name}</SourceFilename><SourceBand>1</SourceBand>
        </SimpleSource></VRTRasterBand></VRTDataset>"""
    )
    inspect(tmp_path / "wall.vrt")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(1000) + whole[len(whole) // 2 + 1000 :])

    with pytest.raises(InputError, match=r"deflate_rows\.tif: damaged \(block 0 of row \d+\)"):
        inspect(tmp_path / "wall.vrt")


def test_a_photograph_may_be_followed_by_other_data(tmp_path):
    path = written(tmp_path, "baseline.jpg")
    path.write_bytes(path.read_bytes() + bytes(5000))

    np.testing.assert_allclose(read(path).rgb, PHOTOGRAPH, atol=60)


@pytest.mark.usefixtures("quiet_rasterio")
def test_a_tile_that_gdal_only_warns_of_is_an_error(tmp_path):
    path = written(tmp_path, "jpeg_tiles.tif")
    with rasterio.open(path) as source:
        at, size = (
            int(source.get_tag_item(f"BLOCK_{what}_2_2", "TIFF", bidx=1))
            for what in ("OFFSET", "SIZE")
        )
    content = bytearray(path.read_bytes())
    content[at + size // 2 : at + size // 2 + 1000] = bytes(1000)
    path.write_bytes(content)
    with collected_warnings() as warnings, rasterio.open(path) as source:
        source.read()
    assert "Corrupt JPEG data" in warnings[0]

    with (
        Raster(inspect_header(path)) as raster,
        pytest.raises(InputError, match=r"jpeg_tiles\.tif: damaged \(JPEGLib:Corrupt JPEG data"),
    ):
        raster.read(Window(256, 256, 128, 128))


@pytest.fixture
def quiet_rasterio():
    """Let rasterio log only what is critical, as the command line does."""
    log = logging.getLogger("rasterio")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)
