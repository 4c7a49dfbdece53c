"""Folders of photographs: labels, photos, sources, and a split that keeps photos together."""

from collections import Counter

import cv2
import numpy as np
import pytest

from crackcli.datasets.folders import (
    LabelledImage,
    list_photographs,
    photo_of,
    sampling_weights,
    split,
)
from crackcli.errors import InputError
from crackcli.rasters.photograph import read_photograph


@pytest.fixture
def folder(tmp_path):
    """Two photos of four tiles each and eight single photos for each class."""
    image = np.full((40, 40, 3), 120, np.uint8)
    for label in ("crack", "no_crack"):
        (tmp_path / label).mkdir()
        for photo in ("wall_a", "wall_b"):
            for tile in range(4):
                cv2.imwrite(str(tmp_path / label / f"{photo}_{label}_x{tile}y0.png"), image)
        for single in range(8):
            cv2.imwrite(str(tmp_path / label / f"road_{label}{single}.png"), image)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        ("wall_17_x64y128.jpg", "wall_17"),
        ("wall_17_r2c3.png", "wall_17"),
        ("wall_17_tile4.png", "wall_17"),
        ("wall-3.jpg", "wall"),
        ("wall_17_r320c64_twin1.png", "wall_17"),
        ("wall_17_x64y128_cropc.jpg", "wall_17"),
        ("IMG_2041.jpg", "IMG_2041"),
    ],
)
def test_tile_suffixes_are_not_part_of_a_photo_name(tmp_path, name, photo):
    assert photo_of(tmp_path / name) == photo


def test_the_folder_gives_the_label_and_the_file_name_the_source(folder):
    found = list_photographs(folder)

    assert Counter((item.source, item.label) for item in found) == {
        ("wall", 0): 8,
        ("wall", 1): 8,
        ("road", 0): 8,
        ("road", 1): 8,
    }


def test_a_table_gives_photo_and_source(folder):
    rows = ["path,photo,source"]
    rows += [f"any/where/crack/{path.name},one,bridge" for path in (folder / "crack").iterdir()]
    (folder / "photographs.csv").write_text("\n".join(rows))

    found = [item for item in list_photographs(folder) if item.label == 1]

    assert {(item.photo, item.source) for item in found} == {("one", "bridge")}


TABLES = {
    "latin-1": "path,photo\ncrack/südwand.png,süd\n".encode("latin-1"),
    "huge": b"path,photo\ncrack/wall.png," + b"a" * 200_000 + b"\n",
    "utf-16": "path,photo\ncrack/wall.png,wall\n".encode("utf-16"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_that_is_no_plain_csv_is_an_input_error(folder, kind):
    (folder / "photographs.csv").write_bytes(TABLES[kind])

    with pytest.raises(
        InputError, match=r"photographs\.csv: cannot be read .*; save it as a CSV in"
    ):
        list_photographs(folder)


def test_a_table_of_a_spreadsheet_may_begin_with_a_mark_and_have_short_rows(folder):
    names = [path.name for path in (folder / "crack").iterdir()]
    rows = ["path,photo,source", *(f"crack/{name},one,bridge" for name in names), "crack"]
    (folder / "photographs.csv").write_text("\n".join([*rows, ",,"]), encoding="utf-8-sig")

    found = [item for item in list_photographs(folder) if item.label == 1]

    assert {(item.photo, item.source) for item in found} == {("one", "bridge")}


def test_a_photo_is_never_on_both_sides_of_the_split(folder):
    found = list_photographs(folder)

    for seed in range(5):
        training, held_out = split(found, fraction=0.3, seed=seed)

        assert len(training) + len(held_out) == len(found)
        assert not {item.photo for item in training} & {item.photo for item in held_out}
        assert {item.label for item in training} == {item.label for item in held_out} == {0, 1}


def test_half_of_the_draws_are_cracked_and_small_sources_weigh_by_their_root():
    found = [LabelledImage(None, 1, str(i), "large") for i in range(90)]
    found += [LabelledImage(None, 1, str(i), "small") for i in range(10)]
    found += [LabelledImage(None, 0, str(i), "large") for i in range(400)]

    weights = sampling_weights(found)

    assert sum(w for w, item in zip(weights, found, strict=True) if item.label == 1) == (
        pytest.approx(0.5)
    )
    small = sum(w for w, item in zip(weights, found, strict=True) if item.source == "small")
    assert small == pytest.approx(0.5 * 10**0.5 / (10**0.5 + 90**0.5))


def test_an_unreadable_photograph_is_skipped_with_a_warning(folder, caplog):
    (folder / "crack" / "broken.jpg").write_text("not a picture")
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = cv2.imencode(".jpg", image)[1].tobytes()
    (folder / "crack" / "half.jpg").write_bytes(whole[: len(whole) // 2])

    found = list_photographs(folder)

    assert len(found) == 32
    assert "broken.jpg: not a readable image" in caplog.text
    assert "half.jpg: not a readable image, or damaged" in caplog.text


def test_files_among_the_photographs_are_skipped_and_named(folder, caplog):
    caplog.set_level("INFO")
    before = list_photographs(folder)
    image = np.full((40, 40, 3), 120, np.uint8)
    for name in (
        "._wall.png",
        "@eaDir/wall.png/SYNOPHOTO_THUMB_XL.png",
        "wall_b_crack_x0y0_mask.png",
    ):
        (folder / "crack" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "crack" / name), image)
    (folder / "crack" / "notes.txt").touch()

    assert list_photographs(folder) == before
    for kind in (
        "hidden files: 1 (._wall.png)",
        "folders of the system: 1 (@eaDir)",
        "masks: 1 (wall_b_crack_x0y0_mask.png)",
        ".txt files: 1 (notes.txt)",
    ):
        assert f"{folder / 'crack'}: skipped: {kind}" in caplog.text


def test_a_photograph_of_16_bits_is_as_bright_as_in_a_scan(folder):
    """OpenCV alone divides by 256: 12 bits in 16 would be black."""
    path = folder / "crack" / "deep.png"
    deep = np.linspace(0, 4095, 64 * 64).reshape(64, 64).astype(np.uint16)
    cv2.imwrite(str(path), deep)

    assert read_photograph(path).max() == 255
    assert path in [item.path for item in list_photographs(folder)]


def test_a_missing_class_raises_an_error_with_a_remedy(tmp_path):
    (tmp_path / "crack").mkdir()

    with pytest.raises(InputError, match=": no subfolder 'no_crack'; put photographs"):
        list_photographs(tmp_path)


def test_a_class_needs_two_photographs(folder):
    for path in list((folder / "crack").iterdir())[1:]:
        path.unlink()

    with pytest.raises(InputError, match="crack: 1 readable photographs; training needs"):
        list_photographs(folder)


def test_a_class_from_one_photo_cannot_be_split(folder):
    for path in (folder / "crack").iterdir():
        if not path.name.startswith("wall_a"):
            path.unlink()

    with pytest.raises(InputError, match=r"name each patch's photo in a photographs\.csv"):
        split(list_photographs(folder), fraction=0.2, seed=0)
