"""Limits of a photograph in blocks: every pixel counts once, and merged areas add up."""

import cv2
import numpy as np
import pytest
from blocks import of_blocks

from crackcli.detectability.assessment import areas_of, assess, limit_on_most
from crackcli.detectability.block_quality import BLOCK_PX, measure_block
from crackcli.errors import InputError
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect

ROWS, COLS = 600, 700  # px: 3 by 3 blocks, the last ones smaller


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """Sharp on the left, blurred on the right, partly white, with nodata in a corner."""
    rng = np.random.default_rng(0)
    stones = rng.uniform(110, 170, (ROWS // 10, COLS // 10))
    wall = np.kron(stones, np.ones((10, 10))).astype(np.float32)
    wall[:, 440:] = cv2.GaussianBlur(wall, (0, 0), 4)[:, 440:]
    wall += rng.normal(0, 1, wall.shape).astype(np.float32)
    wall[256:512, :200] = 255
    rgba = np.dstack([wall.clip(0, 255)] * 3 + [np.full(wall.shape, 255)]).astype(np.uint8)
    rgba[:100, :300, 3] = 0
    path = tmp_path_factory.mktemp("photograph") / "wall.png"
    cv2.imwrite(str(path), rgba)
    return inspect(path)


@pytest.fixture(scope="module")
def assessed(photograph):
    return assess(photograph)


def test_every_valid_pixel_counts_once(photograph, assessed):
    assert assessed.assessed_px == ROWS * COLS - 100 * 300
    detectable = assessed.detectable_px(np.inf)
    assert detectable + assessed.not_assessable_px == assessed.assessed_px
    assert assessed.not_assessable_px > 0


def test_blurred_and_overexposed_blocks_are_recognised(assessed):
    assert assessed.detection_px.shape == (3, 3)
    assert assessed.blur_px[1, 2] > 3 * assessed.blur_px[1, 1]
    assert not assessed.detection_px[1, 2] <= assessed.detection_px[1, 1]
    assert assessed.reason[1, 0] == "overexposed"


@pytest.mark.parametrize("strip_blocks", [1, 2])
def test_limits_do_not_depend_on_the_strips(photograph, assessed, strip_blocks):
    other = assess(photograph, strip_blocks=strip_blocks)

    for name in ("valid_px", "detection_px", "quantification_px", "reason", "blur_px", "level"):
        np.testing.assert_array_equal(getattr(other, name), getattr(assessed, name))


def test_a_block_is_assessed_by_its_own_pixels_and_a_last_one_by_a_full_window(
    photograph, assessed
):
    with Raster(photograph) as raster:
        pixels = raster.read(Window(0, 0, ROWS, COLS))
    last = slice(ROWS - BLOCK_PX, ROWS), slice(COLS - BLOCK_PX, COLS)

    for place, (row, col) in (((slice(256, 512),) * 2, (1, 1)), (last, (2, 2))):
        level = measure_block(pixels.rgb[place], pixels.valid[place]).level[0]
        assert assessed.level[row, col] == level


def test_an_unreadable_photograph_is_named_in_the_error(photograph, tmp_path):
    path = tmp_path / "wall.png"
    path.write_bytes(photograph.path.read_bytes()[:2000])

    with pytest.raises(InputError, match=r"wall\.png: not a readable image"):
        assess(inspect(path))


def test_the_limit_of_a_scene_holds_on_nine_tenths_of_its_assessable_area():
    image = of_blocks([[1, 1, 1, 1, 1], [2, 2, 2, 2, 9], [np.nan] * 5])

    assert image.detection_limit_px == 2
    assert image.detectable_px(2) == 9 * BLOCK_PX**2
    assert image.not_assessable_px == 5 * BLOCK_PX**2
    assert of_blocks([[np.nan]]).detection_limit_px is None


def test_an_area_has_no_limit_if_more_than_a_tenth_has_none():
    assert limit_on_most(np.array([1.0, np.nan]), np.array([95, 5])) == 1
    assert limit_on_most(np.array([1.0, np.nan]), np.array([85, 15])) is None
    assert limit_on_most(np.array([1.0]), np.array([0])) is None


def test_limits_along_a_crack_are_medians_over_the_blocks_it_crosses():
    image = of_blocks([[1.0, 3.0], [np.nan, 2.0]])
    row = np.column_stack([np.arange(400.0), np.full(400, 100.0)])

    assert image.limits_along(row) == (1, 2)
    assert image.limits_along(row + np.array([256, 0])) == (3, 6)
    assert image.limits_along(np.array([[100.0, 400.0]])) == (None, None)


def test_areas_cover_all_valid_blocks_once_and_promise_no_more_than_these():
    rng = np.random.default_rng(1)
    limit = np.exp(rng.integers(0, 3, (9, 12)) / 4 + rng.uniform(0, 0.01, (9, 12)))
    limit[rng.random(limit.shape) < 0.2] = np.nan
    valid = np.where(rng.random(limit.shape) < 0.2, 0, BLOCK_PX**2)
    limit[valid == 0] = np.nan
    image = of_blocks(limit, valid, cols=12 * BLOCK_PX - 90)

    areas = areas_of(image)

    times = np.zeros((9 * BLOCK_PX, 12 * BLOCK_PX - 90), np.int8)
    for area in areas:
        times[area.window.within(Window(0, 0, *times.shape))] += 1
        middle = np.array([[area.window.col + 1.0, area.window.row + 1.0]])
        assert (area.detection_px or np.inf) >= (image.limits_along(middle)[0] or np.inf)
        assert bool(area.reason) == (area.detection_px is None)
    with_pixels = np.kron(valid > 0, np.ones((BLOCK_PX, BLOCK_PX), np.int8))[:, : times.shape[1]]
    np.testing.assert_array_equal(times, with_pixels)
    assert sum(area.valid_px for area in areas) == image.assessed_px


def test_a_uniform_photograph_is_one_area():
    (area,) = areas_of(of_blocks(np.full((5, 7), 1.5)))

    assert area.window == Window(0, 0, 5 * BLOCK_PX, 7 * BLOCK_PX)
