"""Changes: the cracks of two campaigns matched, each new, grown, stable or gone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from crackcli.comparison.campaign import (
    Campaign,
)
from crackcli.comparison.matching import Match, match

JOINT_GROWN_SHARE = 0.25  # of what its length or mean width was: a joint that grew by more did grow
QUANTITIES = ("length", "width_mean", "width_max", "area")


@dataclass(frozen=True)
class CompareTask:
    """Two output folders with a report each, and where the result goes.

    A crack has grown if its length grew by more than ``grown_length_px``, or its mean or its
    largest width by more than ``grown_width_px``.
    """

    before: Path
    after: Path
    output: Path
    tolerance_px: float = 5.0
    grown_length_px: float = 10.0
    grown_width_px: float = 0.5


@dataclass(frozen=True)
class Totals:
    """What one campaign shows of a change; 0 where it shows nothing.

    Lengths and areas are summed over cracks; ``width_mean`` is weighted with length.
    """

    length: float = 0.0
    width_mean: float = 0.0
    width_max: float = 0.0
    area: float = 0.0


@dataclass(frozen=True, eq=False)
class Change:
    """A crack, or several that belong together, in two campaigns; in pixels.

    ``kind``           new, grown, stable or gone
    ``same_way``       whether all widths of both campaigns were measured in one way
    ``matched_share``  of all samples of both campaigns: how many have a partner
    ``geometry``       centreline of the later campaign, of the earlier one for what is gone
    """

    id: str
    kind: str
    ids_before: tuple[str, ...]
    ids_after: tuple[str, ...]
    before: Totals
    after: Totals
    same_way: bool
    matched_share: float
    geometry: shapely.MultiLineString


def compare(
    before: Campaign, after: Campaign, task: CompareTask
) -> tuple[list[Change], list[Change]]:
    """The changes between two campaigns of one scene, first what was there, by id, then new; and
    apart from them what both take for joints."""
    changes: list[Change] = []
    joints: list[Change] = []
    for found in match(before.lines, after.lines, task.tolerance_px):
        was, now = measure(before, found.before), measure(after, found.after)
        same_way = measured_in_one_way(before, after, found)
        kind = kind_of(found, was, now, task, same_way=same_way)
        joint = mostly_joints(before, found.before) and mostly_joints(after, found.after)
        joint &= not (kind == "grown" and grown_by_much(was, now, same_way=same_way))
        own, letter = (joints, "j") if joint else (changes, "c")
        lines = after.lines[found.after] if found.after else before.lines[found.before]
        own.append(
            Change(
                id=f"{after.scene.name}-{letter}{len(own) + 1:04d}",
                kind=kind,
                ids_before=tuple(before.ids[found.before]),
                ids_after=tuple(after.ids[found.after]),
                before=was,
                after=now,
                same_way=same_way,
                matched_share=found.share,
                geometry=shapely.multilinestrings(shapely.get_parts(lines)),
            )
        )
    return changes, joints


def mostly_joints(campaign: Campaign, lines: list[int]) -> bool:
    """Whether joints hold most of the length of these lines; so they do of none."""
    if not lines:
        return True
    length = campaign.columns["length_px"][lines].astype(float)
    return float(length[campaign.joint[lines]].sum()) > length.sum() / 2


def measured_in_one_way(before: Campaign, after: Campaign, found: Match) -> bool:
    """Whether the widths of a match can be compared; so they can where one side has none."""
    if not found.before or not found.after:
        return True
    return len(before.measured_by(found.before) | after.measured_by(found.after)) == 1


def grown_by_much(before: Totals, after: Totals, *, same_way: bool) -> bool:
    """Whether a joint is so much longer or wider that it is none, or has become a crack."""
    most = 1 + JOINT_GROWN_SHARE
    wider = same_way and after.width_mean > most * before.width_mean
    return wider or after.length > most * before.length


def kind_of(
    found: Match, before: Totals, after: Totals, task: CompareTask, *, same_way: bool
) -> str:
    """The kind of a `Change`; widths that were not measured in the ``same_way`` say nothing."""
    if not found.before:
        return "new"
    if not found.after:
        return "gone"
    wider = max(after.width_mean - before.width_mean, after.width_max - before.width_max)
    longer = after.length - before.length
    grown = longer > task.grown_length_px or (same_way and wider > task.grown_width_px)
    return "grown" if grown else "stable"


def measure(campaign: Campaign, cracks: list[int]) -> Totals:
    """What a campaign shows of some of its cracks together."""
    if not cracks:
        return Totals()
    length, mean, largest, area = (
        campaign.columns[f"{name}_px"][cracks].astype(float) for name in QUANTITIES
    )
    return Totals(
        length=float(length.sum()),
        width_mean=float(np.average(mean, weights=length)),
        width_max=float(largest.max()),
        area=float(area.sum()),
    )
