"""A comparison: the cracks of two campaigns matched, and what changed.

Both campaigns show the same wall on the same grid and have a report.  Cracks that belong together
by `crackcli.comparison.matching` make one `Change`, so that a crack which was one and is two now is
neither new nor gone.

What both reports take for a joint is no change: where joints hold most of the length on each side,
or on the only one, a match is counted apart (`SceneChanges`).  It is a change like others if it
grew by much, `JOINT_GROWN_SHARE`: joints are found again with other ends, but not twice as long or
wide.  What only one report takes for a joint is a crack here, else it would seem to come or go.

Widths are compared only where all cracks of a match were measured in one way, by one method and
tone: else the difference is that of the ways.  Whether a change is more than noise is not judged:
the thresholds of `CompareTask` are plain numbers, and the uncertainties of widths stand in the
tables of both reports.
"""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import shapely

from crackcli.comparison.campaign import (
    Campaign,
    Report,
    check_grids,
    reported_apart,
    scanned_apart,
)
from crackcli.comparison.matching import Match, match
from crackcli.errors import InputError
from crackcli.report.formats.csv import write_rows
from crackcli.report.formats.geojson import Collections
from crackcli.report.rows import Row, rounded
from crackcli.scenes.frames import exchange_frame
from crackcli.scenes.scale import in_mm, in_mm2
from crackcli.scenes.scene import finished_scenes

log = logging.getLogger(__name__)

JOINT_GROWN_SHARE = 0.25  # of what its length or mean width was: a joint that grew by more did grow

QUANTITIES = ("length", "width_mean", "width_max", "area")
COLUMNS = (
    "change_id",
    "scene_id",
    "kind",
    "ids_before",
    "ids_after",
    "matched_share",
    *(
        f"{what}{quantity}_{unit}"
        for quantity in QUANTITIES
        for unit in (("px", "mm") if quantity != "area" else ("px", "mm2"))
        for what in ("before_", "after_", "d_")
    ),
)


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
class Measures:
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
    before: Measures
    after: Measures
    same_way: bool
    matched_share: float
    geometry: shapely.MultiLineString


@dataclass(frozen=True)
class SceneChanges:
    """How many changes of each kind one scene has, and what is in none of them: ``joints`` lines
    (or several that belong together) that are joints in both reports or in the only one that has
    them, how long they are, and how many are new, grown or gone by the thresholds for cracks."""

    before: str
    after: str
    new: int
    grown: int
    stable: int
    gone: int
    joints: int
    joints_length_px: float
    joints_changed: int


@dataclass(frozen=True)
class ComparisonSummary:
    """What was written, and the scenes that were compared; ``made_apart``, by the name of the later
    scene, in what its two scans and reports differ, where they do."""

    paths: list[Path]
    scenes: list[SceneChanges]
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    made_apart: dict[str, list[str]] = field(default_factory=dict)


def write_comparison(task: CompareTask) -> ComparisonSummary:
    """Compare the scenes that both reports have and write ``changes.csv`` and ``.geojson``.

    Scenes match by name, or because each folder has just one.  Raises `InputError` if a report is
    missing, no scene matches, or the grids of two scenes differ.
    """
    before = {scene.name: scene for scene in finished_scenes(task.before)}
    after = {scene.name: scene for scene in finished_scenes(task.after)}
    pairs = [(name, name) for name in before if name in after]
    if len(before) == len(after) == 1:
        pairs = [(*before, *after)]
    if not pairs:
        raise InputError(
            f"{task.before} and {task.after} have no scene of the same name; "
            "scan both campaigns under the same file names"
        )
    for earlier, later in pairs:
        check_grids(before[earlier], after[later])
    reports = Report.of(task.before), Report.of(task.after)

    rows: list[Row] = []
    scenes = []
    apart = {}
    table = task.output / "changes.csv"
    with Collections(task.output, ("changes",)) as collections:
        for earlier, later in pairs:
            campaigns = reports[0].campaign(before[earlier]), reports[1].campaign(after[later])
            apart[later] = scanned_apart(before[earlier], after[later]) + reported_apart(
                reports[0].options[earlier], reports[1].options[later]
            )
            changes, joints = compare(*campaigns, task)
            tell_ways(changes + joints, *campaigns, (task.before, task.after))
            own = [row_of(change, *campaigns) for change in changes]
            shapes = np.array([change.geometry for change in changes], dtype=object)
            frame = exchange_frame(after[later], campaigns[1].scale)
            collections.add("changes", frame, shapes, own)
            rows += own
            kinds = [change.kind for change in changes]
            counts = {kind: kinds.count(kind) for kind in ("new", "grown", "stable", "gone")}
            scenes.append(
                SceneChanges(
                    earlier,
                    later,
                    **counts,
                    joints=len(joints),
                    joints_length_px=round(sum(longest_px(joint) for joint in joints), 3),
                    joints_changed=sum(joint.kind != "stable" for joint in joints),
                )
            )
        write_rows(table, COLUMNS, rows)
    summary = ComparisonSummary(
        paths=[table, *collections.paths],
        scenes=scenes,
        only_before=sorted(before.keys() - {earlier for earlier, _ in pairs}),
        only_after=sorted(after.keys() - {later for _, later in pairs}),
        made_apart={name: found for name, found in apart.items() if found},
    )
    for folder, names in ((task.before, summary.only_before), (task.after, summary.only_after)):
        if names:
            log.warning("only in %s, not compared: %s", folder, ", ".join(names))
    tell_apart(summary.made_apart)
    tell_joints(scenes)
    return summary


def tell_ways(
    changes: list[Change], before: Campaign, after: Campaign, folders: tuple[Path, Path]
) -> None:
    """Warn of widths of a scene that were not compared, if any, and say what to do."""
    apart = [change for change in changes if not change.same_way]
    if apart:
        log.warning(
            "%s: the widths of %d of %d matches were measured in different ways (%s; %s), and are "
            "not compared; run crackcli report again on %s and %s with the photographs at hand and "
            "the same --tone",
            after.scene.name,
            len(apart),
            sum(bool(change.ids_before and change.ids_after) for change in changes),
            ways(before, apart[0].ids_before),
            ways(after, apart[0].ids_after),
            *folders,
        )


def ways(campaign: Campaign, ids: tuple[str, ...]) -> str:
    """In which ways the widths of some cracks of a campaign were measured, in words."""
    lines = np.flatnonzero(np.isin(campaign.ids, ids)).tolist()
    found = sorted(campaign.measured_by(lines))
    words = (f"{method}, tone {tone}" if tone else method for method, tone in found)
    return f"{', '.join(ids)} by {', '.join(words)}"


def tell_apart(apart: dict[str, list[str]]) -> None:
    """Warn of scenes whose campaigns were made apart, once for all that differ in the same."""
    alike: dict[str, list[str]] = {}
    for scene, found in apart.items():
        alike.setdefault(", ".join(found), []).append(scene)
    for words, names in alike.items():
        log.warning(
            "%s: the campaigns differ in %s, so that cracks may seem new, grown or gone; scan and "
            "report both in one way to be sure",
            names[0] if len(names) == 1 else f"{len(names)} scenes, {names[0]} the first",
            words,
        )


def tell_joints(scenes: list[SceneChanges]) -> None:
    """Say how many lines of all scenes were not compared because they are joints, if any."""
    joints = sum(scene.joints for scene in scenes)
    if joints:
        log.info(
            "%d joints (%.0f px) not compared; %d of them would be new, grown or gone as cracks, "
            "which crackcli report --joint-likelihood 1 takes them for",
            joints,
            sum(scene.joints_length_px for scene in scenes),
            sum(scene.joints_changed for scene in scenes),
        )


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


def grown_by_much(before: Measures, after: Measures, *, same_way: bool) -> bool:
    """Whether a joint is so much longer or wider that it is none, or has become a crack."""
    most = 1 + JOINT_GROWN_SHARE
    wider = same_way and after.width_mean > most * before.width_mean
    return wider or after.length > most * before.length


def longest_px(change: Change) -> float:
    """Its length in the campaign that shows more of it."""
    return max(change.before.length, change.after.length)


def kind_of(
    found: Match, before: Measures, after: Measures, task: CompareTask, *, same_way: bool
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


def measure(campaign: Campaign, cracks: list[int]) -> Measures:
    """What a campaign shows of some of its cracks together."""
    if not cracks:
        return Measures()
    length, mean, largest, area = (
        campaign.columns[f"{name}_px"][cracks].astype(float) for name in QUANTITIES
    )
    return Measures(
        length=float(length.sum()),
        width_mean=float(np.average(mean, weights=length)),
        width_max=float(largest.max()),
        area=float(area.sum()),
    )


def row_of(change: Change, before: Campaign, after: Campaign) -> Row:
    """A change as a row by `COLUMNS`; differences are in mm if both campaigns have a scale, and of
    widths only if these were measured in the same way."""
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        "change_id": change.id,
        "scene_id": after.scene.name,
        "kind": change.kind,
        "ids_before": list(change.ids_before),
        "ids_after": list(change.ids_after),
        "matched_share": round(change.matched_share, 4),
    }
    earlier, later = asdict(change.before), asdict(change.after)
    for name in QUANTITIES:
        convert, unit = (in_mm2, "mm2") if name == "area" else (in_mm, "mm")
        values = {
            "px": (earlier[name], later[name]),
            unit: (convert(earlier[name], before.scale), convert(later[name], after.scale)),
        }
        for suffix, (was, now) in values.items():
            row[f"before_{name}_{suffix}"] = rounded(was, 4)
            row[f"after_{name}_{suffix}"] = rounded(now, 4)
            known = change.same_way or not name.startswith("width")
            if known and was is not None and now is not None:
                row[f"d_{name}_{suffix}"] = rounded(now - was, 4)
    return row
