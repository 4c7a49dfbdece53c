"""Pixel scores agree with counts by hand, and pool photographs pixel by pixel."""

import math

import numpy as np
import pytest
from walls import picture

from crackcli.datasets.pixel_scores import PixelScores, compare

# A label, and a mask that is shifted 1 px to the right and has a false pixel.
LABELLED = """
..........
.####.....
..........
..........
"""
MARKED = """
..........
..####....
..........
.........#
"""


def flags(text):
    return picture(text) == 1


def by_hand(marked, labelled, tolerance_px):
    """Count pixels of ``marked`` with one of ``labelled`` within the tolerance, over all pairs."""
    ours, theirs = np.argwhere(marked), np.argwhere(labelled)
    away = np.hypot(*(ours[:, None] - theirs[None]).transpose(2, 0, 1))
    return int((away <= tolerance_px).any(axis=1).sum())


def test_scores_follow_from_the_confusion_matrix():
    scores = compare(flags(MARKED), flags(LABELLED))

    assert scores == PixelScores(
        marked=5, marked_right=3, labelled=4, labelled_found=3, pixels=40
    )  # TP 3, FP 2, FN 1
    assert scores.precision == 3 / 5
    assert scores.recall == 3 / 4
    assert scores.f1 == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert scores.iou == pytest.approx(3 / (3 + 2 + 1))
    assert scores.marked_fraction == 5 / 40


def test_a_pixel_within_the_tolerance_is_right():
    scores = compare(flags(MARKED), flags(LABELLED), tolerance_px=2)

    assert (scores.marked, scores.marked_right) == (5, 4)  # the false pixel is too far away
    assert (scores.labelled, scores.labelled_found) == (4, 4)


@pytest.mark.parametrize(
    ("away", "right"),
    [((0, 2), True), ((1, 1), True), ((1, 2), False), ((0, 3), False), ((2, 2), False)],
)
def test_the_tolerance_is_a_radius(away, right):
    marked, labelled = np.zeros((2, 9, 9), bool)
    marked[4, 4] = True
    labelled[4 + away[0], 4 + away[1]] = True

    assert compare(marked, labelled, tolerance_px=2).marked_right == right


@pytest.mark.parametrize("tolerance_px", [0, 1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_those_over_all_pairs(seed, tolerance_px):
    rng = np.random.default_rng(seed)
    marked, labelled = rng.random((2, 24, 31)) < 0.05

    scores = compare(marked, labelled, tolerance_px)

    assert scores.marked_right == by_hand(marked, labelled, tolerance_px)
    assert scores.labelled_found == by_hand(labelled, marked, tolerance_px)


@pytest.mark.parametrize("seed", range(3))
def test_iou_follows_from_f1(seed):
    marked, labelled = np.random.default_rng(seed).random((2, 20, 20)) < 0.3
    both, either = (marked & labelled).sum(), (marked | labelled).sum()

    scores = compare(marked, labelled)

    assert scores.iou == pytest.approx(both / either)
    assert scores.iou == pytest.approx(scores.f1 / (2 - scores.f1))


def test_photographs_are_pooled_pixel_by_pixel():
    large = compare(flags("########.."), flags("########.."))
    small = compare(flags("##........"), flags("........##"))

    pooled = sum((large, small), PixelScores())

    assert (pooled.marked, pooled.marked_right, pooled.pixels) == (10, 8, 20)
    assert pooled.f1 == pytest.approx(0.8)  # the mean of both would be 0.5
    assert pooled == compare(flags("########..##"), flags("########....")) + compare(
        flags("........"), flags("......##")
    )


def test_a_mask_against_itself_scores_1():
    scores = compare(flags(MARKED), flags(MARKED))

    assert (scores.precision, scores.recall, scores.f1, scores.iou) == (1, 1, 1, 1)


def test_empty_masks_have_no_precision_and_no_recall():
    nothing = np.zeros((4, 5), bool)

    scores = compare(nothing, nothing, tolerance_px=2)

    assert scores == PixelScores(pixels=20)
    assert math.isnan(scores.precision)
    assert math.isnan(scores.recall)
    assert (scores.f1, scores.iou, scores.marked_fraction) == (0, 0, 0)


@pytest.mark.parametrize("tolerance_px", [0, 2])
def test_without_a_crack_every_marked_pixel_is_wrong(tolerance_px):
    scores = compare(flags(MARKED), np.zeros((4, 10), bool), tolerance_px)

    assert (scores.marked, scores.marked_right) == (5, 0)
    assert (scores.precision, scores.f1, scores.marked_fraction) == (0, 0, 5 / 40)
    assert math.isnan(scores.recall)


@pytest.mark.parametrize("tolerance_px", [0, 2])
def test_a_missed_crack_has_recall_0(tolerance_px):
    scores = compare(np.zeros((4, 10), bool), flags(LABELLED), tolerance_px)

    assert (scores.labelled, scores.labelled_found, scores.recall) == (4, 0, 0)
    assert (scores.f1, scores.iou) == (0, 0)
    assert math.isnan(scores.precision)


def test_no_photographs_have_no_marked_fraction():
    assert math.isnan(PixelScores().marked_fraction)
