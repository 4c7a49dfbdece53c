"""Centrelines have the length, direction and ends of drawn cracks."""

import math

import numpy as np
import pytest
from walls import bar, picture, polyline, trace_array


@pytest.mark.parametrize("angle_deg", [0, 7, 22.5, 30, 45, 61, 80, 90, 117, 160])
@pytest.mark.parametrize("width_px", [1.5, 4, 9])
def test_a_straight_crack_has_its_length_within_one_percent(width_px, angle_deg):
    (crack,) = trace_array(bar(width_px, angle_deg, length_px=200, side=240, middle=(119.7, 120.2)))

    # The ends are known to half a pixel each at best.
    assert crack.length_px == pytest.approx(200, abs=2)
    assert crack.main_length_px == crack.length_px
    assert crack.tortuosity == pytest.approx(1, abs=0.005)
    error = (crack.orientation_deg - angle_deg + 90) % 180 - 90
    assert abs(error) < 1


def test_a_bent_crack_is_as_long_as_its_segments():
    points = [(20.0, 20.0), (120.0, 40.0), (150.0, 140.0)]
    expected = sum(map(math.dist, points, points[1:]))

    (crack,) = trace_array(polyline((160, 170), points, 3))

    assert crack.length_px == pytest.approx(expected, rel=0.01)
    assert crack.tortuosity == pytest.approx(expected / math.dist(points[0], points[-1]), rel=0.01)


def test_the_main_path_leaves_out_the_shortest_arm():
    mask = bar(3, 0, length_px=100)
    mask[20:60, 70] = 1  # 40 px up from a point 60 px from the left end and 40 px from the right

    (crack,) = trace_array(mask)

    assert (crack.branches, crack.junctions, crack.endpoints) == (3, 1, 3)
    assert crack.length_px == pytest.approx(140, rel=0.02)
    assert crack.main_length_px == pytest.approx(100, rel=0.02)


def test_a_ring_is_as_long_as_its_circle_and_its_main_path_is_half():
    y, x = np.mgrid[:120, :120]
    radius = np.hypot(x - 60, y - 60)

    (crack,) = trace_array((abs(radius - 40) < 2).astype(np.uint8))

    assert (crack.branches, crack.junctions, crack.endpoints) == (1, 0, 0)
    assert crack.length_px == pytest.approx(2 * math.pi * 40, rel=0.01)
    assert crack.main_length_px == pytest.approx(math.pi * 40, rel=0.02)
    assert crack.tortuosity == pytest.approx(math.pi / 2, rel=0.02)


def test_a_single_pixel_is_one_pixel_long_and_wide():
    (crack,) = trace_array(picture("...\n.#.\n..."))

    np.testing.assert_allclose(crack.centreline[0], [(0.5, 1), (1.5, 1)], atol=1e-6)
    assert crack.length_px == pytest.approx(1)
    assert crack.widths.mean_px == pytest.approx(1)


def test_the_centreline_runs_in_the_middle():
    (crack,) = trace_array(bar(7, 0, length_px=80))

    x, y = crack.centreline[0].T
    assert abs(y - 60).max() <= 0.5
    assert (min(x), max(x)) == pytest.approx((20, 100), abs=1)


@pytest.mark.parametrize("col", [85, 90, 95])
@pytest.mark.parametrize("row", [57, 60, 63])
def test_pinholes_near_the_end_do_not_shorten_a_broad_crack(row, col):
    mask = bar(14, 0, length_px=80)
    mask[row : row + 2, col : col + 2] = 0

    (crack,) = trace_array(mask)

    assert crack.length_px == pytest.approx(80, rel=0.06)
    assert crack.endpoints == 2
