"""Outlines equal the union of unit squares; cases of touching corners are checked by eye."""

import numpy as np
import pytest
import shapely
from scipy import ndimage
from walls import picture

from crackcli.cracks.outline import outlines
from crackcli.cracks.pixel_set import PixelSet


def outline_of(mask):
    pixels = PixelSet.from_mask(mask)
    (shape,) = outlines(pixels, np.zeros(len(pixels), int), 1)
    return shape


@pytest.mark.parametrize("filled", [0.2, 0.4, 0.5, 0.6, 0.8])
def test_an_outline_is_valid_and_covers_its_pixels(filled):
    rng = np.random.default_rng(round(10 * filled))
    for _ in range(20):
        mask = rng.random((13, 17)) < filled
        label, count = ndimage.label(mask, np.ones((3, 3)))
        pixels = PixelSet.from_mask(mask)

        shapes = outlines(pixels, label[pixels.rows, pixels.cols] - 1, count)

        assert shapely.is_valid(shapes).all()
        for number, shape in enumerate(shapes):
            squares = [shapely.box(c, r, c + 1, r + 1) for r, c in np.argwhere(label == number + 1)]
            assert shapely.equals(shape, shapely.union_all(squares))
            assert shape.area == len(squares)


def test_pixels_that_touch_in_a_corner_are_two_polygons():
    shape = outline_of(picture("#.\n.#"))

    assert [polygon.area for polygon in shape.geoms] == [1, 1]


def test_a_hole_that_touches_the_outside_in_a_corner_is_a_hole():
    shape = outline_of(picture("####\n#..#\n#.#.\n####"))

    (polygon,) = shape.geoms
    assert len(polygon.interiors) == 1
    assert shape.is_valid
    assert shape.area == 12


def test_a_straight_side_has_two_corners():
    shape = outline_of(picture("#####\n#####"))

    assert shapely.get_num_coordinates(shape) == 4 + 1
