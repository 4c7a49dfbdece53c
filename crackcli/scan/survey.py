"""Scan many rasters into one output folder.

The folder is locked meanwhile, and a raster that fails does not stop the others. ``run.json``
holds versions, options and the status of every scene; it is written after each scene.
"""

import contextlib
import json
import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crackcli import __version__
from crackcli.errors import CrackError, Interrupted, InTheWay, OutOfMemory, OutputError
from crackcli.files import is_regular, lock_folder, write_json
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer
from crackcli.masking.refinement import Masking
from crackcli.outputs import Record
from crackcli.progress import Progress, ignore
from crackcli.rasters.access.folders import Skipped, rows
from crackcli.rasters.access.pages import Page
from crackcli.rasters.reader import MIN_SIDE_PX
from crackcli.rasters.resampled import FULL_RESOLUTION, sort_zooms
from crackcli.registry import find_method
from crackcli.scan.inputs import TILES, Failure, Inputs, exit_code, find_rasters
from crackcli.scan.process_memory import peak_memory_mb
from crackcli.scan.raster import ScanSummary, ScanTask, scan_raster
from crackcli.scan.survey_progress import SurveyProgress
from crackcli.scenes.areas.survey_areas import AreaOptions, SurveyAreas, names_of
from crackcli.scenes.overlaps import warn_of_overlaps
from crackcli.scenes.recorded_scale import Hints
from crackcli.scenes.scene import Scene, readable_scenes
from crackcli.shipped_models import choose
from crackcli.texts import first_names, printable

NO_MEMORY = "{}: not enough free memory; free some, or give a smaller --core-px"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SurveyTask:
    """The files and folders to scan, the output folder, and the options for every raster.

    ``core_px`` None: what suits the method. ``page`` None: every full-size page.
    """

    sources: tuple[Path, ...]
    output: Path
    model_options: ModelOptions = ModelOptions()
    masking: Masking = Masking("auto")
    core_px: int | None = None
    zooms: tuple[float, ...] = FULL_RESOLUTION
    bands: tuple[int, ...] = ()
    page: int | None = None
    hints: Hints = Hints()
    areas: AreaOptions = AreaOptions()
    overwrite: bool = False
    recurse: bool = True  # into subfolders

    def __post_init__(self) -> None:
        object.__setattr__(self, "zooms", sort_zooms(self.zooms))


@dataclass
class SurveyResult:
    """The scanned scenes, the failed inputs, and what was skipped of the folders; ``stopped`` is
    the exit code of the error that ended the run early."""

    scenes: list[ScanSummary] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    stopped: int | None = None

    @property
    def exit_code(self) -> int:
        """0 if all inputs were scanned, 3 if some were, otherwise the code of the failures."""
        if self.stopped is not None:
            return self.stopped
        return exit_code(len(self.scenes), self.failures)


def scan_survey(
    task: SurveyTask,
    progress: Progress = ignore,
    on_failure: Callable[[Failure], None] = lambda failure: None,
) -> SurveyResult:
    """Scan every raster of ``task.sources`` into a folder of its own in ``task.output``.

    A raster that cannot be scanned is reported to ``on_failure``, and the run continues. Raises an
    `OutputError` if the output folder cannot be written, which ends the run.
    """
    found = find_inputs(task)
    result = SurveyResult(skipped=rows(found.skipped))

    def fail(failure: Failure) -> None:
        result.failures.append(failure)
        on_failure(failure)

    for failure in found.failures:
        fail(failure)
    if not found.photographs:  # so neither a model is loaded nor a folder made
        return result
    if not task.overwrite:
        refuse_other_run(task.output / "run.json")
    areas = SurveyAreas.read(task.areas)
    scorer, core_px = opened(task)
    engine = scorer.engine
    log.info("engine %s on %s: %s", engine.facts.engine, engine.facts.device, engine.facts.model)
    if find_method(engine.facts.method).network is not None:
        chosen = choose(task.model_options.model, task.model_options.method).model
        name = chosen if isinstance(chosen, str) else engine.facts.model
        log.info("model: %s (%s); crackcli models lists others", name, engine.facts.licence)

    with lock_folder(task.output):
        rasters = found.named(task.output, task.bands)  # by what other runs have left there
        try:
            shares = SurveyProgress(progress, rasters.values())
            for name, photograph in rasters.items():
                source, page = photograph
                one = ScanTask(
                    source,
                    task.output / name,
                    masking=task.masking,
                    core_px=core_px,
                    zooms=task.zooms,
                    bands=task.bands,
                    page=page,
                    hints=task.hints,
                    areas=areas,
                    overwrite=task.overwrite,
                )

                scanned = False
                with failing(source, fail):
                    result.scenes.append(scan_raster(one, scorer, shares.of(photograph)))
                    scanned = result.scenes[-1].status != "unchanged"
                shares.end(photograph, scanned=scanned)
                write_run(task, scorer, result)
        except (OutputError, Interrupted) as stop:
            result.stopped = stop.exit_code
            raise
        finally:
            with contextlib.suppress(OutputError):
                write_run(task, scorer, result)
    warn_of_report(task.output, result.scenes)
    warn_of_areas(areas, rasters, result.scenes)
    scenes = readable_scenes(task.output)
    warn_of_overlaps(scenes)
    warn_of_tiles(scenes, task.output, found.skipped.get(TILES, []))
    return result


def warn_of_tiles(scenes: Sequence[Scene], out: Path, tiles: Sequence[Path]) -> None:
    """Log a warning if tiles, which a VRT stands for now, were scanned by an earlier run."""
    real = {path.resolve() for path in tiles}
    names = [
        scene.name
        for scene in scenes
        if scene.record.source_path and (out / scene.record.source_path).resolve() in real
    ]
    if names:
        log.warning(
            "%s: tiles of a VRT that were scanned before: cracks there count twice; delete their "
            "folders in %s",
            *(first_names(names), out),
        )


def warn_of_areas(
    areas: SurveyAreas, rasters: Mapping[str, Page], scenes: Sequence[ScanSummary]
) -> None:
    """Log warnings about areas that exclude nothing, or all of a scene, or are for no scene."""
    without = [
        one.scene
        for one in scenes
        if not one.excluded_px and areas.concern(names_of(one.scene, one.source))
    ]
    if without:
        log.warning("nothing was excluded in %s: no area meets it", first_names(without))
    empty = [one.scene for one in scenes if one.excluded_px and is_all_excluded(one)]
    if empty:
        log.warning("all of %s was excluded: nothing was scanned there", first_names(empty))
    every = [name for scene, page in rasters.items() for name in names_of(scene, page.path)]
    unknown = areas.unknown_scenes(every)
    if unknown:
        names = first_names([printable(name) for name in unknown])
        log.warning("areas are for scenes that were not scanned: %s", names)


def is_all_excluded(one: ScanSummary) -> bool:
    """Return True if the excluded areas cover the whole scene."""
    scene = Scene.read(one.mask.parent)
    areas = scene.record.excluded
    return areas is not None and areas.polygons.area > scene.rows * scene.cols - 0.5


def find_inputs(task: SurveyTask) -> Inputs:
    """Return the photographs of a task, and what was skipped."""
    return find_rasters(task.sources, task.output, recurse=task.recurse, page=task.page)


@contextlib.contextmanager
def failing(source: Path, fail: Callable[[Failure], None]) -> Iterator[None]:
    """Hand an error about one input to ``fail``, so that the others are done; raise an
    `OutputError`, unless it is about files in the way of this one."""
    try:
        yield
    except OutputError as error:
        if not isinstance(error, InTheWay):
            raise
        fail(Failure(source, str(error), error.exit_code))
    except CrackError as error:
        fail(Failure(source, str(error), error.exit_code))
    except MemoryError:
        fail(Failure(source, NO_MEMORY.format(source), OutOfMemory.exit_code))
    except Exception as error:
        if os.environ.get("CRACKCLI_TRACEBACK"):
            raise
        fail(Failure(source, unforeseen(source, error), CrackError.exit_code))


def warn_of_report(out: Path, scenes: Sequence[ScanSummary]) -> None:
    """Log a warning if the folder has a report of earlier masks of these scenes."""
    reported = Record.read(out / "report.json").facts.get("scenes", {})
    changed = [one.scene for one in scenes if one.scene in reported and one.status != "unchanged"]
    if changed:
        log.warning(
            "%s: its report is older than the masks of %s; run crackcli report %s",
            out,
            first_names(changed),
            out,
        )


def refuse_other_run(path: Path) -> None:
    """Raise `InTheWay` if ``run.json`` exists and is not the record of a scan."""
    if not path.exists() and not path.is_symlink():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if is_regular(path) else None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or "crackcli_version" not in found:
        raise InTheWay(
            f"{path}: is not of crackcli; move it away, choose another output, or add --overwrite"
        )


def opened(task: SurveyTask) -> tuple[StripScorer, int]:
    """Open the model of a task and return its scorer and the side of its blocks in pixels."""
    scorer = open_scorer(task.model_options)
    look, gate = task.model_options.look, task.model_options.gate
    if look and look >= gate:
        log.info("--look %g is ignored: it is not below --gate %g", look, gate)
    elif look and scorer.prescreen is None:
        log.info("--look is ignored: it would save no time on this machine")
    core_px = scorer.core_px if task.core_px is None else task.core_px
    scorer.grid(MIN_SIDE_PX, MIN_SIDE_PX, core_px)  # raises if unsuitable
    return scorer, core_px


def unforeseen(source: Path, error: Exception) -> str:
    """Return the message about an error that is not a `CrackError`."""
    return (
        f"{source}: could not be scanned (unexpected {type(error).__name__}: {error}); "
        "CRACKCLI_TRACEBACK=1 shows where"
    )


def write_run(task: SurveyTask, scorer: StripScorer, result: SurveyResult) -> None:
    """Write ``run.json``: the options of the run, so that it can be repeated, and its results."""
    options = asdict(task.model_options) | {
        name: value
        for name, value in asdict(task).items()
        if name not in ("sources", "output", "model_options")
    }
    record: dict[str, Any] = {
        "crackcli_version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "written_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": [str(source) for source in task.sources],
        "options": options,
        "device": scorer.engine.facts.device,
        "engine": asdict(scorer.engine.facts),
        "peak_memory_mb": peak_memory_mb(),
        "scenes": [asdict(scene) for scene in result.scenes],
        "failures": [asdict(failure) for failure in result.failures],
        "skipped": [asdict(kind) for kind in result.skipped],
        "exit_code": result.exit_code,
    }
    write_json(task.output / "run.json", record)
