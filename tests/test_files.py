"""Files are whole or not there."""

import os

import pytest

from crackcli.errors import InputError, OutputError
from crackcli.files import sha256, write_json, write_text, written_apart, written_aside

WAYS = [written_aside, written_apart]


@pytest.mark.parametrize("way", WAYS)
def test_a_file_appears_when_it_is_whole(tmp_path, way):
    path = tmp_path / "new" / "file.txt"

    with way(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
        assert aside.suffix == ".txt"

    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("way", WAYS)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, way):
    path = tmp_path / "file.txt"
    path.write_text("old")

    with pytest.raises(InputError, match="went away"), way(path) as aside:  # noqa: PT012
        aside.write_text("ha")
        raise InputError("the source went away")

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("way", WAYS)
def test_what_the_system_refuses_is_named_with_a_way_out(tmp_path, way):
    (tmp_path / "in_the_way").touch()

    with (
        pytest.raises(OutputError, match=r"file\.txt cannot be written .* choose another output"),
        way(tmp_path / "in_the_way" / "file.txt"),
    ):
        pass


def test_a_full_disk_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match=r"No space left on device\); free space"),
        written_aside(tmp_path / "file.txt"),
    ):
        raise OSError(28, "No space left on device")


def test_a_new_file_has_the_rights_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "text")
    finally:
        os.umask(before)

    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_json_keeps_letters_as_they_are(tmp_path):
    write_json(tmp_path / "facts.json", {"wall": "Südwand"})

    assert (tmp_path / "facts.json").read_text(encoding="utf-8") == '{\n  "wall": "Südwand"\n}\n'


def test_the_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "empty").touch()

    assert sha256(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")
