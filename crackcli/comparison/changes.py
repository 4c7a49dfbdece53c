"""Changes: the cracks of two campaigns matched, each new, grown, stable or gone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from crackcli.comparison.campaign import Campaign
from crackcli.cracks.matching import Match, match

JOINT_GROWTH = 0.25  # fraction of its length or mean width by which a joint must grow to count
SAME_WINDOW = 0.02  # fraction by which windows may differ, as scales may
QUANTITIES = ("length", "width_mean", "width_max", "area")


@dataclass(frozen=True)
class CompareTask:
    """Two output folders with a report each, the output folder, and thresholds.

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
    """Size of a change in one campaign, in px; 0 if the campaign does not contain it.

    Lengths and areas are summed over cracks; ``width_mean`` is weighted by length.
    """

    length: float = 0.0
    width_mean: float = 0.0
    width_max: float = 0.0
    area: float = 0.0


@dataclass(frozen=True, eq=False)
class Change:
    """A crack, or several that belong together, in two campaigns; in pixels.

    ``kind``           new, grown, stable or gone
    ``comparable``     True if all widths were measured by the same method and tone curve
    ``same_window``    True if the largest widths are means over windows of the same length
    ``matched_share``  fraction of the samples of both campaigns that have a partner
    ``geometry``       centreline of the later campaign; of the earlier one if it is gone
    """

    id: str
    kind: str
    ids_before: tuple[str, ...]
    ids_after: tuple[str, ...]
    before: Totals
    after: Totals
    comparable: bool
    same_window: bool
    matched_share: float
    geometry: shapely.MultiLineString


def compare(
    before: Campaign, after: Campaign, task: CompareTask
) -> tuple[list[Change], list[Change]]:
    """Return the changes of cracks between two campaigns of one scene, and those of joints.

    Cracks of the earlier campaign come first, by id, then new ones. A change is one of joints if
    joints make up most of its length in both campaigns, unless it grew by more than `JOINT_GROWTH`.
    """
    changes: list[Change] = []
    joints: list[Change] = []
    same_window = windows_equal(before, after)
    for found in match(before.lines, after.lines, task.tolerance_px):
        was, now = measure(before, found.before), measure(after, found.after)
        comparable = widths_comparable(before, after, found)
        kind = kind_of(found, was, now, task, comparable=comparable, same_window=same_window)
        joint = mostly_joints(before, found.before) and mostly_joints(after, found.after)
        joint &= not (kind == "grown" and outgrew_joint(was, now, comparable=comparable))
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
                comparable=comparable,
                same_window=same_window,
                matched_share=found.fraction,
                geometry=shapely.MultiLineString([*shapely.get_parts(lines)]),
            )
        )
    return changes, joints


def mostly_joints(campaign: Campaign, lines: list[int]) -> bool:
    """Return True if joints make up over half of the total length, or if ``lines`` is empty."""
    if not lines:
        return True
    length = campaign.columns["length_px"][lines].astype(float)
    return float(length[campaign.joint[lines]].sum()) > float(length.sum()) / 2


def widths_comparable(before: Campaign, after: Campaign, found: Match) -> bool:
    """Return True if the widths of a match were measured by the same method and tone curve, or if
    one side is empty."""
    if not found.before or not found.after:
        return True
    return len(before.width_methods(found.before) | after.width_methods(found.after)) == 1


def outgrew_joint(before: Totals, after: Totals, *, comparable: bool) -> bool:
    """Return True if a joint grew by more than `JOINT_GROWTH`, so that it may be a crack."""
    limit = 1 + JOINT_GROWTH
    wider = comparable and after.width_mean > limit * before.width_mean
    return wider or after.length > limit * before.length


def windows_equal(before: Campaign, after: Campaign) -> bool:
    """Return True if the largest widths of two campaigns are means over windows of the same length,
    or if a length is unknown."""
    if before.window_px is None or after.window_px is None:
        return True
    return abs(before.window_px - after.window_px) <= SAME_WINDOW * before.window_px


def kind_of(
    found: Match,
    before: Totals,
    after: Totals,
    task: CompareTask,
    *,
    comparable: bool,
    same_window: bool = True,
) -> str:
    """Return the kind of a `Change`; widths count only if they are ``comparable``, and the largest
    only if it is of the ``same_window``."""
    if not found.before:
        return "new"
    if not found.after:
        return "gone"
    wider = after.width_mean - before.width_mean
    if same_window:
        wider = max(wider, after.width_max - before.width_max)
    longer = after.length - before.length
    grown = longer > task.grown_length_px or (comparable and wider > task.grown_width_px)
    return "grown" if grown else "stable"


def measure(campaign: Campaign, cracks: list[int]) -> Totals:
    """Return the size of some cracks of a campaign together."""
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
