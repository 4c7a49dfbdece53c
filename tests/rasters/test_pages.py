"""Every full-size page of a TIFF is a photograph; copies and masks are not."""

import json
import logging
import os

import numpy as np
import pytest
import tifffile
from PIL import Image
from walls import crackcli

from crackcli.errors import InputError
from crackcli.rasters.access.pages import Page, pages_of
from crackcli.rasters.grid import Window
from crackcli.rasters.photograph import read_photograph
from crackcli.rasters.reader import Raster, inspect
from crackcli.scenes.scene import finished_scenes
from crackcli.scenes.source import inspect_as_scanned, inspect_original

RNG = np.random.default_rng(5)
WALL, OTHER = RNG.integers(90, 160, (2, 150, 200, 3), np.uint8)
REDUCED, PAGE, MASK = 1, 2, 4  # values of NewSubfileType


def written(path, *images, bigtiff=False, **options):
    """Write images, each with its own ``options`` in a pair, or without."""
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as file:
        for each in images:
            image, own = each if isinstance(each, tuple) else (each, {})
            colours = {"photometric": "rgb"} if image.ndim == 3 else {}
            file.write(image, metadata=None, **colours | options | own)
    return path


def read_page(path, number):
    info = inspect(path, page=number)
    with Raster(info) as raster:
        return raster.read(Window(0, 0, info.rows, info.cols)).rgb


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_full_size_page_is_a_photograph(tmp_path, bigtiff, byteorder):
    path = tmp_path / "wall.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as file:
        file.write(WALL, photometric="rgb", subfiletype=PAGE)
        file.write(OTHER, photometric="rgb", subfiletype=PAGE)

    assert pages_of(path) == [Page(path, 1), Page(path, 2)]
    assert [page.stem for page in pages_of(path)] == ["wall", "wall_page2"]
    np.testing.assert_array_equal(read_page(path, 1), WALL)
    np.testing.assert_array_equal(read_page(path, 2), OTHER)
    assert len({inspect(path, page=number).digest for number in (1, 2)}) == 2
    with pytest.raises(InputError, match="has no page 3, only 2"):
        inspect(path, page=3)
    with pytest.raises(InputError, match="has 2 full-size pages, and one photograph is needed"):
        read_photograph(path)


@pytest.mark.parametrize("own", [{}, {"subfiletype": REDUCED}])
def test_a_thumbnail_before_the_photograph_is_not_read(tmp_path, own):
    path = written(tmp_path / "wall.tif", (OTHER[:64, :64], own), WALL)

    assert pages_of(path) == [Page(path)]
    np.testing.assert_array_equal(read_photograph(path), WALL)


def test_copies_and_masks_are_no_photographs(tmp_path):
    valid = np.ones(WALL.shape[:2], bool)
    path = written(
        tmp_path / "wall.tif",
        (WALL, {"subifds": 1}),
        (WALL[::2, ::2], {"subfiletype": REDUCED}),
        WALL[::2, ::2],  # without a mark
        (WALL[::4, ::4], {"subfiletype": REDUCED}),
        (valid, {"subfiletype": MASK}),
    )

    assert pages_of(path) == [Page(path)]
    np.testing.assert_array_equal(read_photograph(path), WALL)


def test_pages_of_two_sizes_of_paper_are_photographs(tmp_path):
    smaller = OTHER[:106, :142]

    assert len(pages_of(written(tmp_path / "wall.tif", WALL, smaller))) == 2


def test_the_photograph_may_be_a_subdirectory_of_its_thumbnail(tmp_path):
    path = written(
        tmp_path / "wall.tif",
        (OTHER[:64, :64], {"subifds": 1, "subfiletype": REDUCED}),
        (WALL, {"subfiletype": 0}),
    )

    assert pages_of(path) == [Page(path)]
    np.testing.assert_array_equal(read_photograph(path), WALL)


def test_a_smaller_image_that_is_no_copy_is_told(tmp_path, caplog):
    wall = np.zeros((1200, 1600), np.uint8)
    path = written(tmp_path / "wall.tif", wall, wall[:900, :900], wall[::2, ::2])

    with caplog.at_level(logging.WARNING):
        assert pages_of(path) == [Page(path)]

    assert [record.getMessage() for record in caplog.records] == [
        "wall.tif: an image of 900 x 900 px in it is taken for a copy of a larger one; if it is "
        "another photograph, save it as a file"
    ]


def test_a_page_has_an_orientation_of_its_own(tmp_path):
    turned = (274, 3, 1, 6, True)
    path = written(tmp_path / "wall.tif", WALL, (OTHER, {"extratags": [turned]}))

    assert inspect(path, page=1).orientation == 1
    assert inspect(path, page=2).orientation == 6
    np.testing.assert_array_equal(read_page(path, 2), np.rot90(OTHER, -1))


def test_a_page_is_stretched_by_its_own_values(tmp_path):
    """GDAL reads the overviews of the second page as those of the first."""
    dark, bright = (RNG.integers(low, low + 4000, (400, 400), np.uint16) for low in (0, 50000))
    reduced = {"subfiletype": REDUCED}
    path = written(tmp_path / "wall.tif", dark, bright, (bright[::2, ::2], reduced))
    alone = written(tmp_path / "dark.tif", dark)

    assert inspect(path, page=1).stretch == inspect(alone).stretch
    with Raster(inspect(path, page=1)) as raster, Raster(inspect(alone)) as expected:
        np.testing.assert_array_equal(
            raster.read_reduced(100, 100).rgb, expected.read_reduced(100, 100).rgb
        )


def test_pages_with_masks_are_refused(tmp_path):
    valid = (np.ones(WALL.shape[:2], bool), {"subfiletype": MASK})
    path = written(tmp_path / "wall.tif", WALL, valid, OTHER, valid)

    with pytest.raises(InputError, match=r"several pages and masks.*save each page as a file"):
        inspect(path, page=2)


@pytest.mark.parametrize("length", [0, 3, 8, 40, 200])
def test_a_damaged_list_of_pages_is_no_crash(tmp_path, length):
    whole = written(tmp_path / "wall.tif", WALL, OTHER).read_bytes()
    path = tmp_path / "damaged.tif"
    path.write_bytes(whole[:length])

    assert pages_of(path) == [Page(path)]
    with pytest.raises(InputError, match="not a readable image"):
        read_photograph(path)


def test_a_page_at_an_impossible_place_is_no_crash(tmp_path):
    path = written(tmp_path / "wall.tif", WALL, bigtiff=True)
    content = bytearray(path.read_bytes())
    content[8:16] = b"\xff" * 8  # place of the first page

    path.write_bytes(content)

    with pytest.raises(InputError, match="not a readable image, or damaged"):
        inspect(path)


def test_pages_in_a_circle_are_read_once(tmp_path):
    path = written(tmp_path / "wall.tif", WALL, OTHER)
    with tifffile.TiffFile(path) as file:
        places = [page.offset for page in file.pages]
    content = bytearray(path.read_bytes())
    count = int.from_bytes(content[places[1] : places[1] + 2], "little")
    end = places[1] + 2 + 12 * count
    content[end : end + 4] = places[0].to_bytes(4, "little")
    path.write_bytes(content)

    assert len(pages_of(path)) == 2


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "wall.tif")

    assert pages_of(tmp_path / "wall.tif") == [Page(tmp_path / "wall.tif")]


@pytest.mark.parametrize("first_px", [64, 150], ids=["a thumbnail first", "two pages"])
def test_a_mosaic_of_what_gdal_reads_otherwise_is_refused(tmp_path, first_px):
    written(tmp_path / "wall.tif", OTHER[:first_px, :first_px], WALL)
    mosaic = tmp_path / "wall.vrt"
    mosaic.write_text(
        '<VRTDataset rasterXSize="200" rasterYSize="150"><VRTRasterBand dataType="Byte" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">wall.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )

    with pytest.raises(InputError, match=r"refers to wall\.tif, of which GDAL would read a"):
        inspect(mosaic)


def test_each_page_is_a_scene_that_is_read_again(tmp_path):
    path = written(tmp_path / "wall.tif", WALL, OTHER)
    out = tmp_path / "out"

    result = crackcli("scan", path, "-o", out, "--method", "raw")

    assert result.returncode == 0, result.stderr
    scenes = finished_scenes(out)
    assert [scene.name for scene in scenes] == ["wall", "wall_page2"]
    for scene, image in zip(scenes, (WALL, OTHER), strict=True):
        info = inspect_original(out, scene, "scan again")
        np.testing.assert_array_equal(read_page(path, info.page), image)
    assert inspect_as_scanned(path, out, 2).page == 2
    assert crackcli("report", out).returncode == 0
    assert crackcli("scan", path, "-o", out, "--method", "raw").returncode == 0
    run = json.loads((out / "run.json").read_text())
    assert [scene["status"] for scene in run["scenes"]] == ["unchanged", "unchanged"]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_is_refused_and_a_single_frame_is_read(tmp_path, suffix):
    frames = [Image.fromarray(image) for image in (WALL, OTHER)]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"one.{suffix}", **options)
    frames[0].save(
        tmp_path / f"two.{suffix}", save_all=True, append_images=frames[1:], duration=100, **options
    )

    with Image.open(tmp_path / f"one.{suffix}") as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_photograph(tmp_path / f"one.{suffix}"), expected)
    with pytest.raises(InputError, match="has 2 frames; save the one to scan as PNG"):
        inspect(tmp_path / f"two.{suffix}")
