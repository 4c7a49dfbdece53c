"""Writes a report: the cracks of every finished scene in every format.

Scenes are traced one after the other (`crackcli.report.tracing`). Traced scenes wait in a
temporary folder, so that the formats, which put all scenes into one file each, keep the cracks of
one scene in memory at a time. All files are written aside and published together
(`crackcli.outputs`).
"""

import logging
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from crackcli.detectability.statements import statement
from crackcli.errors import CrackError, InputError, OutOfMemory, OutputError
from crackcli.files import lock_folder, temporary_folder
from crackcli.outputs import Record, publish, work_folder
from crackcli.progress import Progress, ignore, in_pixels, part
from crackcli.registry import FORMATS, MORE_FORMATS, load
from crackcli.report.formats.geojson import STEMS, SUFFIXES
from crackcli.report.formats.qgis_project import NAME as PROJECT
from crackcli.report.formats.qgis_project import write_project
from crackcli.report.html.pages import PAGE, check_free, write_pages
from crackcli.report.overview import write_overview
from crackcli.report.people.work import WorkOfPeople
from crackcli.report.record import facts_of, read_record, report_id, with_earlier_scale
from crackcli.report.severity import find_profiles
from crackcli.report.summary import ReportSummary, SceneFigures, SceneReport, summarise
from crackcli.report.tables.columns import GEOPACKAGE
from crackcli.report.tables.rows import SceneCracks, scene_row
from crackcli.report.tables.severity_columns import SeverityProfiles
from crackcli.report.tracing import ReportTask, trace_scene
from crackcli.scenes.overlaps import warn_of_overlaps
from crackcli.scenes.scale import Scale, find_scale
from crackcli.scenes.scene import Scene, finished_folders
from crackcli.sqlite_files import settle
from crackcli.texts import first_names

log = logging.getLogger(__name__)

FormatWriter = Callable[[Path, Iterable[SceneCracks], SeverityProfiles], list[Path]]

TRACING = 0.8  # fraction of the time spent on tracing; the rest on writing
# Files of an earlier report that this one may not write: one kind of coordinates has no scene now.
RETIRED = tuple(f"{stem}{suffix}" for stem in STEMS for suffix in SUFFIXES)


def write_report(task: ReportTask, progress: Progress = ignore) -> ReportSummary:
    """Trace all scenes of ``task.out``, write the report there, and return its summary.

    What people changed in the earlier report is carried over (`crackcli.report.people`). Scenes
    that cannot be read, or whose sources of scale disagree, are listed in the summary and the
    others are done. Raises `InputError` if none can be read, `UsageError` if ``gsd_mm``
    contradicts the scale of a scene, or if a severity profile is unknown, and `Locked` if another
    run uses the folder, or another program the GeoPackage.
    """
    profiles = find_profiles(task.severity)
    for one in task.formats:
        write_format(one)  # a missing package is an error now, not after the work
    if task.html:
        check_free(task.out)
    folders = finished_folders(task.out)
    with lock_folder(task.out), temporary_folder() as waiting:
        settle(task.out / GEOPACKAGE)  # fails before the work, not after it
        task = with_earlier_scale(task, read_record(task.out))
        spool = SceneSpool(waiting)
        failed = trace_all(task, folders, spool, part(progress, 0, TRACING))
        if not len(spool):
            raise InputError(f"no scene of {task.out} could be read: {next(iter(failed.values()))}")
        figures, paths = write_files(task, spool, profiles, part(progress, TRACING, 1))
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


def trace_all(
    task: ReportTask, folders: Sequence[Path], spool: "SceneSpool", progress: Progress
) -> dict[str, str]:
    """Trace all scenes into the ``spool``; return the errors of those that failed, by name."""
    failed: dict[str, str] = {}
    known: list[tuple[Scene, Scale | None]] = []
    for folder in folders:
        with failures(folder, failed):
            scene = Scene.read(folder)
            scale = find_scale(scene, task.gsd_mm, task.gsd_sigma_mm, task.scale_source)
            known.append((scene, scale))
    known = without_copies(known)
    warn_of_overlaps([scene for scene, _ in known])
    for number, (scene, scale) in enumerate(known):
        began = time.monotonic()
        own = in_pixels(
            part(progress, number / len(known), (number + 1) / len(known)),
            scene.rows * scene.cols / 1e6,
        )
        table = None
        with failures(scene.folder, failed):
            table = trace_scene(scene, scale, task, own)
            scene_row(table)  # a damaged record fails here, not when all scenes are written
        if table is not None and scene.name not in failed:
            spool.add(table)
        log.debug("%s: measured in %.2f s", scene.name, time.monotonic() - began)
    return failed


@contextmanager
def failures(folder: Path, failed: dict[str, str]) -> Iterator[None]:
    """Store an error of one scene in ``failed``, so that the others are done; errors of the task or
    of the output are raised."""
    try:
        yield
    except (InputError, OutOfMemory) as error:
        failed[folder.name] = str(error)
    except CrackError:
        raise
    except MemoryError:
        failed[folder.name] = "not enough free memory; free some"
    except Exception as error:
        if os.environ.get("CRACKCLI_TRACEBACK"):
            raise
        failed[folder.name] = (
            f"{folder}: could not be reported (unexpected {type(error).__name__}: {error}); scan "
            "its photograph again, or see where with CRACKCLI_TRACEBACK=1"
        )


def without_copies(
    scenes: Sequence[tuple[Scene, Scale | None]],
) -> list[tuple[Scene, Scale | None]]:
    """Return the scenes without those that show the same file as another, and log their names: a
    photograph that was renamed and scanned again would count twice. The last scan counts."""
    latest: dict[str, tuple[float, str]] = {}
    for scene, _ in scenes:
        written = written_at(scene)
        key = source_key(scene)
        latest[key] = max(latest.get(key, (0.0, "")), (written, scene.name))
    left = []
    for scene, scale in scenes:
        _, last = latest[source_key(scene)]
        if last != scene.name:
            log.warning(
                "%s: left out, as %s shows the same photograph and was scanned later; delete the "
                "folder %s, or report it from another output folder",
                scene.name,
                last,
                scene.folder,
            )
        else:
            left.append((scene, scale))
    return left


def written_at(scene: Scene) -> float:
    """Return when a scene was written, in seconds; 0 if that is unknown."""
    try:
        return (scene.folder / "scene.json").stat().st_mtime
    except OSError:
        return 0.0


def source_key(scene: Scene) -> str:
    """Return what is the same for two scans of one photograph: all of its record but its name,
    place and notes; the name of the scene if there is no record."""
    source = scene.record.subset(["source"]).get("source") or {}
    known = {name: value for name, value in source.items() if name not in ("file", "path", "notes")}
    return repr(sorted(known.items())) if "sha256" in known else scene.name


def write_files(
    task: ReportTask, spool: "SceneSpool", profiles: SeverityProfiles, progress: Progress
) -> tuple[list[SceneFigures], list[Path]]:
    """Write all files of a report aside, with the work of people, and publish them together.

    Returns the figures of the scenes and the paths of the tables and maps.
    """
    earlier = read_record(task.out)
    people = WorkOfPeople.read(task.out / GEOPACKAGE, earlier, spool)
    spool.change(lambda table: people.carry_over(table, profiles))
    log_changed_masks(spool, earlier)
    name = report_id(task, spool)
    spool.change(lambda table: replace(table, identity=replace(table.identity, report_id=name)))
    figures = [summarise(table) for table in spool]
    paths: list[Path] = []
    with work_folder(task.out) as work:
        for number, one in enumerate(task.formats):
            progress(number / len(task.formats), f"writing {one}")
            paths += write_format(one)(work, spool, profiles)
        left = []
        if work / GEOPACKAGE in paths:
            people.copy_tables(work / GEOPACKAGE)
            left = changed_projects(earlier)
            project = write_project(work, task.out, spool)
            if left:
                project.unlink()  # the other files that it shows are new all the same
            else:
                paths.append(project)
        write_overviews(spool, work)
        if task.html:
            pages = part(progress, 0.5, 1)
            paths.append(write_pages(work, spool, profiles, task.html_max_mp, pages))
        elif PAGE in earlier.files:
            log.info("%s: removed with the earlier report; add --html for a new one", PAGE)
        people.check_unchanged()
        facts = facts_of(task, name, spool, people.unplaced)
        publish(work, earlier, facts, RETIRED, left)
    people.log_carried()
    return figures, [task.out / path.relative_to(work) for path in paths]


def write_format(name: str) -> FormatWriter:
    """Return the function that writes a format."""
    return cast(FormatWriter, load("--format", FORMATS | MORE_FORMATS, name))


def changed_projects(earlier: Record) -> list[str]:
    """Return the name of the QGIS project if people changed it: it stays as it is, since it finds
    the new cracks by itself."""
    path = earlier.path.with_name(PROJECT)
    if not path.exists() or earlier.owns(PROJECT):
        return []
    log.info("%s: changed in QGIS, and left as it is; delete it to get a new one", path)
    return [PROJECT]


def log_changed_masks(tables: Iterable[SceneCracks], earlier: Record) -> None:
    """Log a warning with the scenes whose mask is another than in the earlier report."""
    known = earlier.facts.get("scenes", {})
    changed = [
        table.scene.name
        for table in tables
        if table.scene.name in known
        and known[table.scene.name].get("mask_sha256") != table.identity.mask_sha256
    ]
    if changed:
        log.warning("masks changed since the earlier report: %s", first_names(changed))


def write_overviews(tables: Iterable[SceneCracks], work: Path) -> None:
    """Write the overview of each scene; one that cannot be written is a warning: the tables are."""
    for table in tables:
        path = table.scene.overview
        try:
            if path.is_dir():
                raise OutputError(f"{path}: cannot be written (is a folder); rename that folder")
            write_overview(table, work / table.scene.name / path.name)
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
        ("local_px", "px"),
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


class SceneSpool:
    """Traced scenes that wait in a folder; an iteration loads one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def path(self, number: int) -> Path:
        """Return the file of a scene."""
        return self.folder / f"{number}.pickle"

    def add(self, table: SceneCracks) -> None:
        """Store a traced scene."""
        self.store(self.count, table)
        self.count += 1

    def store(self, number: int, table: SceneCracks) -> None:
        """Store a scene in place of another."""
        with self.path(number).open("wb") as file:
            pickle.dump(table, file, pickle.HIGHEST_PROTOCOL)

    def change(self, change: Callable[[SceneCracks], SceneCracks]) -> None:
        """Replace each scene by what ``change`` makes of it."""
        for number, table in enumerate(self):
            self.store(number, change(table))

    def __iter__(self) -> Iterator[SceneCracks]:
        for number in range(self.count):
            with self.path(number).open("rb") as file:
                yield cast(SceneCracks, pickle.load(file))
