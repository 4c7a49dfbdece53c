"""Filled, stuck and copied pixels are not assessable; grain makes all others differ."""

import cv2
import numpy as np
import pytest

from crackcli.detectability.assessment import areas_of, assess
from crackcli.detectability.block_quality import BLOCK_PX
from crackcli.detectability.own_texture import copied_fractions, find_texture, opened
from crackcli.detectability.statements import DetectionLimits, SceneFindings, statement
from crackcli.rasters.reader import inspect

SIDE = 4 * BLOCK_PX
PLACE = slice(256, 768), slice(256, 768)  # four blocks in the middle


def smooth_wall(seed=0, grain=2.0):
    """Smooth concrete: broad stains, some pores and a little grain."""
    rng = np.random.default_rng(seed)
    stains = cv2.resize(rng.normal(140, 12, (9, 9)).astype(np.float32), (SIDE, SIDE))
    for x, y in rng.integers(0, SIDE, (400, 2)).tolist():
        cv2.circle(stains, (x, y), 3, 60, -1)
    wall = stains[..., None] + rng.normal(0, grain, (SIDE, SIDE, 3))
    return wall.clip(1, 254).astype(np.uint8)


def photograph(tmp_path, image, *options):
    path = tmp_path / ("wall.jpg" if options else "wall.png")
    cv2.imwrite(str(path), image, list(options))
    return inspect(path)


def filled(image):
    image[PLACE] = (90, 128, 130)


def stuck_rows(image):
    image[PLACE] = image[256, 256:768]


def stuck_columns(image):
    image[PLACE] = image[256:768, 256][:, None]


def stuck_in_bands(image):
    image[PLACE] = image[256:768:64, 256:768].repeat(64, axis=0)


def repeated_block(image):
    image[PLACE] = np.tile(image[:8, :8], (64, 64, 1))


def repeated_unit(image):
    image[PLACE] = np.tile(image[:16, :16], (32, 32, 1))


FAULTS = [filled, stuck_rows, stuck_columns, stuck_in_bands, repeated_block, repeated_unit]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_shows_nothing_of_its_own_is_not_assessable(tmp_path, fault):
    image = smooth_wall()
    fault(image)
    assessed = assess(photograph(tmp_path, image))

    assert set(assessed.reason[1:3, 1:3].flat) == {"flat" if fault is filled else "repeated pixels"}
    assert not assessed.assessable[1:3, 1:3].any()
    assert assessed.not_assessable_px >= 512 * 512
    assert (assessed.hollow_px[3] == 0).all()
    assert assessed.assessable[3].all()
    assert 512 * 512 <= assessed.not_assessable_px < 1.05 * 512 * 512


@pytest.mark.parametrize("distance", [507, 512])
def test_copied_rows_are_not_assessable_at_both_places(tmp_path, distance):
    image = smooth_wall()
    image[distance : distance + 500] = image[:500]
    assessed = assess(photograph(tmp_path, image))

    assert set(assessed.reason[[0, 2]].flat) == {"repeated pixels"}
    assert assessed.not_assessable_px > 0.9 * SIDE**2


@pytest.mark.parametrize("fault", FAULTS)
def test_the_statement_does_not_promise_it(tmp_path, fault):
    image = smooth_wall()
    fault(image)
    found = SceneFindings(0, None, DetectionLimits.of(assess(photograph(tmp_path, image))))

    assert " not assessable (" in statement([found])
    assert ("flat" if fault is filled else "repeated pixels") in statement([found])


def test_a_part_of_a_block_counts_by_its_pixels(tmp_path):
    image = smooth_wall()
    image[300:380, 256:512] = 90  # less than half of one block
    assessed = assess(photograph(tmp_path, image))

    assert assessed.assessable.all()
    assert assessed.hollow_px[1, 1] == 80 * 256
    assert assessed.not_assessable_px == 80 * 256
    assert assessed.detectable_px(np.inf) == SIDE**2 - 80 * 256
    assert assessed.reasons() == ["flat"]
    limits = DetectionLimits.of(assessed)
    assert limits.area_px.sum() == SIDE**2
    assert limits.area_px[np.isnan(limits.limit_px)].sum() == 80 * 256


def test_rows_of_zeros_in_a_file_without_compression_show_nothing(tmp_path):
    image = smooth_wall()
    image[400:480:4] = 0  # every fourth row

    assert assess(photograph(tmp_path, image)).hollow_px[1].tolist() == [20 * 256] * 4


@pytest.mark.parametrize("quality", [40, 60, 80, 95])
@pytest.mark.parametrize("grain", [1.0, 2.0, 4.0])
def test_smooth_concrete_has_texture_after_jpeg(tmp_path, grain, quality):
    image = smooth_wall(grain=grain)
    blurred = cv2.GaussianBlur(image, (0, 0), 0.7)

    assessed = assess(photograph(tmp_path, blurred, cv2.IMWRITE_JPEG_QUALITY, quality))

    assert not set(assessed.reason.flat) & {"flat", "repeated pixels"}
    if quality >= 60 and grain >= 2:
        assert assessed.hollow_px.sum() < 0.02 * SIDE**2


def test_a_photograph_enlarged_by_whole_pixels_has_texture(tmp_path):
    image = smooth_wall()[: SIDE // 2, : SIDE // 2].repeat(2, axis=0).repeat(2, axis=1)

    assert not assess(photograph(tmp_path, image)).hollow_px.any()


def test_black_and_white_blocks_keep_their_reason(tmp_path):
    image = smooth_wall()
    image[256:512, 256:512], image[512:768, 256:512] = 0, 255

    assert assess(photograph(tmp_path, image)).reason[1:3, 1].tolist() == [
        "too dark",
        "overexposed",
    ]


def test_the_map_names_the_reason(tmp_path):
    image = smooth_wall()
    filled(image)
    (area,) = [each for each in areas_of(assess(photograph(tmp_path, image))) if each.reason]

    assert area.reason == "flat"
    assert area.window.shape == (512, 512)
    assert area.detection_px is None


def test_the_strips_change_nothing(tmp_path):
    image = smooth_wall()
    image[507:1007] = image[:500]
    info = photograph(tmp_path, image)

    for name in ("hollow_px", "hollow_reason", "reason", "detection_px"):
        np.testing.assert_array_equal(
            getattr(assess(info, strip_blocks=1), name), getattr(assess(info), name)
        )


def test_nodata_is_neither_flat_nor_stuck():
    texture = find_texture(np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256), bool))

    assert texture.own.all()


@pytest.mark.parametrize("size", [(3, 5), (4, 6), (1, 8)])
def test_opening_keeps_whole_rectangles(size):
    flags = np.random.default_rng(2).random((40, 50)) < 0.8
    rows, cols = size
    expected = np.zeros_like(flags)
    for row in range(40 - rows + 1):
        for col in range(50 - cols + 1):
            if flags[row : row + rows, col : col + cols].all():
                expected[row : row + rows, col : col + cols] = True

    np.testing.assert_array_equal(opened(flags, rows, cols), expected)


def test_few_samples_say_nothing():
    few, many = np.arange(3, dtype=np.uint64), np.arange(100, 120, dtype=np.uint64)

    assert copied_fractions([few, few, many, many]).tolist() == [0, 0, 1, 1]
