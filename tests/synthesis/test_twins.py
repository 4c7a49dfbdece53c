"""Twins have visible cracks or distractors on any photograph, the same for the same seed."""

import numpy as np
import pytest
from scipy import ndimage

from crackcli.synthesis import visibility
from crackcli.synthesis.brushes import (
    band_alpha,
    draw_lines,
    draw_tapered_lines,
    fractal_noise,
    line_coordinates,
    luma,
    value_noise,
)
from crackcli.synthesis.distractors import DISTRACTORS, choose_families
from crackcli.synthesis.drawn_cracks import COURSES, frayed_coverage
from crackcli.synthesis.twins import (
    DARKEST,
    LEAST_LENGTH,
    MARGIN,
    VISIBLE,
    cracked_twin,
    distracted_twin,
    needed_contrast,
    to_picture,
    twin,
)
from crackcli.synthesis.visibility import STRETCH_PX, Camera, blur_of, local_noise, noise_reduction

SHAPES = [(128, 128), (96, 150), (161, 110)]  # rows, cols


def wall(shape=(160, 160), mean=150.0, grain=5.0, seed=3):
    """A slightly reddish surface with grain and soft blotches."""
    rng = np.random.default_rng(seed)
    tone = mean * np.array([1.05, 1.0, 0.93]) + 0.05 * mean * value_noise(rng, shape, 30)[..., None]
    image = tone + ndimage.gaussian_filter(rng.normal(0, 2.5 * grain, shape), 0.7)[..., None]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def stands_out(before, after, cover, rng, tries=60):
    """The darkening under the shape of a crack, in standard deviations of that under the same shape
    at other places of the photograph."""
    rough = before - ndimage.gaussian_filter(before, 12)
    moved = []
    for _ in range(tries):
        shift = rng.integers(8, np.array(cover.shape) - 8)
        moved.append(np.sum(np.roll(cover, shift, (0, 1)) * rough))
    return np.sum(cover * (before - after)) / np.std(moved)


@pytest.mark.parametrize("seed", range(12))
def test_a_crack_is_visible_where_it_has_coverage(seed):
    photograph = wall(seed=seed)

    image, cover = cracked_twin(photograph, np.random.default_rng(seed))

    assert image.shape == photograph.shape
    assert image.dtype == np.uint8
    assert cover.shape == photograph.shape[:2]
    assert cover.dtype == np.float32
    assert cover.min() >= 0
    assert cover.max() <= 1.0001
    assert cover.sum() > 0.25 * LEAST_LENGTH * min(cover.shape)
    assert np.abs(image.astype(int) - photograph).max(axis=2)[cover > 0.5].mean() > 8


@pytest.mark.parametrize("seed", range(12))
def test_a_crack_stands_out_from_the_grain(seed, monkeypatch):
    monkeypatch.setattr("crackcli.synthesis.twins.DISTRACTED", 0.0)
    photograph = wall(seed=seed, grain=2.0 + seed)

    image, cover = cracked_twin(photograph, np.random.default_rng(seed), width_px=1 + seed / 2)

    rng = np.random.default_rng(0)
    assert stands_out(luma(photograph), luma(image), cover, rng) > VISIBLE


def test_the_contrast_is_that_needed_by_the_least_visible_part_that_counts():
    seen, lengths = np.array([1.0, 20.0, 5.0, 10.0]), np.full(4, 2.0)  # at contrast 1

    actual = needed_contrast(seen, lengths, short_px=1000)

    assert actual == pytest.approx(MARGIN * VISIBLE / 5.0)  # 70 % of the length: all but the 1.0
    assert needed_contrast(seen[:0], lengths[:0], short_px=1000) == np.inf


@pytest.mark.parametrize("shape", SHAPES)
def test_twins_keep_any_shape_and_their_photograph(shape):
    photograph = wall(shape)
    before = photograph.copy()

    cracked = twin(photograph, 1, np.random.default_rng(1))
    distracted = twin(photograph, 0, np.random.default_rng(1))

    assert cracked.shape == distracted.shape == photograph.shape
    assert cracked.dtype == distracted.dtype == np.uint8
    np.testing.assert_array_equal(photograph, before)


@pytest.mark.parametrize("label", [0, 1])
def test_the_same_seed_gives_the_same_twin(label):
    one, same, other = (twin(wall(), label, np.random.default_rng(seed)) for seed in (4, 4, 5))

    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("seed", range(12))
def test_a_distracted_twin_differs_from_its_photograph(seed):
    photograph = wall(seed=seed)

    image = distracted_twin(photograph, np.random.default_rng(seed))

    assert (np.abs(luma(image) - luma(photograph)) > 5).mean() >= 0.004


@pytest.mark.parametrize("name", DISTRACTORS)
def test_every_distractor_works_on_grey_dark_and_bright_photographs(name):
    rng = np.random.default_rng([6, *name.encode()])
    for shape, mean, grain in zip(SHAPES, (128, 12, 245), (0, 3, 3), strict=True):
        picture = wall(shape, mean, grain).astype(np.float32)
        kept = picture.copy()

        result = DISTRACTORS[name].draw(rng, picture)

        assert result.shape == picture.shape
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        np.testing.assert_array_equal(picture, kept)


@pytest.mark.parametrize("name", DISTRACTORS)
def test_every_distractor_can_be_chosen_by_name(name):
    photograph = wall((128, 128))

    image = distracted_twin(photograph, np.random.default_rng(2), [name])

    assert (image != photograph).any()


@pytest.mark.parametrize("name", COURSES)
def test_every_course_covers_pixels_inside_the_picture(name):
    draw, _ = COURSES[name]
    picture = wall().astype(np.float32)
    for width_px in (0.5, 3.0, 20.0):
        rng = np.random.default_rng(9)

        paths = draw(rng, picture, width_px)

        assert max(path.width_px.max() for path in paths) <= 1.8 * width_px
        assert frayed_coverage(rng, paths, (160, 160), width_px).sum() > 5


def test_each_family_is_chosen_at_most_once():
    rng = np.random.default_rng(0)
    for _ in range(50):
        names = choose_families(rng, most=3)

        assert 1 <= len(names) == len(set(names)) <= 3
        assert set(names) <= set(DISTRACTORS)


def test_a_black_photograph_is_lightened_so_that_a_crack_is_visible():
    photograph = wall(mean=6, grain=1)

    image, cover = cracked_twin(photograph, np.random.default_rng(0))

    assert luma(to_picture(photograph)).mean() == pytest.approx(DARKEST, abs=1)
    dark, light = luma(image)[cover > 0.7].mean(), luma(image)[cover == 0].mean()
    assert dark < light - 10


@pytest.mark.parametrize("sigma_px", [0.8, 2.0])
def test_the_local_noise_is_that_of_filtered_grain(sigma_px):
    grain = np.random.default_rng(0).normal(128, 20, (256, 256)).astype(np.float32)

    actual = local_noise(grain, sigma_px)[60:-60, 60:-60].mean()

    low, high = (ndimage.gaussian_filter(grain, sigma) for sigma in (sigma_px, 2.5 * sigma_px + 4))
    assert actual == pytest.approx(np.hypot((low - high).std(), 1.2 + 0.012 * 128), rel=0.1)


def test_the_noise_along_a_stretch_falls_with_its_independent_values():
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(400, 400)), 1.2)
    along = ndimage.uniform_filter1d(grain, int(STRETCH_PX), axis=1)

    assert noise_reduction(1.2) == pytest.approx(grain.std() / along.std(), rel=0.15)


@pytest.mark.parametrize("blur_px", [0.6, 1.2, 2.0])
def test_the_blur_of_an_edge_is_found(blur_px):
    edge = np.where(np.arange(128) < 64, 60.0, 170.0)[None, :] * np.ones((128, 1))
    edge = ndimage.gaussian_filter(edge, blur_px)
    edge = edge + np.random.default_rng(0).normal(0, 1.0, edge.shape)
    picture = np.repeat(edge[..., None], 3, axis=2).astype(np.float32)

    assert blur_of(picture) == pytest.approx(blur_px, abs=0.25)


def test_a_camera_does_not_change_pixels_without_a_drawing():
    photograph = wall().astype(np.float32)
    picture = photograph.copy()
    picture[70:80, 70:80] = 20

    taken = Camera(blur_px=1.0, grain=2.0).finish(photograph, picture, np.random.default_rng(0))

    far = np.ones(photograph.shape[:2], bool)
    far[64:86, 64:86] = False
    np.testing.assert_allclose(taken[far], photograph[far], atol=1e-3)
    assert 40 < taken[75, 70].mean() < photograph[75, 70].mean() - 20  # soft at the edge


@pytest.mark.parametrize("width_px", [0.5, 1.0, 3.0, 7.0])
def test_brushes_draw_lines_of_the_given_width(width_px):
    line = np.array([[-20, 31.3], [40, 32.1], [90, 32.8]])
    off, _ = line_coordinates((64, 64), (32.0, 31.7), 12.0)

    as_line = draw_lines((64, 64), [line], width_px).sum(axis=0)
    as_ribbon = draw_tapered_lines((64, 64), [(line, np.full(3, width_px))]).sum(axis=0)
    as_band = band_alpha(off, width_px).sum(axis=0) * np.cos(np.deg2rad(12.0))

    for actual in (as_line, as_ribbon, as_band):
        np.testing.assert_allclose(actual[8:-8].mean(), width_px, atol=0.3)


def test_noise_has_mean_0_and_any_shape():
    rng = np.random.default_rng(0)
    for shape, wave_px in (((97, 130), 1.0), ((64, 31), 9.0), ((40, 200), 300.0)):
        for field in (value_noise(rng, shape, wave_px), fractal_noise(rng, shape, wave_px)):
            assert field.shape == shape
            assert np.abs(field).max() < 2.5
    assert abs(value_noise(rng, (200, 200), 4).mean()) < 0.1


def test_visibility_grows_with_contrast_and_falls_with_noise():
    draw, _ = COURSES["walk"]
    paths = draw(np.random.default_rng(0), wall().astype(np.float32), 2.0)
    cover = frayed_coverage(np.random.default_rng(0), paths, (160, 160), 2.0)
    noise = np.full((160, 160), 4.0, np.float32)

    once, lengths = visibility.visibility(20 * cover, noise, paths, 1.0)
    darker, _ = visibility.visibility(40 * cover, noise, paths, 1.0)
    noisier, _ = visibility.visibility(20 * cover, 2 * noise, paths, 1.0)

    np.testing.assert_allclose(darker, 2 * once, rtol=1e-4)
    np.testing.assert_allclose(noisier, once / 2, rtol=1e-4)
    assert len(lengths) == len(once)
