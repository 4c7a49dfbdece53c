"""Profiles contain the values of the photograph, however it is read."""

import cv2
import numpy as np
import pytest
from truth import decode

from crackcli.measuring.profiles import (
    ArrayPhotograph,
    RasterPhotograph,
    full_scale,
    luma,
    read_profiles,
    tiles,
)
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import inspect

OFFSETS = np.arange(-8, 9) * 0.5


def directions(rng, count):
    """Return unit vectors (count, 2) in random directions."""
    angle = rng.uniform(0, 2 * np.pi, count)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def smooth_image(rng, shape):
    """Return grey values (rows, cols) without detail finer than interpolation can follow."""
    noise = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 4)
    return np.clip(128 + 400 * noise, 1, 254).astype(np.float32)


def test_a_plane_is_read_as_a_plane_in_any_direction():
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:90, :120]
    points, normals = rng.uniform(20, 70, (200, 2)), directions(rng, 200)

    read = read_profiles(ArrayPhotograph(20 + x + 0.7 * y), points, normals, OFFSETS)

    place = points[:, None] + OFFSETS[:, None] * normals[:, None]
    expected = (20 + place @ [1.0, 0.7]) / 255
    assert read.encoded == pytest.approx(expected, abs=1e-3)
    assert read.blended(0.0) == pytest.approx(expected, abs=1e-3)


def test_linear_values_are_decoded_srgb_and_blended_ones_lie_between():
    rng = np.random.default_rng(2)
    image = smooth_image(rng, (60, 60))
    points, normals = rng.uniform(15, 45, (50, 2)), directions(rng, 50)

    read = read_profiles(ArrayPhotograph(image), points, normals, OFFSETS)

    assert read.blended(1.0) == pytest.approx(decode(255 * read.encoded), abs=2e-3)
    assert read.blended(0.25) == pytest.approx(0.25 * read.linear + 0.75 * read.encoded, abs=1e-6)


def test_profiles_do_not_depend_on_the_tiles():
    rng = np.random.default_rng(3)
    image = smooth_image(rng, (1100, 1200))
    points, normals = rng.uniform(20, 1080, (3000, 2)), directions(rng, 3000)

    read = read_profiles(ArrayPhotograph(image), points, normals, OFFSETS)

    place = (points[:, None] + OFFSETS[:, None] * normals[:, None]).astype(np.float32)
    whole = cv2.remap(image / 255, place[..., 0], place[..., 1], cv2.INTER_LANCZOS4)
    assert read.encoded == pytest.approx(whole, abs=2e-3)
    assert read.complete.all()


def test_each_point_belongs_to_one_tile():
    points = np.random.default_rng(4).uniform(-5, 3000, (5000, 2))

    members = np.concatenate(list(tiles(points)))

    assert sorted(members.tolist()) == list(range(5000))
    assert list(tiles(np.zeros((0, 2)))) == []


def test_a_file_and_an_array_are_read_alike(tmp_path):
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (70, 80, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "wall.png"), image[..., ::-1])
    window = Window(-7, -9, 100, 95)  # mirrored beyond all four edges

    with RasterPhotograph(inspect(tmp_path / "wall.png")) as photograph:
        grey, valid = photograph.read(window)
        shape = photograph.shape
    other, _ = ArrayPhotograph(image).read(window)

    assert shape == ArrayPhotograph(image).shape == (70, 80)
    inside = np.s_[7:77, 9:89]
    assert grey[inside] == pytest.approx(other[inside], abs=1e-3)
    assert grey[inside] == pytest.approx(image @ np.array([0.299, 0.587, 0.114]), abs=1e-3)
    assert valid[inside].all()
    assert np.array_equal(luma(image), other[inside])


def test_a_profile_with_an_invalid_pixel_is_incomplete():
    class Holed(ArrayPhotograph):
        def read(self, window):
            grey, valid = super().read(window)
            cols = np.arange(window.col, window.end_col)
            return grey, valid & (cols < 50)[None]

    points = np.array([[40.0, 30.0], [48.0, 30.0], [60.0, 30.0]])
    right = np.tile([1.0, 0.0], (3, 1))

    read = read_profiles(Holed(np.full((60, 90), 100.0)), points, right, OFFSETS)

    assert read.complete.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [
        (None, None),  # 8 bits
        ((0.0, 15.0), (0.0, 15.0)),  # 4 bits
        ((255.0, 0.0), (255.0, 0.0)),  # 0 is white
        ((310.0, 3700.0), (0.0, 4095.0)),
        ((9000.0, 52000.0), (0.0, 65535.0)),
        ((0.1, 0.9), (0.0, 1.0)),
        ((0.1, 1.04), (0.0, 1.0)),  # highlights
        ((20.0, 240.0), (0.0, 255.0)),
        ((1e5, 3e5), (0.0, 3e5)),
        ((-20.0, -3.0), (-20.0, -3.0)),  # decibels
    ],
)
def test_black_is_zero_however_a_photograph_is_stretched_for_display(stretch, expected):
    assert full_scale(stretch) == expected
