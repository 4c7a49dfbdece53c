"""Folders of photographs and masks: paired by name, crack-free photographs beside them."""

import cv2
import numpy as np
import pytest

from crackcli.datasets.mask_values import MaskValues, parse_values
from crackcli.datasets.pixel_labels import evenly_spaced, find_sets
from crackcli.errors import InputError


def write(path, value=0, shape=(40, 50)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros(shape, np.uint8)
    image[10:20, 10:20] = value
    cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path):
    """A set with two cracked photographs, one with an empty mask, one without a mask."""
    for name in "abc":
        write(tmp_path / f"walls/images/{name}.jpg", 90)
        write(tmp_path / f"walls/masks/{name}.png", 0 if name == "c" else 255)
    write(tmp_path / "walls/no_crack/d.png", 90)
    return tmp_path


def names(items):
    return [item.photograph.name for item in items]


def test_a_set_has_cracked_and_crack_free_photographs(folder):
    (walls,) = find_sets(folder / "walls")

    assert walls.name == "walls"
    assert names(walls.cracked) == ["a.jpg", "b.jpg"]
    assert names(walls.crack_free) == ["c.jpg", "d.png"]
    assert walls.cracked[0].label_values().sum() == 100 * 255
    assert not walls.crack_free[0].label_values().any()


def test_a_folder_of_sets_and_of_patches(folder):
    write(folder / "patches/crack/p.png", 90)
    write(folder / "patches/masks/p.png", 255)
    write(folder / "no_crack/e.jpg", 90)
    (folder / "notes").mkdir()

    patches, walls, crack_free = {each.name: each for each in find_sets(folder)}.items()

    assert (patches[0], names(patches[1].cracked)) == ("patches", ["p.png"])
    assert walls[0] == "walls" or crack_free[0] == "walls"
    assert {walls[0], crack_free[0]} == {"walls", "no_crack"}


def test_a_mask_of_0_and_1_is_read_as_0_and_255(folder):
    write(folder / "walls/masks/a.png", 1)

    (walls,) = find_sets(folder / "walls")

    assert np.unique(walls.cracked[0].label_values()).tolist() == [0, 255]


def test_a_photograph_without_a_mask_is_skipped_with_a_warning(folder, caplog):
    write(folder / "walls/images/z.jpg", 90)

    (walls,) = find_sets(folder / "walls")

    assert "z.jpg" not in names(walls.photographs)
    assert "walls: 1 of 4 photographs skipped; no mask" in caplog.text


def test_files_of_storage_boxes_are_no_photographs(folder, caplog):
    caplog.set_level("INFO")
    for name in ("images", "masks", "no_crack"):
        (folder / "walls" / name / "._a.jpg").write_bytes(b"\0\5\x16\7")
        write(folder / "walls" / name / "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", 90)

    (walls,) = find_sets(folder / "walls")

    assert names(walls.photographs) == ["a.jpg", "b.jpg", "c.jpg", "d.png"]
    assert "images: skipped: hidden files: 1 (._a.jpg)" in caplog.text


def test_the_limit_counts_photographs_of_each_folder(folder):
    (walls,) = find_sets(folder / "walls", limit=1)

    assert names(walls.photographs) == ["b.jpg", "d.png"]


@pytest.mark.parametrize(("limit", "expected"), [(1, [5]), (2, [2, 7]), (10, list(range(10)))])
def test_items_are_evenly_spaced(limit, expected):
    assert evenly_spaced(range(10), limit) == expected


def test_bad_files_raise_errors_when_the_sets_are_found(folder):
    write(folder / "walls/masks/b.png", 255, (20, 25))
    with pytest.raises(InputError, match=r"b.png: 25 x 20 px, but its photograph has 50 x 40 px"):
        find_sets(folder / "walls")
    (folder / "walls/masks/b.png").write_text("no image")
    with pytest.raises(
        InputError, match=r"b.png: not a readable image, .*; remove it or save it again"
    ):
        find_sets(folder / "walls")
    with pytest.raises(InputError, match=": no labelled photographs"):
        find_sets(folder / "walls/images")
    with pytest.raises(InputError, match=": not a folder"):
        find_sets(folder / "nothing")


def test_a_folder_without_images_or_masks_is_named(folder):
    for path in (folder / "walls/masks").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"walls/masks: no image; put photographs into images/"):
        find_sets(folder / "walls")
    write(folder / "walls/masks/a.png", 255)
    for path in (folder / "walls/images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"walls/images: no image; put photographs into images/"):
        find_sets(folder / "walls")


def test_inverted_masks_raise_an_error_and_can_be_read(folder, caplog):
    for path in (folder / "walls/masks").iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))

    with pytest.raises(InputError, match=r"masks: 97% of the pixels .* --mask-crack 0 if black"):
        find_sets(folder / "walls")
    (walls,) = find_sets(
        folder / "walls", mask_values=MaskValues(parse_values("--mask-crack", "0"))
    )

    assert [item.label_values().sum() for item in walls.cracked] == [100 * 255] * 2
    assert names(walls.crack_free) == ["c.jpg", "d.png"]


def test_one_mask_that_is_mostly_crack_is_warned_of(folder, caplog):
    mask = np.full((40, 50), 255, np.uint8)
    mask[:4] = 0
    cv2.imwrite(str(folder / "walls/masks/a.png"), mask)

    find_sets(folder / "walls")

    assert "crack covers more than half of 1 of 3 masks, such as a; see that none" in caplog.text
