"""A report: the cracks of every finished scene, measured and written in every format.

The mask says where a crack is, the photograph that was scanned how wide it is
(`crackcli.measuring.measure`).  A photograph that is missing or was changed is not measured: its
scene has the widths of the mask.

Scenes are traced one after the other.  Lines that are likely joints are no cracks: they are set
aside, and go to a layer of their own.  The photograph, where it is at hand, tells which cracks
could have been seen and which not (`crackcli.detectability.assessment`).  What was traced waits in
a temporary folder, so that the formats, which put all scenes into one file each, hold the cracks of
one scene at a time."""

import logging
import pickle
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from crackcli.cracks import widths
from crackcli.cracks.crack import Crack
from crackcli.cracks.joints import JOINT_THRESHOLD, with_joint_likelihoods
from crackcli.cracks.tracing import trace
from crackcli.detectability.assessment import Assessed, assess
from crackcli.detectability.statements import SceneFindings, statement
from crackcli.errors import InputError, UsageError
from crackcli.measuring.measure import measure_all
from crackcli.measuring.photometric_width import Optics
from crackcli.measuring.profiles import RasterPhotograph
from crackcli.measuring.tone import TONES, Tone
from crackcli.progress import Progress
from crackcli.rasters.reader import RasterInfo, read_tags
from crackcli.registry import FORMATS, load
from crackcli.report.columns import EDGES
from crackcli.report.default_options import by_default
from crackcli.report.identity import about, check_names, relevance_top
from crackcli.report.limit_columns import scene_limits
from crackcli.report.rows import SceneCracks, findings_of
from crackcli.report.severity import find_profiles
from crackcli.report.severity_columns import SeverityProfiles
from crackcli.scenes.frames import exchange_frame
from crackcli.scenes.scale import Scale, check_scale_options, find_scale
from crackcli.scenes.scene import Scene, finished_folders
from crackcli.scenes.source import inspect_original

log = logging.getLogger(__name__)

TRACING = 0.8  # share of the time that goes into tracing; the rest is writing
MASK = 0.4  # of that share, what is done after the mask
WINDOW_MM, LEAST_WINDOW_PX = 5.0, 3.0  # over which the largest width is a mean: the longer
SAID = 10  # scenes at most, of each of which a statement is logged


@dataclass(frozen=True)
class ReportTask:
    """What to report: the output folder of a scan, and choices."""

    out: Path
    gsd_mm: float | None = None  # size of a pixel, where the raster does not tell
    gsd_sigma_mm: float | None = None  # its standard uncertainty
    scale_source: str | None = None  # which to trust where several sources disagree
    severity: tuple[str, ...] = ()  # profiles to grade by, and files of such
    min_length_px: float = 0.0  # shorter cracks are left out; the others keep their ids
    joint_likelihood: float = JOINT_THRESHOLD  # from which on lines are set aside as joints; 1 keeps all
    tone: str | None = None  # of `TONES`, how pixels mix wall and crack; else edges tell it
    asset_id: str | None = None  # the structure or element, and the survey: names for the tables
    campaign_id: str | None = None
    formats: tuple[str, ...] = tuple(FORMATS)

    def __post_init__(self) -> None:
        if self.tone is not None and self.tone not in TONES:
            raise UsageError(f"a tone of {self.tone!r} is none; give {' or '.join(TONES)}")
        check_names(asset_id=self.asset_id, campaign_id=self.campaign_id)
        check_scale_options(self.gsd_mm, self.gsd_sigma_mm, self.scale_source)
        if not 0 < self.joint_likelihood <= 1:
            raise UsageError(
                f"a joint likelihood of {self.joint_likelihood:g} is none; give more than 0, and 1 "
                "at most"
            )


@dataclass(frozen=True)
class SceneReport:
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
    not_assessable_pct: float | None  # None, as the next: the photograph is not at hand
    detect_limit_px: float | None  # from this width on cracks are seen on most of the wall
    statement: str


@dataclass(frozen=True)
class ReportSummary:
    """What was written, and which scenes could not be read: their errors by name."""

    paths: list[Path]
    scenes: list[SceneReport]
    failed: dict[str, str] = field(default_factory=dict)
    statement: str = ""  # on all scenes together
    caveats: dict[str, str] = field(default_factory=dict)  # of the profiles that graded, by name


def write_report(task: ReportTask, progress: Progress = lambda share, words: None) -> ReportSummary:
    """Trace all scenes of ``task.out`` and write the report there.

    A scene that cannot be read, or whose sources of scale disagree, is named in the summary and
    the others are done.  Raises `InputError` if none can be read, `UsageError` if ``gsd_mm``
    contradicts what a scene tells of its scale, or if a severity profile is not known.
    """
    profiles = find_profiles(task.severity)
    folders = finished_folders(task.out)
    failed: dict[str, str] = {}
    known: list[tuple[Scene, Scale | None]] = []
    for folder in folders:
        try:
            scene = Scene.read(folder)
            scale = find_scale(scene, task.gsd_mm, task.gsd_sigma_mm, task.scale_source)
        except InputError as error:
            failed[folder.name] = str(error)
        else:
            known.append((scene, scale))

    with tempfile.TemporaryDirectory(prefix="crackcli-") as waiting:
        spool = Spool(Path(waiting))
        said: list[SceneFindings] = []
        for number, (scene, scale) in enumerate(known):

            def looked(share: float, scene: Scene = scene, number: int = number) -> None:
                progress(TRACING * (number + share) / len(known), scene.name)

            try:
                table = trace_scene(scene, scale, task, looked)
            except InputError as error:
                failed[scene.name] = str(error)
            else:
                spool.add(table, summarise(table))
                said.append(findings_of(table))
        if not spool.summaries:
            raise InputError(f"no scene of {task.out} could be read: {next(iter(failed.values()))}")
        paths: list[Path] = []
        for number, name in enumerate(task.formats):
            progress(TRACING + (1 - TRACING) * number / len(task.formats), f"writing {name}")
            paths += load(FORMATS, name)(task.out, spool, profiles)
    tell_severity(spool.summaries, profiles)
    tell_joints(spool.summaries, task.joint_likelihood)
    total = statement(said)
    tell(spool.summaries, total)
    caveats = {profile.name: profile.caveat for profile in profiles}
    return ReportSummary(paths, spool.summaries, failed, total, caveats)


def trace_scene(
    scene: Scene, scale: Scale | None, task: ReportTask, report: Callable[[float], None]
) -> SceneCracks:
    """The cracks and joints of one scene that are long enough, by their length in the mask."""
    shape = scene.rows, scene.cols

    traced = trace(
        scene.mask,
        scene.score,
        shape,
        scene=scene.name,
        report=lambda share: report(MASK * share),
    )
    cracks: list[Crack] = []
    joints: list[Crack] = []
    left_out = 0
    for crack in with_joint_likelihoods(traced.cracks):
        if crack.length_px < task.min_length_px:
            left_out += 1
        else:
            joint = (crack.joint_likelihood or 0.0) >= task.joint_likelihood
            (joints if joint else cracks).append(crack)
    assessed_px, assessed = traced.assessed_px, None
    del traced
    optics = None
    info = original_of(scene, task.out, measurable=bool(cracks or joints))
    if info is not None:
        with ThreadPoolExecutor(1) as beside:  # both read the photograph, neither asks the other
            seeing = beside.submit(assessed_of, scene, info)
            if cracks or joints:
                cracks, joints, optics = measured(
                    scene,
                    cracks,
                    joints,
                    info,
                    window_px(scale),
                    TONES[task.tone] if task.tone else None,
                    lambda share: report(MASK + (1 - MASK) * share),
                )
            assessed = seeing.result()
    return SceneCracks(
        scene,
        scale,
        cracks,
        assessed_px,
        joints,
        assessed,
        left_out=left_out,
        min_length_px=task.min_length_px,
        joint_from=task.joint_likelihood,
        tone=(task.tone or EDGES) if optics else None,
        optics=optics,
        relevance_top=relevance_top(read_tags(scene.score)),
        about=about(task.out, scene, task.asset_id, task.campaign_id),
        by_default=by_default(scene),
    )


def window_px(scale: Scale | None) -> float:
    """The length over which the largest width is a mean: `WINDOW_MM`, at least `LEAST_WINDOW_PX`;
    without a scale that of `crackcli.cracks.widths`."""
    return max(LEAST_WINDOW_PX, WINDOW_MM / scale.mm_per_px) if scale else widths.WINDOW_PX


def original_of(scene: Scene, out: Path, *, measurable: bool) -> RasterInfo | None:
    """The photograph that was scanned; None, and a word, where it is not at hand.  A warning if
    something is ``measurable`` in it."""
    try:
        return inspect_original(out, scene, "bring that one back, or scan this one into another folder")
    except InputError as error:
        if measurable:
            log.warning(
                "%s has the widths of its mask, and which cracks could have been seen is not "
                "known: %s",
                scene.name,
                error,
            )
        else:
            log.info("%s: which cracks could have been seen is not known: %s", scene.name, error)
    return None


def measured(
    scene: Scene,
    cracks: list[Crack],
    joints: list[Crack],
    info: RasterInfo,
    window_px: float,
    tone: Tone | None,
    report: Callable[[float], None],
) -> tuple[list[Crack], list[Crack], Optics | None]:
    """Cracks and joints, measured on the photograph as far as it can be read, and its optics."""
    try:
        with RasterPhotograph(info) as photograph:
            telling = cracks or joints
            both, optics = measure_all(
                [*cracks, *joints], photograph, window_px, telling, report, tone
            )
    except InputError as error:
        log.warning("%s has the widths of its mask: %s", scene.name, error)
        return cracks, joints, None
    log.debug("%s: %s", scene.name, optics)
    return both[: len(cracks)], both[len(cracks) :], optics


def assessed_of(scene: Scene, info: RasterInfo) -> Assessed | None:
    """What could be seen on a scene; None, and a word, where its photograph cannot be read."""
    try:
        return assess(info)
    except InputError as error:
        log.info("%s: which cracks could have been seen is not known: %s", scene.name, error)
    return None


def summarise(table: SceneCracks) -> SceneReport:
    frame = exchange_frame(table.scene, table.scale)
    limits = scene_limits(table.assessed, table.scale)
    summary = SceneReport(
        scene=table.scene.name,
        cracks=len(table.cracks),
        total_length_px=round(sum((crack.length_px for crack in table.cracks), 0.0), 3),
        total_area_px=sum(crack.area_px for crack in table.cracks),
        width_max_px=round(max((crack.widths.max_px for crack in table.cracks), default=0.0), 3),
        joints=len(table.joints),
        joints_length_px=round(sum((crack.length_px for crack in table.joints), 0.0), 3),
        mm_per_px=table.scale.mm_per_px if table.scale else None,
        coordinates=frame.space,
        not_assessable_pct=limits["not_assessable_pct"],
        detect_limit_px=limits["detect_limit_px"],
        statement=statement([findings_of(table)]),
    )
    if frame.space != "wgs84":
        unit = "mm" if table.scale else "px (give --gsd-mm for mm)"
        log.info("%s has no map tied to the Earth: coordinates in local %s", summary.scene, unit)
    return summary


def tell_severity(scenes: list[SceneReport], profiles: SeverityProfiles) -> None:
    """Log by what cracks were graded, with the caveats, and once what could not be graded."""
    for profile in profiles:
        log.warning("%s (%s): %s", profile.name, profile.graded, profile.caveat)
    bare = [scene.scene for scene in scenes if scene.mm_per_px is None]
    if profiles and bare:
        log.warning(
            "no grades for %d of %d scenes, which have no scale (%s%s); give --gsd-mm",
            len(bare),
            len(scenes),
            ", ".join(bare[:3]),
            ", ..." if len(bare) > 3 else "",
        )


def tell_joints(scenes: list[SceneReport], likelihood: float) -> None:
    """Log how many lines of all scenes were set aside, if any."""
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


def tell(scenes: list[SceneReport], total: str) -> None:
    """Log the detection statement of each scene (at most `SAID` scenes) and of all together."""
    if 1 < len(scenes) <= SAID:
        for scene in scenes:
            log.info("%s: %s", scene.scene, scene.statement)
    log.info("%s: %s", scenes[0].scene if len(scenes) == 1 else "in all", total)


class Spool:
    """Traced scenes that wait in a folder; each walk through them loads one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summaries: list[SceneReport] = []

    def add(self, table: SceneCracks, summary: SceneReport) -> None:
        path = self.folder / f"{len(self.summaries)}.pickle"
        with path.open("wb") as file:
            pickle.dump(table, file, pickle.HIGHEST_PROTOCOL)
        self.summaries.append(summary)

    def __iter__(self) -> Iterator[SceneCracks]:
        for number in range(len(self.summaries)):
            with (self.folder / f"{number}.pickle").open("rb") as file:
                yield pickle.load(file)
