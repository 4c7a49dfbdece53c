"""Pixel scores against what a person counts."""

import math

import numpy as np
import pytest
from walls import picture

from crackcli.evaluation import PixelScores, compare, near


def flags(text):
    return picture(text) == 1


MARKED = flags("""
.##..
.##..
.....
....#
""")
LABELLED = flags("""
.#...
.#...
.#...
.....
""")


def test_pixels_are_counted_as_by_hand():
    scores = compare(MARKED, LABELLED)

    assert (scores.marked, scores.marked_right) == (5, 2)
    assert (scores.labelled, scores.labelled_found) == (3, 2)
    assert scores.precision == pytest.approx(2 / 5)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.f1 == pytest.approx(2 * 2 / (2 * 2 + 3 + 1))  # 2 TP / (2 TP + FP + FN)
    assert scores.iou == pytest.approx(2 / (2 + 3 + 1))
    assert scores.marked_share == pytest.approx(5 / 20)


def test_with_a_tolerance_neighbours_count():
    scores = compare(MARKED, LABELLED, tolerance_px=1)

    assert (scores.marked_right, scores.labelled_found) == (4, 3)


def test_the_tolerance_is_a_distance_and_no_square():
    mask = flags("#....\n.....\n.....")

    np.testing.assert_array_equal(near(mask, 1), flags("##...\n#....\n....."))


def test_photographs_are_pooled_by_their_pixels():
    pooled = compare(MARKED, LABELLED) + compare(~MARKED, LABELLED)

    assert pooled.marked == MARKED.size
    assert pooled.labelled_found == 3
    assert pooled.recall == pytest.approx(3 / 6)


def test_nothing_marked_is_no_score_to_be_proud_of():
    nothing = np.zeros((4, 5), bool)

    assert compare(nothing, LABELLED).f1 == 0
    assert math.isnan(compare(nothing, LABELLED).precision)
    assert compare(nothing, nothing, 2).marked_share == 0
    assert math.isnan(PixelScores().marked_share)
