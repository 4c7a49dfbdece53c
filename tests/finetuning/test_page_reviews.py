"""Reviews of the page of a report: verdicts by crack, of this report only."""

import json

import numpy as np
import pytest
from reviewed import review, wave
from walls import write_scene

pytest.importorskip("torch")

from crackcli.errors import InputError
from crackcli.finetuning.reviews import read_reviews
from crackcli.report.record import read_record
from crackcli.report.verdicts import ACCEPTED, REJECTED, UNREVIEWED
from crackcli.report.write import ReportTask, write_report


@pytest.fixture
def out(tmp_path):
    """A report on four wavy lines."""
    mask = np.zeros((400, 400), np.uint8)
    for row in (40, 140, 240, 340):
        wave(mask, row, range(50, 350), 4, 1)
    write_scene(tmp_path / "out" / "wall", mask)
    write_report(ReportTask(tmp_path / "out"))
    return tmp_path / "out"


def saved(out, cracks, **facts):
    """A review.json beside the output folder."""
    path = out.parent / "review.json"
    known = {"crackcli_review": 1, "report_id": read_record(out).facts["report_id"]}
    path.write_text(json.dumps({**known, "cracks": cracks, **facts}), encoding="utf-8")
    return path


def verdicts(path, out):
    return [row["review"] for row in read_reviews(path, out)["wall"]]


def test_the_verdicts_of_a_page_are_those_of_the_cracks(out):
    words = {"wall-0001": "accepted", "wall-0002": "rejected", "wall-0003": "joint"}
    cracks = {name: {"scene_id": "wall", "review": word} for name, word in words.items()}
    path = saved(out, cracks | {"wall-0004": {"scene_id": "wall", "note": "look again"}})

    assert verdicts(path, out) == [ACCEPTED, REJECTED, REJECTED, UNREVIEWED]


def test_a_page_has_the_last_word(out):
    review(out / "cracks.gpkg", {"wall-0001": "accepted", "wall-0002": "accepted"})
    path = saved(out, {"wall-0001": {"review": "rejected"}})

    assert verdicts(path, out) == [REJECTED, ACCEPTED, UNREVIEWED, UNREVIEWED]


def test_a_review_of_another_report_is_refused(out):
    path = saved(out, {"wall-0001": {"review": "rejected"}})
    write_report(ReportTask(out, min_length_px=10))

    with pytest.raises(InputError, match="another report"):
        read_reviews(path, out)


@pytest.mark.parametrize(
    ("cracks", "message"),
    [
        ({"wall-0001": {"review": "perhaps"}}, "unknown words as review: perhaps"),
        ({"wall-0001": {"review": ["accepted"]}}, "is no review"),
        ({"wall-0001": "accepted"}, "is no review"),
        (["wall-0001"], "is no review"),
        ({}, "was reviewed"),
    ],
)
def test_what_is_no_review_is_refused(out, cracks, message):
    with pytest.raises(InputError, match=message):
        read_reviews(saved(out, cracks), out)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cracks": {}}', '"review"'])
def test_a_damaged_file_is_refused(out, text):
    path = out.parent / "review.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match="is no review"):
        read_reviews(path, out)


def test_a_missing_file_is_refused(out):
    with pytest.raises(InputError, match="is no review"):
        read_reviews(out.parent / "review.json", out)
