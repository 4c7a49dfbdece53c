"""Measures of masks, and errors that can be computed by hand."""

import math

import numpy as np
import pytest
from walls import bar, trace_array

from crackcli.evaluation.measures import MaskMeasures, errors, measure


def test_count_area_and_widths_of_a_mask():
    mask = np.hstack([bar(5, 30), bar(9, 60)]) > 0
    mask[0, 0] = True  # a dot: it counts as area only

    found = measure(mask)

    assert (found.count, found.area_px) == (2, mask.sum())
    assert found.width_ours_px == pytest.approx(9, abs=0.5)
    assert 10 <= found.width_study_px <= 12


def test_our_width_is_that_of_the_report():
    mask = bar(7, 20)

    (crack,) = trace_array(mask)

    assert measure(mask > 0).width_ours_px == crack.widths.max_px


def test_the_measures_of_an_empty_mask_are_0():
    assert measure(np.zeros((50, 50), bool)) == MaskMeasures(0, 0, 0, 0.0)


def test_errors_are_means_over_photographs():
    true = [MaskMeasures(2, 100, 10, 8), MaskMeasures(1, 400, 0, 4)]
    found = [MaskMeasures(1, 150, 15, 8), MaskMeasures(4, 400, 7, 2)]

    wrong = errors(found, true)

    assert wrong.count_mae == (1 + 3) / 2
    assert wrong.area_mape == pytest.approx((0.5 + 0) / 2)
    assert wrong.width_study_mape == 0.5  # the second has no true width
    assert wrong.width_ours_mape == pytest.approx((0 + 0.5) / 2)


def test_a_crack_free_photograph_counts_for_the_count_only():
    cracked, crack_free = MaskMeasures(1, 100, 10, 8), MaskMeasures(0, 0, 0, 0)
    false_positive = MaskMeasures(3, 500, 20, 20)

    wrong = errors([cracked, false_positive], [cracked, crack_free])

    assert wrong.count_mae == 1.5
    assert (wrong.area_mape, wrong.width_study_mape, wrong.width_ours_mape) == (0, 0, 0)


def test_the_errors_of_true_measures_are_0_and_of_no_masks_nan():
    true = [measure(bar(5, angle) > 0) for angle in (20, 40)]

    assert set(vars(errors(true, true)).values()) == {0}
    assert all(math.isnan(value) for value in vars(errors([], [])).values())
