"""Limits of blocks: monotonic in every quality, and the error bound agrees with a simulation."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.special import erf

from crackcli.detectability import limits
from crackcli.detectability.block_quality import (
    SCALES_PX,
    BlockQuality,
    blur_of,
    borrow_blur,
    measure_block,
    noise_at,
)
from crackcli.detectability.limits import (
    BLUR_SIGMA,
    CONTRAST,
    CONTRAST_SIGMA,
    LRP,
    OBSERVERS,
    STRETCH_PX,
    TOO_DARK,
    TOO_LIGHT,
    TOO_LITTLE,
    UNKNOWN,
    UNSHARP,
    WIDTHS_PX,
    d_prime,
    find_limits,
    observer_of,
    relative_sigma,
)

WHOLE = np.ones((256, 256), bool)


def rendered(rough=10.0, side=256, seed=0, level=140.0):
    """Return an image (side, side, 3) of flat stones with sharp edges and grain.

    ``level`` is the brightness of its background.
    """
    rng = np.random.default_rng(seed)
    image = np.full((side, side), level, np.float32)
    for x, y, radius, lighter in zip(
        *rng.uniform(0, side, (2, 60)),
        rng.uniform(2, 12, 60),
        rng.normal(0, rough, 60),
        strict=True,
    ):
        tone = level + lighter
        cv2.circle(image, (int(x), int(y)), int(radius), float(tone), -1, cv2.LINE_8)
    image = cv2.GaussianBlur(image, (0, 0), 0.6)
    image += rng.normal(0, rough / 5, image.shape)
    return as_bytes(image)


def as_bytes(grey):
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def limits_of(rgb, valid=None):
    block = measure_block(rgb, np.ones(rgb.shape[:2], bool) if valid is None else valid)
    found = find_limits(block)
    return found.detection_px[0], found.quantification_px[0], found.reason[0]


def block_of(blur=1.0, noise=4.0, level=140.0, dark_fraction=0.0, light_fraction=0.0):
    """Return one block of white noise, of deviation ``noise`` after the finest scale."""
    white = noise * SCALES_PX[0] / np.array([SCALES_PX])
    one = (np.array([value]) for value in (level, dark_fraction, light_fraction))
    return BlockQuality(np.array([blur]), white, *one)


@pytest.mark.parametrize("observer", OBSERVERS.values(), ids=OBSERVERS)
def test_d_prime_rises_and_the_relative_error_falls_with_the_width(observer):
    block = block_of()

    assert (np.diff(d_prime(block, WIDTHS_PX, observer)[0]) >= 0).all()
    assert (np.diff(relative_sigma(block, WIDTHS_PX)[0]) < 0).all()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("blur", np.linspace(0.5, 6, 12)),
        ("noise", np.linspace(0.2, 60, 12)),
        ("level", np.linspace(250, 5, 12)),  # the same grain, and less of a contrast
        ("dark_fraction", np.linspace(0, 0.6, 12)),
        ("light_fraction", np.linspace(0, 0.6, 12)),
    ],
)
def test_a_worse_quality_never_lowers_a_limit(name, values):
    found = [find_limits(block_of(**{name: value})) for value in values]

    for which in ("detection_px", "quantification_px"):
        limit = np.array([getattr(one, which)[0] for one in found])
        limit[np.isnan(limit)] = np.inf
        assert (limit[1:] >= limit[:-1]).all(), limit
        assert limit[-1] > limit[0]


@pytest.mark.parametrize(
    "worse",
    [
        lambda image, rng: cv2.GaussianBlur(image, (0, 0), 1.5),
        lambda image, rng: cv2.GaussianBlur(image, (0, 0), 3),
        lambda image, rng: image + rng.normal(0, 12, image.shape),
        lambda image, rng: image * 0.15,
    ],
    ids=["blurred", "more blurred", "noisy", "dark"],
)
def test_limits_rise_when_a_photograph_is_degraded(worse):
    image = rendered(rough=30)
    grey = worse(image[..., 0].astype(np.float32), np.random.default_rng(1))

    good, bad = limits_of(image), limits_of(as_bytes(grey))

    for before, after in zip(good[:2], bad[:2], strict=True):
        assert np.isnan(after) or after > before


def test_limits_on_rough_render_are_higher_than_on_smooth_plaster():
    smooth, rough = limits_of(rendered(rough=3)), limits_of(rendered(rough=60))

    assert rough[0] > 1.5 * smooth[0]
    assert rough[1] > smooth[1]


def test_half_the_distance_doubles_the_limit_in_pixels():
    tones = np.random.default_rng(7).uniform(125, 155, (16, 16))
    image = as_bytes(cv2.GaussianBlur(np.kron(tones, np.ones((16, 16))), (0, 0), 1.2))
    larger = cv2.resize(image[:128, :128], (256, 256), interpolation=cv2.INTER_CUBIC)

    ratio = limits_of(larger)[0] / limits_of(image)[0]

    assert 1.4 < ratio < 2.6


@pytest.mark.parametrize("blur_px", [1.0, 1.5, 2.0, 3.0, 4.0])
def test_the_blur_of_edges_is_estimated_within_30_percent(blur_px):
    sharp = np.kron(np.random.default_rng(2).uniform(60, 200, (8, 8)), np.ones((32, 32)))
    grey = cv2.GaussianBlur(sharp.astype(np.float32), (0, 0), blur_px)
    grey += np.random.default_rng(3).normal(0, 1, grey.shape).astype(np.float32)

    assert blur_of(grey, WHOLE) == pytest.approx(blur_px, rel=0.3)


def test_blur_is_unknown_where_there_is_only_grain():
    grain = np.random.default_rng(4).normal(128, 1, (256, 256)).astype(np.float32)

    assert np.isnan(blur_of(grain, WHOLE))
    assert limits_of(as_bytes(grain))[2] == UNKNOWN


def test_noise_at_a_scale_is_the_deviation_of_white_noise_after_a_gaussian():
    grain = np.random.default_rng(5).normal(128, 20, (512, 512)).astype(np.float32)

    for scale in SCALES_PX[1:5]:
        left = 20 / (2 * np.sqrt(np.pi) * scale)
        assert noise_at(grain, np.ones(grain.shape, bool), scale) == pytest.approx(left, rel=0.1)


def test_a_few_dark_spots_do_not_count_as_noise():
    clean, spotted = rendered(), rendered()
    spotted[::32, ::32] = 0

    assert measure_block(spotted, WHOLE).noise == pytest.approx(
        measure_block(clean, WHOLE).noise, rel=0.1
    )


@pytest.mark.parametrize(("value", "reason"), [(0, TOO_DARK), (255, TOO_LIGHT)])
def test_a_clipped_block_is_not_assessable(value, reason):
    image = rendered()
    image[:, 100:] = value

    assert np.isnan(limits_of(image)[0])
    assert limits_of(image)[2] == reason


def test_a_few_clipped_pixels_raise_the_limit_a_little():
    image, clipped = rendered(rough=30), rendered(rough=30)
    clipped[:40] = 255

    assert limits_of(image)[0] < limits_of(clipped)[0] < 1.5 * limits_of(image)[0]


def test_nodata_has_no_effect_on_the_limits():
    image, valid = rendered(), WHOLE.copy()
    valid[:, :120] = False
    black, white = image.copy(), image.copy()
    black[~valid], white[~valid] = 0, 255

    assert limits_of(black, valid) == limits_of(white, valid)
    assert limits_of(black, valid)[0] == pytest.approx(limits_of(image)[0], rel=0.25)


@pytest.mark.parametrize("pixels", [0, 500])
def test_a_block_with_too_few_valid_pixels_is_not_assessable(pixels):
    valid = np.zeros((256, 256), bool)
    valid.flat[:pixels] = True

    assert limits_of(rendered(), valid)[2] == TOO_LITTLE


def test_the_reason_names_what_limits_detection_most():
    assert find_limits(block_of(blur=6, noise=2, level=60)).reason[0] == UNSHARP
    assert find_limits(block_of(blur=0.6, noise=0.2, level=3)).reason[0] == TOO_DARK


def test_a_method_that_needs_more_has_a_wider_limit_and_unknown_ones_that_of_lrp():
    more = replace(LRP, d_prime_90=2 * LRP.d_prime_90)

    limit, wider = (find_limits(block_of(), observer).detection_px[0] for observer in (LRP, more))

    assert wider > limit
    assert observer_of("student") is OBSERVERS["student"]
    assert observer_of("gradient") is observer_of(None) is LRP


def test_the_quantification_limit_is_at_least_the_detection_limit():
    observer = replace(LRP, d_prime_90=15.0)

    found = find_limits(block_of(blur=0.5, noise=0.2, level=250), observer)

    assert found.quantification_px[0] >= found.detection_px[0] > 1


def test_blur_is_borrowed_from_the_nearest_blocks():
    grid = np.full((6, 6), np.nan)
    grid[:3], grid[5, 5] = 1.0, 4.0
    grid[0, 0] = np.nan

    full = borrow_blur(grid)

    assert full[0, 0] == 1
    assert full[4, 0] == 1
    assert full[5, 5] == 4
    assert np.isfinite(full).all()
    assert np.isnan(borrow_blur(np.full((2, 2), np.nan))).all()


def fitted_error(rng, width, blur, noise, level):
    """Return the error of a width fitted to a simulated profile.

    Contrast and blur are drawn from their prior distributions.
    """
    x = np.arange(-20, 20.01, 0.25)
    own = CONTRAST_SIGMA * rng.normal(), BLUR_SIGMA * rng.normal()
    scatter = noise / np.sqrt(STRETCH_PX * 0.25)  # of a mean along the crack, 4 samples a px

    def profile(p):
        sigma = blur * np.exp(p[2]) * np.sqrt(2)
        share = (erf((x + p[1] / 2) / sigma) - erf((x - p[1] / 2) / sigma)) / 2
        return CONTRAST * level * np.exp(p[0]) * share

    measured = profile([own[0], width, own[1]]) + rng.normal(0, scatter, x.size)

    def residuals(p):
        known = p[0] / CONTRAST_SIGMA, p[2] / BLUR_SIGMA
        return np.concatenate([(profile(p) - measured) / scatter, known])

    return least_squares(residuals, [0, width, 0]).x[1] - width


@pytest.mark.parametrize(("width", "blur", "noise"), [(2.0, 0.7, 12.0), (4.0, 1.0, 30.0)])
def test_the_error_bound_agrees_with_fits_to_simulated_profiles(width, blur, noise):
    rng = np.random.default_rng(6)
    errors = [fitted_error(rng, width, blur, noise, 140.0) for _ in range(150)]
    # Noise of this deviation per pixel, seen at every scale.
    block = block_of(blur=blur)
    white = noise / (2 * np.sqrt(np.pi) * np.array([SCALES_PX]))
    block = replace(block, noise=np.sqrt(np.maximum(white**2 - limits.QUANTISATION_NOISE**2, 0)))

    predicted = relative_sigma(block, np.array([width]))[0, 0] * width

    spread = np.subtract(*np.quantile(errors, [0.84, 0.16])) / 2
    assert spread == pytest.approx(predicted, rel=0.25)
