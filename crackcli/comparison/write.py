"""Writes a comparison: the cracks of two campaigns matched, and their changes.

Both campaigns show the same surface and have a report. Cracks that belong together by
`crackcli.cracks.matching` make one `Change`, so a crack that became two is neither new nor gone.
Changes are measured on the stretch that both photographs show, and tested together, over all scenes
(`crackcli.comparison.evidence`).

Joints are counted separately (`SceneChanges`): a match is one of joints if joints make up most of
its length in both reports, or in the only one that contains it. It counts as a crack if it grew by
more than `JOINT_GROWTH`: the ends of joints vary between scans, but not by as much. A line that is
a joint in one report only is compared as a crack; else it would seem new or gone.

Widths are compared only if all cracks of a match were measured by the same method and tone curve;
else the difference would be one of methods.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from crackcli import __version__
from crackcli.comparison.bringing_together import bring_together
from crackcli.comparison.campaign import (
    Campaign,
    Report,
    check_current,
    report_differences,
    scan_differences,
)
from crackcli.comparison.change import Change, CompareTask
from crackcli.comparison.changes import compare
from crackcli.comparison.compared import ComparedScene, SceneChanges, decide, most_significant
from crackcli.comparison.dates import interval_of
from crackcli.comparison.evidence.samples import Alignment
from crackcli.comparison.gauges import COLUMNS as GAUGE_COLUMNS
from crackcli.comparison.gauges import find_gauges, read_gauges
from crackcli.comparison.lineage import find_tracks
from crackcli.comparison.outputs import geopackage
from crackcli.comparison.outputs.columns import COLUMNS
from crackcli.comparison.outputs.conditions import alarms
from crackcli.comparison.outputs.gauge_chart import draw_gauges
from crackcli.comparison.outputs.pictures import write_pictures
from crackcli.comparison.pairing import ScenePair, pair_scenes
from crackcli.errors import InputError, UsageError
from crackcli.files import lock_folder, write_csv
from crackcli.outputs import Record, publish, work_folder
from crackcli.progress import Progress, ignore, part
from crackcli.rasters.writing.images import write_png
from crackcli.report.formats.geojson import SUFFIXES, Collections
from crackcli.report.tables.columns import Row
from crackcli.scenes.frames import exchange_frame
from crackcli.scenes.scene import Scene, finished_folders
from crackcli.texts import first_names

log = logging.getLogger(__name__)

CHANGES, RECORD = "changes", "changes.json"
RETIRED = tuple(f"{CHANGES}{suffix}" for suffix in SUFFIXES)


@dataclass(frozen=True)
class ComparisonSummary:
    """The files written, and the scenes compared.

    ``critical_p`` is the p-value up to which changes are significant. ``made_apart`` lists, by the
    name of the later scene, the differences between the options of its two scans and reports;
    ``failed`` has the errors of scenes that could not be compared. ``most_significant`` are rows of
    up to `MOST` significant changes, the most certain first; ``alarms`` has the ids of the changes
    that meet each condition of ``fail_on``, by its text. ``pairs`` are the scenes that belong
    together, and ``alignments`` the figures of each alignment, by the name of the later scene.
    """

    paths: list[Path] = field(default_factory=list)
    scenes: list[SceneChanges] = field(default_factory=list)
    critical_p: float = 0.0
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    made_apart: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    most_significant: list[Row] = field(default_factory=list)
    alarms: dict[str, list[str]] = field(default_factory=dict)
    pairs: list[ScenePair] = field(default_factory=list)
    alignments: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Step:
    """One campaign and the next: their readable scenes by name, the names of those that belong
    together, and their reports."""

    task: CompareTask
    before: dict[str, Scene]
    after: dict[str, Scene]
    pairs: list[tuple[str, str]]
    reports: tuple[Report, Report]

    @classmethod
    def read(cls, task: CompareTask, summary: ComparisonSummary) -> "Step":
        """Read what a step needs, and add its pairs and failures to the ``summary``; raises
        `InputError` if a report is missing or old, or if no scenes belong together."""
        failed: dict[str, str] = {}
        before, after = (readable_scenes(folder, failed) for folder in (task.before, task.after))
        matched = pair_scenes(task, before, after)
        pairs = [(pair.before, pair.after) for pair in matched]
        if not pairs and failed:
            raise InputError(next(iter(failed.values())))
        if not pairs:
            raise InputError(
                f"{task.before} and {task.after} have no scenes that belong together by name, map "
                "or content; name them in a CSV file and give it with --pairs"
            )
        reports = Report.read(task.before), Report.read(task.after)
        for side, (folder, scenes, alone) in enumerate(
            (
                (task.before, before, summary.only_before),
                (task.after, after, summary.only_after),
            )
        ):
            names = [pair[side] for pair in pairs]
            check_current(folder, names)
            left = sorted(scenes.keys() - set(names) - failed.keys())
            alone.extend(left)
            if left:
                log.warning("only in %s, not compared: %s", folder, ", ".join(left))
        summary.pairs.extend(matched)
        summary.failed.update({task.label(name): error for name, error in failed.items()})
        return cls(task, before, after, pairs, reports)

    def compare(
        self, summary: ComparisonSummary, work: Path, progress: Progress
    ) -> list[ComparedScene]:
        """Return the compared scenes; add failures and figures to the ``summary``, and write images
        of the residual into the folder ``work``, as ``residual_SCENE.png``."""
        compared: list[ComparedScene] = []
        for number, (earlier, later) in enumerate(self.pairs):
            scenes, name = (self.before[earlier], self.after[later]), self.task.label(later)
            share = part(progress, number / len(self.pairs), (number + 1) / len(self.pairs))
            try:
                campaigns = (
                    self.reports[0].campaign(scenes[0]),
                    self.reports[1].campaign(scenes[1]),
                )
                together = bring_together(self.task, *scenes, campaigns[1].scale, share)
            except InputError as error:
                summary.failed[name] = str(error)
                continue
            apart = scan_differences(*scenes)
            apart += report_differences(
                self.reports[0].options[earlier], self.reports[1].options[later]
            )
            if apart:
                summary.made_apart[name] = apart
            if together.residual_map is not None:
                summary.alignments[name] = together.facts
                write_png(work / residual_name(name), together.residual_map)
            compared.append(compare_scene(self.task, campaigns, together.alignment))
        return compared


def write_comparison(task: CompareTask, progress: Progress = ignore) -> ComparisonSummary:
    """Compare the scenes that are in both reports; write ``changes.csv``, ``.geojson`` and
    ``.gpkg``, and ``residual_SCENE.png`` of the scenes that are aligned.

    Of several campaigns each is compared with the next, and all changes are tested together.
    `pair_scenes` tells which scenes belong together; photographs on different grids are aligned. A
    scene that is damaged or cannot be aligned fails, and the others are done. Raises `InputError`
    if a report is missing or older than its masks, or if no scene matches or all fail, and `Locked`
    if another run uses the output folder.
    """
    steps = task.steps()
    if task.pairs is not None and len(steps) > 1:
        raise UsageError(
            f"--pairs {task.pairs}: is for two campaigns; give the scenes of more the same names"
        )
    summary = ComparisonSummary()
    prepared = [Step.read(one, summary) for one in steps]
    with (
        lock_folder(task.output),
        work_folder(task.output) as work,
    ):
        by_step = []
        for number, step in enumerate(prepared):
            share = part(progress, number / len(steps), (number + 1) / len(steps))
            by_step.append(step.compare(summary, work, share))
        compared = [scene for step in by_step for scene in step]
        if not compared:
            raise InputError(next(iter(summary.failed.values())))
        compared, critical = decide(compared)
        tracks = find_tracks(
            [[(scene.before, scene.after, scene.cracks) for scene in step] for step in by_step]
        )
        rows = [scene.rows(critical, tracks) for scene in compared]
        every = [row for own in rows for row in own]
        summary = replace(
            summary,
            critical_p=critical,
            most_significant=most_significant(every),
            alarms=alarms(task.fail_on, every),
        )
        paths = write_files(work, compared, rows)
        paths += [work / residual_name(name) for name in summary.alignments]
        pictured = [scene.pictured() for scene in compared]
        paths += write_pictures(work, every, summary.most_significant, pictured)
        if task.gauges is not None:
            paths += write_gauges(work, task, by_step)
        facts = {
            "crackcli_version": __version__,
            "before": task.before,
            "after": task.after,
            "later": list(map(str, task.later)),
            "critical_p": critical,
            "pairs": [asdict(pair) for pair in summary.pairs],
            "alignments": summary.alignments,
        }
        publish(work, Record.read(task.output / RECORD), facts, RETIRED)
    summary.scenes.extend(scene.counts(critical) for scene in compared)
    summary.paths.extend(task.output / path.relative_to(work) for path in paths)
    warn_of_differences(summary.made_apart)
    warn_of_dates(compared)
    log_joints(summary.scenes)
    return summary


def residual_name(scene: str) -> str:
    """Return the name of the image of the residual of an aligned scene."""
    return f"residual_{scene}.png"


def readable_scenes(folder: Path, failed: dict[str, str]) -> dict[str, Scene]:
    """Return the finished scenes of a folder by name; add the errors of others to ``failed``."""
    found: dict[str, Scene] = {}
    for path in finished_folders(folder):
        try:
            found[path.name] = Scene.read(path)
        except InputError as error:
            failed[path.name] = str(error)
    return found


def write_files(
    work: Path, compared: Sequence[ComparedScene], rows: Sequence[list[Row]]
) -> list[Path]:
    """Write the ``rows`` of each scene as tables and maps into the folder ``work``; return their
    paths."""
    table = work / f"{CHANGES}.csv"
    write_csv(table, COLUMNS, (row for own in rows for row in own))
    with Collections(work, (CHANGES,)) as collections:
        for scene, own in zip(compared, rows, strict=True):
            collections.add(CHANGES, exchange_frame(scene.after.scene), scene.lines, own)
    layer = work / f"{CHANGES}.gpkg"
    geopackage.write(
        layer,
        ((scene.after.scene, scene.lines, own) for scene, own in zip(compared, rows, strict=True)),
    )
    return [table, *collections.paths, layer]


def write_gauges(
    work: Path, task: CompareTask, by_step: Sequence[Sequence[ComparedScene]]
) -> list[Path]:
    """Write the readings of the gauges of a task into the folder ``work``, as a table and a chart;
    return their paths."""
    assert task.gauges is not None
    rows = read_gauges(find_gauges(task.gauges, by_step[0]), by_step, task.dates)
    paths = [work / "gauges.csv"]
    write_csv(paths[0], GAUGE_COLUMNS, rows)
    chart = draw_gauges(rows)
    if chart is not None:
        paths.append(work / "gauges.png")
        write_png(paths[-1], chart)
    return paths


def compare_scene(
    task: CompareTask, campaigns: tuple[Campaign, Campaign], alignment: Alignment
) -> ComparedScene:
    """Return two campaigns of one scene compared; log what cannot be compared."""
    earlier, later = campaigns
    changes = compare(earlier, later, alignment, task)
    warn_of_width_methods(changes, earlier, later, (task.before, task.after))
    interval = interval_of(earlier.scene, later.scene, task.dates)
    changes = [replace(change, id=task.label(change.id)) for change in changes]
    return ComparedScene(earlier, later, changes, alignment, task, interval)


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


def warn_of_dates(compared: Sequence[ComparedScene]) -> None:
    """Warn of rates per year that may be no trend, once for each reason. An unknown season is a
    column only: names of folders often have a year and no more."""
    for reason in ("under 12 months", "across seasons"):
        names = [
            scene.after.scene.name
            for scene in compared
            if scene.interval and scene.interval.warning == reason
        ]
        if names:
            log.warning(
                "%s: rates per year are %s; cracks open and close with temperature, so they may be "
                "no trend",
                first_names(names),
                reason,
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
