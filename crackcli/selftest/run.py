"""The self-test: cracks of known width drawn into the sound areas of a photograph, and found again
or not by the same scan and report.

1. The photograph is scanned as it is.  Of one larger than `MOST_MP` only windows are, chosen by
   chance, and the test is about these.
2. Places for the cracks are chosen by chance, spread over the sound areas: away from what is
   marked, and from what is suspected as long as there are other places.
3. At each place a window of the photograph, so large that every tile over the crack lies within
   it, is copied with one crack drawn into it.  So cracks cannot help each other to be found, and
   the test costs the same however large the photograph is.
4. The copies are scanned and reported as photographs of their own, with the threshold that the
   scan of the photograph as it is has found.
5. Each drawn crack is judged by `crackcli.selftest.hits`, and `crackcli.selftest.pod` fits the
curve.

All chance follows from the seed.  What is made on the way lies in OUT/work until the test is done:
the same command goes on where it was interrupted.
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
from crackcli.inference.options import ModelOptions
from crackcli.masking.refinement import Masking
from crackcli.progress import Progress
from crackcli.rasters.crops import write_pixels
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo, inspect, read_band
from crackcli.rasters.resampled import FULL_RESOLUTION, sort_zooms
from crackcli.report.write import ReportTask, trace_scene
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.record import EngineRecord
from crackcli.scenes.scale import Scale, find_scale
from crackcli.scenes.scene import Scene, finished_scenes
from crackcli.selftest.hits import Hit, hit_of
from crackcli.selftest.injection import (
    LEAST_PX,
    Drawn,
    Injection,
    Part,
    chosen,
    copy_side,
    moved,
    own_contrast,
    write_copies,
)
from crackcli.selftest.pod import Pod, fit

log = logging.getLogger(__name__)

WIDTHS_PX = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
COUNT = 64
WIDEST_PX = 30.0  # that a crack of this length can be
MOST_MP = 30.0  # of a photograph that are scanned as they are
WINDOW_PX = 1024  # side of a window of a larger one
DATA = 0.9  # share of a window that is data


@dataclass(frozen=True)
class SelftestTask:
    """A photograph, what is drawn into it, and how it is scanned.

    ``scan`` is the output folder of a finished scan of the photograph: its options count then.
    ``contrast`` None: learnt from the cracks of the photograph.
    """

    source: Path
    output: Path
    scan: Path | None = None
    widths_px: tuple[float, ...] = WIDTHS_PX
    count: int = COUNT
    contrast: float | None = None
    seed: int = 0
    gsd_mm: float | None = None
    model_options: ModelOptions = ModelOptions()
    masking: Masking = Masking("auto")
    zooms: tuple[float, ...] = FULL_RESOLUTION
    most_mp: float = MOST_MP
    overwrite: bool = False

    def __post_init__(self) -> None:
        widths = tuple(sorted(set(self.widths_px)))
        if len(widths) < 2 or not all(0 < width <= WIDEST_PX for width in widths):
            raise UsageError(
                f"the widths {', '.join(f'{width:g}' for width in self.widths_px)} make no curve; "
                f"give two or more above 0 and up to {WIDEST_PX:g} px"
            )
        chosen = self.model_options
        if self.scan and any((chosen.model, chosen.method, chosen.start, chosen.baseline)):
            raise UsageError(
                f"{self.scan} was scanned by a model and method of its own; leave --model, "
                "--method, --start and --baseline out, or --scan"
            )
        if self.contrast is not None and not 0 < self.contrast <= 1:
            raise UsageError(f"a contrast of {self.contrast:g} is none; give more than 0, up to 1")
        if self.count < len(widths):
            raise UsageError(
                f"{self.count} cracks are too few for {len(widths)} widths; give --count "
                f"{8 * len(widths)}"
            )
        object.__setattr__(self, "widths_px", widths)
        object.__setattr__(self, "zooms", sort_zooms(self.zooms))


@dataclass(frozen=True, eq=False)
class Tested:
    """A drawn crack, what became of it, the centrelines that were found in its copy, and where
    that lies while the test goes on."""

    drawn: Drawn
    hit: Hit
    lines: list[Float64]
    copy: Path

    def image(self) -> UInt8:
        """The copy (rows, cols, 3)."""
        info = inspect(self.copy)
        with Raster(info) as raster:
            return raster.read(Window(0, 0, info.rows, info.cols)).rgb


@dataclass(frozen=True, eq=False)
class Selftest:
    """All that a self-test found.  ``facts`` are those of the engine; ``apart_px`` the least
    distance of two places, ``whole`` whether all of the photograph was scanned."""

    info: RasterInfo
    scale: Scale | None
    facts: EngineRecord
    options: SurveyTask
    parts: list[Part]
    tested: list[Tested]
    contrast: float
    learnt_from: int  # cracks of the photograph; 0: none
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
        return sum(part.assessed_px for part in self.parts) / 1e6

    @property
    def indications(self) -> int:
        """Cracks of the photograph as it is: nobody has drawn them."""
        return sum(len(part.cracks) for part in self.parts)

    @property
    def checked_mp(self) -> float:
        return sum(each.hit.checked_px for each in self.tested) / 1e6

    @property
    def false_calls(self) -> int:
        return sum(each.hit.false_calls for each in self.tested)


def run_selftest(task: SelftestTask, progress: Progress = lambda share, words: None) -> Selftest:
    """Draw cracks into the photograph of ``task`` and find them again; ``task.output`` holds the
    folder ``work`` afterwards, which the caller removes.

    Raises `InputError` where there is no sound area, or too little of it.
    """
    if task.source.is_dir():
        raise InputError(f"{task.source} is a folder; a self-test is of one image: name it")
    info = inspect(task.source)
    if min(info.rows, info.cols) < LEAST_PX:
        raise InputError(
            f"{task.source} is {info.cols} x {info.rows} px, too small; a crack and its "
            f"surroundings need {LEAST_PX} px a side"
        )
    as_scene = Scene(task.source, info.rows, info.cols, info.transform, info.crs_wkt)
    find_scale(as_scene, task.gsd_mm)  # which may contradict the map: told before the work
    options = scan_options(task)
    work = task.output / "work"
    copies_mp = task.count * copy_side(256, options.zooms, options.model_options.look) ** 2 / 1e6
    as_is_mp = 0.0 if task.scan else min(info.megapixels, task.most_mp)
    first = as_is_mp / (as_is_mp + copies_mp)
    parts = scanned_as_it_is(
        task, info, options, work, lambda share, words: progress(first * share, words)
    )
    whole = parts[0].window.shape == (info.rows, info.cols)
    # What was scanned tells what the photograph notes of its scale; a window of it has no notes.
    scale = find_scale(parts[0].scene if whole else as_scene, task.gsd_mm)
    record = parts[0].scene.record
    threshold = float(np.median([part.scene.record.result.threshold for part in parts]))
    plan = Injection(task.widths_px, task.count, task.contrast, task.seed)
    side_px = copy_side(record.engine["tile_px"], options.zooms, record.look)
    drawn, apart_px = chosen(plan, info, parts, side_px)
    contrast, learnt_from = task.contrast, 0
    if contrast is None:
        contrast, learnt_from = own_contrast(info, parts)
    copies = work / "copies"
    blur_px = write_copies(plan, info, drawn, contrast, copies)
    survey(
        replace(
            options,
            sources=(copies,),
            output=work / "drawn",
            masking=replace(options.masking, threshold=threshold),
        ),
        lambda share, words: progress(first + (1 - first) * share, words),
    )
    tested = [look_at(each, work, record.engine) for each in drawn]
    return Selftest(
        info=info,
        scale=scale,
        facts=record.engine,
        options=options,
        parts=parts,
        tested=tested,
        contrast=contrast,
        learnt_from=learnt_from,
        blur_px=blur_px,
        threshold=threshold,
        apart_px=apart_px,
        whole=whole,
    )


def scan_options(task: SelftestTask) -> SurveyTask:
    """How the copies are scanned: as the task says, or as ``task.scan`` was."""
    given = SurveyTask(
        sources=(task.source,),
        output=task.output / "work" / "as_is",
        model_options=task.model_options,
        masking=task.masking,
        zooms=task.zooms,
    )
    if task.scan is None:
        return given
    path = task.scan / "run.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["options"]
        return replace(
            given,
            model_options=replace(
                task.model_options,
                model=Path(known["model"]) if known["model"] else None,
                method=known["method"],
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
            f"{path} cannot be read ({error!r}); leave --scan out, or scan again into {task.scan}"
        ) from error


def scanned_as_it_is(
    task: SelftestTask, info: RasterInfo, options: SurveyTask, work: Path, progress: Progress
) -> list[Part]:
    """The photograph, or windows of it, scanned and reported without anything drawn."""
    whole = Window(0, 0, info.rows, info.cols)
    if task.scan is not None:
        scenes = finished_scenes(task.scan)
        same = [scene for scene in scenes if scene.record.source_sha256 == info.digest]
        if not same:
            raise InputError(
                f"{task.scan} holds no scan of {task.source}, or of what it was before; leave "
                "--scan out"
            )
        return [reported(whole, same[0], task.scan)]
    if info.megapixels <= task.most_mp:
        scenes = survey(options, progress)
        return [reported(whole, scenes[0], options.output)]
    rng = np.random.default_rng([task.seed, 1])
    windows = {f"window_{n:04d}": w for n, w in enumerate(some_windows(rng, info, task.most_mp))}
    log.info(
        "%s has %.0f megapixels: windows of %d px, chosen by chance, are tested: %d",
        info.path.name,
        info.megapixels,
        WINDOW_PX,
        len(windows),
    )
    folder = work / "windows"
    shutil.rmtree(folder, ignore_errors=True)  # of an interrupted test with other options
    with Raster(info) as raster:
        for name, window in windows.items():
            write_pixels(folder / f"{name}.tif", raster.read(window), window, info)
    scenes = survey(replace(options, sources=(folder,)), progress)
    return [reported(windows[scene.name], scene, options.output) for scene in scenes]


def some_windows(rng: Generator, info: RasterInfo, most_mp: float) -> list[Window]:
    """Windows that hold data, chosen by chance, of at most ``most_mp`` together, in order."""
    rows, cols = (max(1, side // WINDOW_PX) for side in (info.rows, info.cols))
    count = max(1, int(most_mp * 1e6 / WINDOW_PX**2))
    found: list[Window] = []
    with Raster(info) as raster:
        for cell in rng.permutation(rows * cols).tolist():
            row, col = divmod(cell, cols)
            window = Window(row * WINDOW_PX, col * WINDOW_PX, WINDOW_PX, WINDOW_PX)
            window = window.clipped(info.rows, info.cols)
            if raster.read_valid(window).mean() >= DATA:
                found.append(window)
            if len(found) == count:
                break
    if not found:
        raise InputError(f"{info.path} has no window of {WINDOW_PX} px full of data; cut it out")
    return sorted(found, key=lambda window: (window.row, window.col))


def survey(options: SurveyTask, progress: Progress) -> list[Scene]:
    """Scan as `crackcli scan` does, and return the scenes by name; one failure is an error."""
    result = scan_survey(options, progress)
    for failure in result.failures:
        kind = {4: InputError, 6: ModelError}.get(failure.exit_code, CrackError)
        raise kind(failure.message)
    return [Scene.read(scene.mask.parent) for scene in result.scenes]


def reported(window: Window, scene: Scene, out: Path) -> Part:
    """A scene with its cracks, as `crackcli report` finds them."""
    table = trace_scene(scene, None, ReportTask(out), lambda share: None)
    return Part(window, scene, list(table.cracks), table.assessed_px)


def look_at(drawn: Drawn, work: Path, engine: EngineRecord) -> Tested:
    """What the scan of a copy in ``work`` found; it must be by this ``engine``."""
    scene = Scene.read(work / "drawn" / drawn.name)
    if scene.record.engine != engine:
        raise InputError(
            "the finished scan was made with another model or version of it; leave --scan out"
        )
    table = trace_scene(scene, None, ReportTask(work / "drawn"), lambda share: None)
    own = drawn.part.window
    before = read_band(drawn.part.scene.mask, moved(drawn.window, -own.row, -own.col))
    hit = hit_of(drawn.path, drawn.width_px, table.cracks, table.joints, before)
    lines = [line for crack in table.cracks for line in crack.centreline]
    return Tested(drawn, hit, lines, work / "copies" / f"{drawn.name}.tif")
