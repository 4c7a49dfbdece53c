"""The last lines of a scan count every input: scanned, unchanged, skipped or failed, and why."""

import json
from pathlib import Path

import cv2
import pytest
from command import crackcli
from fakes import wall

from crackcli.rasters.access.folders import Skipped
from crackcli.scan.final_table import lines
from crackcli.scan.inputs import Failure
from crackcli.texts import reason_of


def failure(message, name="in/a.jpg"):
    return Failure(Path(name), message.format(name), 4)


def test_states_kinds_and_reasons_are_counted():
    skipped = [Skipped(".txt files", 12, ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"))]
    failures = [
        failure("{}: not a readable image, or damaged (one way); export it again", "in/1.jpg"),
        failure(
            "{}: is too small (10 x 20 px); give an image with sides of at least 32 px", "in/2.jpg"
        ),
        failure("{}: not a readable image, or damaged (another); export it again", "in/3.jpg"),
    ]

    assert list(lines(["done", "unchanged", "done"], skipped, failures)) == [
        "done        2",
        "unchanged   1",
        "skipped    12  .txt files: a.txt, b.txt, c.txt, ...",
        "failed      2  not a readable image, or damaged: 1.jpg, 3.jpg",
        "failed      1  is too small: 2.jpg",
    ]
    assert list(lines([], [], [])) == []


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("{}: does not exist; check the name", "does not exist"),
        ("out/a: was scanned with other options (--zoom 1); add", "was scanned with other options"),
        ("{}: declares 9 megapixels in 2 bytes; cut", "declares N megapixels in N bytes"),
        ("{}: could not be scanned (unexpected E: 1); x", "could not be scanned"),
        ("no prefix at all", "no prefix at all"),
    ],
)
def test_the_reason_is_the_same_for_all_inputs_of_a_kind(message, why):
    one = failure(message)

    assert reason_of(one.message, one.source) == why


def test_many_reasons_are_summed_up():
    failures = [failure(f"{{}}: reason {'abcdefghijklmno'[n]}; x") for n in range(15)]

    *_, last = lines([], [], failures)

    assert last == "failed  3  for other reasons"


def test_the_command_prints_the_table_and_writes_it_to_run_json(tmp_path):
    (tmp_path / "in/@eaDir").mkdir(parents=True)
    (tmp_path / "in/day").mkdir()
    cv2.imwrite(str(tmp_path / "in/wall.png"), wall(96, 130))
    cv2.imwrite(str(tmp_path / "in/day/wall.png"), wall(96, 130, 1))
    (tmp_path / "in/._wall.png").touch()
    (tmp_path / "in/notes.txt").touch()
    (tmp_path / "in/day/bad.tif").write_text("no image")
    asked = ("scan", tmp_path / "in", "-o", tmp_path / "out", "--method", "raw")

    text, data = crackcli(*asked), crackcli(*asked, "--json", "-q")
    alone = crackcli(*asked, "--no-recurse")

    assert text.stderr.splitlines()[-5:] == [
        "done     2",
        "skipped  1  .txt files: notes.txt",
        "skipped  1  folders of the system: @eaDir",
        "skipped  1  hidden files: ._wall.png",
        "failed   1  not a readable image, or damaged: bad.tif",
    ]
    assert (text.returncode, data.returncode, alone.returncode) == (3, 3, 0)
    assert len(data.stderr.splitlines()) == 1  # the error
    run = json.loads((tmp_path / "out/run.json").read_text())
    skipped = json.loads(data.stdout)["skipped"]
    assert skipped[0] == {"kind": ".txt files", "count": 1, "first": ["notes.txt"]}
    assert [one["kind"] for one in run["skipped"]] == [
        *(".txt files", "folders of the system", "hidden files", "subfolders"),
    ]
    assert "unchanged  1" in alone.stderr.splitlines()
