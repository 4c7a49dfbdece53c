"""Files are written whole or not at all."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from fakes import full_disk

from crackcli.errors import InputError, OutputError
from crackcli.files import (
    atomic_write,
    atomic_write_in_folder,
    claim_folder,
    lock_folder,
    remove_files,
    remove_folder,
    sha256,
    write_csv,
    write_json,
    write_text,
)
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.writing.cog import write_cog

LARGE = np.random.default_rng(1).integers(0, 255, (600, 700)).astype(np.uint8)  # 420 kB
WRITERS = [atomic_write, atomic_write_in_folder]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_appears_when_it_is_complete(tmp_path, writer):
    path = tmp_path / "new" / "file.txt"

    with writer(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
        assert aside.suffix == ".txt"

    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, writer):
    path = tmp_path / "file.txt"
    path.write_text("old")

    with pytest.raises(InputError, match="went away"), writer(path) as aside:  # noqa: PT012
        aside.write_text("ha")
        raise InputError("the source went away")

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_path_that_is_in_the_way_is_an_output_error(tmp_path, writer):
    (tmp_path / "in_the_way").touch()

    with (
        pytest.raises(OutputError, match=r"file\.txt: cannot be written .* choose another output"),
        writer(tmp_path / "in_the_way" / "file.txt"),
    ):
        pass


def test_a_full_disk_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match=r"No space left on device\); free space"),
        atomic_write(tmp_path / "file.txt"),
    ):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("at", [0, 3])
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path, at):
    path = tmp_path / "file.txt"
    path.write_text("old")

    with full_disk(at), pytest.raises(OutputError, match=r"file\.txt: cannot be written"):
        write_text(path, "longer than three")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_in_the_way_is_kept(tmp_path, writer):
    path = tmp_path / "file.txt"
    (path / "inside").mkdir(parents=True)

    with (
        pytest.raises(OutputError, match=r"Is a directory\); .* choose another output"),
        writer(path) as aside,
    ):
        aside.write_text("whole")

    assert list(tmp_path.iterdir()) == [path]
    assert (path / "inside").is_dir()


def test_the_folder_of_a_killed_run_is_removed_by_the_next(tmp_path):
    path = tmp_path / "file.tif"
    with atomic_write_in_folder(path) as aside:
        left = aside.parent
        aside.touch()
        shutil.copytree(left, tmp_path / "copy")
    (tmp_path / "copy").rename(left)
    (left / "half.tif").touch()

    with atomic_write_in_folder(path) as aside:
        aside.touch()
        assert aside.parent == left
        assert not (left / "half.tif").exists()

    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def info(tmp_path):
    """Return a `RasterInfo` of the size of LARGE, with a map."""
    place = Affine(0.002, 0.001, 500_000, 0.001, -0.002, 5_500_000)
    return RasterInfo(tmp_path / "wall.tif", 600, 700, place, None, 1, None, "")


def test_a_large_raster_is_tiled_and_has_an_overview(tmp_path, info):
    write_cog(tmp_path / "mask.tif", [LARGE], info, {}, "nearest")

    with rasterio.open(tmp_path / "mask.tif") as file:
        assert file.block_shapes == [(512, 512)]
        assert file.overviews(1) == [2]
        np.testing.assert_array_equal(file.read(1), LARGE)


@pytest.mark.parametrize("at", [0, 1_000, 200_000, 425_000, 515_000])
def test_a_full_disk_leaves_the_old_raster_and_nothing_else(tmp_path, info, at):
    path = tmp_path / "mask.tif"
    path.write_bytes(b"old")

    with (
        full_disk(at),
        pytest.raises(OutputError, match=r"mask\.tif: cannot be written .*; free space"),
    ):
        write_cog(path, [LARGE[:512], LARGE[512:]], info, {}, "nearest")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_deleted_meanwhile_is_an_output_error(tmp_path, info):
    path = tmp_path / "out" / "mask.tif"

    def strips():
        yield LARGE[:512]
        shutil.rmtree(path.parent)
        yield LARGE[512:]

    with pytest.raises(OutputError, match=r"mask\.tif: cannot be written"):
        write_cog(path, strips(), info, {}, "nearest")

    assert not path.parent.exists()


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "text")
    finally:
        os.umask(before)

    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_json_keeps_non_ascii_letters(tmp_path):
    write_json(tmp_path / "facts.json", {"wall": "Südwand"})

    assert (tmp_path / "facts.json").read_text(encoding="utf-8") == '{\n  "wall": "Südwand"\n}\n'


def test_csv_fields_are_empty_where_a_value_is_unknown(tmp_path):
    rows = [{"id": 1, "width_px": 0.25, "joint": True, "limits": ["blur", "noise"]}]
    rows.append({"id": None, "width_px": float("nan"), "joint": False})

    write_csv(tmp_path / "cracks.csv", rows[0], iter(rows))

    assert (tmp_path / "cracks.csv").read_bytes() == (
        b"id,width_px,joint,limits\n1,0.25,true,blur;noise\n,,false,\n"
    )


def test_csv_fields_are_quoted_where_they_must_be(tmp_path):
    write_csv(
        tmp_path / "scenes.csv", ["scene"], [{"scene": 'north, "wide"\nwall'}, {"scene": "ü"}]
    )

    assert (tmp_path / "scenes.csv").read_text(encoding="utf-8") == (
        'scene\n"north, ""wide""\nwall"\nü\n'
    )


def test_a_csv_key_without_a_column_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="width"):
        write_csv(tmp_path / "cracks.csv", ["id"], [{"id": 1, "width": 2}])

    assert list(tmp_path.iterdir()) == []


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "empty").touch()

    assert sha256(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch, writer):
    path, steps = tmp_path / "file.txt", []
    fsync, rename = os.fsync, Path.replace

    def note_fsync(file):
        steps.append(Path(f"/proc/self/fd/{file}").readlink().name)
        fsync(file)

    def note_rename(source, target):
        steps.append("rename")
        return rename(source, target)

    with writer(path) as aside:
        aside.write_text("whole")
        monkeypatch.setattr(os, "fsync", note_fsync)
        monkeypatch.setattr(Path, "replace", note_rename)

    assert steps == [aside.name, "rename", tmp_path.name]


def test_only_a_folder_with_our_note_is_removed(tmp_path):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    claim_folder(tmp_path / "ours", digest="0")
    for name in ("ours", "theirs"):
        (tmp_path / name / "below").mkdir()
        (tmp_path / name / "below" / "file").touch()
        remove_folder(tmp_path / name)

    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    assert (tmp_path / "theirs" / "below" / "file").exists()
    with pytest.raises(OutputError, match="theirs: was not made by crackcli; move it away"):
        claim_folder(tmp_path / "theirs")


def test_a_link_in_a_folder_of_ours_is_removed_and_its_target_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    claim_folder(tmp_path / "ours")
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "mine")

    remove_folder(tmp_path / "ours")

    assert not (tmp_path / "ours").exists()
    assert (tmp_path / "mine" / "file").exists()


def test_a_folder_that_was_being_claimed_can_be_claimed_again(tmp_path):
    (tmp_path / ".work.json.0a1b2c3d").touch()  # of a run that was killed before it renamed it

    claim_folder(tmp_path)
    remove_folder(tmp_path)

    assert not tmp_path.exists()


def test_a_lock_changes_nothing_in_its_file(tmp_path):
    (tmp_path / ".lock").write_text("my notes")

    with lock_folder(tmp_path):
        pass

    assert (tmp_path / ".lock").read_text() == "my notes"


IN_THE_WAY = {
    "link": lambda path: path.symlink_to("notes.txt"),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "folder": lambda path: path.mkdir(),
    "pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_only_a_regular_file_is_a_lock(tmp_path, kind):
    (tmp_path / "notes.txt").write_text("my notes")
    IN_THE_WAY[kind](tmp_path / ".lock")

    with (
        pytest.raises(OutputError, match=r"\.lock: is in the way of the lock file; remove it"),
        lock_folder(tmp_path),
    ):
        pass

    assert (tmp_path / "notes.txt").read_text() == "my notes"
    assert not (tmp_path / "nowhere").exists()


def test_only_the_named_files_and_what_killed_writes_left_of_them_are_removed(tmp_path):
    for name in ("best.safetensors", ".best.0f3a.safetensors", "state.pt", "notes.txt"):
        (tmp_path / name).write_text("x")

    remove_files(tmp_path, ("best.safetensors", "state.pt"))

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
