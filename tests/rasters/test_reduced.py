"""The whole raster at a lower resolution: means, overviews, orientation, nodata."""

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import Resampling

from crackcli.rasters.reader import Raster, inspect

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize("overviews", [False, True])
def test_a_reduced_raster_is_the_mean_of_what_each_pixel_covers(tmp_path, overviews):
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (3, 128, 192), np.uint8)
    path = tmp_path / "wall.tif"
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "rgb"}
    with rasterio.open(path, "w", **profile, height=128, width=192) as file:
        file.write(image)
    if overviews:
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4], Resampling.average)

    with Raster(inspect(path)) as raster:
        pixels = raster.read_reduced(32, 48)

    mean = image.reshape(3, 32, 4, 48, 4).mean(axis=(2, 4))
    assert pixels.valid.all()
    np.testing.assert_allclose(np.moveaxis(pixels.rgb, -1, 0), mean, atol=1.5)


def test_a_reduced_raster_is_upright_and_knows_its_nodata(tmp_path):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48] = 200
    path = tmp_path / "wall.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(path, exif=exif)
    clear = np.dstack([image, np.where(image[..., 0] > 0, 255, 0).astype(np.uint8)])
    cv2.imwrite(str(tmp_path / "clear.png"), clear)

    with Raster(inspect(path)) as raster:
        turned = raster.read_reduced(48, 32)
    with Raster(inspect(tmp_path / "clear.png")) as raster:
        masked = raster.read_reduced(32, 48)

    assert turned.rgb.shape == (48, 32, 3)
    assert turned.rgb[4].mean() > 190  # the left side of the file is the upper side of the picture
    assert turned.rgb[-4].mean() < 10
    assert masked.valid[:, :20].all()
    assert not masked.valid[:, 28:].any()
