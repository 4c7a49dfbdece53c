"""Traces the cracks of one scene in its mask and measures them on its photograph.

Lines that are likely joints are kept apart from cracks. The photograph gives the widths
(`crackcli.measuring.measure`) and the detection limits (`crackcli.detectability.assessment`). If
it is missing or was changed, the scene gets the widths of the mask and no detection limits.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from crackcli.cracks import widths
from crackcli.cracks.crack import Crack
from crackcli.cracks.joints import JOINT_THRESHOLD, with_joint_likelihoods
from crackcli.cracks.on_ground import in_squares
from crackcli.cracks.tracing import trace
from crackcli.detectability.assessment import Assessed, assess
from crackcli.errors import InputError, UsageError
from crackcli.measuring.full_contrast import Optics
from crackcli.measuring.measure import measure_all
from crackcli.measuring.profiles import RasterPhotograph
from crackcli.measuring.tone import TONE_CURVES
from crackcli.progress import FractionDone, Progress, ignore, part
from crackcli.rasters.ground.pixel import PixelShape
from crackcli.rasters.reader import RasterInfo, check_unchanged
from crackcli.rasters.score_mask import read_tags
from crackcli.registry import FORMATS
from crackcli.report.confidence import find_confidence
from crackcli.report.default_options import by_default
from crackcli.report.identity import check_names, identify, relevance_top
from crackcli.report.tables.columns import EDGES
from crackcli.report.tables.rows import SceneCracks
from crackcli.scenes.scale import Scale, check_scale_options
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import inspect_original

log = logging.getLogger(__name__)

ON_MASK = 0.4  # fraction of the time of a scene spent on the mask; the rest on the photograph
# The largest width is a running mean over this length, but at least over this many pixels.
WINDOW_MM, MIN_WINDOW_PX = 5.0, 3.0
REMEDY = "bring that one back, or scan this one into another folder"


@dataclass(frozen=True)
class ReportTask:
    """The output folder of a scan, and the options of its report."""

    out: Path
    gsd_mm: float | None = None  # size of a pixel, if the raster does not contain it
    gsd_sigma_mm: float | None = None  # its standard uncertainty
    scale_source: str | None = None  # the source to trust if several disagree
    severity: tuple[str, ...] = ()  # profiles to grade by, or files of profiles
    min_length_px: float = 0.0  # shorter cracks are left out; the others keep their ids
    joint_likelihood: float = JOINT_THRESHOLD  # lines with this or more are joints; 1 keeps all
    tone: str | None = (
        None  # transfer function, one of `TONE_CURVES`; None: estimate it at the cracks
    )
    asset_id: str | None = None  # name of the structure or element, for the tables
    campaign_id: str | None = None  # name of the survey
    photographs: Path | None = None  # folder of the photographs, if they or ``out`` were moved
    formats: tuple[str, ...] = tuple(FORMATS)
    html: bool = False  # write report/index.html too
    html_max_mp: float = 1000.0  # megapixels of a photograph on it, at most

    def __post_init__(self) -> None:
        if self.tone is not None and self.tone not in TONE_CURVES:
            raise UsageError(f"--tone {self.tone}: unknown tone; use {' or '.join(TONE_CURVES)}")
        check_names(asset_id=self.asset_id, campaign_id=self.campaign_id)
        check_scale_options(self.gsd_mm, self.gsd_sigma_mm, self.scale_source)
        if not 0 < self.joint_likelihood <= 1:
            raise UsageError(
                f"--joint-likelihood {self.joint_likelihood:g}: must be above 0 and at most 1"
            )


def trace_scene(
    scene: Scene, scale: Scale | None, task: ReportTask, progress: Progress = ignore
) -> SceneCracks:
    """Return the measured cracks and joints of one scene, without those that are too short.

    Lengths are those in the mask. If pixels are not square, measures are in squares as large
    (`crackcli.cracks.on_ground`). Raises `InputError` if the mask or score cannot be read, or if
    the photograph is changed meanwhile.
    """
    on_mask, on_photograph = part(progress, 0, ON_MASK), part(progress, ON_MASK, 1)
    traced = trace(
        scene.mask,
        scene.score,
        (scene.rows, scene.cols),
        scene=scene.name,
        report=lambda fraction: on_mask(fraction, scene.name),
    )
    cracks: list[Crack] = []
    joints: list[Crack] = []
    left_out = 0
    shape = scene.ground_pixel.shape
    for crack in with_joint_likelihoods(traced.cracks):
        if in_squares(crack, shape).length_px < task.min_length_px:
            left_out += 1
        else:
            joint = (crack.joint_likelihood or 0.0) >= task.joint_likelihood
            (joints if joint else cracks).append(crack)
    assessed_px, assessed = traced.assessed_px, None
    del traced  # memory: the measured cracks replace these
    tags, optics = read_tags(scene.score), None
    info = find_photograph(scene, task, has_lines=bool(cracks or joints))
    if info is not None:
        # Both read the photograph and are independent of each other.
        with ThreadPoolExecutor(1) as background:
            without = info.excluding(scene.record.excluded)
            assessing = background.submit(assess_photograph, scene, without)
            if cracks or joints:
                cracks, joints, optics = measure_on_photograph(
                    scene,
                    cracks,
                    joints,
                    info,
                    window_px(scale),
                    task.tone,
                    shape,
                    lambda fraction: on_photograph(fraction, scene.name),
                )
            assessed = assessing.result()
        check_unchanged(info, thorough=True)
    else:
        cracks, joints = ([in_squares(one, shape) for one in lines] for lines in (cracks, joints))
    if assessed is not None and not shape.is_square:
        assessed = assessed.with_limits_times(shape.largest_stretch)  # in the worst direction
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
        relevance_top=relevance_top(tags),
        confidence=find_confidence(scene.record, tags),
        identity=identify(task.out, scene, task.asset_id, task.campaign_id),
        photograph=info,
        window_px=window_px(scale) if optics else widths.WINDOW_PX,
        by_default=by_default(scene),
    )


def window_px(scale: Scale | None) -> float:
    """Return the length of the running mean of the largest width: `WINDOW_MM`, at least
    `MIN_WINDOW_PX`; without a scale that of `crackcli.cracks.widths`."""
    return max(MIN_WINDOW_PX, WINDOW_MM / scale.mm_per_px) if scale else widths.WINDOW_PX


def find_photograph(scene: Scene, task: ReportTask, *, has_lines: bool) -> RasterInfo | None:
    """Return the photograph that was scanned; log the reason and return None if it is not
    available. The reason is a warning if the scene has lines to measure."""
    try:
        return inspect_original(task.out, scene, REMEDY, task.photographs)
    except InputError as error:
        if has_lines:
            log.warning(
                "%s: photograph not available (%s); widths are measured on the mask, and detection "
                "limits are unknown",
                scene.name,
                error,
            )
        else:
            log.info(
                "%s: photograph not available (%s); detection limits are unknown", scene.name, error
            )
    return None


def measure_on_photograph(
    scene: Scene,
    cracks: list[Crack],
    joints: list[Crack],
    info: RasterInfo,
    window_px: float,
    tone: str | None,
    shape: PixelShape,
    report: FractionDone,
) -> tuple[list[Crack], list[Crack], Optics | None]:
    """Return cracks and joints with widths of the photograph, and its optics; log a warning and
    return them unchanged, and None, if it cannot be read."""
    try:
        with RasterPhotograph(info) as photograph:
            both, optics = measure_all(
                [*cracks, *joints],
                photograph,
                window_px,
                cracks or joints,  # which determine the optics
                report,
                TONE_CURVES[tone] if tone else None,
                shape,
            )
    except InputError as error:
        log.warning("%s: widths are measured on the mask: %s", scene.name, error)
        cracks, joints = ([in_squares(one, shape) for one in lines] for lines in (cracks, joints))
        return cracks, joints, None
    log.debug("%s: %s", scene.name, optics)
    return both[: len(cracks)], both[len(cracks) :], optics


def assess_photograph(scene: Scene, info: RasterInfo) -> Assessed | None:
    """Return the detection limits of a photograph; log the reason and return None if it cannot be
    read."""
    try:
        return assess(info, scene.record.method)
    except InputError as error:
        log.info("%s: detection limits are unknown: %s", scene.name, error)
    return None
