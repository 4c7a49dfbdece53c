"""Folders as people have them: photographs and masks paired by name, sound ones beside them."""

import cv2
import numpy as np
import pytest

from crackcli.datasets.pixel_labels import find_sets, some
from crackcli.errors import InputError


def write(path, value=0, shape=(40, 50)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros(shape, np.uint8)
    image[10:20, 10:20] = value
    cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path):
    """A set with two cracked photographs, one with an empty mask, one sound one."""
    for name in "abc":
        write(tmp_path / f"walls/images/{name}.jpg", 90)
        write(tmp_path / f"walls/masks/{name}.png", 0 if name == "c" else 255)
    write(tmp_path / "walls/no_crack/d.png", 90)
    return tmp_path


def names(items):
    return [item.photograph.name for item in items]


def test_a_set_has_cracked_photographs_and_sound_ones(folder):
    (walls,) = find_sets(folder / "walls")

    assert walls.name == "walls"
    assert names(walls.cracked) == ["a.jpg", "b.jpg"]
    assert names(walls.sound) == ["c.jpg", "d.png"]
    assert walls.cracked[0].values().sum() == 100 * 255
    assert not walls.sound[0].values().any()


def test_a_folder_of_sets_and_of_patches(folder):
    write(folder / "patches/crack/p.png", 90)
    write(folder / "patches/masks/p.png", 255)
    write(folder / "no_crack/e.jpg", 90)
    (folder / "notes").mkdir()

    patches, walls, sound = {each.name: each for each in find_sets(folder)}.items()

    assert (patches[0], names(patches[1].cracked)) == ("patches", ["p.png"])
    assert walls[0] == "walls" or sound[0] == "walls"
    assert {walls[0], sound[0]} == {"walls", "no_crack"}


def test_a_mask_of_0_and_1_says_the_same(folder):
    write(folder / "walls/masks/a.png", 1)

    (walls,) = find_sets(folder / "walls")

    assert np.unique(walls.cracked[0].values()).tolist() == [0, 255]


def test_a_photograph_without_a_mask_is_counted_and_left_out(folder, caplog):
    write(folder / "walls/images/z.jpg", 90)

    (walls,) = find_sets(folder / "walls")

    assert "z.jpg" not in names(walls.photographs)
    assert "1 photographs of 4 have no mask" in caplog.text


def test_a_limit_takes_so_many_of_each_folder(folder):
    (walls,) = find_sets(folder / "walls", limit=1)

    assert names(walls.photographs) == ["b.jpg", "d.png"]


@pytest.mark.parametrize(("limit", "expected"), [(1, [5]), (2, [2, 7]), (10, list(range(10)))])
def test_some_are_spread_evenly(limit, expected):
    assert some(range(10), limit) == expected


def test_what_does_not_fit_is_told_before_anything_is_evaluated(folder):
    write(folder / "walls/masks/b.png", 255, (20, 25))
    with pytest.raises(InputError, match=r"b.png is 25 x 20 px and its photograph 50 x 40"):
        find_sets(folder / "walls")
    (folder / "walls/masks/b.png").write_text("no image")
    with pytest.raises(InputError, match=r"b.png cannot be decoded"):
        find_sets(folder / "walls")
    write(folder / "walls/no_crack/tiny.png", 90, (20, 25))
    (folder / "walls/masks/b.png").unlink()
    with pytest.raises(InputError, match=r"tiny.png is 25 x 20 px; at least 32 px are needed"):
        find_sets(folder / "walls")
    with pytest.raises(InputError, match="holds no labelled photographs"):
        find_sets(folder / "walls/images")
    with pytest.raises(InputError, match="is not a folder"):
        find_sets(folder / "nothing")
