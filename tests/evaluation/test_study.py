"""The protocol and the width estimator of Forest et al. 2024, with their peculiarities."""

import numpy as np
import pytest
from fakes import LocalEngine, wall
from walls import bar

from crackcli.evaluation.study_protocol import (
    large_components,
    probability_mask,
    resize_mask,
    score_maps,
    study_mask,
    study_start,
)
from crackcli.evaluation.study_width import first_run, largest_width


def test_the_threshold_lies_half_way_between_the_means_beside_it():
    """Slowly, as in the paper: means of values until the threshold no longer moves."""
    score_map = np.random.default_rng(0).random((96, 96))
    score_map[40:52, 20:80] = np.linspace(1, 6, 60)
    scaled = (score_map - score_map.min()) / np.ptp(score_map)
    threshold, moved = scaled.mean(), np.inf
    while abs(moved - threshold) >= 1e-6:
        threshold, moved = (
            (scaled[scaled < threshold].mean() + scaled[scaled >= threshold].mean()) / 2,
            threshold,
        )

    mask = study_mask(score_map)

    assert 0 < (scaled > threshold)[45, 20:80].sum() < 60
    np.testing.assert_array_equal(mask, scaled > threshold)


def test_a_map_may_be_signed_and_of_any_scale():
    score_map = np.random.default_rng(1).normal(size=(64, 64))
    score_map[20:30] += 9

    np.testing.assert_array_equal(study_mask(score_map), study_mask(1e-6 * score_map - 5))


def test_a_mask_of_more_than_half_of_the_tile_is_inverted():
    score_map = np.ones((64, 64))
    score_map[:, 30:42] = 0

    np.testing.assert_array_equal(study_mask(score_map), score_map == 0)


def test_small_components_are_removed_and_gaps_closed():
    score_map = np.zeros((96, 96))
    score_map[10:14, 10:22] = 1  # 48 px
    score_map[50:56, 5:40] = 1
    score_map[50:56, 50:90] = 1  # 10 px further

    mask = study_mask(score_map)

    assert not mask[:30].any()
    assert mask[52, 5:90].all()


def test_a_constant_map_gives_an_empty_mask():
    assert not study_mask(np.full((64, 64), 3.0)).any()


def test_a_photograph_is_resized_to_one_tile_and_its_mask_back():
    image = wall(150, 210)

    (score_map,) = score_maps(LocalEngine(), [image])
    mask = resize_mask(study_mask(score_map), image.shape[:2])

    assert score_map.shape == (64, 64)
    assert mask.shape == (150, 210)
    assert mask[75, 105:110].all()
    assert not mask[:, :90].any()


def test_probabilities_are_thresholded_at_a_half():
    mask = probability_mask(np.array([[0.2, 0.5, 0.51]]))

    np.testing.assert_array_equal(mask, [[False, False, True]])


def test_lrp_starts_from_both_logits_and_other_methods_from_the_crack_logit():
    assert {study_start(method) for method in ("lrp", "lrp-gamma-box")} == {"both"}
    assert {study_start(method) for method in ("intgrad", "deeplift")} == {"crack"}


def test_components_that_touch_at_a_corner_are_one_and_those_below_50_px_are_dropped():
    mask = np.zeros((40, 40), bool)
    mask[2:7, 2:7] = mask[7:12, 7:12] = True  # 25 px each
    mask[20:27, 20:27] = True  # 49 px

    kept, count = large_components(mask)

    assert count == 1
    assert kept.sum() == 50


@pytest.mark.parametrize("angle_deg", [15, 30, 60])
@pytest.mark.parametrize("width_px", [3, 5, 9, 13])
def test_the_width_of_an_oblique_bar_is_about_2_px_too_large(width_px, angle_deg):
    assert 1 <= largest_width(bar(width_px, angle_deg) > 0) - width_px <= 3


@pytest.mark.parametrize("angle_deg", [0, 90])
def test_the_width_of_a_bar_along_an_axis_is_0(angle_deg):
    assert largest_width(bar(9, angle_deg) > 0) == 0


def test_the_widest_component_counts_and_small_ones_do_not():
    thin, wide = bar(3, 30) > 0, bar(9, 30) > 0
    both = np.hstack([thin, wide])
    dots = np.zeros((60, 60), bool)
    dots[5:10, 5:10] = True

    assert largest_width(both) == largest_width(wide)
    assert largest_width(dots) == 0
    assert largest_width(np.zeros((60, 60), bool)) == 0


def test_the_same_seed_gives_the_same_width():
    mask = bar(6, 40) + bar(4, 110) > 0

    assert largest_width(mask, 3) == largest_width(mask, 3)


@pytest.mark.parametrize(
    ("samples", "length"), [([0, 1, 0.2, 0, 1, 1, 1], 2), ([0, 0], 0), ([1, 1, 1], 3)]
)
def test_the_first_run_counts(samples, length):
    assert first_run(np.array(samples, np.float32)) == length
