"""Tracks through several campaigns: ids that stay, parents where cracks merge or split."""

from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from walls import crackcli, polyline, write_scene

from crackcli.comparison import CompareTask, write_comparison
from crackcli.comparison.change import Change, Totals
from crackcli.comparison.lineage import Track, find_tracks
from crackcli.errors import UsageError
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows

SHAPE = (120, 200)


def campaign(**lengths):
    """A campaign of one scene with cracks of these lengths."""
    ids = np.array(list(lengths), dtype=object)
    columns = {"length_px": np.array(list(lengths.values()), float)}
    return SimpleNamespace(scene=SimpleNamespace(name="wall"), ids=ids, columns=columns)


def change(name, before, after, length=10.0):
    size = Totals(length=length)
    return Change(
        name,
        "stable",
        "one",
        "",
        tuple(before),
        tuple(after),
        size,
        size,
        comparable=True,
        matched_share=1.0,
        geometry=shapely.MultiLineString(),
    )


def tracks(*steps):
    return find_tracks([[(before, after, changes)] for before, after, changes in steps])


FIRST = campaign(a=50, b=80, c=20)
SECOND = campaign(p=140, q=20)
THIRD = campaign(x=90, y=45, z=20)
MERGED = [change("1", "ab", "p", 140), change("2", "c", "q", 20)]
SPLIT = [change("3", "p", "x", 90), change("4", "p", "y", 45), change("5", "q", "z", 20)]


def test_a_crack_keeps_its_track_and_merging_ones_are_parents():
    found = tracks((FIRST, SECOND, MERGED), (SECOND, THIRD, SPLIT))

    assert found["1"].id == found["3"].id  # the longest piece goes on
    assert found["4"] == Track("p", (found["1"].id,))
    assert found["2"] == found["5"] == Track("c")


def test_later_campaigns_change_no_earlier_track():
    two = tracks((FIRST, SECOND, MERGED))
    three = tracks((FIRST, SECOND, MERGED), (SECOND, THIRD, SPLIT))

    assert {name: three[name] for name in two} == two


def test_where_two_tracks_merge_that_of_the_longest_goes_on():
    apart = [change("1", "a", "p", 50), change("2", "b", "q", 80)]
    second = campaign(p=50, q=80)
    found = tracks((FIRST, second, apart), (second, THIRD, [change("3", "pq", "x", 130)]))

    assert found["3"] == Track("b", ("a",))


def test_equal_ids_of_different_campaigns_are_different_tracks():
    found = tracks(
        (FIRST, SECOND, [change("1", "a", "")]),
        (SECOND, FIRST, [change("2", "", "a")]),
    )

    assert [found["1"].id, found["2"].id] == ["a", "a.2"]


@pytest.fixture
def surveys(tmp_path):
    """Three surveys of a wall: one crack grows twice, one comes in the second."""
    folders = []
    for year, end, second in ((2020, 80, False), (2022, 120, True), (2024, 170, True)):
        mask = polyline(SHAPE, [(20.0, 30.0), (float(end), 30.0)], 3)
        if second:
            mask |= polyline(SHAPE, [(20.0, 90.0), (160.0, 95.0)], 3)
        folders.append(tmp_path / str(year))
        write_scene(folders[-1] / "wall", mask)
        write_report(ReportTask(folders[-1], joint_likelihood=1))
    return folders


def test_three_campaigns_are_compared_one_with_the_next(surveys, tmp_path):
    done = crackcli("compare", *surveys, "-o", tmp_path / "changes")

    rows = read_rows(tmp_path / "changes" / "changes.csv")
    assert done.returncode == 0, done.stderr
    assert [(row["change_id"], row["kind"]) for row in rows] == [
        ("wall-c0001", "grown"),
        ("wall-c0002", "new"),
        ("wall-c0001-2", "grown"),
        ("wall-c0002-2", "stable"),
    ]
    assert rows[0]["track_id"] == rows[2]["track_id"] == rows[0]["ids_before"]
    assert (
        rows[1]["track_id"]
        == rows[3]["track_id"]
        == rows[1]["ids_after"] + ".2" * (rows[1]["ids_after"] == rows[0]["track_id"])
    )
    assert [row["campaign_after"] for row in rows[1:3]] == [str(surveys[1]), str(surveys[2])]
    assert rows[2]["date_before"] == "2022-07-01"


def test_rows_of_two_campaigns_stay_when_a_third_comes(surveys, tmp_path):
    write_comparison(CompareTask(*surveys[:2], tmp_path / "two"))
    task = CompareTask(*surveys[:2], tmp_path / "three", later=(surveys[2],))
    write_comparison(task)

    two, three = (read_rows(tmp_path / name / "changes.csv") for name in ("two", "three"))
    assert three[: len(two)] == two


def test_a_file_of_pairs_is_for_two_campaigns(surveys, tmp_path):
    task = CompareTask(*surveys[:2], tmp_path, later=(surveys[2],), pairs=tmp_path / "pairs.csv")

    with pytest.raises(UsageError, match="is for two campaigns; give the scenes of more the same"):
        write_comparison(task)
