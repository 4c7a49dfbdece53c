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

from crackcli.comparison.campaign import (
    Campaign,
    Report,
    check_grids,
    reported_apart,
    scanned_apart,
)
from crackcli.comparison.changes import QUANTITIES, Change, CompareTask, compare
from crackcli.errors import InputError
from crackcli.report.columns import rounded
from crackcli.report.formats.csv import write_rows
from crackcli.report.formats.geojson import Collections
from crackcli.report.rows import Row
from crackcli.scenes.frames import exchange_frame
from crackcli.scenes.scale import in_mm, in_mm2
from crackcli.scenes.scene import finished_scenes

log = logging.getLogger(__name__)


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
    """Log how many lines of all scenes were not compared because they are joints, if any."""
    joints = sum(scene.joints for scene in scenes)
    if joints:
        log.info(
            "%d joints (%.0f px) not compared; %d of them would be new, grown or gone as cracks, "
            "which crackcli report --joint-likelihood 1 takes them for",
            joints,
            sum(scene.joints_length_px for scene in scenes),
            sum(scene.joints_changed for scene in scenes),
        )


def longest_px(change: Change) -> float:
    """Its length in the campaign that shows more of it."""
    return max(change.before.length, change.after.length)


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
