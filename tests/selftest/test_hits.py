"""Hit or miss: the fraction of a drawn centreline that a found crack covers."""

from dataclasses import replace

import numpy as np
import pytest
from walls import polyline, trace_array

from crackcli.selftest.hits import match_crack, smooth_course
from crackcli.synthesis.cover import CrackPath, coverage

SHAPE = (120, 200)
EMPTY_MASK = np.zeros(SHAPE, np.uint8)
DRAWN = CrackPath.of([[40.0, 60.0], [160.0, 60.0]], 4.0)


def found(*lines):
    """Return the cracks of a mask with lines of 4 px between pairs of points."""
    mask = np.zeros(SHAPE, np.uint8)
    for line in lines:
        mask |= polyline(SHAPE, np.add(line, [0, 0.5]), 4.0)  # rows 59 to 62 of 60
    return trace_array(mask)


def test_a_crack_that_is_found_whole_is_detected_and_measured():
    hit = match_crack(DRAWN, 4.0, found([(40, 60), (160, 60)]), [], EMPTY_MASK)

    assert hit.detected
    assert hit.found_fraction > 0.98
    assert hit.true_px == pytest.approx(4.0)
    assert hit.measured_px == pytest.approx(4.0, abs=0.3)
    assert hit.false_calls == 0
    assert hit.checked_px == EMPTY_MASK.size


@pytest.mark.parametrize(("until", "detected"), [(110, True), (85, False)])
def test_a_crack_is_detected_if_half_of_it_is_found(until, detected):
    hit = match_crack(DRAWN, 4.0, found([(40, 60), (until, 60)]), [], EMPTY_MASK)

    assert hit.found_fraction == pytest.approx((until - 40) / 120, abs=0.05)
    assert hit.detected is detected
    assert (hit.measured_px is not None) is detected


def test_found_pieces_are_added_up():
    pieces = found([(40, 60), (75, 60)], [(110, 60), (150, 60)])

    hit = match_crack(DRAWN, 4.0, pieces, [], EMPTY_MASK)

    assert len(pieces) == 2
    assert hit.detected
    assert hit.false_calls == 0


def test_a_line_beside_the_drawn_crack_is_a_false_call():
    hit = match_crack(DRAWN, 4.0, found([(40, 90), (160, 90)]), [], EMPTY_MASK)

    assert not hit.detected
    assert hit.found_fraction == 0
    assert hit.false_calls == 1


def test_a_crack_that_was_marked_before_is_no_false_call():
    before = polyline(SHAPE, np.array([(40.0, 90.0), (160.0, 90.0)]), 4.0)

    hit = match_crack(DRAWN, 4.0, found([(40, 90), (160, 90)]), [], before)

    assert hit.false_calls == 0
    assert hit.checked_px < EMPTY_MASK.size


def test_nodata_is_not_checked_for_false_calls():
    before = EMPTY_MASK.copy()
    before[:, :50] = 255

    assert match_crack(DRAWN, 4.0, [], [], before).checked_px == 120 * 150


def test_a_crack_classified_as_a_joint_is_missed_and_reported():
    hit = match_crack(DRAWN, 4.0, [], found([(40, 60), (160, 60)]), EMPTY_MASK)

    assert not hit.detected
    assert hit.set_aside


def test_a_missed_crack_has_no_width():
    hit = match_crack(DRAWN, 4.0, [], [], EMPTY_MASK)

    assert hit.found_fraction == 0
    assert not hit.set_aside
    assert hit.true_px is hit.measured_px is hit.sigma_px is None


def test_the_true_width_is_that_of_the_detected_part():
    path = CrackPath.of([[40.0, 60.0], [100.0, 60.0], [160.0, 60.0]], [6.0, 4.0, 2.0])

    hit = match_crack(path, 4.0, found([(40, 60), (102, 60)]), [], EMPTY_MASK)

    assert hit.detected
    assert hit.true_px == pytest.approx(5.0, abs=0.2)


def test_the_true_width_of_a_rough_crack_is_its_area_over_the_length_of_a_smooth_smooth_course():
    """A zigzag covers as much as a wider crack along the straight line."""
    x = np.arange(20.0, 181.0, 2.0)
    teeth = np.where(np.arange(len(x)) % 2, 1.0, -1.0)
    path = CrackPath.of(np.column_stack([x, 60 + teeth]), 3.0)

    smooth = smooth_course(path, SHAPE)

    inner = slice(10, -10)
    expected = coverage([path], SHAPE)[:, 40:160].sum() / 120
    assert expected > 3.0 * 1.2
    assert smooth.width_px[inner].mean() == pytest.approx(expected, rel=0.02)
    assert np.abs(smooth.points[inner, 1] - 60).max() < 0.1


def test_a_shift_of_both_edges_does_not_change_the_true_width():
    even = CrackPath.of(np.column_stack([np.arange(20.0, 181.0), np.full(161, 60.0)]), 3.0)
    moved = replace(even, shift_px=np.linspace(-1, 1, 161))

    assert smooth_course(moved, SHAPE).width_px[10:-10].mean() == pytest.approx(3.0, rel=0.01)
    assert np.ptp(smooth_course(moved, SHAPE).points[:, 1]) == pytest.approx(2, abs=0.3)
