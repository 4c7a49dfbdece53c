"""Pixel sets give the same results as scikit-image and SciPy on the whole image."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import morphology
from walls import picture, random_mask

from crackcli.cracks.pixel_set import NEIGHBOUR_STEPS, PixelSet, thin


@pytest.mark.parametrize("seed", range(12))
def test_thinning_a_list_equals_thinning_the_image(seed):
    mask = random_mask(seed)
    pixels = PixelSet.from_mask(mask)

    kept = pixels[thin(pixels)]

    actual = np.zeros_like(mask, bool)
    actual[kept.rows, kept.cols] = True
    np.testing.assert_array_equal(actual, morphology.thin(mask))


@pytest.mark.parametrize("seed", range(12))
def test_radii_equal_the_distance_transform(seed):
    mask = random_mask(seed)
    pixels = PixelSet.from_mask(mask)
    chosen = np.arange(len(pixels)) % 3 == 0

    actual = pixels.radii(chosen)

    framed = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    expected = framed[pixels.rows, pixels.cols][chosen]
    np.testing.assert_allclose(actual, expected)


def test_neighbours_are_the_eight_pixels_around():
    pixels = PixelSet.from_mask(random_mask(3))
    places = {place: i for i, place in enumerate(zip(pixels.rows, pixels.cols, strict=True))}

    expected = [
        [places.get((row + down, col + right), len(pixels)) for down, right in NEIGHBOUR_STEPS]
        for row, col in zip(pixels.rows, pixels.cols, strict=True)
    ]
    np.testing.assert_array_equal(pixels.neighbours, expected)


def test_a_point_is_found_on_its_pixel_and_outside_the_image_on_none():
    pixels = PixelSet.from_mask(
        picture(
            """
        ##.
        .##
        """.replace(" ", "")
        )
    )
    points = np.array([(0.4, -0.4), (2.2, 1.0), (2.0, 0.0), (-1.0, 1.0), (3.0, 0.0)])

    np.testing.assert_array_equal(pixels.find(points), [0, 3, 4, 4, 4])
