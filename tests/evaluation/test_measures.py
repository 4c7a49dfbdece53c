"""What is measured of masks, and errors that a person can compute."""

import math

import numpy as np
import pytest
from walls import bar, trace_array

from crackcli.evaluation.measures import MaskMeasures, errors, measure


def test_a_mask_is_measured():
    mask = np.hstack([bar(5, 30), bar(9, 60)]) > 0
    mask[0, 0] = True  # a dot: area, but neither a crack nor a width

    found = measure(mask)

    assert (found.count, found.area_px) == (2, mask.sum())
    assert found.width_ours_px == pytest.approx(9, abs=0.5)
    assert 10 <= found.width_study_px <= 12


def test_our_width_is_what_the_report_tells_of_the_mask():
    mask = bar(7, 20)

    (crack,) = trace_array(mask)

    assert measure(mask > 0).width_ours_px == crack.widths.max_px


def test_nothing_marked_measures_nothing():
    assert measure(np.zeros((50, 50), bool)) == MaskMeasures(0, 0, 0, 0.0)


def test_errors_are_means_over_photographs():
    true = [MaskMeasures(2, 100, 10, 8), MaskMeasures(1, 400, 0, 4)]
    found = [MaskMeasures(1, 150, 15, 8), MaskMeasures(4, 400, 7, 2)]

    wrong = errors(found, true)

    assert wrong.count_mae == (1 + 3) / 2
    assert wrong.area_mape == pytest.approx((0.5 + 0) / 2)
    assert wrong.width_study_mape == 0.5  # the second has no true width
    assert wrong.width_ours_mape == pytest.approx((0 + 0.5) / 2)


def test_a_sound_photograph_counts_for_the_count_only():
    cracked, sound = MaskMeasures(1, 100, 10, 8), MaskMeasures(0, 0, 0, 0)
    alarm = MaskMeasures(3, 500, 20, 20)

    wrong = errors([cracked, alarm], [cracked, sound])

    assert wrong.count_mae == 1.5
    assert (wrong.area_mape, wrong.width_study_mape, wrong.width_ours_mape) == (0, 0, 0)


def test_what_is_measured_right_has_no_error_and_nothing_has_none_to_tell():
    true = [measure(bar(5, angle) > 0) for angle in (20, 40)]

    assert set(vars(errors(true, true)).values()) == {0}
    assert all(math.isnan(value) for value in vars(errors([], [])).values())
