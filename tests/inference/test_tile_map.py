"""The tile map of a photograph holds the P(crack) of a scan, each at its place."""

import cv2
import numpy as np
import pytest
from fakes import DirectEngine, LocalEngine, wall

from crackcli.datasets.folders import photo_of, tile_name
from crackcli.inference.tile_map import TileProbabilities, tile_probabilities
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import inspect, read_windows
from crackcli.rasters.writing.images import write_png


def saved(image, path):
    cv2.imwrite(str(path), image[..., ::-1] if image.shape[2] == 3 else image)
    return inspect(path)


def test_each_position_has_the_probability_of_its_tile(tmp_path):
    image = wall(700, 300, cracks=2)  # more than one strip
    engine = LocalEngine()

    tiles = tile_probabilities(saved(image, tmp_path / "wall.png"), engine)

    for place in np.argwhere(tiles.usable)[::7]:
        window = tiles.window(tuple(place))
        tile = image[window.row : window.end_row, window.col : window.end_col]
        alone = engine.explain(tile[None], 0.5).probability
        assert tiles.probability[tuple(place)] == pytest.approx(alone.item(), abs=1e-6)
    assert tiles.usable.shape == (22, 10)
    assert tiles.positions == 20 * 8  # tiles of 64 px every 32 px within 700 x 300 px


def test_a_tile_has_the_probability_that_enough_pixels_of_a_cell_reach(tmp_path):
    image = wall(1100, 300, cracks=2)  # more than one strip
    engine = DirectEngine("window")

    tiles = tile_probabilities(saved(image, tmp_path / "wall.png"), engine)

    pixels = engine.maps(image[None])[0]
    for row, col in ((3, 3), (33, 7), (20, 2), (32, 5)):
        window = tiles.window((row, col))
        cells = [
            np.sort(pixels[r : r + 32, c : c + 32], axis=None)[-40]
            for r in range(window.row, window.end_row, 32)
            for c in range(window.col, window.end_col, 32)
        ]
        assert tiles.probability[row, col] == pytest.approx(max(cells), abs=2e-3)
    assert tiles.usable.shape == (35, 10)
    assert tiles.positions == 33 * 8
    assert tiles.cracked_from == 0.5
    assert tiles.blocks.shape == (138, 38)
    assert tiles.blocks[40, 9] == pytest.approx(pixels[320:328, 72:80].max(), abs=2e-3)


def test_a_tile_with_nodata_is_not_usable(tmp_path):
    image = np.dstack([wall(160, 160), np.full((160, 160), 255, np.uint8)])
    image[100:, 100:, 3] = 0

    tiles = tile_probabilities(saved(image, tmp_path / "wall.png"), LocalEngine())

    assert tiles.usable[1, 1]
    assert not tiles.usable[3:, 3:].any()
    assert tiles.usable[1:3, 1:5].all()


def test_a_photograph_smaller_than_a_tile_has_one_position(tmp_path):
    tiles = tile_probabilities(saved(wall(50, 60), tmp_path / "wall.png"), LocalEngine())

    ((row, col),) = np.argwhere(tiles.usable)
    window = tiles.window((row, col))
    assert window.row <= 0
    assert window.end_row >= 50
    assert window.end_col >= 60 - 32


def test_chosen_tiles_do_not_overlap():
    rng = np.random.default_rng(4)
    tiles = TileProbabilities(rng.random((30, 40), np.float32), np.ones((30, 40), bool), 256, 32)
    order = np.argsort(-tiles.probability.reshape(-1))

    first = tiles.apart(order, 5)
    rest = tiles.apart(order, 100, occupied=first)

    assert first[0] == divmod(int(order[0]), 40)
    chosen = np.array(first + rest)
    apart = np.abs(chosen[:, None] - chosen[None]).max(axis=2)
    assert (apart[~np.eye(len(chosen), dtype=bool)] >= 8).all()


def test_tiles_are_cut_as_they_are_and_named_by_their_photograph(tmp_path):
    image = wall(200, 300)
    info = saved(image, tmp_path / "wall.png")
    windows = [Window(100, 20, 64, 64), Window(8, 150, 64, 64)]

    parts = dict(read_windows(info, windows))
    path = tmp_path / tile_name("wall", windows[0], "_twin2")
    write_png(path, parts[windows[0]])

    assert list(parts) == windows[::-1]  # from top to bottom
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], image[100:164, 20:84])
    assert photo_of(path) == "wall"
