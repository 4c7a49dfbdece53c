"""EXIF orientation in every container, compared with Pillow's upright picture."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from crackcli.datasets.pixel_labels import LabelledPhotograph
from crackcli.rasters.grid import Window
from crackcli.rasters.orientation import BROKEN, find_orientation, of_jp2, of_png, of_tiff, of_webp
from crackcli.rasters.photograph import read_photograph
from crackcli.rasters.reader import Raster, inspect

CONTAINERS = {
    "png": {},
    "webp": {"lossless": True},
    "tif": {},
    "tiff": {"compression": "tiff_lzw"},
    "jpg": {"quality": 98, "subsampling": 0},
}
ROWS, COLS = 40, 60


def saved(folder, suffix, orientation, **options):
    """A photograph stored with an orientation; its path and its upright pixels."""
    stored = np.zeros((ROWS, COLS, 3), np.uint8)
    stored[:16, :32] = (250, 20, 30)
    stored[24:, 40:] = (10, 20, 240)
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif[0x0112] = orientation
    path = folder / f"wall.{suffix}"
    Image.fromarray(stored).save(path, exif=exif, **options)
    with Image.open(path) as image:
        return path, np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_photograph_is_upright_in_every_container(tmp_path, suffix, orientation):
    path, upright = saved(tmp_path, suffix, orientation, **CONTAINERS[suffix])

    info = inspect(path)
    with Raster(info) as raster:
        pixels = raster.read(Window(0, 0, info.rows, info.cols))

    assert info.orientation == orientation
    np.testing.assert_allclose(pixels.rgb, upright, atol=0 if suffix != "jpg" else 6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
def test_both_byte_orders_and_sizes_of_tiff_are_read(tmp_path, order, big):
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
        entry = struct.pack(f"{order}HHQH6x", 0x0112, 3, 1, 8)
        content = head + struct.pack(f"{order}Q", 1) + entry
    else:
        entry = struct.pack(f"{order}HHIH2x", 0x0112, 3, 1, 8)
        content = mark + struct.pack(f"{order}HIH", 42, 8, 1) + entry
    path = tmp_path / "a.tif"
    path.write_bytes(content)

    assert find_orientation(path, "GTiff", None) == 8


def test_jpeg_2000_keeps_exif_in_a_box(tmp_path):
    exif = b"II" + struct.pack("<HIH", 42, 8, 1) + struct.pack("<HHIH2x", 0x0112, 3, 1, 6)
    box = b"uuid" + b"JpgTiffExif->JP2" + exif
    path = tmp_path / "a.jp2"
    path.write_bytes(
        struct.pack(">I4s4s", 12, b"jP  ", b"\r\n\x87\n") + struct.pack(">I", 4 + len(box)) + box
    )

    assert find_orientation(path, "JP2OpenJPEG", None) == 6


def test_a_map_is_never_turned(tmp_path):
    path, _ = saved(tmp_path, "tif", 6)
    path.with_suffix(".tfw").write_text("0.001\n0\n0\n-0.001\n5\n7\n")

    assert inspect(path).orientation == 1


@pytest.mark.parametrize("value", ["0", "9", "", "x", "-3"])
def test_an_invalid_tag_is_no_orientation(tmp_path, value):
    assert find_orientation(tmp_path, "JPEG", value) == 1


@pytest.mark.parametrize("reader", [of_png, of_webp, of_tiff, of_jp2])
def test_a_damaged_container_has_no_orientation_and_ends(tmp_path, reader):
    rng = np.random.default_rng(0)
    heads = [
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x10\0\0\0WEBP",
        b"II*\0\x08\0\0\0",
        b"MM\0+",
        b"",
        b"\0" * 9,
    ]
    for number in range(60):
        path = tmp_path / "a"
        path.write_bytes(heads[number % len(heads)] + rng.bytes(number))
        with path.open("rb") as file:
            try:
                found = reader(file)
            except BROKEN:  # which find_orientation expects
                continue
        assert isinstance(found, int)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_learning_and_evaluation_read_the_pixels_of_a_scan(tmp_path, suffix):
    path, upright = saved(tmp_path, suffix, 6, **CONTAINERS[suffix])

    info = inspect(path)
    with Raster(info) as raster:
        scanned = raster.read(Window(0, 0, info.rows, info.cols)).rgb

    assert read_photograph(path).shape == upright.shape == (COLS, ROWS, 3)
    assert np.array_equal(read_photograph(path), scanned)
    assert np.array_equal(LabelledPhotograph(path).image(), scanned)
