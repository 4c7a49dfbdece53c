"""Writes a report: the cracks of every finished scene in every format.

Scenes are traced one after the other (`crackcli.report.tracing`). Traced scenes wait in a
temporary folder, so that the formats, which put all scenes into one file each, keep the cracks of
one scene in memory at a time.
"""

import logging
import pickle
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from crackcli.detectability.statements import statement
from crackcli.errors import InputError, OutputError
from crackcli.progress import Progress, ignore, in_pixels, part
from crackcli.registry import FORMATS, load
from crackcli.report.overview import write_overview
from crackcli.report.severity import find_profiles
from crackcli.report.summary import ReportSummary, SceneFigures, SceneReport, summarise
from crackcli.report.tables.rows import SceneCracks
from crackcli.report.tables.severity_columns import SeverityProfiles
from crackcli.report.tracing import ReportTask, trace_scene
from crackcli.scenes.scale import Scale, find_scale
from crackcli.scenes.scene import Scene, finished_folders

log = logging.getLogger(__name__)

TRACING = 0.8  # fraction of the time spent on tracing; the rest on writing
MAX_NAMES = 3  # scenes named in one message


def write_report(task: ReportTask, progress: Progress = ignore) -> ReportSummary:
    """Trace all scenes of ``task.out``, write the report there, and return its summary.

    Scenes that cannot be read, or whose sources of scale disagree, are listed in the summary and
    the others are done. Raises `InputError` if none can be read, `UsageError` if ``gsd_mm``
    contradicts the scale of a scene, or if a severity profile is unknown.
    """
    profiles = find_profiles(task.severity)
    failed: dict[str, str] = {}
    known: list[tuple[Scene, Scale | None]] = []
    for folder in finished_folders(task.out):
        try:
            scene = Scene.read(folder)
            scale = find_scale(scene, task.gsd_mm, task.gsd_sigma_mm, task.scale_source)
        except InputError as error:
            failed[folder.name] = str(error)
        else:
            known.append((scene, scale))

    tracing, writing = part(progress, 0, TRACING), part(progress, TRACING, 1)
    with tempfile.TemporaryDirectory(prefix="crackcli-") as waiting:
        spool = SceneSpool(Path(waiting))
        for number, (scene, scale) in enumerate(known):
            began = time.monotonic()
            own = in_pixels(
                part(tracing, number / len(known), (number + 1) / len(known)),
                scene.rows * scene.cols / 1e6,
            )
            try:
                table = trace_scene(scene, scale, task, own)
            except InputError as error:
                failed[scene.name] = str(error)
            else:
                spool.add(table)
            log.debug("%s: measured in %.2f s", scene.name, time.monotonic() - began)
        if not spool.figures:
            raise InputError(f"no scene of {task.out} could be read: {next(iter(failed.values()))}")
        paths: list[Path] = []
        for number, name in enumerate(task.formats):
            writing(number / len(task.formats), f"writing {name}")
            paths += load("formats", FORMATS, name)(task.out, spool, profiles)
        write_overviews(spool)
    figures = spool.figures
    scenes = [scene.report for scene in figures]
    log_severity(scenes, profiles)
    log_coordinates(scenes)
    return ReportSummary(
        paths=paths,
        scenes=scenes,
        failed=failed,
        statement=statement([scene.findings for scene in figures]),
        caveats={profile.name: profile.caveat for profile in profiles},
        figures=figures,
    )


def write_overviews(tables: Iterable[SceneCracks]) -> None:
    """Write the overview of each scene; one that cannot be written is a warning: the tables are."""
    for table in tables:
        try:
            write_overview(table)
        except OutputError as error:
            log.warning("%s", error)


def log_severity(scenes: list[SceneReport], profiles: SeverityProfiles) -> None:
    """Log a warning with the caveat of each profile, and one if scenes could not be graded."""
    for profile in profiles:
        log.warning("%s (%s): %s", profile.name, profile.graded, profile.caveat)
    without = [scene.scene for scene in scenes if scene.mm_per_px is None]
    if profiles and without:
        log.warning(
            "no grades for %d of %d scenes, which have no scale (%s); give --gsd-mm",
            len(without),
            len(scenes),
            first_names(without),
        )


def log_coordinates(scenes: list[SceneReport]) -> None:
    """Log the scenes whose GeoJSON has local coordinates, once for each unit."""
    units = (
        ("grid", "coordinates of the raster's transform"),
        ("local_mm", "mm"),
        ("local_px", "px (give --gsd-mm for mm)"),
    )
    for space, unit in units:
        names = [scene.scene for scene in scenes if scene.coordinates == space]
        if names:
            log.info(
                "%d of %d scenes without a place on the Earth (%s): GeoJSON is in local %s",
                len(names),
                len(scenes),
                first_names(names),
                unit,
            )


def first_names(names: list[str]) -> str:
    """Return at most `MAX_NAMES` names for a message."""
    return ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")


class SceneSpool:
    """Traced scenes that wait in a folder; an iteration loads one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.figures: list[SceneFigures] = []

    def add(self, table: SceneCracks) -> None:
        """Store a traced scene."""
        path = self.folder / f"{len(self.figures)}.pickle"
        with path.open("wb") as file:
            pickle.dump(table, file, pickle.HIGHEST_PROTOCOL)
        self.figures.append(summarise(table))

    def __iter__(self) -> Iterator[SceneCracks]:
        for number in range(len(self.figures)):
            with (self.folder / f"{number}.pickle").open("rb") as file:
                yield cast(SceneCracks, pickle.load(file))
