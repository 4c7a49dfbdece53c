"""A written window has the pixels and the place of the original, and the same bytes each time."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Pixels, Raster, RasterInfo, inspect
from crackcli.rasters.writing.images import write_pixels

TRANSFORM = Affine(0.002, 0.0005, 2600000, 0.0005, -0.002, 1200000)


@pytest.mark.parametrize("holes", [False, True])
def test_a_written_window_is_read_unchanged(tmp_path, holes):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (60, 70, 3), dtype=np.uint8)
    valid = np.ones((60, 70), bool)
    valid[10:20, 5:30] = not holes
    info = RasterInfo(tmp_path / "w.tif", 400, 500, TRANSFORM, "EPSG:2056", 1, None, "")
    window = Window(30, 40, 60, 70)

    for name in ("one", "same"):
        write_pixels(tmp_path / f"{name}.tif", Pixels(rgb, valid), window, info)

    copy = inspect(tmp_path / "one.tif")
    with Raster(copy) as raster:
        pixels = raster.read(Window(0, 0, 60, 70))
    np.testing.assert_array_equal(pixels.rgb, np.where(valid[..., None], rgb, 0))
    np.testing.assert_array_equal(pixels.valid, valid)
    assert copy.transform[:6] == pytest.approx(
        (0.002, 0.0005, 2600000 + 0.08 + 0.015, 0.0005, -0.002, 1200000 + 0.02 - 0.06), abs=1e-9
    )
    with rasterio.open(tmp_path / "one.tif") as file:
        assert file.crs.to_epsg() == 2056
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "same.tif").read_bytes()


def test_a_window_of_a_photograph_without_a_map_has_no_map(tmp_path):
    info = RasterInfo(tmp_path / "w.jpg", 400, 500, Affine.identity(), None, 6, None, "")
    rgb, valid = np.zeros((40, 50, 3), np.uint8), np.ones((40, 50), bool)

    write_pixels(tmp_path / "copy.tif", Pixels(rgb, valid), Window(10, 10, 40, 50), info)

    copy = inspect(tmp_path / "copy.tif")
    assert not copy.georeferenced
    assert copy.orientation == 1
