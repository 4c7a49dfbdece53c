"""Reviewed cracks label the pixels near them."""

import numpy as np
import pytest
import shapely

pytest.importorskip("torch")

from crackcli.finetuning.reviewed_pixels import distance_px, reviewed_pixels
from crackcli.finetuning.reviews import ReviewedCrack
from crackcli.rasters.grid import Window
from crackcli.report.verdicts import ACCEPTED, REJECTED, UNREVIEWED

WINDOW = Window(100, 200, 96, 96)  # rows and cols 100 and 200 of the photograph are its first
ROWS = {ACCEPTED: 120, REJECTED: 150, UNREVIEWED: 180}  # of the photograph


def crack(verdict, row, **changes):
    """Return a crack along the middle of a row of pixels, across the window and beyond."""
    line = shapely.LineString([(150, row + 0.5), (350, row + 0.5)])
    return ReviewedCrack(f"wall-{row}", "wall", verdict, line, **({"width_px": 4.0} | changes))


@pytest.fixture
def seen():
    """Return a light photograph with three dark lines of 4 px, and the mask of these."""
    rng = np.random.default_rng(0)
    rgb = rng.normal(200, 3, (96, 96, 1)).repeat(3, axis=2)
    mask = np.zeros((96, 96), np.uint8)
    for row in ROWS.values():
        rgb[row - 102 : row - 98] = 60
        mask[row - 102 : row - 98] = 1
    return rgb.astype(np.uint8), mask


def test_marked_pixels_are_crack_if_they_were_accepted_and_not_if_rejected(seen):
    cracks = [crack(verdict, row) for verdict, row in ROWS.items()]

    labels = reviewed_pixels(cracks, WINDOW, *seen)

    assert (labels[18:22] == 1).all()
    assert (labels[8:18] == 0).all()  # beside the accepted crack
    assert (labels[22:34] == 0).all()
    assert (labels[48:52] == 0).all()
    assert (labels[:4] == -1).all()  # far from all cracks
    assert (labels[70:] == -1).all()  # nearer to the unreviewed one


def test_a_mark_beside_an_accepted_crack_is_of_another_and_unknown(seen):
    rgb, mask = seen
    mask[29:31] = 1  # 10 px from the line

    labels = reviewed_pixels([crack(ACCEPTED, 120)], WINDOW, rgb, mask)

    assert (labels[29:31] == -1).all()
    assert (labels[18:22] == 1).all()


def test_a_drawn_line_finds_its_crack_on_the_photograph(seen):
    rgb, mask = seen
    off = crack(ACCEPTED, 122, width_px=None, drawn=True)

    labels = reviewed_pixels([off], WINDOW, rgb, np.zeros_like(mask))

    assert (labels[18:22, 4:-4] == 1).all()
    assert (labels[30:36] == 0).all()
    assert (labels[24:28] == -1).all()  # of the corridor, too near to be sure


def test_a_drawn_line_where_the_photograph_shows_no_crack_labels_nothing(seen):
    rgb, mask = seen
    rgb[:] = np.random.default_rng(1).normal(200, 3, (*rgb.shape[:2], 1)).astype(np.uint8)

    labels = reviewed_pixels([crack(ACCEPTED, 135, drawn=True)], WINDOW, rgb, mask)

    assert (labels == -1).all()


def test_without_a_crack_nearby_all_is_unknown(seen):
    assert (reviewed_pixels([crack(ACCEPTED, 300)], WINDOW, *seen) == -1).all()


def test_distances_are_from_the_centres_of_pixels_to_the_line():
    line = shapely.MultiLineString([[(150, 110.5), (350, 110.5)], [(250.5, 0), (250.5, 400)]])

    found = distance_px(line, WINDOW)

    rows, cols = np.mgrid[100:196, 200:296]
    expected = np.minimum(abs(rows - 110), abs(cols - 250))
    np.testing.assert_allclose(found, expected, atol=0.01)
