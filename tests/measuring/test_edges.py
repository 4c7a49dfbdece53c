"""Optics: edges drawn with a known blur and tone tell that blur, and do not tell a wrong tone."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from truth import Conditions, coverage, curve, decode, photograph, ragged, ribbon, traced

from crackcli.measuring.edges import (
    TAIL_AREA,
    TAIL_BLURS,
    blur_of,
    find_edges,
    mean_within,
    medians_of,
    response,
    tone_of,
    weighted_median,
)
from crackcli.measuring.optics import find_optics, with_depths
from crackcli.measuring.photometric_width import Optics, usual_spread
from crackcli.measuring.profiles import ArrayPhotograph
from crackcli.measuring.tone import Tone
from crackcli.rasters.srgb import blend

OFFSETS = np.arange(-60, 61) * 0.5


def bar_dark(width, blur):
    """The darkness (121,) at `OFFSETS` of a crack of full contrast 1."""
    return ndtr((OFFSETS + width / 2) / blur) - ndtr((OFFSETS - width / 2) / blur)


@pytest.mark.parametrize("blur", [0.5, 0.9, 1.6])
@pytest.mark.parametrize("width", [0.5, 2.0, 7.0])
def test_the_response_is_the_mean_of_a_blurred_bar(width, blur):
    core = 1.25

    def dark(x):
        return ndtr((x + width / 2) / blur) - ndtr((x - width / 2) / blur)

    expected = quad(dark, -core, core)[0] / (2 * core)
    assert response(np.array([width]), np.array([core]), blur) == pytest.approx([expected])


def test_the_tail_of_a_gaussian_edge_is_the_integral_of_it():
    assert quad(ndtr, -TAIL_BLURS, 0)[0] == pytest.approx(TAIL_AREA, abs=2e-4)


def test_values_within_half_a_step_count():
    dark = np.arange(7, dtype=np.float32)[None]

    assert mean_within(dark, np.array([0.4])) == [3]
    assert mean_within(np.float32([[0, 0, 1, 4, 1, 0, 0]]), np.array([0.7])) == [2]


@pytest.mark.parametrize("width", [5.0, 9.3, 14.0])
def test_edges_lie_half_a_width_from_the_middle(width):
    dark = bar_dark(width, 0.9)[None].astype(np.float32)

    edges = find_edges(dark, np.array([width]), np.ones(1))

    assert edges.at[0] == pytest.approx([-width / 2, width / 2], abs=0.03)


def test_where_nothing_is_dark_there_is_no_edge():
    edges = find_edges(np.zeros((2, 41), np.float32), np.full(2, 5.0), np.ones(2))

    assert np.isnan(edges.at).all()


def test_the_weighted_median_is_that_of_repeated_values():
    rng = np.random.default_rng(1)
    values, counts = rng.normal(size=41), rng.integers(1, 9, 41)

    middle, sigma = weighted_median(values, counts.astype(float))

    assert middle == pytest.approx(np.median(np.repeat(values, counts)), abs=0.1)
    assert 0 < sigma < 1


def test_the_medians_of_groups_are_those_of_each_alone():
    rng = np.random.default_rng(2)
    group = rng.permutation(np.repeat(np.arange(5), [1, 2, 7, 30, 8]))
    values, weights = rng.normal(size=len(group)), rng.uniform(0.1, 9, len(group))

    found = medians_of(values, weights, group)
    even = medians_of(values, np.ones(len(group)), group)

    for number in range(5):
        own = group == number
        assert found[number] == pytest.approx(weighted_median(values[own], weights[own])[0])
        assert even[number] == pytest.approx(np.median(values[own]))


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, lambda v: v / 255), (1.0, decode)], ids=["encoded", "linear"]
)
def test_values_are_blended_from_both_tones(share, expected):
    values = np.linspace(0, 255, 200).astype(np.float32)

    assert blend(values, share) == pytest.approx(expected(values), abs=5e-4)


def test_few_or_unlike_edges_leave_the_tone_in_doubt():
    rng = np.random.default_rng(2)
    rows = np.column_stack([0.4 + 0.2 * rng.standard_normal((40, 2)), np.full(40, 60)])

    for told in (tone_of(rows, rows), tone_of(rows[:2], rows[:2])):
        assert told.share == 1
        assert told.doubt == pytest.approx(0.1)
    assert blur_of(rows[:2]) is None


def test_alike_edges_tell_the_tone_in_which_their_tails_are_alike():
    rng = np.random.default_rng(3)
    alike = np.column_stack([0.4 + 0.01 * rng.standard_normal((12, 2)), np.full(12, 60)])
    unlike = alike + np.array([0.06, 0, 0])

    assert (tone_of(unlike, alike).share, tone_of(alike, unlike).share) == (1, 0)
    assert max(tone_of(unlike, alike).doubt, tone_of(alike, unlike).doubt) < 0.05
    assert tone_of(unlike, unlike) == Tone(1.0, doubt=pytest.approx(0.1))  # neither fits


def test_edges_that_speak_for_encoded_values_but_not_clearly_leave_linear_light():
    """A yes or no that all widths of a photograph share is not taken at even odds."""
    rng = np.random.default_rng(3)
    rows = np.column_stack([0.4 + 0.01 * rng.standard_normal((12, 2)), np.full(12, 60)])
    found = [tone_of(rows, rows + np.array([away, 0, 0])) for away in np.arange(0, 0.06, 0.002)]

    assert found[0].share == 1
    assert found[-1].share == 0
    assert all(tone.doubt <= 0.05 for tone in found if tone.share == 0)
    assert max(tone.doubt for tone in found) > 0.3


@pytest.mark.parametrize("blur", [0.5, 1.0, 1.5])
def test_the_blur_of_a_drawn_photograph_is_told_within_two_sigma(blur):
    rng = np.random.default_rng(4)
    line = curve(rng, (140, 130), 200, 30, 5)
    cover = coverage([ribbon(line, 10.0)], (260, 280))
    image = photograph(rng, [cover], Conditions(blur_px=blur, noise=0.02))

    optics = find_optics(traced(ragged(rng, cover)), ArrayPhotograph(image))

    true = np.hypot(blur, 1 / np.sqrt(12))  # and that of the pixel itself
    assert optics.blur.px == pytest.approx(true, abs=2 * optics.blur.sigma)
    assert optics.blur.sigma < 0.1
    assert optics.tone.share == 1


def test_a_wall_without_cracks_has_ordinary_optics():
    optics = find_optics([], ArrayPhotograph(np.full((50, 50), 128.0)))

    assert optics.tone.share == 1
    assert optics.blur.sigma > 0.2


def test_what_other_cracks_of_a_photograph_tell_of_one_more_is_never_more_than_they_differ():
    light = Optics()
    alone = with_depths(light, np.zeros(0), np.zeros(0))
    one = with_depths(light, np.array([0.8]), np.array([100.0]))
    alike = with_depths(light, np.full(30, 0.8), np.full(30, 100.0))
    unlike = np.random.default_rng(5).normal(0.8, 0.15, 60)
    differ = with_depths(light, unlike, np.full(60, 100.0))

    assert alone == light
    assert light.depth_sigma > one.depth_sigma > alike.depth_sigma
    assert one.depth == pytest.approx(0.8, abs=0.02)
    assert alike.depth_sigma > 0.3 * usual_spread(1.0)
    assert differ.depth_sigma == pytest.approx(0.15, rel=0.3)
