"""Tiles of a photograph: whole, small enough, and only where there is data."""

import cv2
import numpy as np
import pytest

from crackcli.rasters.reader import inspect
from crackcli.report.html import tiles
from crackcli.report.html.tiles import TILE_PX, halved, level_count, write_tiles


def scenery(rows, cols, seed=1):
    """A smooth picture (rows, cols, 3), which JPEG hardly changes."""
    coarse = np.random.default_rng(seed).integers(
        0, 255, (rows // 90 + 2, cols // 90 + 2, 3), dtype=np.uint8
    )
    return cv2.resize(coarse, (cols, rows), interpolation=cv2.INTER_CUBIC)


def stored(path, image):
    cv2.imwrite(str(path), image[..., ::-1])
    return inspect(path)


def assembled(folder, rows):
    """One level (rows, cols, 3) from its tiles; ``rows`` say which there are."""
    return np.vstack(
        [
            np.hstack(
                [
                    cv2.imread(str(folder / f"{col}_{row}.jpg"))[..., ::-1]
                    for col in range(len(line))
                ]
            )
            for row, line in enumerate(rows)
        ]
    )


@pytest.mark.parametrize(("rows", "cols"), [(700, 1101), (1537, 40), (512, 512), (1025, 1024)])
def test_the_tiles_of_the_last_level_are_the_photograph(tmp_path, rows, cols):
    image = scenery(rows, cols)

    pyramid = write_tiles(stored(tmp_path / "wall.png", image), tmp_path / "tiles", 1000)

    shown = assembled(tmp_path / "tiles" / str(len(pyramid.levels) - 1), pyramid.levels[-1])
    assert shown.shape == image.shape
    assert np.abs(shown.astype(int) - image).mean() < 2


def test_each_level_is_half_the_next_and_the_first_is_one_tile(tmp_path):
    image = scenery(1304, 2104)

    pyramid = write_tiles(stored(tmp_path / "wall.png", image), tmp_path / "tiles", 1000)
    levels = [
        assembled(tmp_path / "tiles" / str(number), rows)
        for number, rows in enumerate(pyramid.levels)
    ]

    assert [level.shape[:2] for level in levels] == [
        (163, 263),
        (326, 526),
        (652, 1052),
        (1304, 2104),
    ]
    small = cv2.resize(image, (263, 163), interpolation=cv2.INTER_AREA)
    assert np.abs(levels[0].astype(int) - small).mean() < 3


def test_levels_are_counted_as_openseadragon_does():
    assert [level_count(1, side) for side in (1, 512, 513, 1024, 1025, 100_000)] == [
        1,
        1,
        2,
        2,
        3,
        9,
    ]


def test_there_are_no_tiles_without_data(tmp_path):
    image = np.dstack([scenery(1100, 1100), np.full((1100, 1100), 255, np.uint8)])
    image[:TILE_PX, TILE_PX:, 3] = 0
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), image)

    pyramid = write_tiles(inspect(path), tmp_path / "tiles", 1000)

    assert pyramid.levels[-1] == ("100", "111", "111")
    names = {path.name for path in (tmp_path / "tiles" / "2").iterdir()}
    assert len(names) == 7
    assert names.isdisjoint({"1_0.jpg", "2_0.jpg"})


def test_nodata_is_light_in_tiles_that_have_data(tmp_path):
    image = np.dstack([scenery(300, 300), np.full((300, 300), 255, np.uint8)])
    image[:, 150:, 3] = 0
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), image)

    write_tiles(inspect(path), tmp_path / "tiles", 1000)

    shown = cv2.imread(str(tmp_path / "tiles" / "0" / "0_0.jpg"))
    assert np.abs(shown[:, 170:].astype(int) - tiles.PAPER).max() < 12


@pytest.mark.parametrize("quality", [20, 60, 95])
def test_tiles_take_at_most_one_and_a_half_times_the_photograph(tmp_path, monkeypatch, quality):
    monkeypatch.setattr(tiles, "LEAST_BYTES", 0)
    noise = np.random.default_rng(1).normal(0, 12, (1500, 1400, 3))
    image = np.clip(scenery(1500, 1400) + noise, 0, 255).astype(np.uint8)
    path = tmp_path / "wall.jpg"
    cv2.imwrite(str(path), image, (cv2.IMWRITE_JPEG_QUALITY, quality))

    pyramid = write_tiles(inspect(path), tmp_path / "tiles", 1000)

    size = sum(file.stat().st_size for file in (tmp_path / "tiles").rglob("*.jpg"))
    assert 0 < size <= 1.5 * path.stat().st_size
    assert any(pyramid.levels)


def test_a_photograph_whose_tiles_are_too_large_has_none(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tiles, "LEAST_BYTES", 0)
    monkeypatch.setattr(tiles, "ON_DISK", 1e-4)
    info = stored(tmp_path / "wall.png", scenery(700, 700))

    pyramid = write_tiles(info, tmp_path / "tiles", 1000)

    assert pyramid.levels == ()
    assert not (tmp_path / "tiles").exists()
    assert "shows no photograph" in caplog.text


def test_a_limit_of_megapixels_leaves_out_the_finest_levels(tmp_path):
    info = stored(tmp_path / "wall.png", scenery(1200, 1600))

    pyramid = write_tiles(info, tmp_path / "tiles", 0.5)

    assert pyramid.left_out == 1
    assert pyramid.levels == (("1",), ("11", "11"), ())
    assert sorted(path.name for path in (tmp_path / "tiles").iterdir()) == ["0", "1"]


def test_half_a_strip_has_means_and_keeps_single_valid_pixels():
    rgb = np.array([[0, 4, 9], [8, 12, 9], [20, 20, 40]], np.uint8)[..., None].repeat(3, axis=2)
    valid = np.zeros((3, 3), bool)
    valid[2, 2] = True

    half, some = halved(rgb, valid)

    assert half[..., 0].tolist() == [[6, 9], [20, 40]]
    assert some.tolist() == [[False, False], [False, True]]
