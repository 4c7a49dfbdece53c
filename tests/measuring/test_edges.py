"""Blur and tone curve from edges: those of drawn edges are estimated, wrong ones never chosen."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from truth import Conditions, coverage, curve, decode, photograph, ragged, ribbon, traced

from crackcli.measuring.edges import (
    TAIL_AREA,
    TAIL_BLURS,
    blur_from_tails,
    core_response,
    find_edges,
    group_medians,
    mean_within,
    tone_from_tails,
    weighted_median,
)
from crackcli.measuring.full_contrast import Optics, typical_spread
from crackcli.measuring.optics import find_optics, with_contrasts
from crackcli.measuring.profiles import ArrayPhotograph
from crackcli.measuring.tone import ToneCurve
from crackcli.rasters.srgb import blend

OFFSETS = np.arange(-60, 61) * 0.5


def bar_contrast(width, blur):
    """Return the contrast (121,) at `OFFSETS` of a crack of full contrast 1."""
    return ndtr((OFFSETS + width / 2) / blur) - ndtr((OFFSETS - width / 2) / blur)


@pytest.mark.parametrize("blur", [0.5, 0.9, 1.6])
@pytest.mark.parametrize("width", [0.5, 2.0, 7.0])
def test_the_core_response_is_the_mean_of_a_blurred_bar(width, blur):
    core = 1.25

    def contrast(x):
        return ndtr((x + width / 2) / blur) - ndtr((x - width / 2) / blur)

    expected = quad(contrast, -core, core)[0] / (2 * core)
    assert core_response(np.array([width]), np.array([core]), blur) == pytest.approx([expected])


def test_the_tail_area_is_the_integral_of_a_gaussian_edge():
    assert quad(ndtr, -TAIL_BLURS, 0)[0] == pytest.approx(TAIL_AREA, abs=2e-4)


def test_values_within_half_a_step_count():
    contrast = np.arange(7, dtype=np.float32)[None]

    assert mean_within(contrast, np.array([0.4])) == [3]
    assert mean_within(np.float32([[0, 0, 1, 4, 1, 0, 0]]), np.array([0.7])) == [2]


@pytest.mark.parametrize("width", [5.0, 9.3, 14.0])
def test_edges_lie_half_a_width_from_the_middle(width):
    contrast = bar_contrast(width, 0.9)[None].astype(np.float32)

    edges = find_edges(contrast, np.array([width]), np.ones(1))

    assert edges.at[0] == pytest.approx([-width / 2, width / 2], abs=0.03)


def test_there_is_no_edge_without_contrast():
    edges = find_edges(np.zeros((2, 41), np.float32), np.full(2, 5.0), np.ones(2))

    assert np.isnan(edges.at).all()


def test_the_weighted_median_is_that_of_repeated_values():
    rng = np.random.default_rng(1)
    values, counts = rng.normal(size=41), rng.integers(1, 9, 41)

    middle, sigma = weighted_median(values, counts.astype(float))

    assert middle == pytest.approx(np.median(np.repeat(values, counts)), abs=0.1)
    assert 0 < sigma < 1


def test_group_medians_equal_those_of_each_group_alone():
    rng = np.random.default_rng(2)
    group = rng.permutation(np.repeat(np.arange(5), [1, 2, 7, 30, 8]))
    values, weights = rng.normal(size=len(group)), rng.uniform(0.1, 9, len(group))

    found = group_medians(values, weights, group)
    even = group_medians(values, np.ones(len(group)), group)

    for number in range(5):
        own = group == number
        assert found[number] == pytest.approx(weighted_median(values[own], weights[own])[0])
        assert even[number] == pytest.approx(np.median(values[own]))


@pytest.mark.parametrize(
    ("linear_fraction", "expected"),
    [(0.0, lambda v: v / 255), (1.0, decode)],
    ids=["encoded", "linear"],
)
def test_values_are_blended_from_encoded_and_linear_ones(linear_fraction, expected):
    values = np.linspace(0, 255, 200).astype(np.float32)

    assert blend(values, linear_fraction) == pytest.approx(expected(values), abs=5e-4)


def test_linear_light_is_assumed_if_edges_are_few_or_unlike():
    rng = np.random.default_rng(2)
    rows = np.column_stack([0.4 + 0.2 * rng.standard_normal((40, 2)), np.full(40, 60)])

    for found in (tone_from_tails(rows, rows), tone_from_tails(rows[:2], rows[:2])):
        assert found.linear_fraction == 1
        assert found.doubt == pytest.approx(0.1)
    assert blur_from_tails(rows[:2]) is None


def test_the_tone_with_alike_tails_is_chosen_if_edges_agree():
    rng = np.random.default_rng(3)
    alike = np.column_stack([0.4 + 0.01 * rng.standard_normal((12, 2)), np.full(12, 60)])
    unlike = alike + np.array([0.06, 0, 0])

    assert (
        tone_from_tails(unlike, alike).linear_fraction,
        tone_from_tails(alike, unlike).linear_fraction,
    ) == (1, 0)
    assert max(tone_from_tails(unlike, alike).doubt, tone_from_tails(alike, unlike).doubt) < 0.05
    assert tone_from_tails(unlike, unlike) == ToneCurve(
        1.0, doubt=pytest.approx(0.1)
    )  # neither fits


def test_weak_evidence_for_encoded_values_leaves_linear_light():
    """All widths of a photograph share this decision, so it is not made at even odds."""
    rng = np.random.default_rng(3)
    rows = np.column_stack([0.4 + 0.01 * rng.standard_normal((12, 2)), np.full(12, 60)])
    found = [
        tone_from_tails(rows, rows + np.array([away, 0, 0])) for away in np.arange(0, 0.06, 0.002)
    ]

    assert found[0].linear_fraction == 1
    assert found[-1].linear_fraction == 0
    assert all(tone.doubt <= 0.05 for tone in found if tone.linear_fraction == 0)
    assert max(tone.doubt for tone in found) > 0.3


@pytest.mark.parametrize("blur", [0.5, 1.0, 1.5])
def test_the_blur_of_a_drawn_photograph_is_estimated_within_two_sigma(blur):
    rng = np.random.default_rng(4)
    line = curve(rng, (140, 130), 200, 30, 5)
    cover = coverage([ribbon(line, 10.0)], (260, 280))
    image = photograph(rng, [cover], Conditions(blur_px=blur, noise=0.02))

    optics = find_optics(traced(ragged(rng, cover)), ArrayPhotograph(image))

    true = np.hypot(blur, 1 / np.sqrt(12))  # and that of the pixel itself
    assert optics.blur.px == pytest.approx(true, abs=2 * optics.blur.sigma)
    assert optics.blur.sigma < 0.1
    assert optics.tone.linear_fraction == 1


def test_a_photograph_without_cracks_has_default_optics():
    optics = find_optics([], ArrayPhotograph(np.full((50, 50), 128.0)))

    assert optics.tone.linear_fraction == 1
    assert optics.blur.sigma > 0.2


def test_the_contrast_of_one_more_crack_is_at_least_as_uncertain_as_the_cracks_differ():
    typical = Optics()
    alone = with_contrasts(typical, np.zeros(0), np.zeros(0))
    one = with_contrasts(typical, np.array([0.8]), np.array([100.0]))
    alike = with_contrasts(typical, np.full(30, 0.8), np.full(30, 100.0))
    unlike = np.random.default_rng(5).normal(0.8, 0.15, 60)
    differ = with_contrasts(typical, unlike, np.full(60, 100.0))

    assert alone == typical
    assert typical.full_contrast_sigma > one.full_contrast_sigma > alike.full_contrast_sigma
    assert one.full_contrast == pytest.approx(0.8, abs=0.02)
    assert alike.full_contrast_sigma > 0.3 * typical_spread(1.0)
    assert differ.full_contrast_sigma == pytest.approx(0.15, rel=0.3)
