"""A report: the cracks of every finished scene, measured and written in every format.

The mask says where a crack is, the photograph that was scanned how wide it is
(`crackcli.measuring`).  A photograph that is missing or was changed is not measured: its scene has
the widths of the mask.

Scenes are traced one after the other.  Lines that are likely joints are no cracks: they are set
aside, and go to a layer of their own.  What was traced waits in a temporary folder, so that the
formats, which put all scenes into one file each, hold the cracks of one scene at a time.
"""

import logging
import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crackcli import widths
from crackcli.cracks import Crack, trace
from crackcli.errors import InputError, UsageError
from crackcli.features import SceneCracks, exchange_frame
from crackcli.joints import JOINT, judged
from crackcli.measuring import measure_all
from crackcli.profiles import RasterPhotograph
from crackcli.registry import FORMATS, load
from crackcli.scale import Scale, find_scale
from crackcli.scene import Scene, finished_folders
from crackcli.sources import original
from crackcli.tone import TONES

log = logging.getLogger(__name__)

TRACING = 0.8  # share of the time that goes into tracing; the rest is writing
MASK = 0.5  # share of that time that goes into the mask; the rest into the photograph
WINDOW_MM, LEAST_WINDOW_PX = 5.0, 3.0  # over which the largest width is a mean: the longer

Progress = Callable[[float, str], None]  # share done, 0 to 1, and what is being done


@dataclass(frozen=True)
class ReportTask:
    """What to report: the output folder of a scan, and choices."""

    out: Path
    gsd_mm: float | None = None  # size of a pixel, where the raster does not tell
    min_length_px: float = 0.0  # shorter cracks are left out; the others keep their ids
    joint_likelihood: float = JOINT  # from which on lines are set aside as joints; 1 keeps all
    tone: str | None = None  # of `TONES`, how pixels mix wall and crack; else edges tell it
    formats: tuple[str, ...] = tuple(FORMATS)

    def __post_init__(self) -> None:
        if self.tone is not None and self.tone not in TONES:
            raise UsageError(f"a tone of {self.tone!r} is none; give {' or '.join(TONES)}")
        if not 0 < self.joint_likelihood <= 1:
            raise UsageError(
                f"a joint likelihood of {self.joint_likelihood:g} is none; give more than 0, and 1 "
                "at most"
            )


@dataclass(frozen=True)
class SceneSummary:
    """One line on one scene; millimetres are None without a scale.  What was set aside as joints
    counts with ``joints`` and ``joints_length_px`` only."""

    scene: str
    cracks: int
    total_length_px: float
    total_area_px: int
    width_max_px: float
    joints: int
    joints_length_px: float
    mm_per_px: float | None
    coordinates: str  # of its GeoJSON: wgs84, local_mm or local_px


@dataclass(frozen=True)
class ReportSummary:
    """What was written, and which scenes could not be read: their errors by name."""

    paths: list[Path]
    scenes: list[SceneSummary]
    failed: dict[str, str] = field(default_factory=dict)


def write_report(task: ReportTask, progress: Progress = lambda share, words: None) -> ReportSummary:
    """Trace all scenes of ``task.out`` and write the report there.

    A scene that cannot be read is named in the summary and the others are done.  Raises
    `InputError` if none can be read, `UsageError` if ``gsd_mm`` contradicts the map of a scene.
    """
    folders = finished_folders(task.out)
    failed: dict[str, str] = {}
    known: list[tuple[Scene, Scale | None]] = []
    for folder in folders:
        try:
            scene = Scene.read(folder)
        except InputError as error:
            failed[folder.name] = str(error)
        else:
            known.append((scene, find_scale(scene, task.gsd_mm)))

    with tempfile.TemporaryDirectory(prefix="crackcli-") as waiting:
        spool = Spool(Path(waiting))
        for number, (scene, scale) in enumerate(known):

            def traced(share: float, scene: Scene = scene, number: int = number) -> None:
                progress(TRACING * (number + share) / len(known), scene.name)

            try:
                table = trace_scene(scene, scale, task, traced)
            except InputError as error:
                failed[scene.name] = str(error)
            else:
                spool.add(table, summarise(table))
        if not spool.summaries:
            raise InputError(f"no scene of {task.out} could be read: {next(iter(failed.values()))}")
        paths: list[Path] = []
        for number, name in enumerate(task.formats):
            progress(TRACING + (1 - TRACING) * number / len(task.formats), f"writing {name}")
            paths += load(FORMATS, name)(task.out, spool)
    tell_joints(spool.summaries, task.joint_likelihood)
    return ReportSummary(paths, spool.summaries, failed)


def trace_scene(
    scene: Scene, scale: Scale | None, task: ReportTask, report: Callable[[float], None]
) -> SceneCracks:
    """The cracks and joints of one scene that are long enough, by their length in the mask."""
    shape = scene.rows, scene.cols

    def traced_share(share: float) -> None:
        report(MASK * share)

    def measured_share(share: float) -> None:
        report(MASK + (1 - MASK) * share)

    traced = trace(scene.mask, scene.score, shape, scene=scene.name, report=traced_share)
    cracks: list[Crack] = []
    joints: list[Crack] = []
    for crack in judged(traced.cracks):
        if crack.length_px >= task.min_length_px:
            joint = (crack.joint_likelihood or 0.0) >= task.joint_likelihood
            (joints if joint else cracks).append(crack)
    assessed_px = traced.assessed_px
    del traced
    both = photographed(scene, cracks, joints, window_px(scale), task, measured_share)
    return SceneCracks(scene, scale, both[: len(cracks)], assessed_px, both[len(cracks) :])


def window_px(scale: Scale | None) -> float:
    """The length over which the largest width is a mean: `WINDOW_MM`, at least `WINDOW_PX`."""
    return max(LEAST_WINDOW_PX, WINDOW_MM / scale.mm_per_px) if scale else widths.WINDOW_PX


def photographed(
    scene: Scene,
    cracks: list[Crack],
    joints: list[Crack],
    window_px: float,
    task: ReportTask,
    report: Callable[[float], None],
) -> list[Crack]:
    """Cracks and then joints, measured on the scene's photograph if it is there and the same."""
    if not cracks and not joints:
        return []
    try:
        info = original(
            task.out, scene, "bring that one back, or scan this one into another folder"
        )
        with RasterPhotograph(info) as photograph:
            telling = cracks or joints
            tone = TONES[task.tone] if task.tone else None
            both, optics = measure_all(
                [*cracks, *joints], photograph, window_px, telling, report, tone
            )
    except InputError as error:
        log.warning("%s has the widths of its mask: %s", scene.name, error)
        return [*cracks, *joints]
    log.debug("%s: %s", scene.name, optics)
    return both


def summarise(table: SceneCracks) -> SceneSummary:
    frame = exchange_frame(table.scene, table.scale)
    summary = SceneSummary(
        scene=table.scene.name,
        cracks=len(table.cracks),
        total_length_px=round(sum((crack.length_px for crack in table.cracks), 0.0), 3),
        total_area_px=sum(crack.area_px for crack in table.cracks),
        width_max_px=round(max((crack.widths.max_px for crack in table.cracks), default=0.0), 3),
        joints=len(table.joints),
        joints_length_px=round(sum((crack.length_px for crack in table.joints), 0.0), 3),
        mm_per_px=table.scale.mm_per_px if table.scale else None,
        coordinates=frame.space,
    )
    if frame.space != "wgs84":
        unit = "mm" if table.scale else "px (give --gsd-mm for mm)"
        log.info("%s has no map tied to the Earth: coordinates in local %s", summary.scene, unit)
    return summary


def tell_joints(scenes: list[SceneSummary], likelihood: float) -> None:
    """Say how many lines of all scenes were set aside, if any."""
    found = [scene for scene in scenes if scene.joints]
    if found:
        log.info(
            "set aside as joints (likelihood from %g): %d lines, %.0f px, in %d of %d scenes; "
            "they are in the joints layer",
            likelihood,
            sum(scene.joints for scene in found),
            sum(scene.joints_length_px for scene in found),
            len(found),
            len(scenes),
        )


class Spool:
    """Traced scenes that wait in a folder; each walk through them loads one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summaries: list[SceneSummary] = []

    def add(self, table: SceneCracks, summary: SceneSummary) -> None:
        path = self.folder / f"{len(self.summaries)}.pickle"
        with path.open("wb") as file:
            pickle.dump(table, file, pickle.HIGHEST_PROTOCOL)
        self.summaries.append(summary)

    def __iter__(self) -> Iterator[SceneCracks]:
        for number in range(len(self.summaries)):
            with (self.folder / f"{number}.pickle").open("rb") as file:
                yield pickle.load(file)
