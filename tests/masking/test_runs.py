"""Runs and their components equal the labels of the whole mask."""

import numpy as np
import pytest
from scipy import ndimage
from walls import picture, random_mask

from crackcli.cracks.tracing import pixel_batches
from crackcli.masking.runs import find_runs, number_cracks


def runs_in_strips(mask, score, strip_rows):
    starts = range(0, len(mask), strip_rows)
    strips = ((mask[i : i + strip_rows], score[i : i + strip_rows]) for i in starts)
    return find_runs(strips, *mask.shape)


def labels_of(mask, strip_rows):
    """The number of each pixel's crack, from 1, as an image."""
    image = np.zeros(mask.shape, int)
    runs = runs_in_strips(mask, mask, strip_rows)
    for pixels, crack in pixel_batches(runs, number_cracks(runs)[0]):
        image[pixels.rows, pixels.cols] = crack + 1
    return image


@pytest.mark.parametrize("strip_rows", [1, 2, 7, 60])
@pytest.mark.parametrize("seed", range(6))
def test_cracks_are_the_connected_components_in_reading_order(seed, strip_rows):
    mask = random_mask(seed)

    actual = labels_of(mask, strip_rows)

    np.testing.assert_array_equal(actual, ndimage.label(mask, np.ones((3, 3)))[0])


def test_a_row_that_ends_with_a_crack_does_not_join_the_next_row():
    actual = labels_of(picture("..#\n...\n#.."), 1)

    np.testing.assert_array_equal(actual, [[0, 0, 1], [0, 0, 0], [2, 0, 0]])


@pytest.mark.parametrize("strip_rows", [1, 2, 4])
def test_nodata_counts_across_corners_and_seams_and_is_not_assessed(strip_rows):
    mask = picture("##.#\n..?.\n....\n.#.#\n??..".replace(" ", ""))

    runs = runs_in_strips(mask, mask, strip_rows)

    assert runs.beside_nodata.tolist() == [True, True, True, False]
    assert runs.at_edge.tolist() == [True, True, False, True]
    assert runs.assessed_px == 20 - 3


def test_scores_are_summed_over_valid_pixels():
    mask = np.array([[1, 1, 0, 1], [0, 1, 1, 1]], np.uint8)
    score = np.array([[254, 127, 9, 255], [0, 127, 255, 0]], np.uint8)

    runs = runs_in_strips(mask, score, 1)

    np.testing.assert_allclose(runs.score, [1.5, 0, 0.5])
    assert runs.scored.tolist() == [2, 0, 2]


def test_a_mask_without_cracks_has_no_runs():
    runs = find_runs([(np.zeros((5, 6), np.uint8), None)], 5, 6)

    assert len(runs) == 0
    assert runs.assessed_px == 30
