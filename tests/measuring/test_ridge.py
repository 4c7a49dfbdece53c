"""Ridges: a centreline that is off moves onto the crack, and stays where there is no contrast."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from truth import Conditions, coverage, curve, photograph, ribbon

from crackcli.cracks.centreline import Line
from crackcli.measuring.contrast import profile_offsets, profile_reach
from crackcli.measuring.profiles import ArrayPhotograph
from crackcli.measuring.ridge import refine, shifted
from crackcli.measuring.tone import ToneCurve

SHAPE = (220, 260)


def on_photograph(image, lines, width=3.0):
    """Return the lines refined on an image."""
    count = sum(max(1, round(line.length)) for line in lines)
    offsets = profile_offsets(profile_reach(width + 4, 1.0))
    return refine(lines, ArrayPhotograph(image), np.full(count, width), offsets, ToneCurve(), width)


def free_line(points):
    return Line(0, 1, np.asarray(points, float), 0.0, 0.0)


def away(points, from_points):
    """Return the distances of points from dense ones."""
    return cKDTree(from_points).query(points)[0]


@pytest.mark.parametrize("angle", [0, 37, 90, 143])
@pytest.mark.parametrize("off", [-1.5, 0.7])
def test_a_line_that_is_off_is_moved_back_to_a_tenth_of_a_pixel_on_average(angle, off):
    rng = np.random.default_rng(angle)
    true = curve(rng, (130, 110), 160, angle, 4)
    image = photograph(rng, [coverage([ribbon(true, 3.0)], SHAPE)], Conditions(noise=0.02))
    dx, dy = np.gradient(true, axis=0).T
    aside = np.column_stack([-dy, dx]) / np.hypot(dx, dy)[:, None]

    found = on_photograph(image, [free_line((true + off * aside)[20:-20:4])])

    inner = found.samples.points[8:-8]
    assert away(inner, true).mean() < 0.1
    assert away(inner, true).max() < 0.3
    across = np.abs((found.samples.normals * np.gradient(found.samples.points, axis=0)).sum(1))
    assert across[8:-8].max() < 0.1


def test_a_joint_beside_the_crack_does_not_attract_the_line():
    rng = np.random.default_rng(5)
    true = curve(rng, (130, 110), 160, 10, 4)
    plain = Conditions(noise=0.02)
    cover = coverage([ribbon(true, 3.0)], SHAPE)
    image = photograph(rng, [cover], Conditions(noise=0.02, joint_px=7))
    assert not np.array_equal(image, photograph(rng, [cover], plain))

    found = on_photograph(image, [free_line(true[20:-20:4])])

    assert away(found.samples.points[8:-8], true).max() < 0.4


def test_a_line_stays_where_there_is_no_contrast():
    moved = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        image = photograph(rng, [np.zeros(SHAPE)], Conditions(noise=0.01))
        dense = curve(rng, (130, 110), 120, 70, 5)
        found = on_photograph(image, [free_line(dense[::4])])
        moved += away(found.samples.points, dense).tolist()

    assert np.median(moved) < 0.2
    assert np.mean(np.array(moved) < 0.5) > 0.9  # by chance, noise has a dark stretch


def test_junctions_stay_and_lines_still_meet_in_them():
    rng = np.random.default_rng(7)
    middle = np.array([130.0, 110.0])
    ends = middle + 70 * np.array([[1, 0.2], [-0.7, 0.8], [-0.4, -0.9]])
    arms = [np.linspace(middle, end, 300) for end in ends]
    image = photograph(
        rng, [coverage([ribbon(arm, 3.0) for arm in arms], SHAPE)], Conditions(noise=0.01)
    )
    shift = np.array([0.8, -0.6])
    lines = [
        Line(0, k + 1, np.concatenate([[middle], arm[1::4] + shift]), 2.0, 0.0)
        for k, arm in enumerate(arms)
    ]

    found = on_photograph(image, lines)

    assert all(np.array_equal(line.points[0], middle) for line in found.lines)
    assert [line.start for line in found.lines] == [0, 0, 0]
    for (begin, end), arm in zip(pairwise(found.samples.line_offsets), arms, strict=True):
        assert away(found.samples.points[begin + 12 : end - 8], arm).mean() < 0.15


def test_profiles_follow_their_points():
    rng = np.random.default_rng(8)
    image = cv2.GaussianBlur(rng.uniform(0, 255, (60, 60)), (0, 0), 4).astype(np.float32)
    values = np.stack([image[30, 5:55], image[31, 5:55]])

    whole = shifted(values, np.array([1.0, -2.5]), 6)  # 2 values on, 5 values back

    assert whole[0] == pytest.approx(values[0, 8:46], abs=1e-3)
    assert whole[1] == pytest.approx(values[1, 1:39], abs=1e-3)
    half = shifted(values, np.full(2, 0.25), 6)
    assert half[0] == pytest.approx((values[0, 6:44] + values[0, 7:45]) / 2, abs=1.0)
