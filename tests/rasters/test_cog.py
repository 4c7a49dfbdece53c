"""Written rasters are COGs that GDAL reads, and contain the given values at every level."""

import struct
from itertools import pairwise

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.windows import Window as Part

from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.score_mask import NODATA
from crackcli.rasters.writing import cog
from crackcli.rasters.writing.cog import DOWNSAMPLERS, write_cog

MAP = Affine(0.002, 0.001, 500_000, 0.001, -0.002, 5_500_000)
UPRIGHT = Affine(0.5, 0, 7_000, 0, -0.25, 3_000)


def info_of(shape, transform=MAP, crs="EPSG:25832"):
    wkt = None if crs is None else rasterio.crs.CRS.from_user_input(crs).to_wkt()
    return RasterInfo("wall.tif", *shape, transform, wkt, 1, None, "")


def values_of(shape, largest, seed=0):
    """Make squares of 7 px of any value, some of them nodata, and a large constant area."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, largest + 2, [-(-side // 7) for side in shape])
    values = coarse.repeat(7, axis=0).repeat(7, axis=1)[: shape[0], : shape[1]]
    noise = rng.integers(0, largest + 2, shape)
    values = np.where(rng.random(shape) < 0.3, noise, values)
    values[values > largest] = NODATA
    values[:600, :600] = 0
    return values.astype(np.uint8)


def written(path, values, resampling, info=None, tags=None, cuts=(97, 700)):
    strips = np.split(values, [cut for cut in cuts if cut < len(values)])
    write_cog(path, strips, info or info_of(values.shape), tags or {}, resampling)
    return path


def by_gdal(path, values, resampling):
    """Write the same with GDAL's COG driver."""
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": NODATA}
    rows, cols = values.shape
    with rasterio.open(
        path.with_name("plain.tif"), "w", height=rows, width=cols, transform=MAP, **profile
    ) as file:
        file.write(values, 1)
    rasterio.shutil.copy(
        path.with_name("plain.tif"), path, driver="COG", OVERVIEW_RESAMPLING=resampling
    )
    return path


def levels(path):
    """Read the raster and its overviews."""
    with rasterio.open(path) as file:
        found, count = [file.read(1)], len(file.overviews(1))
    for level in range(count):
        with rasterio.open(path, overview_level=level) as file:
            found.append(file.read(1))
    return found


@pytest.mark.parametrize(("resampling", "largest"), [("average", 254), ("mode", 1)])
@pytest.mark.parametrize("shape", [(1024, 2048), (512, 512), (1536, 1024)])
def test_overviews_of_even_sides_are_those_of_gdal(tmp_path, shape, resampling, largest):
    values = values_of(shape, largest)

    ours = levels(written(tmp_path / "ours.tif", values, resampling))
    theirs = levels(by_gdal(tmp_path / "theirs.tif", values, resampling))

    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("resampling", DOWNSAMPLERS)
@pytest.mark.parametrize("shape", [(1, 1), (333, 1025), (1100, 519), (2049, 40), (513, 512)])
def test_each_pixel_of_an_overview_is_made_of_the_valid_ones_of_four(tmp_path, shape, resampling):
    values = values_of(shape, 1 if resampling == "mode" else 254)

    found = levels(written(tmp_path / "a.tif", values, resampling))

    np.testing.assert_array_equal(found[0], values)
    assert max(found[-1].shape) <= 512
    assert all(max(larger.shape) > 512 for larger in found[:-1])
    for larger, smaller in pairwise(found):
        assert smaller.shape == tuple(-(-side // 2) for side in larger.shape)
        for row, col in np.random.default_rng(1).integers(0, smaller.shape, (200, 2)):
            four = larger[2 * row : 2 * row + 2, 2 * col : 2 * col + 2].reshape(-1)
            known = four[four != NODATA].astype(int)
            value = smaller[row, col]
            if resampling == "nearest":
                assert value == four[0]
            elif not len(known):
                assert value == NODATA
            elif resampling == "average":
                assert abs(value - known.mean()) <= 0.5
            else:
                assert (known == value).sum() >= len(known) / 2


@pytest.mark.parametrize("limit", [cog.CLASSIC_BYTES, 0], ids=["classic", "big"])
@pytest.mark.parametrize(
    ("transform", "crs"),
    [(MAP, "EPSG:25832"), (UPRIGHT, "EPSG:2056"), (UPRIGHT, None), (Affine.identity(), None)],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_georeference_and_tags_are_kept(tmp_path, monkeypatch, transform, crs, limit):
    monkeypatch.setattr(cog, "CLASSIC_BYTES", limit)
    values, info = values_of((700, 1300), 254), info_of((700, 1300), transform, crs)
    tags = {"CRACKCLI_METHOD": "lrp", "WORDS": 'a <b> & "c" ' + 1000 * "d"}

    path = written(tmp_path / "a.tif", values, "average", info, tags)

    assert struct.unpack("<H", path.read_bytes()[2:4]) == (43 if limit == 0 else 42,)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), values)
        np.testing.assert_array_equal(
            file.read(1, window=Part(600, 300, 90, 50)), values[300:350, 600:690]
        )
        assert tags.items() <= file.tags().items()
        assert file.transform.almost_equals(transform)
        assert (file.crs and file.crs.to_epsg()) == (crs and int(crs[5:]))
        assert (file.nodata, file.dtypes) == (NODATA, ("uint8",))
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"


def test_georeference_and_layout_equal_those_of_gdal(tmp_path):
    values = values_of((600, 1300), 254)
    with (
        rasterio.open(written(tmp_path / "ours.tif", values, "average")) as ours,
        rasterio.open(by_gdal(tmp_path / "theirs.tif", values, "average")) as theirs,
    ):
        assert ours.transform == theirs.transform
        assert ours.overviews(1) == theirs.overviews(1)
        assert ours.block_shapes == theirs.block_shapes


def directories(content):
    """Yield the offset of each directory of a classic TIFF, with (offset, size) of its tiles."""
    (at,) = struct.unpack_from("<I", content, 4)
    while at:
        (count,) = struct.unpack_from("<H", content, at)
        tags = {}
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            number, _, values, where = struct.unpack_from("<HHII", content, entry)
            if number in (324, 325):
                begin = where if values > 1 else entry + 8
                tags[number] = struct.unpack_from(f"<{values}I", content, begin)
        yield at, list(zip(tags[324], tags[325], strict=True))
        (at,) = struct.unpack_from("<I", content, at + 2 + 12 * count)


def test_tiles_are_ordered_as_in_a_cog(tmp_path):
    content = written(tmp_path / "a.tif", values_of((1100, 1700), 254), "average").read_bytes()

    found = list(directories(content))
    tiles = [tile for _, tiles in found[::-1] for tile in tiles]  # from the smallest overview

    assert [len(tiles) for _, tiles in found] == [12, 4, 1]
    assert max(at for at, _ in found) < min(offset for offset, _ in tiles)
    assert tiles == sorted(tiles)
    for offset, size in tiles:
        assert struct.unpack_from("<I", content, offset - 4) == (size,)
        assert content[offset + size : offset + size + 4] == content[offset + size - 4 :][:4]
    assert tiles[-1][0] + tiles[-1][1] + 4 == len(content)


@pytest.mark.parametrize("cuts", [(), (1,), (512, 1024), (100, 200, 300, 900)])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_bytes_do_not_depend_on_the_strips_or_threads(tmp_path, monkeypatch, cuts, threads):
    values = values_of((1100, 1300), 254)
    expected = written(tmp_path / "a.tif", values, "average").read_bytes()
    monkeypatch.setenv("OMP_NUM_THREADS", threads)

    assert written(tmp_path / "b.tif", values, "average", cuts=cuts).read_bytes() == expected
