"""Writes a comparison: the cracks of two campaigns matched, and their changes.

Both campaigns show the same surface on the same grid and have a report. Cracks that belong
together by `crackcli.cracks.matching` make one `Change`, so a crack that became two is neither
new nor gone.

Joints are counted separately (`SceneChanges`): a match is one of joints if joints make up most of
its length in both reports, or in the only one that contains it. It counts as a crack if it grew by
more than `JOINT_GROWTH`: the ends of joints vary between scans, but not by as much. A line that is
a joint in one report only is compared as a crack; else it would seem new or gone.

Widths are compared only if all cracks of a match were measured by the same method and tone curve;
else the difference would be one of methods. Changes are not tested for significance: the
thresholds of `CompareTask` are plain numbers, and the tables of both reports contain the
uncertainties of widths.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unicodedata import normalize

import numpy as np

from crackcli import __version__
from crackcli.comparison.campaign import (
    Campaign,
    Report,
    check_current,
    check_grids,
    report_differences,
    scan_differences,
)
from crackcli.comparison.changes import QUANTITIES, Change, CompareTask, compare, windows_equal
from crackcli.errors import InputError
from crackcli.files import lock_folder, write_csv
from crackcli.outputs import Record, publish, work_folder
from crackcli.report.formats.geojson import SUFFIXES, Collections
from crackcli.report.tables.columns import Row, rounded
from crackcli.scenes.frames import exchange_frame
from crackcli.scenes.scale import in_mm, in_mm2
from crackcli.scenes.scene import Scene, finished_scenes

log = logging.getLogger(__name__)

CHANGES, RECORD = "changes", "changes.json"
RETIRED = tuple(f"{CHANGES}{suffix}" for suffix in SUFFIXES)
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
    """The number of changes of each kind in one scene.

    ``joints`` is the number of matches that are joints and count in no kind, ``joints_length_px``
    their length, and ``joints_changed`` how many would be new, grown or gone as cracks.
    """

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
    """The files written, and the scenes compared.

    ``made_apart`` lists, by the name of the later scene, the differences between the options of
    its two scans and reports; ``failed`` has the errors of scenes that could not be compared.
    """

    paths: list[Path] = field(default_factory=list)
    scenes: list[SceneChanges] = field(default_factory=list)
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    made_apart: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def write_comparison(task: CompareTask) -> ComparisonSummary:
    """Compare the scenes that are in both reports; write ``changes.csv`` and ``changes.geojson``.

    Scenes match by name, or because each folder has only one. A scene whose grids differ fails,
    and the others are done. Raises `InputError` if a report is missing or older than its masks, or
    if no scene matches or all fail, and `Locked` if another run uses the output folder.
    """
    before = {scene.name: scene for scene in finished_scenes(task.before)}
    after = {scene.name: scene for scene in finished_scenes(task.after)}
    pairs = matching_names(before, after)
    if not pairs:
        raise InputError(
            f"{task.before} and {task.after} have no scene of the same name; "
            "give the photographs of both campaigns the same file names and scan them again"
        )
    reports = Report.read(task.before), Report.read(task.after)
    for folder, side in ((task.before, 0), (task.after, 1)):
        check_current(folder, [pair[side] for pair in pairs])
    summary = ComparisonSummary(
        only_before=sorted(before.keys() - {earlier for earlier, _ in pairs}),
        only_after=sorted(after.keys() - {later for _, later in pairs}),
    )
    rows: list[Row] = []
    with (
        lock_folder(task.output),
        work_folder(task.output) as work,
    ):
        with Collections(work, (CHANGES,)) as collections:
            for earlier, later in pairs:
                try:
                    check_grids(before[earlier], after[later])
                    campaigns = (
                        reports[0].campaign(before[earlier]),
                        reports[1].campaign(after[later]),
                    )
                except InputError as error:
                    summary.failed[later] = str(error)
                    continue
                apart = scan_differences(before[earlier], after[later])
                apart += report_differences(reports[0].options[earlier], reports[1].options[later])
                if apart:
                    summary.made_apart[later] = apart
                rows += compare_scene(task, campaigns, collections, summary)
            if not summary.scenes:
                raise InputError(next(iter(summary.failed.values())))
        write_csv(work / f"{CHANGES}.csv", COLUMNS, rows)
        facts = {"crackcli_version": __version__, "before": task.before, "after": task.after}
        publish(work, Record.read(task.output / RECORD), facts, RETIRED)
    summary.paths.append(task.output / f"{CHANGES}.csv")
    summary.paths.extend(task.output / path.name for path in collections.paths)
    for folder, names in ((task.before, summary.only_before), (task.after, summary.only_after)):
        if names:
            log.warning("only in %s, not compared: %s", folder, ", ".join(names))
    warn_of_differences(summary.made_apart)
    log_joints(summary.scenes)
    return summary


def matching_names(
    before: Mapping[str, Scene], after: Mapping[str, Scene]
) -> list[tuple[str, str]]:
    """Return the names of scenes that belong together: equal ones, also where one system composes
    accented letters and the other does not, or the only one of each folder."""
    if len(before) == len(after) == 1:
        return [(next(iter(before)), next(iter(after)))]
    composed = {normalize("NFC", name): name for name in after}
    pairs = [
        (name, name if name in after else composed.get(normalize("NFC", name))) for name in before
    ]
    return [(earlier, later) for earlier, later in pairs if later is not None]


def compare_scene(
    task: CompareTask,
    campaigns: tuple[Campaign, Campaign],
    collections: Collections,
    summary: ComparisonSummary,
) -> list[Row]:
    """Compare one scene; return its rows, and add its features and its counts."""
    earlier, later = campaigns
    changes, joints = compare(earlier, later, task)
    warn_of_width_methods(changes + joints, earlier, later, (task.before, task.after))
    if not windows_equal(earlier, later):
        log.warning(
            "%s: the largest widths are means over %.3g and %.3g px and are not compared; "
            "report both with the same scale (--gsd-mm)",
            later.scene.name,
            earlier.window_px,
            later.window_px,
        )
    rows = [row_of(change, earlier, later) for change in changes]
    shapes = np.array([change.geometry for change in changes], dtype=object)
    collections.add(CHANGES, exchange_frame(later.scene, later.scale), shapes, rows)
    kinds = [change.kind for change in changes]
    summary.scenes.append(
        SceneChanges(
            earlier.scene.name,
            later.scene.name,
            **{kind: kinds.count(kind) for kind in ("new", "grown", "stable", "gone")},
            joints=len(joints),
            joints_length_px=round(sum(longest_px(joint) for joint in joints), 3),
            joints_changed=sum(joint.kind != "stable" for joint in joints),
        )
    )
    return rows


def warn_of_width_methods(
    changes: list[Change], before: Campaign, after: Campaign, folders: tuple[Path, Path]
) -> None:
    """Warn if widths of a scene were not compared, and propose a remedy."""
    skipped = [change for change in changes if not change.comparable]
    if skipped:
        log.warning(
            "%s: the widths of %d of %d matches were measured by different methods (%s; %s) and "
            "are not compared; run crackcli report again on %s and %s with the photographs "
            "available and the same --tone",
            after.scene.name,
            len(skipped),
            sum(bool(change.ids_before and change.ids_after) for change in changes),
            methods_text(before, skipped[0].ids_before),
            methods_text(after, skipped[0].ids_after),
            *folders,
        )


def methods_text(campaign: Campaign, ids: tuple[str, ...]) -> str:
    """Return the methods by which the widths of some cracks were measured, as text."""
    lines = np.flatnonzero(np.isin(campaign.ids, ids)).tolist()
    found = sorted(campaign.width_methods(lines))
    words = (f"{method}, tone {tone}" if tone else method for method, tone in found)
    return f"{', '.join(ids)} by {', '.join(words)}"


def warn_of_differences(differences: dict[str, list[str]]) -> None:
    """Warn of scenes that were processed differently, once for all with the same differences."""
    alike: dict[str, list[str]] = {}
    for scene, found in differences.items():
        alike.setdefault(", ".join(found), []).append(scene)
    for words, names in alike.items():
        log.warning(
            "%s: the two surveys were processed differently (%s), so changes may be artefacts; "
            "scan and report both with the same options",
            names[0] if len(names) == 1 else f"{len(names)} scenes ({names[0]}, ...)",
            words,
        )


def log_joints(scenes: list[SceneChanges]) -> None:
    """Log how many matches of all scenes are joints, if any."""
    joints = sum(scene.joints for scene in scenes)
    if joints:
        log.info(
            "%d joints (%.0f px) not compared; %d of them would be new, grown or gone as cracks "
            "(to compare them as cracks: crackcli report --joint-likelihood 1)",
            joints,
            sum(scene.joints_length_px for scene in scenes),
            sum(scene.joints_changed for scene in scenes),
        )


def longest_px(change: Change) -> float:
    """Return the length of a change in the campaign in which it is longer, in px."""
    return max(change.before.length, change.after.length)


def row_of(change: Change, before: Campaign, after: Campaign) -> Row:
    """Return a change as a row by `COLUMNS`.

    Differences are in mm if both campaigns have a scale; those of widths only if comparable.
    """
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
            known = change.comparable or not name.startswith("width")
            known &= change.same_window or name != "width_max"
            if known and was is not None and now is not None:
                row[f"d_{name}_{suffix}"] = rounded(now - was, 4)
    return row
