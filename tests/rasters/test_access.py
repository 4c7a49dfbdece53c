"""Only image files of this machine are opened, and every error in one is an error about it."""

import contextlib
import http.server
import os
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from fakes import at_most, wall
from rasterio._err import CPLE_OutOfMemoryError
from rasterio.errors import RasterioIOError

from crackcli.errors import InputError, OutOfMemory
from crackcli.rasters import reader
from crackcli.rasters.access.opening import input_errors
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, check_unchanged, inspect

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
WHOLE = Window(0, 0, 64, 64)


def geotiff(path, side=64, transform=None, **profile):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "rgb"} | profile
    if transform is not None:
        profile["transform"] = transform
    with rasterio.open(path, "w", height=side, width=side, **profile) as file:
        file.write(np.moveaxis(wall(side, side), -1, 0)[: profile["count"]])
    return path


def read(path):
    info = inspect(path)
    with Raster(info) as raster:
        return raster.read(Window(0, 0, info.rows, info.cols)).rgb


KINDS = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_regular_file_is_opened(tmp_path, kind):
    KINDS[kind](tmp_path / "wall.png")

    with (
        at_most(20),
        pytest.raises(InputError, match=rf"wall\.png: is a {kind}; give an image file"),
    ):
        inspect(tmp_path / "wall.png")


def test_a_link_to_a_photograph_is_opened(tmp_path):
    (tmp_path / "link.tif").symlink_to(geotiff(tmp_path / "wall.tif"))

    np.testing.assert_array_equal(read(tmp_path / "link.tif"), wall(64, 64))


@pytest.fixture
def server():
    """Yield the port of a web server of this machine, and the requests that it got."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815  # the name that the library asks for

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_port, asked
        serving.shutdown()
        thread.join()


WEB_SERVICE = """<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${{z}}/${{x}}/${{y}}.png</ServerUrl>
</Service><DataWindow><UpperLeftX>-9</UpperLeftX><UpperLeftY>9</UpperLeftY><LowerRightX>9
</LowerRightX><LowerRightY>-9</LowerRightY><TileLevel>2</TileLevel><TileCountX>1</TileCountX>
<TileCountY>1</TileCountY></DataWindow><Projection>EPSG:3857</Projection><BlockSizeX>256
</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>3</BandsCount></GDAL_WMS>"""


def vrt(source, beside=0, kind="", element="SourceFilename"):
    """Return a VRT of one band of 64 x 64 px."""
    rect = 'xOff="0" yOff="0" xSize="64" ySize="64"'
    return (
        f'<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"'
        f'{kind}><SimpleSource><{element} relativeToVRT="{beside}">{source}</{element}>'
        f"<SourceBand>1</SourceBand><SrcRect {rect}/><DstRect {rect}/></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )


@pytest.mark.parametrize("name", ["wall.jpg", "wall.png", "wall.tif", "wall.vrt", "wall"])
def test_a_text_does_not_stand_for_a_web_service(tmp_path, server, name):
    port, asked = server
    (tmp_path / name).write_text(WEB_SERVICE.format(url=f"http://127.0.0.1:{port}"))

    with pytest.raises(InputError, match=name):
        read(tmp_path / name)

    assert asked == []


REMOTE = ["/vsicurl/http://{}/wall.tif", "http://{}/wall.tif", "WMS:http://{}/", "WCS:http://{}/"]
REMOTE += ["/vsizip//vsicurl/http://{}/a.zip/a.tif", "/vsicurl?url=http://{}/wall.tif"]


@pytest.mark.parametrize("address", REMOTE)
def test_a_mosaic_does_not_use_the_network(tmp_path, server, address):
    port, asked = server
    (tmp_path / "wall.vrt").write_text(vrt(address.format(f"127.0.0.1:{port}")))

    with pytest.raises(InputError, match=r"wall\.vrt: refers to .*, which does not exist"):
        read(tmp_path / "wall.vrt")

    assert asked == []


def test_overviews_are_not_taken_from_the_network(tmp_path, server):
    port, asked = server
    path = geotiff(tmp_path / "wall.tif", 600)
    (tmp_path / "wall.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/'
        f"http://127.0.0.1:{port}/o.tif</MDI></Metadata></PAMDataset>"
    )

    with pytest.raises(InputError, match=r"wall\.tif: takes its overviews from another file"):
        inspect(path)

    assert asked == []


def test_a_mosaic_is_not_opened_by_another_name(tmp_path):
    geotiff(tmp_path / "secret.tif")
    (tmp_path / "wall.jpg").write_text(vrt("secret.tif", beside=1))

    with pytest.raises(InputError, match=r"wall\.jpg: not a readable image"):
        read(tmp_path / "wall.jpg")


def test_a_mosaic_of_images_is_read(tmp_path):
    (tmp_path / "tiles").mkdir()
    geotiff(tmp_path / "tiles/a.tif")
    (tmp_path / "tiles/b.vrt").write_text(vrt("a.tif", beside=1))

    for source in ("tiles/a.tif", "tiles/b.vrt"):
        (tmp_path / "wall.vrt").write_text(vrt(source, beside=1))
        np.testing.assert_array_equal(read(tmp_path / "wall.vrt"), wall(64, 64))
    (tmp_path / "wall.vrt").write_text(vrt(tmp_path / "tiles/a.tif"))
    np.testing.assert_array_equal(read(tmp_path / "wall.vrt"), wall(64, 64))


def test_a_mosaic_reads_no_text_and_no_bytes_of_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("my notes " * 2000)
    raw = ' subClass="VRTRawRasterBand"'
    cases = {
        "which is not an image; leave it out": vrt("notes.txt", beside=1),
        "a VRTRawRasterBand is not read": vrt("notes.txt", beside=1, kind=raw),
        "which is a pipe; leave it out": vrt("pipe.tif", beside=1),
        "which is a folder; leave it out": vrt(".", beside=1),
        "not a VRT that is read here": vrt("wall.vrt", beside=1),  # refers to itself
        "which does not exist; bring it back": vrt("gone.tif", beside=1),
    }
    os.mkfifo(tmp_path / "pipe.tif")

    for message, content in cases.items():
        (tmp_path / "wall.vrt").write_text(content)
        with at_most(20), pytest.raises(InputError, match=message):
            inspect(tmp_path / "wall.vrt")


@pytest.mark.parametrize("content", [b"", b"<VRTDataset", b"\xff\xfe\x00", b"<a/>"])
def test_a_damaged_mosaic_is_an_error_about_it(tmp_path, content):
    (tmp_path / "wall.vrt").write_bytes(content)

    with pytest.raises(InputError, match=r"wall\.vrt: not a (readable )?VRT"):
        inspect(tmp_path / "wall.vrt")


FLAT = [
    (0.1, 0, 3, 0, 0, 4),
    (1, 2, 0, 2, 4, 0),
    (float("inf"), 0, 0, 0, -1, 0),
]
FLAT += [(float("nan"), 0, 0, 0, -1, 0)]


@pytest.mark.parametrize("values", FLAT)
def test_pixels_without_a_size_on_the_map_are_refused(tmp_path, values):
    path = geotiff(tmp_path / "wall.tif", transform=Affine(*values), crs="EPSG:25832")

    with pytest.raises(
        InputError, match=r"wall\.tif: its geotransform gives pixels without a size"
    ):
        inspect(path)


def test_a_raster_of_far_more_pixels_than_bytes_is_refused(tmp_path):
    path = tmp_path / "wall.tif"
    sparse = {"driver": "GTiff", "dtype": "uint8", "count": 1, "sparse_ok": True, "tiled": True}
    with rasterio.open(
        path, "w", height=280_000, width=290_000, blockysize=32_768, blockxsize=32_768, **sparse
    ):
        pass
    assert path.stat().st_size < 5000

    with pytest.raises(InputError, match=r"declares 81,200 megapixels in [\d,]+ bytes, so nearly"):
        inspect(path)


def test_a_raster_of_few_pixels_may_be_of_one_colour(tmp_path):
    cv2.imwrite(str(tmp_path / "white.png"), np.full((2000, 2000), 255, np.uint8))

    assert inspect(tmp_path / "white.png").rows == 2000


def halved_with_overviews(path):
    geotiff(path, 600, compress="deflate", tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def halved_with_mask(path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        geotiff(path, 600, compress="deflate")
        with rasterio.open(path, "r+") as file:
            file.write_mask(np.full((600, 600), 255, np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_by(share):
    def make(path):
        geotiff(path, 600, compress="deflate")
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return make


def palette_without_colours(path, **form):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 64, "width": 64} | form
    with rasterio.open(path, "w", photometric="palette", **profile) as file:
        file.write(wall(64, 64)[None, ..., 0])
        file.write_colormap(1, {value: (value, value, value, 255) for value in range(256)})
    content = path.read_bytes()
    at = content.rindex(b"\x40\x01\x03\x00")  # the tag ColorMap
    path.write_bytes(content[:at] + b"\x41\x01" + content[at + 2 :])


def big_palette_without_colours(path):
    palette_without_colours(path, BIGTIFF="YES")


DAMAGED = [halved_with_overviews, halved_with_mask]
DAMAGED += [palette_without_colours, big_palette_without_colours]
DAMAGED += [cut_by(share / 100) for share in (1, 3, 10, 50, 90)]


@pytest.mark.parametrize("make", DAMAGED)
def test_every_damage_is_an_unreadable_input(tmp_path, make):
    make(tmp_path / "wall.tif")

    with pytest.raises(InputError, match=r"wall\.tif: ") as caught:
        read(tmp_path / "wall.tif")

    assert caught.value.exit_code == 4


def with_exif(path, block):
    """Write a JPEG with a block of EXIF."""
    plain = cv2.imencode(".jpg", wall(64, 64))[1].tobytes()
    head = b"\xff\xe1" + (len(block) + 8).to_bytes(2, "big") + b"Exif\0\0" + block
    path.write_bytes(plain[:2] + head + plain[2:])
    return path


@pytest.mark.parametrize("number", range(40))
def test_broken_exif_does_not_matter_or_is_an_unreadable_input(tmp_path, number):
    rng = np.random.default_rng(number)
    block = bytearray(b"MM\0*\0\0\0\x08\0\x02" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0")
    block += b"\x01\x0f\0\x02\0\0\0\x20\0\0\0\x26\0\0\0\0" + rng.bytes(40)
    for at in rng.integers(4, len(block), 4):
        block[at] = rng.integers(0, 256)
    path = with_exif(tmp_path / "wall.jpg", bytes(block))

    with contextlib.suppress(InputError):
        assert read(path).shape == (64, 64, 3)


def test_too_little_memory_is_no_damage(tmp_path):
    with (
        pytest.raises(OutOfMemory, match=r"wall\.tif: not enough free memory to read it"),
        input_errors(tmp_path / "wall.tif"),
    ):
        raise RasterioIOError("Read failed") from CPLE_OutOfMemoryError(3, 2, "no memory")


def test_a_file_that_was_changed_is_noticed(tmp_path):
    path = geotiff(tmp_path / "wall.tif")
    info = inspect(path)
    content, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    check_unchanged(info, thorough=True)

    path.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(
        InputError, match=r"wall\.tif: was changed while it was read; scan it again"
    ):
        check_unchanged(info)
    os.utime(path, ns=times)
    check_unchanged(info)  # by its size and time it is the same
    with pytest.raises(InputError, match="was changed"):
        check_unchanged(info, thorough=True)
    path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        check_unchanged(info)


def test_another_identity_of_the_same_content_is_no_change(tmp_path):
    info = inspect(geotiff(tmp_path / "wall.tif"))
    elsewhere = replace(info, files=tuple(replace(each, inode=1) for each in info.files))

    check_unchanged(elsewhere)
    with pytest.raises(InputError, match="was changed"):
        check_unchanged(replace(elsewhere, digest="of another file"))


def test_a_source_of_a_mosaic_that_was_changed_is_noticed(tmp_path):
    geotiff(tmp_path / "a.tif")
    (tmp_path / "wall.vrt").write_text(vrt("a.tif", beside=1))
    info = inspect(tmp_path / "wall.vrt")
    geotiff(tmp_path / "a.tif", count=1, photometric="minisblack")

    with pytest.raises(InputError, match=r"wall\.vrt: was changed"):
        check_unchanged(info)


def test_a_file_that_is_replaced_while_it_is_inspected_is_noticed(tmp_path, monkeypatch):
    path = geotiff(tmp_path / "wall.tif")
    find_stretch = reader.find_stretch

    def replace_first(*arguments):
        geotiff(tmp_path / "new.tif", compress="deflate").replace(path)
        return find_stretch(*arguments)

    monkeypatch.setattr(reader, "find_stretch", replace_first)
    with pytest.raises(InputError, match=r"wall\.tif: was changed while it was read"):
        inspect(path)
