"""Photometric widths of profiles that are computed, not drawn: what must hold in any picture."""

import numpy as np
import pytest
from scipy.special import ndtr

from crackcli.measuring import photometric_width as photometry
from crackcli.measuring.contrast import along, course_of, darkness, integral, middle_of, offsets_for
from crackcli.measuring.edges import Blur
from crackcli.measuring.photometric_width import Optics, measure, usual_contrast
from crackcli.measuring.profiles import GreyProfiles
from crackcli.measuring.tone import Tone

OFFSETS = offsets_for(40)
COUNT = 120
KNOWN = Optics(Blur(0.9, 0.03), Tone(1.0, 0.0), 0.9, 0.05)
DEEP = 0.9


def bars(widths, blur=0.9, wall=0.4, depth=DEEP, noise=0.0, seed=0):
    """Profiles in linear light of a crack so wide (S,) that darkens a wall."""
    half = np.asarray(widths, float)[:, None] / 2
    dark = ndtr((OFFSETS + half) / blur) - ndtr((OFFSETS - half) / blur)
    light = np.broadcast_to(wall, dark.shape) * (1 - depth * dark)
    light = light + noise * np.random.default_rng(seed).normal(size=dark.shape)
    light = light.astype(np.float32)
    return GreyProfiles(light, light, np.ones(len(light), bool))


def measured(profiles, guess, optics=KNOWN, owner=None):
    """The widths of profiles that are one line, if no owners are given."""
    owner = np.zeros(len(profiles.light), np.int64) if owner is None else owner
    begins = [*np.flatnonzero(np.diff(owner, prepend=-1)).tolist(), len(owner)]
    guess = np.broadcast_to(np.asarray(guess, float), len(owner)).copy()
    return measure(profiles, OFFSETS, begins, owner, guess, optics)


@pytest.mark.parametrize("blur", [0.5, 0.9, 1.5])
@pytest.mark.parametrize("width", [0.5, 1, 2, 3, 4, 6, 10, 20])
def test_a_bar_without_noise_has_its_width(width, blur):
    optics = Optics(Blur(blur, 0.01), Tone(1.0, 0.0), DEEP, 0.02)

    found = measured(bars(np.full(COUNT, width), blur), width + 2, optics)

    assert found.width == pytest.approx(np.full(COUNT, width), abs=max(0.05, 0.015 * width))


@pytest.mark.parametrize("width", [1.0, 3.5, 12.0])
def test_light_and_shade_along_a_crack_change_nothing(width):
    shade = np.linspace(0.3, 0.6, COUNT)[:, None]
    even = measured(bars(np.full(COUNT, width)), width + 1)

    found = measured(bars(np.full(COUNT, width), wall=shade), width + 1)

    inner = np.s_[30:-30]  # the course of either side has no slope at its ends
    assert found.width[inner] == pytest.approx(even.width[inner], rel=0.02)


@pytest.mark.parametrize("width", [1.0, 3.5, 12.0])
def test_a_wall_that_is_brighter_on_one_side_changes_little(width):
    tilted = 0.4 * (1 + 0.004 * OFFSETS)[None]

    found = measured(bars(np.full(COUNT, width), wall=tilted), width + 1)

    assert found.width == pytest.approx(np.full(COUNT, width), abs=0.06)


def test_a_crack_that_opens_is_followed():
    true = np.linspace(1, 12, 400)

    found = measured(bars(true), true + 1)

    assert found.width == pytest.approx(true, abs=0.25)
    assert np.abs(found.width - true).mean() < 0.1


def test_the_guess_does_not_matter():
    profiles = bars(np.full(COUNT, 5.0), noise=0.004)

    narrow, wide = measured(profiles, 3.5), measured(profiles, 8.0)

    assert narrow.width == pytest.approx(wide.width, abs=0.05)


def test_the_depth_of_a_thin_stretch_is_that_of_the_wide_one_of_the_same_crack():
    """The scene says 0.9 +- 0.1; this crack is paler, and wide for half its length."""
    true = np.r_[np.full(100, 10.0), np.full(100, 1.2)]
    optics = Optics(Blur(0.9, 0.02), Tone(1.0, 0.0), 0.9, 0.1)

    found = measured(bars(true, depth=0.75), true + 1, optics)
    alone = measured(bars(true[100:], depth=0.75), true[100:] + 1, optics)

    assert found.depth == pytest.approx([0.75], abs=0.02)
    assert found.width[130:] == pytest.approx(true[130:], abs=0.1)
    assert np.isnan(alone.depth).all()
    assert alone.width.mean() == pytest.approx(1.2 * 0.75 / 0.9, abs=0.05)  # borrowed, and in doubt
    assert (2 * alone.common > np.abs(alone.width - 1.2)).all()


def test_cracks_do_not_see_one_another():
    one, other = bars(np.full(COUNT, 2.0)), bars(np.full(COUNT, 9.0), depth=0.7)
    both = GreyProfiles(
        *(
            np.concatenate([getattr(p, name) for p in (one, other)])
            for name in ("encoded", "light", "seen")
        )
    )
    owner = np.repeat([0, 1], COUNT)

    together = measured(both, np.repeat([3.0, 9.5], COUNT), owner=owner)

    assert together.width[:COUNT] == pytest.approx(measured(one, 3.0).width, abs=1e-6)
    assert together.width[COUNT:] == pytest.approx(measured(other, 9.5).width, abs=1e-6)


@pytest.mark.parametrize("width", [1.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_noise_scatters_widths_by_as_much_as_its_sigma_says(width, noise, monkeypatch):
    monkeypatch.setattr(photometry, "UNEVEN", 0.0)  # these cracks are evenly dark
    profiles = bars(np.full(1500, width), noise=noise)
    quiet = Optics(Blur(0.9, 0.0), Tone(1.0, 0.0), DEEP, 1e-3)

    found = measured(profiles, width + 1, quiet)

    ratio = np.nanstd(found.width) / np.nanmean(found.noise)
    assert 0.55 < ratio < 1.5


def test_doubts_about_tone_and_depth_go_into_sigma():
    profiles = bars(np.full(COUNT, 1.5))
    light = profiles.light
    profiles = GreyProfiles((light**0.45).astype(np.float32), light, profiles.seen)
    sure = Optics(Blur(0.9, 0.01), Tone(1.0, 0.0), DEEP, 0.02)

    sigmas = [
        measured(profiles, 2.0, optics).common.mean()
        for optics in (
            sure,
            Optics(sure.blur, Tone(1.0, 0.3), DEEP, 0.02),
            Optics(sure.blur, sure.tone, DEEP, 0.2),
        )
    ]

    assert sigmas[1] > 2 * sigmas[0]
    assert sigmas[2] > 2 * sigmas[0]


def test_what_is_bright_has_no_width():
    found = measured(bars(np.full(COUNT, 4.0), depth=-0.6), 4.0)

    assert np.isnan(found.width).all()


def test_the_rim_of_a_shadow_has_no_width():
    rim = (0.5 * ndtr(OFFSETS / 1.5) + 0.1)[None]

    found = measured(bars(np.full(COUNT, 3.0), wall=rim, depth=0.02), 3.0)

    assert np.isnan(found.width).all()


def test_where_there_is_no_data_there_is_no_width():
    profiles = bars(np.full(COUNT, 3.0))
    profiles.seen[40:60] = False

    found = measured(profiles, 3.0)

    assert np.array_equal(np.isnan(found.width), ~profiles.seen)
    assert np.array_equal(np.isnan(found.noise), ~profiles.seen)


def test_a_wide_dark_place_beside_is_not_taken_for_the_crack():
    """By its mask 2 px wide, by the photograph 20: what is there is something else."""
    found = measured(bars(np.full(COUNT, 20.0)), 2.0)

    assert np.isnan(found.width).all()


def test_the_usual_depth_lies_between_both_tones():
    (encoded, _), (half, _), (light, _) = (usual_contrast(share) for share in (0.0, 0.5, 1.0))

    assert encoded < half < light < 1


def test_the_integral_of_a_constant_is_its_length():
    values = np.ones((5, len(OFFSETS)), np.float32)
    halves = np.array([0.1, 0.25, 1.0, 3.3, 12.0])

    assert integral(values, halves) == pytest.approx(2 * halves, abs=1e-6)


def test_an_average_along_lines_keeps_constants_and_leaks_nowhere():
    begins = [0, 7, 8, 30]
    values = np.repeat([1.0, 5.0, -2.0], np.diff(begins))

    assert along(values, begins, 3.0) == pytest.approx(values)
    weights = np.zeros(30)
    weights[3] = 1.0
    weighed = along(np.arange(30.0), begins, 1.5, weights)
    assert weighed[:7] == pytest.approx(np.full(7, 3.0))
    assert (weighed[7:] == 0).all()


def test_the_course_of_a_side_is_the_median_of_its_stretch_and_straight_in_between():
    level = np.repeat([[1.0, 8.0], [3.0, 4.0]], 32, axis=0)
    level[[3, 40]] += 50

    course = course_of(np.concatenate([level, np.full((5, 2), 7.0)]), [0, 64, 69])

    assert course[:15] == pytest.approx(np.tile([1.0, 8.0], (15, 1)))
    assert course[16:48, 0] == pytest.approx(1 + 2 * (np.arange(32) + 0.5) / 32)
    assert course[49:64] == pytest.approx(np.tile([3.0, 4.0], (15, 1)))
    assert course[64:] == pytest.approx(np.full((5, 2), 7.0))
    assert middle_of(np.array([5.0, 1, 9, 2])) == 3.5


def test_darkness_is_nought_on_the_wall_and_one_where_it_is_black():
    profiles = bars(np.full(40, 8.0), depth=1.0)

    dark = darkness(profiles.light, OFFSETS, np.full(40, 8.0), 0.9, [0, 40])

    middle = len(OFFSETS) // 2
    assert dark.values[:, middle] == pytest.approx(np.ones(40), abs=1e-3)
    assert dark.values[:, [0, -1]] == pytest.approx(np.zeros((40, 2)), abs=1e-3)
    assert dark.noise == pytest.approx(np.zeros(40), abs=1e-3)
    assert dark.sides == pytest.approx(np.zeros(40), abs=1e-3)


def test_a_borrowed_depth_goes_into_sigma_once():
    profiles = bars(np.full(COUNT, 1.0))
    optics = Optics(Blur(0.9, 0.0), Tone(1.0, 0.0), DEEP, 0.09)

    found = measured(profiles, 2.0, optics)

    assert found.common.mean() == pytest.approx(1.0 * 0.09 / DEEP, rel=0.05)


def test_noise_of_a_camera_is_less_where_it_is_dark():
    """Noise that is seen on the wall; in linear light it goes with the root of brightness."""
    true = 8.0
    light = bars(np.full(1500, true)).light
    rng = np.random.default_rng(2)
    shot = light + 0.03 * np.sqrt(light) * rng.normal(size=light.shape)
    shot = shot.astype(np.float32)
    optics = Optics(Blur(0.9, 0.0), Tone(1.0, 0.0), DEEP, 1e-3)

    found = measured(GreyProfiles(shot, shot, np.ones(len(shot), bool)), true + 1, optics)

    assert 0.55 < np.nanstd(found.width) / np.nanmean(found.noise) < 1.2


def test_sigma_of_a_borrowed_depth_is_how_far_widths_are_off_over_depths_as_uncertain():
    """Over many true depths: a width goes with one over the depth, so first order is too little."""
    rng = np.random.default_rng(4)
    optics = Optics(Blur(0.9, 0.0), Tone(1.0, 0.0), 0.7, 0.14)
    found = measured(bars(np.full(COUNT, 1.0), depth=0.7), 2.0, optics)

    widths = 0.7 / rng.normal(0.7, 0.14, 20_000)

    away = np.sqrt(((widths - 1) ** 2)[np.abs(widths - 1) < 2].mean())
    assert away > 1.1 * 0.2
    assert found.common.mean() == pytest.approx(away, rel=0.1)
