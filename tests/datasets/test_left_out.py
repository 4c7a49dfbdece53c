"""Photographs that cannot be read are left out of training and evaluation, named and counted."""

import os

import cv2
import numpy as np
import pytest
import tifffile

from crackcli.datasets.folders import list_photographs
from crackcli.datasets.pixel_labels import find_sets
from crackcli.errors import InputError
from crackcli.rasters.photograph import read_photograph
from crackcli.texts import reason_of

RNG = np.random.default_rng(2)
WALL = RNG.integers(0, 256, (64, 80, 3), np.uint8)


def write_odd(folder):
    """Write eight photographs: three good, of 8, 12 and 16 bits, and five bad ones."""
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "good.png"), WALL)
    cv2.imwrite(str(folder / "twelve.png"), WALL.astype(np.uint16) * 16)
    cv2.imwrite(str(folder / "sixteen.tif"), WALL.astype(np.uint16) * 257)
    tifffile.imwrite(folder / "float.tif", WALL[..., 0].astype(np.float32))
    with tifffile.TiffWriter(folder / "pages.tif") as file:
        file.write(WALL, photometric="rgb")
        file.write(WALL, photometric="rgb")
    cv2.imwrite(str(folder / "thumbnail.jpg"), WALL[:20, :25])
    cv2.imwrite(str(folder / "truncated.jpg"), WALL)
    (folder / "truncated.jpg").write_bytes((folder / "truncated.jpg").read_bytes()[:3000])
    os.mkfifo(folder / "pipe.png")
    return ["good.png", "sixteen.tif", "twelve.png"]


REASONS = (
    "has N full-size pages, and one photograph is needed (pages.tif)",
    "is a pipe (pipe.png)",
    "may hold elevations or other measurements (float.tif)",
    "is too small (thumbnail.jpg)",
    "not a readable image, or damaged (truncated.jpg)",
)


def test_training_leaves_out_bad_photographs(tmp_path, caplog):
    good = write_odd(tmp_path / "crack")
    for number in range(2):
        (tmp_path / "no_crack").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"no_crack/sound_{number}.png"), WALL)

    found = list_photographs(tmp_path)

    assert [item.path.name for item in found if item.label == 1] == good
    for reason in REASONS:
        assert f"crack: 1 of 8 photographs left out: {reason}" in caplog.text
    dark = read_photograph(tmp_path / "crack/twelve.png")
    assert np.abs(dark.astype(int) - WALL[..., ::-1]).max() <= 3  # not black, as 12 of 16 bits


def test_evaluation_leaves_out_bad_photographs(tmp_path, caplog):
    good = write_odd(tmp_path / "walls/images")
    write_odd(tmp_path / "walls/no_crack")
    (tmp_path / "walls/masks").mkdir()
    for path in (tmp_path / "walls/images").iterdir():
        cv2.imwrite(str(tmp_path / f"walls/masks/{path.stem}.png"), np.eye(64, 80) * 255)

    (walls,) = find_sets(tmp_path / "walls")

    assert [item.photograph.name for item in walls.cracked] == good
    assert [item.photograph.name for item in walls.crack_free] == good
    assert {len(names) for names in walls.left_out.names.values()} == {2}
    assert sorted(walls.left_out.names) == sorted(reason.partition(" (")[0] for reason in REASONS)
    for reason in REASONS:
        assert caplog.text.count(f"of 8 photographs left out: {reason}") == 2


def test_a_set_without_a_readable_photograph_is_refused(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_text("no image")

    with pytest.raises(InputError, match="none of its photographs can be read"):
        find_sets(tmp_path)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("a/b.png: is too small (25 x 20 px); give an image", "is too small"),
        ("a/b.png: damaged (row 7); export it again", "damaged"),
        (
            "a/b.png is not the photograph that was scanned; scan",
            "is not the photograph that was scanned",
        ),
        ("elsewhere", "elsewhere"),
    ],
)
def test_the_reason_is_the_same_for_all_files(message, reason):
    assert reason_of(message, "a/b.png") == reason
