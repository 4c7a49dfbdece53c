"""Dates of campaigns: where they come from, and when a rate per year may be no trend."""

from datetime import date

import pytest
from affine import Affine

from crackcli.comparison.dates import Interval, SurveyDate, date_of, interval_of, parse_dates
from crackcli.errors import UsageError
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scene import Scene


def scene(folder, acquired_utc=None):
    record = SceneRecord({"photograph": {"acquired_utc": acquired_utc}})
    return Scene(folder, 10, 10, Affine.identity(), None, record)


@pytest.mark.parametrize(
    ("text", "day", "spread"),
    [
        ("pier 3, 2024-05-02", date(2024, 5, 2), 0),
        ("IMG_20240502_101112", date(2024, 5, 2), 0),
        ("2024.11", date(2024, 11, 15), 15),
        ("survey_2023", date(2023, 7, 1), 183),
    ],
)
def test_dates_are_found_in_names(text, day, spread):
    assert SurveyDate.parse(text) == SurveyDate(day, spread)


@pytest.mark.parametrize("text", ["wall", "IMG_4711", "120245", "2024-02-31"])
def test_other_numbers_are_no_dates(text):
    assert SurveyDate.parse(text) is None


def test_exif_precedes_a_day_in_the_name_of_the_scene_and_this_the_folder(tmp_path):
    folder = tmp_path / "2023-01" / "out"
    january = SurveyDate(date(2023, 1, 15), 15)

    assert date_of(scene(folder / "wall", "2022-03-04T10:00:00Z")) == SurveyDate(date(2022, 3, 4))
    assert date_of(scene(folder / "2021-06-07")) == SurveyDate(date(2021, 6, 7))
    assert date_of(scene(folder / "wall")) == january
    assert date_of(scene(folder / "IMG_2019")) == january


@pytest.mark.parametrize(
    ("before", "after", "warning"),
    [
        ("2023-05-01", "2024-05-10", ""),
        ("2023-05-01", "2025-06-20", ""),
        ("2023-05-01", "2024-01-01", "under 12 months"),
        ("2023-01-15", "2024-07-15", "across seasons"),
        ("2021", "2024", "season unknown"),
    ],
)
def test_a_rate_warns_of_short_intervals_and_other_seasons(before, after, warning):
    interval = Interval(SurveyDate.parse(before), SurveyDate.parse(after))

    assert interval.warning == warning


def test_a_rate_is_the_change_over_the_years():
    interval = Interval(SurveyDate(date(2020, 1, 1)), SurveyDate(date(2024, 1, 1)))

    assert interval.per_year(0.8) == pytest.approx(0.2, abs=1e-3)


def test_campaigns_in_the_wrong_order_have_no_rate(tmp_path):
    later, earlier = scene(tmp_path, "2024-01-01"), scene(tmp_path, "2022-01-01")

    assert interval_of(later, earlier) is None
    assert interval_of(earlier, later).days == 730


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["2024-01-01"], "1 dates for 2 campaigns; give one for each"),
        (["2024-01-01", "next spring"], "next spring: no date; write it as 2024-05-01"),
        (["2024-01-01", "2023-01-01"], "not in order of time; give the earliest first"),
    ],
)
def test_wrong_dates_are_errors_that_say_what_to_give(texts, message):
    with pytest.raises(UsageError, match=message):
        parse_dates(texts, 2)
