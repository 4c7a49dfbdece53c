"""Crack-free areas: away from marked and suspected cells, nodata and edges; places within them."""

import numpy as np
import pytest
from affine import Affine

from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.writing.cog import write_cog
from crackcli.selftest.crack_free_areas import CELL_PX, Cells, choose_places

ROWS, COLS = 640, 900


def cells(tmp_path, mask=None, score=None, gated=True):
    """Return the cells of a scene; by default none is marked and none suspected."""
    info = RasterInfo(tmp_path / "wall.jpg", ROWS, COLS, Affine.identity(), None, 1, None, "")
    for name, values in (("mask", mask), ("score", score)):
        values = np.zeros((ROWS, COLS), np.uint8) if values is None else values
        write_cog(tmp_path / f"{name}.tif", [values], info, {}, "nearest")
    return Cells.read(tmp_path / "mask.tif", tmp_path / "score.tif", gated=gated)


@pytest.mark.parametrize("value", [1, 255])
def test_clear_cells_keep_their_distance_from_marks_and_nodata(tmp_path, value):
    mask = np.zeros((ROWS, COLS), np.uint8)
    mask[300, 450] = value

    clear = cells(tmp_path, mask).clear(100, 0, 0)

    y, x = (np.argwhere(clear).T + 0.5) * CELL_PX
    distance = np.hypot(y - 300, x - 450)
    assert distance.min() >= 100
    assert distance.min() < 100 + 2 * CELL_PX
    assert clear.sum() < clear.size


def test_clear_cells_keep_their_distance_from_the_edges(tmp_path):
    clear = cells(tmp_path).clear(0, 0, 90)

    y, x = (np.argwhere(clear).T + 0.5) * CELL_PX
    assert y.min() >= 90
    assert x.min() >= 90
    assert (ROWS - y).min() >= 90
    assert (COLS - x).min() >= 90


def test_a_score_means_suspicion_only_for_methods_with_a_gate(tmp_path):
    score = np.zeros((ROWS, COLS), np.uint8)
    score[300, 450] = 3
    score[600, 10] = 255  # nodata

    gated, other = (cells(tmp_path, score=score, gated=gate) for gate in (True, False))

    assert gated.suspected.sum() == 1
    assert gated.suspected[300 // CELL_PX, 450 // CELL_PX]
    assert not other.suspected.any()


def test_places_lie_in_unsuspected_cells_and_far_apart():
    unsuspected = np.zeros((20, 30), bool)
    unsuspected[3:17, 4:26] = True

    places, apart_px = choose_places(np.random.default_rng(0), unsuspected, unsuspected, 10)

    assert len(places) == 10
    assert apart_px >= 96
    for place in places:
        assert unsuspected[int(place.y // CELL_PX), int(place.x // CELL_PX)]
        assert not place.suspected
    points = np.array([(place.x, place.y) for place in places])
    distance = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(10)
    assert distance.min() >= apart_px - 1.5 * CELL_PX  # places lie anywhere in their cells


def test_suspected_places_are_used_last():
    unsuspected, crack_free = np.zeros((20, 20), bool), np.ones((20, 20), bool)
    unsuspected[5, 5] = True

    places, _ = choose_places(np.random.default_rng(0), unsuspected, crack_free, 12)

    assert len(places) == 12
    assert [place.suspected for place in places] == [False] + 11 * [True]


def test_no_two_places_are_nearer_than_the_smallest_spacing():
    unsuspected = np.zeros((20, 20), bool)
    unsuspected[4, 4] = unsuspected[4, 5] = unsuspected[15, 15] = (
        True  # two of them less than a spacing apart
    )

    places, _ = choose_places(np.random.default_rng(0), unsuspected, unsuspected, 12)

    assert len(places) == 2


def test_the_same_seed_gives_the_same_places_and_another_seed_others():
    unsuspected = np.ones((20, 20), bool)

    one, same, other = (
        choose_places(np.random.default_rng(seed), unsuspected, unsuspected, 8)[0]
        for seed in (1, 1, 2)
    )

    assert one == same
    assert one != other
