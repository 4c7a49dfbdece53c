"""Runs a self-test: draws cracks of known width, scans and reports them, counts hits and misses.

1. The photograph is scanned without changes. Of one larger than `MAX_MP` only random windows are
   scanned, and the result applies to these.
2. Random places for the cracks are spread over the crack-free areas: away from marked cells, and
   from suspected ones as long as there are other places.
3. At each place a window of the photograph, large enough to contain every tile over the crack, is
   copied, and one crack is drawn into it. Cracks thus cannot help to detect each other, and the
   cost does not depend on the size of the photograph.
4. The copies are scanned and reported as separate photographs, with the threshold of the scan in
   step 1.
5. `crackcli.selftest.hits` matches each drawn crack with the cracks found in its copy, and
   `crackcli.selftest.pod` fits the curve.

All random choices follow from the seed. Intermediate files lie in OUT/.crackcli-work until the
test is done, so that the same command resumes an interrupted test.
"""

import json
import logging
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float64, UInt8
from crackcli.errors import CrackError, InputError, ModelError, UsageError
from crackcli.files import WORK, refuse_special
from crackcli.inference.options import ModelOptions
from crackcli.masking.refinement import Masking
from crackcli.progress import Progress, ignore, part
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo, check_unchanged, inspect
from crackcli.rasters.resampled import FULL_RESOLUTION, sort_zooms
from crackcli.rasters.score_mask import read_band
from crackcli.rasters.writing.images import write_pixels
from crackcli.report.tracing import ReportTask, trace_scene
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.areas.survey_areas import SurveyAreas
from crackcli.scenes.record import EngineRecord
from crackcli.scenes.scale import Scale, find_scale
from crackcli.scenes.scene import Scene, finished_scenes
from crackcli.scenes.source import inspect_as_scanned
from crackcli.selftest.hits import Hit, match_crack
from crackcli.selftest.injection import (
    MIN_SIDE_PX,
    DrawnCrack,
    Injection,
    ScannedPart,
    copy_side,
    estimate_contrast,
    place_cracks,
    shifted,
    write_copies,
)
from crackcli.selftest.pod import Pod, fit
from crackcli.shipped_models import parse_model

log = logging.getLogger(__name__)

WIDTHS_PX = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
COUNT = 64
MAX_WIDTH_PX = 30.0  # that a drawn crack of this length can have
MAX_MP = 30.0  # megapixels of a photograph that are scanned without changes
WINDOW_PX = 1024  # side of a window of a larger one
MIN_VALID = 0.9  # fraction of a window that is not nodata
CRACKS_PER_WIDTH = 8  # proposed if --count is too small


@dataclass(frozen=True)
class SelftestTask:
    """A photograph, the cracks to draw into it, and the options of the scan.

    ``page`` is that of a file with several full-size ones. If ``scan``, the output folder of a
    finished scan of the photograph, is given, its options apply. ``contrast`` None is
    estimated from the cracks of the photograph.
    """

    source: Path
    output: Path
    scan: Path | None = None
    widths_px: tuple[float, ...] = WIDTHS_PX
    count: int = COUNT
    contrast: float | None = None
    seed: int = 0
    gsd_mm: float | None = None
    page: int | None = None
    model_options: ModelOptions = ModelOptions()
    masking: Masking = Masking("auto")
    zooms: tuple[float, ...] = FULL_RESOLUTION
    max_megapixels: float = MAX_MP
    overwrite: bool = False

    def __post_init__(self) -> None:
        widths = tuple(sorted(set(self.widths_px)))
        if len(widths) < 2 or not all(0 < width <= MAX_WIDTH_PX for width in widths):
            raise UsageError(
                f"--widths {','.join(f'{width:g}' for width in self.widths_px)}: at least two "
                f"widths are needed, each above 0 and at most {MAX_WIDTH_PX:g} px"
            )
        chosen = self.model_options
        if self.scan and any((chosen.model, chosen.method, chosen.start, chosen.baseline)):
            raise UsageError(
                f"--scan {self.scan}: the model and method are those of the scan; leave --model, "
                "--method, --start and --baseline out, or --scan"
            )
        if self.contrast is not None and not 0 < self.contrast <= 1:
            raise UsageError(f"--contrast {self.contrast:g}: must be above 0 and at most 1")
        if self.count < len(widths):
            raise UsageError(
                f"--count {self.count}: too few cracks for {len(widths)} widths; use "
                f"{CRACKS_PER_WIDTH * len(widths)}"
            )
        object.__setattr__(self, "widths_px", widths)
        object.__setattr__(self, "zooms", sort_zooms(self.zooms))


@dataclass(frozen=True, eq=False)
class CrackResult:
    """A drawn crack, its hit or miss, and the centrelines that were found in its copy.

    ``copy`` is the file of the copy, which exists while the test runs.
    """

    drawn: DrawnCrack
    hit: Hit
    lines: list[Float64]
    copy: Path

    def image(self) -> UInt8:
        """Read the copy (rows, cols, 3)."""
        info = inspect(self.copy)
        with Raster(info) as raster:
            return raster.read(Window(0, 0, info.rows, info.cols)).rgb


@dataclass(frozen=True, eq=False)
class SelftestResult:
    """The result of a self-test.

    contrast_cracks  number of cracks that the contrast was estimated from; 0 if it was given
    apart_px         smallest distance of two drawn cracks
    whole            True if all of the photograph was scanned
    """

    info: RasterInfo
    scale: Scale | None
    engine: EngineRecord
    options: SurveyTask
    parts: list[ScannedPart]
    tested: list[CrackResult]
    contrast: float
    contrast_cracks: int
    blur_px: float
    threshold: float
    apart_px: float
    whole: bool

    @cached_property
    def pod(self) -> Pod:
        return fit(
            [each.drawn.width_px for each in self.tested],
            [each.hit.detected for each in self.tested],
        )

    @property
    def assessed_mp(self) -> float:
        """Megapixels that were scanned without changes."""
        return sum(part.assessed_px for part in self.parts) / 1e6

    @property
    def indications(self) -> int:
        """Cracks found in the photograph without changes."""
        return sum(len(part.cracks) for part in self.parts)

    @property
    def checked_mp(self) -> float:
        """Megapixels in which false calls were counted."""
        return sum(each.hit.checked_px for each in self.tested) / 1e6

    @property
    def false_calls(self) -> int:
        return sum(each.hit.false_calls for each in self.tested)


def run_selftest(task: SelftestTask, progress: Progress = ignore) -> SelftestResult:
    """Draw cracks into the photograph of ``task``, scan it, and match what is found.

    Intermediate files are left in the folder `WORK` of ``task.output``; the caller makes it
    (`crackcli.files.claim_folder`) and removes it.
    Raise an `InputError` if the photograph has too few crack-free areas.
    """
    if task.source.is_dir():
        raise InputError(f"{task.source}: is a folder; a self-test needs one photograph")
    info = (
        without_masked(inspect(task.source, page=task.page))
        if task.scan is None
        else inspect_as_scanned(task.source, task.scan, task.page)
    )
    if min(info.rows, info.cols) < MIN_SIDE_PX:
        raise InputError(
            f"{task.source}: {info.cols} x {info.rows} px are too small; a crack and its "
            f"surroundings need {MIN_SIDE_PX} px a side"
        )
    as_scene = Scene(task.source, info.rows, info.cols, info.transform, info.crs_wkt)
    find_scale(as_scene, task.gsd_mm)  # raises now, not after the work, if it contradicts the map
    options = scan_options(task)
    work = task.output / WORK
    copies_mp = task.count * copy_side(256, options.zooms, options.model_options.look) ** 2 / 1e6
    unchanged_mp = 0.0 if task.scan else min(info.megapixels, task.max_megapixels)
    first = unchanged_mp / (unchanged_mp + copies_mp)
    parts = scan_unchanged(task, info, options, work, part(progress, 0, first))
    whole = parts[0].window.shape == (info.rows, info.cols)
    # The scene of a whole photograph records the scales found in it; that of a window has none.
    scale = find_scale(parts[0].scene if whole else as_scene, task.gsd_mm)
    record = parts[0].scene.record
    threshold = float(np.median([each.scene.record.result.threshold for each in parts]))
    plan = Injection(task.widths_px, task.count, task.contrast, task.seed)
    side_px = copy_side(record.engine["tile_px"], options.zooms, record.look)
    drawn, apart_px = place_cracks(plan, info, parts, side_px)
    contrast, contrast_cracks = task.contrast, 0
    if contrast is None:
        contrast, contrast_cracks = estimate_contrast(info, parts)
    copies = work / "copies"
    blur_px = write_copies(plan, info, drawn, contrast, copies)
    scan_all(
        replace(
            options,
            sources=(copies,),
            page=None,
            output=work / "drawn",
            masking=replace(options.masking, threshold=threshold),
        ),
        part(progress, first, 1),
    )
    check_unchanged(info, thorough=True)
    return SelftestResult(
        info=info,
        scale=scale,
        engine=record.engine,
        options=options,
        parts=parts,
        tested=[match_copy(each, work, record.engine) for each in drawn],
        contrast=contrast,
        contrast_cracks=contrast_cracks,
        blur_px=blur_px,
        threshold=threshold,
        apart_px=apart_px,
        whole=whole,
    )


def without_masked(info: RasterInfo) -> RasterInfo:
    """Return a photograph without the areas that its mask image excludes."""
    return info.excluding(SurveyAreas().excluded(info, info.path.stem, lambda: None))


def scan_options(task: SelftestTask) -> SurveyTask:
    """Return the options of the scan: those of the task, or of the finished scan ``task.scan``."""
    given = SurveyTask(
        sources=(task.source,),
        output=task.output / WORK / "as_is",
        page=task.page,
        model_options=task.model_options,
        masking=task.masking,
        zooms=task.zooms,
    )
    if task.scan is None:
        return given
    path = task.scan / "run.json"
    refuse_special(path, InputError, f"leave --scan out, or scan again into {task.scan}")
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        known = run["options"]
        return replace(
            given,
            model_options=replace(
                task.model_options,
                model=parse_model(known["model"]) if known["model"] else None,
                method=known["method"] or run["engine"]["method"],
                start=known["start"],
                baseline=known["baseline"],
                engine=known["engine"],
                precision=known.get("precision", "float32"),
                gate=known["gate"],
                look=known.get("look", 0.0),
                look_in=known.get("look_in", "half"),
            ),
            masking=Masking(**known["masking"]),
            core_px=known["core_px"],
            zooms=tuple(known["zooms"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read ({error!r}); leave --scan out, or scan again into {task.scan}"
        ) from error


def scan_unchanged(
    task: SelftestTask, info: RasterInfo, options: SurveyTask, work: Path, progress: Progress
) -> list[ScannedPart]:
    """Scan and report the photograph, or windows of it, before anything is drawn."""
    whole = Window(0, 0, info.rows, info.cols)
    if task.scan is not None:
        same = next(
            scene
            for scene in finished_scenes(task.scan)
            if scene.record.source_sha256 == info.digest and scene.record.bands == info.bands
        )
        return [trace_part(whole, same, task.scan)]
    if info.megapixels <= task.max_megapixels:
        scenes = scan_all(options, progress)
        return [trace_part(whole, scenes[0], options.output)]
    rng = np.random.default_rng([task.seed, 1])
    windows = {
        f"window_{n:04d}": w for n, w in enumerate(random_windows(rng, info, task.max_megapixels))
    }
    log.info(
        "%s has %.0f megapixels; testing %d random windows of %d px",
        info.path.name,
        info.megapixels,
        len(windows),
        WINDOW_PX,
    )
    folder = work / "windows"
    shutil.rmtree(folder, ignore_errors=True)  # of an interrupted test with other options
    with Raster(info) as raster:
        for name, window in windows.items():
            write_pixels(folder / f"{name}.tif", raster.read(window), window, info)
    scenes = scan_all(replace(options, sources=(folder,), page=None), progress)
    return [trace_part(windows[scene.name], scene, options.output) for scene in scenes]


def random_windows(rng: Generator, info: RasterInfo, max_megapixels: float) -> list[Window]:
    """Return random windows with few nodata pixels, in reading order.

    Together they have at most ``max_megapixels``.
    """
    rows, cols = (max(1, side // WINDOW_PX) for side in (info.rows, info.cols))
    count = max(1, int(max_megapixels * 1e6 / WINDOW_PX**2))
    found: list[Window] = []
    with Raster(info) as raster:
        for cell in rng.permutation(rows * cols).tolist():
            row, col = divmod(cell, cols)
            window = Window(row * WINDOW_PX, col * WINDOW_PX, WINDOW_PX, WINDOW_PX)
            window = window.clipped(info.rows, info.cols)
            if raster.read_valid(window).mean() >= MIN_VALID:
                found.append(window)
            if len(found) == count:
                break
    if not found:
        raise InputError(
            f"{info.path}: every window of {WINDOW_PX} px contains nodata; cut out a part without"
        )
    return sorted(found, key=lambda window: (window.row, window.col))


def scan_all(options: SurveyTask, progress: Progress) -> list[Scene]:
    """Scan as ``crackcli scan`` does, and return the scenes by name; raise the first failure."""
    result = scan_survey(options, progress)
    for failure in result.failures:
        kind = {4: InputError, 6: ModelError}.get(failure.exit_code, CrackError)
        raise kind(failure.message)
    return [Scene.read(scene.mask.parent) for scene in result.scenes]


def trace_part(window: Window, scene: Scene, out: Path) -> ScannedPart:
    """Return a scanned part with its cracks, as ``crackcli report`` finds them."""
    table = trace_scene(scene, None, ReportTask(out), ignore)
    return ScannedPart(window, scene, list(table.cracks), table.assessed_px)


def match_copy(drawn: DrawnCrack, work: Path, engine: EngineRecord) -> CrackResult:
    """Match a drawn crack with what the scan of its copy in ``work`` found.

    Raise an `InputError` if another ``engine`` scanned the copy.
    """
    scene = Scene.read(work / "drawn" / drawn.name)
    if scene.record.engine != engine:
        raise InputError(
            "--scan: the finished scan was made with another model, or version of it; leave --scan "
            "out"
        )
    table = trace_scene(scene, None, ReportTask(work / "drawn"), ignore)
    own = drawn.part.window
    before = read_band(drawn.part.scene.mask, shifted(drawn.window, -own.row, -own.col))
    hit = match_crack(drawn.path, drawn.width_px, table.cracks, table.joints, before)
    lines = [line for crack in table.cracks for line in crack.centreline]
    return CrackResult(drawn, hit, lines, work / "copies" / f"{drawn.name}.tif")
