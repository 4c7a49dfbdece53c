"""Cracks for a self-test: the missing light across them is proportional to their width."""

import numpy as np
import pytest

from crackcli.rasters.srgb import to_linear, to_srgb
from crackcli.synthesis.brushes import luma
from crackcli.synthesis.known_cracks import draw_known, known_crack, relative_contrast
from crackcli.synthesis.visibility import Camera

SIDE = 240
MIDDLE = (SIDE / 2, SIDE / 2)


def photograph(seed=5, grain=4.0):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal((170, 140, 120), grain, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def missing(before, after):
    """Missing light (rows, cols) as a fraction of white."""
    return luma(to_linear(before / 255)) - luma(to_linear(after / 255))


@pytest.mark.parametrize("width_px", [0.5, 1.0, 2.0, 5.0, 12.0])
def test_the_median_width_along_the_path_is_the_given_width(width_px):
    for seed in range(5):
        path = known_crack(np.random.default_rng(seed), MIDDLE, width_px)

        assert np.median(path.width_px) == pytest.approx(width_px)
        assert np.ptp(path.points, axis=0).max() <= 200
        assert 90 < path.along_px[-1] < 220


@pytest.mark.parametrize("blur_px", [0.4, 1.2])
@pytest.mark.parametrize("width_px", [0.7, 2.0, 6.0])
@pytest.mark.parametrize("contrast", [0.3, 0.65])
def test_the_missing_light_is_the_opening_for_any_blur(width_px, blur_px, contrast):
    image, ratios = np.full((SIDE, SIDE, 3), 150, np.uint8), []
    full = missing(image[:1, :1], image[:1, :1] * (1 - contrast)).item()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        path = known_crack(rng, MIDDLE, width_px)
        after = draw_known(rng, image, path, contrast, Camera(blur_px, 0.0))
        ratios.append(missing(image, after).sum() / (full * path.area_px))

    assert np.mean(ratios) == pytest.approx(1.0, abs=0.04)


def test_pixels_away_from_the_crack_and_the_input_do_not_change():
    image, rng = photograph(), np.random.default_rng(2)
    before = image.copy()
    path = known_crack(rng, MIDDLE, 3.0)

    after = draw_known(rng, image, path, 0.5, Camera(1.0, 2.0))

    np.testing.assert_array_equal(image, before)
    rows, cols = np.nonzero((after != image).any(axis=2))
    from_path = np.linalg.norm(
        np.column_stack([cols, rows])[:, None] - path.points[None], axis=2
    ).min(axis=1)
    assert from_path.max() < 10
    assert len(rows) > 100


def test_encoding_is_the_inverse_of_linear_light():
    levels = np.arange(256) / 255

    np.testing.assert_allclose(to_srgb(to_linear(levels)), levels, atol=1e-7)
    assert np.all(to_linear(levels[1:-1]) < levels[1:-1])


def test_a_blurred_photograph_has_blurred_cracks():
    image = np.full((SIDE, SIDE, 3), 150, np.uint8)
    path = known_crack(np.random.default_rng(4), MIDDLE, 2.0)

    sharp, soft = (
        missing(image, draw_known(np.random.default_rng(0), image, path, 0.4, Camera(b, 0.0)))
        for b in (0.4, 2.0)
    )

    assert soft.max() < 0.7 * sharp.max()
    assert soft.sum() == pytest.approx(sharp.sum(), rel=0.03)


def test_the_same_seed_draws_the_same_crack():
    image = photograph()

    def draw_lines(seed):
        rng = np.random.default_rng(seed)
        return draw_known(rng, image, known_crack(rng, MIDDLE, 2.0), 0.4, Camera(0.8, 2.0))

    np.testing.assert_array_equal(draw_lines(1), draw_lines(1))
    assert (draw_lines(1) != draw_lines(2)).any()


@pytest.mark.parametrize("contrast", [0.3, 0.6])
def test_the_measured_contrast_of_a_wide_crack_is_slightly_low(contrast):
    rng, image = np.random.default_rng(6), photograph(grain=2.0)
    path = known_crack(rng, MIDDLE, 6.0)
    after = draw_known(rng, image, path, contrast, Camera(0.5, 1.0))

    read = relative_contrast(after, path.points[10:-10])

    assert 0.75 * contrast < read < 1.05 * contrast
