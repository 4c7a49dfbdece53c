"""Files beside rasters that let a GIS show them: styles, and a VRT of a photograph that is stored
turned."""

import struct
import zlib
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine

from crackcli.rasters.grid import ORIENTATIONS
from crackcli.rasters.reader import inspect
from crackcli.rasters.writing.raster_style import add_styles, photograph_renderer
from crackcli.rasters.writing.vrt import needs_vrt, write_vrt

AS_QGIS = Affine(1, 0, 0, 0, -1, 0)  # x to the right, y up from the upper left corner
SHAPE = (40, 60)


def stored_image():
    """An image of which each block of 4 x 4 px has a grey value of its own."""
    return np.arange(150, dtype=np.uint8).reshape(10, 15).repeat(4, axis=0).repeat(4, axis=1)


def with_orientation(png, value):
    """A PNG with an EXIF orientation."""
    exif = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x112, 3, 1, value, 0, 0)
    chunk = b"eXIf" + exif
    crc = struct.pack(">I", zlib.crc32(chunk))
    return png[:33] + struct.pack(">I", len(exif)) + chunk + crc + png[33:]


@pytest.mark.parametrize("value", ORIENTATIONS)
def test_a_vrt_places_each_pixel_where_it_is_in_the_upright_photograph(tmp_path, value):
    stored = stored_image()
    _, encoded = cv2.imencode(".png", stored)
    path = tmp_path / "photographs" / "wall.png"
    path.parent.mkdir()
    path.write_bytes(with_orientation(encoded.tobytes(), value))
    info = inspect(path)
    vrt = tmp_path / "out" / "wall" / "photograph.vrt"
    vrt.parent.mkdir(parents=True)

    write_vrt(vrt, info, AS_QGIS, vrt)

    upright = ORIENTATIONS[value].upright(stored)
    assert (info.rows, info.cols) == upright.shape
    assert needs_vrt(info) == (value != 1)
    with rasterio.open(vrt) as file:
        np.testing.assert_array_equal(file.read(1), stored)
        rows, cols = np.indices(stored.shape).reshape(2, -1)
        a, b, c, d, e, f = file.transform[:6]
    x, y = a * (cols + 0.5) + b * (rows + 0.5) + c, d * (cols + 0.5) + e * (rows + 0.5) + f
    places = np.floor(-y).astype(int), np.floor(x).astype(int)
    np.testing.assert_array_equal(upright[places], stored.ravel())
    assert "../../photographs/wall.png" in vrt.read_text(encoding="utf-8")


def test_a_vrt_of_a_page_shows_this_page(tmp_path):
    path, vrt = tmp_path / "pages.tif", tmp_path / "photograph.vrt"
    pages = [stored_image(), stored_image()[::-1]]
    cv2.imwritemulti(str(path), pages)
    info = inspect(path, page=2)

    assert needs_vrt(info)
    write_vrt(vrt, info, AS_QGIS, vrt)

    with rasterio.open(vrt) as file:
        np.testing.assert_array_equal(file.read(1), pages[1])


def test_a_vrt_has_the_palette_of_its_photograph(tmp_path):
    path, vrt = tmp_path / "wall.tif", tmp_path / "photograph.vrt"
    colours = {0: (10, 20, 30, 255), 1: (200, 190, 180, 255)}
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "photometric": "palette"}
    with rasterio.open(path, "w", height=40, width=60, **profile) as file:
        file.write(stored_image()[None] % 2)
        file.write_colormap(1, colours)

    write_vrt(vrt, inspect(path), AS_QGIS, vrt)

    with rasterio.open(vrt) as file:
        found = file.colormap(1)
    assert {value: found[value] for value in colours} == colours


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int8", "float64"])
def test_a_vrt_has_the_values_of_any_photograph(tmp_path, dtype):
    path, vrt = tmp_path / "wall.tif", tmp_path / "photograph.vrt"
    values = stored_image().astype(dtype)
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, count=1, height=40, width=60
    ) as file:
        file.write(values, 1)

    write_vrt(vrt, inspect(path, bands=(1,)), AS_QGIS, vrt)

    with rasterio.open(vrt) as file:
        np.testing.assert_array_equal(file.read(1), values)


def test_a_map_and_an_upright_jpeg_need_no_vrt(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.jpg"), stored_image())
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 40, "width": 60}
    for name, transform in (("map.tif", Affine(1, 0, 5, 0, -1, 7)), ("plain.tif", None)):
        placed = {"transform": transform} if transform else {}
        with rasterio.open(tmp_path / name, "w", **profile, **placed) as file:
            file.write(stored_image(), 1)

    needed = {path.name: needs_vrt(inspect(path)) for path in tmp_path.iterdir()}

    assert needed == {"wall.jpg": False, "map.tif": False, "plain.tif": True}


def test_a_mask_is_transparent_where_there_is_no_crack_and_a_score_where_it_is_low(tmp_path):
    add_styles(tmp_path)

    mask = ElementTree.fromstring((tmp_path / "mask.qml").read_text(encoding="utf-8"))
    score = ElementTree.fromstring((tmp_path / "score.qml").read_text(encoding="utf-8"))
    alphas = {one.get("value"): one.get("alpha") for one in mask.iter("paletteEntry")}
    ramp = [int(one.get("alpha")) for one in score.iter("item")]
    assert alphas == {"0": "0", "1": "255"}
    assert ramp == sorted(ramp)
    assert (ramp[0], ramp[-1]) == (0, 255)


@pytest.mark.parametrize("count", [1, 3])
def test_a_photograph_of_16_bits_is_as_bright_in_qgis_as_it_is_read(tmp_path, count):
    path = tmp_path / "wall.tif"
    values = np.stack([stored_image().astype(np.uint16) * 100 + 500] * count)
    profile = {"driver": "GTiff", "dtype": "uint16", "count": count, "height": 40, "width": 60}
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
    info = inspect(path)

    root = photograph_renderer(info)

    names = ("red", "green", "blue") if count == 3 else ("gray",)
    assert [root.get(f"{name}Band") for name in names] == [str(n + 1) for n in range(count)]
    limits = [(float(one[0].text), float(one[1].text)) for one in root]
    assert limits == [pytest.approx(info.stretch)] * count


def test_a_photograph_of_8_bits_needs_no_style_unless_bands_were_chosen(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), cv2.merge([stored_image()] * 3))

    assert photograph_renderer(inspect(tmp_path / "wall.png")) is None
    root = photograph_renderer(inspect(tmp_path / "wall.png", (3, 2, 1)))
    assert (root.get("redBand"), root.get("blueBand")) == ("3", "1")


def test_styles_that_people_changed_are_kept(tmp_path):
    (tmp_path / "mask.qml").write_text("mine")
    (tmp_path / "score.qml").symlink_to(tmp_path / "missing.qml")

    add_styles(tmp_path)

    assert (tmp_path / "mask.qml").read_text() == "mine"
    assert (tmp_path / "score.qml").is_symlink()
