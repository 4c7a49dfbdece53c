"""Dates of campaigns, and the interval between two of them.

A date comes from the option ``--dates``, else from the EXIF data of the photograph, else from a day
in the name of the scene, else from the names of the folders that contain it: 2024-05-01, 20240501,
2024-05 or 2024.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from crackcli.errors import UsageError
from crackcli.scenes.scene import Scene

YEAR_DAYS = 365.25
MIN_TREND_DAYS = 360  # BRE Digest 343: a trend needs readings over a year or more
SEASON_DAYS = 61  # between the days of the year of two photographs of one season
NAMED = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)"
    r"(?:[-_. ]?(?P<month>0[1-9]|1[0-2])(?:[-_. ]?(?P<day>0[1-9]|[12]\d|3[01]))?)?(?!\d)"
)


@dataclass(frozen=True)
class SurveyDate:
    """The day of a campaign, known to ``spread_days`` on either side."""

    day: date
    spread_days: int = 0

    @classmethod
    def parse(cls, text: str) -> "SurveyDate | None":
        """Return the first date in a text; the middle of a month or year without a day."""
        for found in NAMED.finditer(text):
            year, month, day = (int(part) if part else None for part in found.groups())
            assert year is not None
            try:
                if month is None:
                    return cls(date(year, 7, 1), 183)
                return cls(date(year, month, day or 15), 0 if day else 15)
            except ValueError:  # as 2024-02-31
                continue
        return None


@dataclass(frozen=True)
class Interval:
    """Time between two campaigns; ``warning`` is why a rate over it may mislead, else empty."""

    before: SurveyDate
    after: SurveyDate

    @property
    def days(self) -> int:
        """Days from the earlier to the later one."""
        return (self.after.day - self.before.day).days

    @property
    def warning(self) -> str:
        """Why a rate over this interval may be no trend; empty if nothing is against it."""
        if self.days < MIN_TREND_DAYS:
            return "under 12 months"
        if max(self.before.spread_days, self.after.spread_days) > SEASON_DAYS:
            return "season unknown"
        apart = self.days % YEAR_DAYS
        return "across seasons" if min(apart, YEAR_DAYS - apart) > SEASON_DAYS else ""

    def per_year(self, change: float) -> float | None:
        """Return a change per year; None if the interval is not positive."""
        return change * YEAR_DAYS / self.days if self.days > 0 else None


def parse_dates(texts: list[str], campaigns: int) -> list[SurveyDate]:
    """Return the dates of the option ``--dates``, one for each campaign, in order of time."""
    if not texts:
        return []
    if len(texts) != campaigns:
        raise UsageError(
            f"--dates {','.join(texts)}: {len(texts)} dates for {campaigns} campaigns; give one "
            "for each, separated by commas"
        )
    found = []
    for text in texts:
        parsed = SurveyDate.parse(text) if NAMED.fullmatch(text.strip()) else None
        if parsed is None:
            raise UsageError(f"--dates {text}: no date; write it as 2024-05-01, 2024-05 or 2024")
        found.append(parsed)
    if any(later.day <= earlier.day for earlier, later in pairwise(found)):
        raise UsageError(
            f"--dates {','.join(texts)}: not in order of time; give the earliest first"
        )
    return found


def date_of(scene: Scene) -> SurveyDate | None:
    """Return the date of a scene by EXIF, the name of its campaign's folder, or its own."""
    taken = scene.record.acquired_utc
    if taken:
        try:
            return SurveyDate(date.fromisoformat(taken[:10]))
        except ValueError:
            pass
    *folders, name = scene.folder.resolve().parts[-3:]  # .../2024/out/wall
    own = SurveyDate.parse(name)
    if own is not None and own.spread_days == 0:  # else it may be a camera's number, IMG_2023
        return own
    return next((found for part in folders[::-1] if (found := SurveyDate.parse(part))), None)


def interval_of(before: Scene, after: Scene, given: Sequence[SurveyDate] = ()) -> Interval | None:
    """Return the interval between two scenes; None if a date is unknown, or if they are not in
    order of time."""
    first, last = given or (date_of(before), date_of(after))
    if first is None or last is None:
        return None
    interval = Interval(first, last)
    return interval if interval.days > 0 else None
