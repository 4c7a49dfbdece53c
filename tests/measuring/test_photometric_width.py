"""Photometric widths of computed profiles: laws that hold for any photograph."""

import numpy as np
import pytest
from scipy.special import ndtr

from crackcli.measuring import photometric_width as photometry
from crackcli.measuring.contrast import (
    contrast_profiles,
    integral,
    median_of_even,
    profile_offsets,
    running_level,
    smooth_along,
)
from crackcli.measuring.edges import Blur
from crackcli.measuring.full_contrast import Optics, typical_contrast
from crackcli.measuring.photometric_width import measure
from crackcli.measuring.profiles import GreyProfiles
from crackcli.measuring.tone import ToneCurve

OFFSETS = profile_offsets(40)
COUNT = 120
KNOWN = Optics(Blur(0.9, 0.03), ToneCurve(1.0, 0.0), 0.9, 0.05)
FULL = 0.9


def bars(widths, blur=0.9, wall=0.4, full_contrast=FULL, noise=0.0, seed=0):
    """Return profiles in linear light of a crack of these widths (S,) that darkens a surface."""
    half = np.asarray(widths, float)[:, None] / 2
    contrast = ndtr((OFFSETS + half) / blur) - ndtr((OFFSETS - half) / blur)
    light = np.broadcast_to(wall, contrast.shape) * (1 - full_contrast * contrast)
    light = light + noise * np.random.default_rng(seed).normal(size=contrast.shape)
    light = light.astype(np.float32)
    return GreyProfiles(light, light, np.ones(len(light), bool))


def measured(profiles, initial_widths, optics=KNOWN, labels=None):
    """Return the widths of profiles; they are one line without ``labels``."""
    labels = np.zeros(len(profiles.linear), np.int64) if labels is None else labels
    line_offsets = [*np.flatnonzero(np.diff(labels, prepend=-1)).tolist(), len(labels)]
    initial_widths = np.broadcast_to(np.asarray(initial_widths, float), len(labels)).copy()
    return measure(profiles, OFFSETS, line_offsets, labels, initial_widths, optics)


@pytest.mark.parametrize("blur", [0.5, 0.9, 1.5])
@pytest.mark.parametrize("width", [0.5, 1, 2, 3, 4, 6, 10, 20])
def test_a_bar_without_noise_has_its_width(width, blur):
    optics = Optics(Blur(blur, 0.01), ToneCurve(1.0, 0.0), FULL, 0.02)

    found = measured(bars(np.full(COUNT, width), blur), width + 2, optics)

    assert found.width == pytest.approx(np.full(COUNT, width), abs=max(0.05, 0.015 * width))


@pytest.mark.parametrize("width", [1.0, 3.5, 12.0])
def test_light_and_shade_along_a_crack_do_not_change_its_width(width):
    shade = np.linspace(0.3, 0.6, COUNT)[:, None]
    even = measured(bars(np.full(COUNT, width)), width + 1)

    found = measured(bars(np.full(COUNT, width), wall=shade), width + 1)

    inner = np.s_[30:-30]  # the running level has no slope at its ends
    assert found.width[inner] == pytest.approx(even.width[inner], rel=0.02)


@pytest.mark.parametrize("width", [1.0, 3.5, 12.0])
def test_a_brightness_gradient_across_a_crack_changes_its_width_little(width):
    tilted = 0.4 * (1 + 0.004 * OFFSETS)[None]

    found = measured(bars(np.full(COUNT, width), wall=tilted), width + 1)

    assert found.width == pytest.approx(np.full(COUNT, width), abs=0.06)


def test_the_width_of_an_opening_crack_is_followed():
    true = np.linspace(1, 12, 400)

    found = measured(bars(true), true + 1)

    assert found.width == pytest.approx(true, abs=0.25)
    assert np.abs(found.width - true).mean() < 0.1


def test_the_width_does_not_depend_on_the_initial_width():
    profiles = bars(np.full(COUNT, 5.0), noise=0.004)

    narrow, wide = measured(profiles, 3.5), measured(profiles, 8.0)

    assert narrow.width == pytest.approx(wide.width, abs=0.05)


def test_a_narrow_stretch_has_the_contrast_of_the_wide_one_of_its_crack():
    """The scene has a contrast of 0.9 +- 0.1; this crack is paler, and wide for half its length."""
    true = np.r_[np.full(100, 10.0), np.full(100, 1.2)]
    optics = Optics(Blur(0.9, 0.02), ToneCurve(1.0, 0.0), 0.9, 0.1)

    found = measured(bars(true, full_contrast=0.75), true + 1, optics)
    alone = measured(bars(true[100:], full_contrast=0.75), true[100:] + 1, optics)

    assert found.full_contrast == pytest.approx([0.75], abs=0.02)
    assert found.width[130:] == pytest.approx(true[130:], abs=0.1)
    assert np.isnan(alone.full_contrast).all()
    assert alone.width.mean() == pytest.approx(
        1.2 * 0.75 / 0.9, abs=0.05
    )  # from the scene, and uncertain
    assert (2 * alone.systematic_sigma > np.abs(alone.width - 1.2)).all()


def test_cracks_are_measured_independently():
    one, other = bars(np.full(COUNT, 2.0)), bars(np.full(COUNT, 9.0), full_contrast=0.7)
    both = GreyProfiles(
        *(
            np.concatenate([getattr(p, name) for p in (one, other)])
            for name in ("encoded", "linear", "complete")
        )
    )
    labels = np.repeat([0, 1], COUNT)

    together = measured(both, np.repeat([3.0, 9.5], COUNT), labels=labels)

    assert together.width[:COUNT] == pytest.approx(measured(one, 3.0).width, abs=1e-6)
    assert together.width[COUNT:] == pytest.approx(measured(other, 9.5).width, abs=1e-6)


@pytest.mark.parametrize("width", [1.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_widths_scatter_by_about_their_random_uncertainty(width, noise, monkeypatch):
    monkeypatch.setattr(photometry, "UNEVEN", 0.0)  # the contrast of these cracks is constant
    profiles = bars(np.full(1500, width), noise=noise)
    quiet = Optics(Blur(0.9, 0.0), ToneCurve(1.0, 0.0), FULL, 1e-3)

    found = measured(profiles, width + 1, quiet)

    ratio = np.nanstd(found.width) / np.nanmean(found.random_sigma)
    assert 0.55 < ratio < 1.5


def test_uncertainty_of_tone_and_contrast_goes_into_the_systematic_uncertainty():
    profiles = bars(np.full(COUNT, 1.5))
    light = profiles.linear
    profiles = GreyProfiles((light**0.45).astype(np.float32), light, profiles.complete)
    sure = Optics(Blur(0.9, 0.01), ToneCurve(1.0, 0.0), FULL, 0.02)

    sigmas = [
        measured(profiles, 2.0, optics).systematic_sigma.mean()
        for optics in (
            sure,
            Optics(sure.blur, ToneCurve(1.0, 0.3), FULL, 0.02),
            Optics(sure.blur, sure.tone, FULL, 0.2),
        )
    ]

    assert sigmas[1] > 2 * sigmas[0]
    assert sigmas[2] > 2 * sigmas[0]


def test_a_bright_line_has_no_width():
    found = measured(bars(np.full(COUNT, 4.0), full_contrast=-0.6), 4.0)

    assert np.isnan(found.width).all()


def test_the_rim_of_a_shadow_has_no_width():
    rim = (0.5 * ndtr(OFFSETS / 1.5) + 0.1)[None]

    found = measured(bars(np.full(COUNT, 3.0), wall=rim, full_contrast=0.02), 3.0)

    assert np.isnan(found.width).all()


def test_there_is_no_width_at_nodata():
    profiles = bars(np.full(COUNT, 3.0))
    profiles.complete[40:60] = False

    found = measured(profiles, 3.0)

    assert np.array_equal(np.isnan(found.width), ~profiles.complete)
    assert np.array_equal(np.isnan(found.random_sigma), ~profiles.complete)


def test_a_place_much_wider_than_the_mask_has_no_width():
    """It is 2 px wide on the mask and 20 px on the photograph, so it is something else."""
    found = measured(bars(np.full(COUNT, 20.0)), 2.0)

    assert np.isnan(found.width).all()


def test_the_typical_contrast_rises_with_the_linear_fraction():
    (encoded, _), (half, _), (light, _) = (typical_contrast(share) for share in (0.0, 0.5, 1.0))

    assert encoded < half < light < 1


def test_the_integral_of_a_constant_is_its_length():
    values = np.ones((5, len(OFFSETS)), np.float32)
    halves = np.array([0.1, 0.25, 1.0, 3.3, 12.0])

    assert integral(values, halves) == pytest.approx(2 * halves, abs=1e-6)


def test_an_average_along_lines_keeps_constants_and_does_not_mix_lines():
    line_offsets = [0, 7, 8, 30]
    values = np.repeat([1.0, 5.0, -2.0], np.diff(line_offsets))

    assert smooth_along(values, line_offsets, 3.0) == pytest.approx(values)
    weights = np.zeros(30)
    weights[3] = 1.0
    weighed = smooth_along(np.arange(30.0), line_offsets, 1.5, weights)
    assert weighed[:7] == pytest.approx(np.full(7, 3.0))
    assert (weighed[7:] == 0).all()


def test_the_running_level_is_the_median_of_stretches_interpolated_linearly():
    level = np.repeat([[1.0, 8.0], [3.0, 4.0]], 32, axis=0)
    level[[3, 40]] += 50

    course = running_level(np.concatenate([level, np.full((5, 2), 7.0)]), [0, 64, 69])

    assert course[:15] == pytest.approx(np.tile([1.0, 8.0], (15, 1)))
    assert course[16:48, 0] == pytest.approx(1 + 2 * (np.arange(32) + 0.5) / 32)
    assert course[49:64] == pytest.approx(np.tile([3.0, 4.0], (15, 1)))
    assert course[64:] == pytest.approx(np.full((5, 2), 7.0))
    assert median_of_even(np.array([5.0, 1, 9, 2])) == 3.5


def test_contrast_is_zero_on_the_surface_and_one_where_it_is_black():
    profiles = bars(np.full(40, 8.0), full_contrast=1.0)

    contrast = contrast_profiles(profiles.linear, OFFSETS, np.full(40, 8.0), 0.9, [0, 40])

    middle = len(OFFSETS) // 2
    assert contrast.values[:, middle] == pytest.approx(np.ones(40), abs=1e-3)
    assert contrast.values[:, [0, -1]] == pytest.approx(np.zeros((40, 2)), abs=1e-3)
    assert contrast.noise == pytest.approx(np.zeros(40), abs=1e-3)
    assert contrast.asymmetry == pytest.approx(np.zeros(40), abs=1e-3)


def test_the_uncertainty_of_the_scene_contrast_counts_once():
    profiles = bars(np.full(COUNT, 1.0))
    optics = Optics(Blur(0.9, 0.0), ToneCurve(1.0, 0.0), FULL, 0.09)

    found = measured(profiles, 2.0, optics)

    assert found.systematic_sigma.mean() == pytest.approx(1.0 * 0.09 / FULL, rel=0.05)


def test_shot_noise_gives_a_random_uncertainty_that_is_right_within_a_factor_of_two():
    """Noise is measured on the surface; in linear light it goes with the root of brightness."""
    true = 8.0
    light = bars(np.full(1500, true)).linear
    rng = np.random.default_rng(2)
    shot = light + 0.03 * np.sqrt(light) * rng.normal(size=light.shape)
    shot = shot.astype(np.float32)
    optics = Optics(Blur(0.9, 0.0), ToneCurve(1.0, 0.0), FULL, 1e-3)

    found = measured(GreyProfiles(shot, shot, np.ones(len(shot), bool)), true + 1, optics)

    assert 0.55 < np.nanstd(found.width) / np.nanmean(found.random_sigma) < 1.2


def test_the_uncertainty_of_the_scene_contrast_is_the_rms_error_of_the_width():
    """The true contrast varies: the width goes with 1 / K, so the first order is too little."""
    rng = np.random.default_rng(4)
    optics = Optics(Blur(0.9, 0.0), ToneCurve(1.0, 0.0), 0.7, 0.14)
    found = measured(bars(np.full(COUNT, 1.0), full_contrast=0.7), 2.0, optics)

    widths = 0.7 / rng.normal(0.7, 0.14, 20_000)

    away = np.sqrt(((widths - 1) ** 2)[np.abs(widths - 1) < 2].mean())
    assert away > 1.1 * 0.2
    assert found.systematic_sigma.mean() == pytest.approx(away, rel=0.1)
