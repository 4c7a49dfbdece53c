"""Sound areas: away from marks, suspicion, holes and edges; places spread over them."""

import numpy as np
import pytest
from affine import Affine

from crackcli.rasters.cog import write_cog
from crackcli.rasters.reader import RasterInfo
from crackcli.selftest.sound_areas import CELL_PX, Cells, choose_places

ROWS, COLS = 640, 900


def cells(tmp_path, mask=None, score=None, gated=True):
    """The cells of a scene; by default all is sound and nothing suspected."""
    info = RasterInfo(tmp_path / "wall.jpg", ROWS, COLS, Affine.identity(), None, 1, None, "")
    for name, values in (("mask", mask), ("score", score)):
        values = np.zeros((ROWS, COLS), np.uint8) if values is None else values
        write_cog(tmp_path / f"{name}.tif", [values], info, {}, "nearest")
    return Cells.of(tmp_path / "mask.tif", tmp_path / "score.tif", gated=gated)


@pytest.mark.parametrize("value", [1, 255])
def test_marks_and_holes_keep_their_distance(tmp_path, value):
    mask = np.zeros((ROWS, COLS), np.uint8)
    mask[300, 450] = value

    clear = cells(tmp_path, mask).clear(100, 0, 0)

    y, x = (np.argwhere(clear).T + 0.5) * CELL_PX
    distance = np.hypot(y - 300, x - 450)
    assert distance.min() >= 100
    assert distance.min() < 100 + 2 * CELL_PX
    assert clear.sum() < clear.size


def test_the_edges_keep_their_distance(tmp_path):
    clear = cells(tmp_path).clear(0, 0, 90)

    y, x = (np.argwhere(clear).T + 0.5) * CELL_PX
    assert y.min() >= 90
    assert x.min() >= 90
    assert (ROWS - y).min() >= 90
    assert (COLS - x).min() >= 90


def test_a_score_is_suspicion_only_of_a_method_with_a_gate(tmp_path):
    score = np.zeros((ROWS, COLS), np.uint8)
    score[300, 450] = 3
    score[600, 10] = 255  # no data

    gated, other = (cells(tmp_path, score=score, gated=gate) for gate in (True, False))

    assert gated.suspected.sum() == 1
    assert gated.suspected[300 // CELL_PX, 450 // CELL_PX]
    assert not other.suspected.any()


def test_places_lie_in_quiet_cells_and_far_apart():
    quiet = np.zeros((20, 30), bool)
    quiet[3:17, 4:26] = True

    places, apart_px = choose_places(np.random.default_rng(0), quiet, quiet, 10)

    assert len(places) == 10
    assert apart_px >= 96
    for place in places:
        assert quiet[int(place.y // CELL_PX), int(place.x // CELL_PX)]
        assert not place.suspected
    points = np.array([(place.x, place.y) for place in places])
    distance = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(10)
    assert distance.min() >= apart_px - 1.5 * CELL_PX  # places lie anywhere in their cells


def test_suspected_places_come_last():
    quiet, sound = np.zeros((20, 20), bool), np.ones((20, 20), bool)
    quiet[5, 5] = True

    places, _ = choose_places(np.random.default_rng(0), quiet, sound, 12)

    assert len(places) == 12
    assert [place.suspected for place in places] == [False] + 11 * [True]


def test_there_are_no_more_places_than_fit():
    quiet = np.zeros((20, 20), bool)
    quiet[4, 4] = quiet[4, 5] = quiet[15, 15] = True  # two of them less than a spacing apart

    places, _ = choose_places(np.random.default_rng(0), quiet, quiet, 12)

    assert len(places) == 2


def test_the_same_seed_finds_the_same_places():
    quiet = np.ones((20, 20), bool)

    one, same, other = (
        choose_places(np.random.default_rng(seed), quiet, quiet, 8)[0] for seed in (1, 1, 2)
    )

    assert one == same
    assert one != other
