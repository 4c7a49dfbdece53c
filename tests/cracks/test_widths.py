"""Widths on the mask: a bar drawn w px wide measures w px, at any angle."""

import numpy as np
import pytest
from walls import bar, polyline, trace_array

from crackcli.cracks.widths import Samples
from crackcli.measuring.summary import MeasuredWidths, running

SHIFTS = [(0.06, 0.45), (0.19, 0.12), (0.31, 0.7), (0.44, 0.95), (0.56, 0.3), (0.81, 0.57)]


@pytest.mark.parametrize("angle_deg", [0, 9, 26.6, 33, 45, 58, 77, 90])
@pytest.mark.parametrize("width_px", [2, 3, 5, 8, 13, 20])
def test_a_bar_measures_its_width_at_any_angle(width_px, angle_deg):
    cracks = []
    for x, y in SHIFTS:  # a mask is exact to a pixel, so average over places
        cracks += trace_array(bar(width_px, angle_deg, middle=(60 + x, 60 + y)))

    assert len(cracks) == len(SHIFTS)
    for name in ("mean_px", "median_px"):
        values = [getattr(crack.widths, name) for crack in cracks]
        assert np.mean(values) == pytest.approx(width_px, abs=0.15)


@pytest.mark.parametrize("angle_deg", [0, 33, 58, 90])
@pytest.mark.parametrize("width_px", [3, 8, 20])
def test_the_maximum_of_a_bar_is_close_to_its_width(width_px, angle_deg):
    (crack,) = trace_array(bar(width_px, angle_deg, middle=(60.3, 60.1)))

    assert crack.widths.p95_px < width_px + 0.6
    assert crack.widths.max_px < width_px + 0.8


def test_the_maximum_is_at_the_widest_place():
    mask = bar(3, 0, length_px=100)
    mask[56:65, 80:90] = 1  # 9 px high, 10 px long

    (crack,) = trace_array(mask)

    assert crack.widths.max_px == pytest.approx(9, abs=0.5)
    col, row = crack.widths.max_at
    assert 79 <= col <= 90
    assert abs(row - 60) <= 1
    assert crack.widths.median_px == pytest.approx(3, abs=0.15)
    assert crack.widths.mean_px == pytest.approx((90 * 3 + 10 * 9) / 100, abs=0.25)


def test_a_junction_does_not_count_as_wide():
    shape, middle = (140, 140), (70.0, 70.0)
    mask = polyline(shape, [(15.0, 66.0), middle, (125.0, 66.0)], 4)
    mask |= polyline(shape, [middle, (75.0, 125.0)], 4)

    (crack,) = trace_array(mask)

    assert crack.junctions == 1
    assert crack.widths.max_px < 5


def test_the_width_of_a_crack_shorter_than_wide_is_its_area_over_its_length():
    mask = np.zeros((30, 30), np.uint8)
    mask[10:14, 10:14] = 1

    (crack,) = trace_array(mask)

    assert crack.widths.mean_px == pytest.approx(16 / crack.length_px)
    assert crack.widths.max_px == crack.widths.mean_px


def stepped_bar(*widths_px, run_px=30):
    """Return a mask with a bar along a row whose width changes in steps."""
    mask = np.zeros((60, 40 + run_px * len(widths_px)), np.uint8)
    for number, width_px in enumerate(widths_px):
        left = 20 + run_px * number
        mask[30 - width_px // 2 : 30 - width_px // 2 + width_px, left : left + run_px] = 1
    return mask


def test_spread_is_the_range_of_widths_weighted_by_length():
    (even,) = trace_array(bar(7, 0))
    (halves,) = trace_array(stepped_bar(5, 5, 9, 9))

    assert even.widths.spread < 0.05
    assert halves.widths.spread == pytest.approx((9 - 5) / halves.widths.median_px, rel=0.15)


def test_one_narrow_place_does_not_change_the_spread():
    mask = stepped_bar(7, run_px=240)
    mask[:30, 140:146] = 0

    (crack,) = trace_array(mask)

    assert crack.widths.max_px == pytest.approx(7, abs=0.3)
    assert crack.widths.spread < 0.1


@pytest.mark.parametrize("turned", [False, True])
def test_taper_is_the_fraction_by_which_both_ends_are_narrower(turned):
    mask = stepped_bar(3, 9, 9, 9, 9, 3)
    (even,) = trace_array(bar(9, 0))
    (narrow,) = trace_array(mask.T.copy() if turned else mask)
    (wide,) = trace_array(stepped_bar(9, 3, 3, 3, 3, 9))

    assert even.widths.taper < 0.05
    assert narrow.widths.taper == pytest.approx(1 - 3 / 9, abs=0.08)
    assert wide.widths.taper == 0


@pytest.mark.parametrize("first", [0.0, 0.2, 3.0])
def test_the_running_window_follows_the_mean_step_of_the_line(first):
    """The first step of a refined line may have any length, even 0."""
    widths = 3 + np.random.default_rng(4).normal(size=60)
    nothing = np.zeros(60)
    steps = np.r_[first, np.ones(59)]
    points = np.column_stack([np.cumsum(steps), nothing])
    samples = Samples(points, points, steps, [0, 60], nothing, nothing)

    means, _ = running(samples, MeasuredWidths(widths, nothing, nothing), 1.0, 5.0)

    assert means[30] == pytest.approx(widths[28:33].mean())
