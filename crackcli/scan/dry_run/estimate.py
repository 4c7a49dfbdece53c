"""What a scan would take, before it is started: time, memory and disk of each image.

The counts come from the grid (`crackcli.scan.dry_run.workload`), the seconds of each from a
calibration on this machine (`crackcli.scan.dry_run.speed`).  What is not known before a scan is how
much of it will be explained: so each figure is a `Range` from a sound wall, where all is judged and
nothing explained, to one that is cracked all over, with a likely one between.  Nothing is written
but to a temporary folder."""

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

from crackcli.errors import CrackError, InputError
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View
from crackcli.progress import Progress
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo, inspect
from crackcli.scan.dry_run.memory import peak_mb
from crackcli.scan.dry_run.speed import Clock, Overhead, Speed, mask_px, measure
from crackcli.scan.dry_run.workload import Data, WorkloadCount, blocks_hit, counts_of, sampled
from crackcli.scan.fingerprint import fingerprint, scan_digest
from crackcli.scan.inputs import Failure, find_rasters
from crackcli.scan.process_memory import MB, resident_mb
from crackcli.scan.raster import ScanTask, StripStore, finished
from crackcli.scan.survey import SurveyTask, opened
from crackcli.scenes.scene import Scene, finished_folders

LIKELY_GATED = 0.25  # share of tiles that are explained, where no earlier scan tells
LOOK_PX = 1_000_000  # read once, to time it
LEAST_READ = 0.05  # share of these that is taken for data, at least
OVERVIEWS = 4 / 3  # of a raster: it and its overviews, each of a quarter of the pixels before
COPIES = 2  # of a raster while it is written: its tiles, then all of it in order
LOOKING, CALIBRATED = 0.3, 0.6  # shares of the time, for the progress
NEW, INTERRUPTED, TO_MASK, UNCHANGED = "new", "interrupted", "to mask", "unchanged"


@dataclass(frozen=True)
class Range:
    """A figure for a sound wall, a likely one, and one that is cracked all over."""

    sound: float
    likely: float
    cracked: float

    def __add__(self, other: "Range") -> "Range":
        return Range(
            self.sound + other.sound, self.likely + other.likely, self.cracked + other.cracked
        )


NONE = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class SceneEstimate:
    """What one image takes.  ``status`` is new, interrupted, to mask (its score is there) or
    unchanged; ``blocks`` are those that are left; ``data_share`` is the share of the raster's
    blocks that hold data, from a sample; ``peak_mb`` is that of the whole process."""

    scene: str
    source: Path
    status: str
    rows: int
    cols: int
    megapixels: float
    zooms: tuple[float, ...]
    strips: int
    strips_done: int
    blocks: int
    data_share: float
    seconds: Range
    peak_mb: float
    result_mb: Range
    work_mb: Range


@dataclass(frozen=True)
class Assumption:
    """The share of tiles that reach the gate, and where it is from."""

    tiles_gated: float
    source: str


@dataclass(frozen=True)
class SurveyEstimate:
    """What all images take, one after the other: ``seconds`` with the program's start, ``peak_mb``
    of the largest, ``result_mb`` of all, ``work_mb`` of the largest; ``free_mb`` is what the disk
    of the output folder has."""

    scenes: list[SceneEstimate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    engine: dict[str, Any] | None = None
    pace: Speed | None = None
    assumption: Assumption | None = None
    seconds: Range = NONE
    peak_mb: float = 0.0
    result_mb: Range = NONE
    work_mb: Range = NONE
    free_mb: float = 0.0
    exit_code: int = 0


def estimate_survey(
    task: SurveyTask,
    progress: Progress = lambda share, words: None,
    on_failure: Callable[[Failure], None] = lambda failure: None,
    clock: Clock = time.perf_counter,
) -> SurveyEstimate:
    """What ``crackcli.scan.survey.scan_survey`` would take with the same task.

    Inputs that cannot be opened are failures, as there; what is damaged further inside shows only
    when it is scanned.  The exit code is 0 unless there is nothing to scan.
    """
    imported = time.process_time()  # what it took to get here is mostly importing
    rasters, missing = find_rasters(task.sources)
    failures: list[Failure] = []

    def fail(failure: Failure) -> None:
        failures.append(failure)
        on_failure(failure)

    for failure in missing:
        fail(failure)
    known: dict[str, RasterInfo] = {}
    for number, (name, source) in enumerate(rasters.items()):
        progress(LOOKING * number / len(rasters), source.name)
        try:
            known[name] = inspect(source)
        except CrackError as error:
            fail(Failure(source, str(error), error.exit_code))
    if not known:
        codes = {failure.exit_code for failure in failures}
        return SurveyEstimate(failures=failures, exit_code=codes.pop() if len(codes) == 1 else 3)

    began = clock()
    explainer, core_px = opened(task)
    started = imported + clock() - began
    facts = explainer.engine.facts
    at_rest_mb = resident_mb()
    progress(LOOKING, "calibration")
    masking = task.masking.suited(facts.method)
    pace, assumption = measure(explainer, masking, clock), assumed(task, explainer)
    estimator = Estimator(explainer, pace, assumption, at_rest_mb, clock)
    scenes: list[SceneEstimate] = []
    for number, (name, info) in enumerate(known.items()):
        progress(CALIBRATED + (1 - CALIBRATED) * number / len(known), info.path.name)
        folder, again = task.output / name, task.overwrite
        one = ScanTask(info.path, folder, masking, core_px, task.zooms, overwrite=again)
        try:
            scenes.append(estimator.estimate(one, info))
        except CrackError as error:
            fail(Failure(info.path, str(error), error.exit_code))
    return SurveyEstimate(
        scenes=scenes,
        failures=failures,
        engine=asdict(facts),
        pace=pace,
        assumption=assumption,
        seconds=sum((each.seconds for each in scenes), Range(started, started, started)),
        peak_mb=max((each.peak_mb for each in scenes), default=0.0),
        result_mb=sum((each.result_mb for each in scenes), NONE),
        work_mb=max((each.work_mb for each in scenes), key=lambda it: it.cracked, default=NONE),
        free_mb=free_mb(task.output),
    )


class Estimator:
    """Turns images into estimates by the pace of one explainer."""

    def __init__(
        self,
        explainer: StripScorer,
        pace: Speed,
        assumption: Assumption,
        at_rest_mb: float,
        clock: Clock,
    ) -> None:
        self.explainer, self.pace, self.at_rest_mb = explainer, pace, at_rest_mb
        self.assumption, self.clock = assumption, clock
        self.reading: dict[str, float] = {}  # seconds of a pixel, by the suffix of the file

    def estimate(self, task: ScanTask, info: RasterInfo) -> SceneEstimate:
        """What one image takes; raises an `InputError` if it cannot be read."""
        views = [View.of(info, zoom, self.explainer, task.core_px) for zoom in task.zooms]
        status, left = standing(task, info, views, self.explainer)
        counts = [self.counts(info, view, strips) for view, strips in zip(views, left, strict=True)]
        data = Data(1.0, 1.0) if status == UNCHANGED else self.look(info, task.core_px)
        shares = self.explained(task.core_px)
        strips = sum(len(view.grid) for view in views)

        def seconds(share: float) -> float:
            return self.seconds(info, views, left, counts, data, share, status)

        own = [mixed(self.pace, data.blocks * share) for share in astuple(shares)]
        pixels = info.rows * info.cols / MB
        return SceneEstimate(
            scene=task.folder.name,
            source=info.path,
            status=status,
            rows=info.rows,
            cols=info.cols,
            megapixels=round(info.megapixels, 3),
            zooms=task.zooms,
            strips=strips,
            strips_done=strips - sum(map(len, left)),
            blocks=sum(
                len(strips) * len(view.grid.col_spans)
                for view, strips in zip(views, left, strict=True)
            ),
            data_share=data.blocks,
            seconds=NONE if status == UNCHANGED else Range(*map(seconds, astuple(shares))),
            peak_mb=peak_mb(
                self.explainer, info, views, [all_over for _, all_over in counts], self.at_rest_mb
            ),
            result_mb=Range(*(pixels * result_bytes(each) for each in own)),
            work_mb=NONE
            if status == UNCHANGED
            else Range(*(pixels * work_bytes(each, len(views), status) for each in own)),
        )

    def counts(
        self, info: RasterInfo, view: View, strips: Sequence[int]
    ) -> tuple[WorkloadCount, WorkloadCount]:
        """What the strips of a view take on a sound wall, and on one cracked all over."""
        sound, cracked = (
            counts_of(self.explainer, info, view, strips, cracked=cracked)
            for cracked in (False, True)
        )
        return sound, cracked

    def explained(self, core_px: int) -> Range:
        """The share of the blocks with data that are explained."""
        facts = self.explainer.engine.facts
        if facts.direct or self.explainer.gate <= 0:
            return Range(1.0, 1.0, 1.0)
        # Only methods of several passes go by blocks; others by cells.
        side_px = core_px if facts.kind == "passes" else facts.stride_px
        return Range(0.0, blocks_hit(self.assumption.tiles_gated, side_px, facts), 1.0)

    def seconds(
        self,
        info: RasterInfo,
        views: Sequence[View],
        left: Sequence[Sequence[int]],
        counts: Sequence[tuple[WorkloadCount, WorkloadCount]],
        data: "Data",
        share: float,
        status: str,
    ) -> float:
        """Of the engine, of reading, and of the scan's own work, if a ``share`` of blocks is
        explained."""
        pace, marked = self.pace, data.blocks * share
        own, pixels = mixed(pace, marked), info.rows * info.cols
        read_s = self.reading[info.path.suffix.lower()]
        total = pace.scene_s
        for view, strips, (sound, cracked) in zip(views, left, counts, strict=True):
            more = cracked.load + sound.load.times(-1)
            cells_px = sound.load.cells_px * data.wide + more.cells_px * marked
            head = sound.load.head * data.blocks + more.head * marked
            maps_px = sound.load.maps_px * data.blocks + more.maps_px * marked
            total += pace.look_s * sound.load.look_px * data.wide
            total += pace.cells_s * cells_px + pace.head_s * head + pace.maps_s * maps_px
            total += read_s * (sound.load.read_px * data.wide + more.read_px * marked)
            total += own.pack_s * pixels * len(strips) / len(view.grid)
        if status != TO_MASK:
            total += own.score_s * pixels
        return total + mask_px(info.rows, info.cols) * (own.mask_s + read_s * marked)

    def look(self, info: RasterInfo, core_px: int) -> "Data":
        """Where a raster holds data, from a sample of its blocks; the first of its kind of file
        is read a little, some rows with data, to see how fast that is."""
        with Raster(info) as raster:
            data = sampled(raster, core_px)
            suffix = info.path.suffix.lower()
            if suffix not in self.reading:
                rows = min(info.rows, max(1, LOOK_PX // info.cols))
                row = min(data.row, info.rows - rows)
                began = self.clock()
                pixels = raster.read(Window(row, 0, rows, info.cols))
                taken = self.clock() - began
                known = float(pixels.valid.mean())
                self.reading[suffix] = taken / (max(LEAST_READ, known) * rows * info.cols)
            return data


def mixed(pace: Speed, marked: float) -> Overhead:
    """The scan's own work where a share of the raster is ``marked`` as if cracked."""
    pairs = zip(astuple(pace.sound), astuple(pace.cracked), strict=True)
    return Overhead(*(sound + (cracked - sound) * marked for sound, cracked in pairs))


def result_bytes(own: Overhead) -> float:
    """Of a pixel, in both rasters of a scene."""
    return OVERVIEWS * (own.score_bytes + own.mask_bytes)


def work_bytes(own: Overhead, views: int, status: str) -> float:
    """Of a pixel, in the work folder at its fullest: strips and both rasters, of which the last
    is there twice while it is written."""
    strips = 0.0 if status == TO_MASK else views * own.strip_bytes
    return strips + max(COPIES * own.score_bytes, result_bytes(own) + own.mask_bytes)


def standing(
    task: ScanTask, info: RasterInfo, views: Sequence[View], explainer: StripScorer
) -> tuple[str, list[list[int]]]:
    """What a scan would find in the folder of its scene: its status, and for each view the strips
    that are left."""
    scored = fingerprint(info, explainer, task.core_px, task.zooms)
    scene = Scene(task.folder, info.rows, info.cols, info.transform, info.crs_wkt)
    work = StripStore(task.folder / "work", scan_digest(scored))
    earlier = None if task.overwrite else finished(scene, scored)
    nothing: list[list[int]] = [[] for _ in views]
    if earlier is not None and earlier.record.masking == asdict(task.masking):
        return UNCHANGED, nothing
    if not task.overwrite and any(map(work.made, (work.score, scene.score))):
        return TO_MASK, nothing
    ours = work.is_ours()
    left = [
        [
            index
            for index in range(len(view.grid))
            if not (ours and work.has(view.zoom, index, view.window(index, info).shape))
        ]
        for view in views
    ]
    some = sum(map(len, left)) < sum(len(view.grid) for view in views)
    return INTERRUPTED if some else NEW, left


def assumed(task: SurveyTask, explainer: StripScorer) -> Assumption:
    """The share of tiles at the gate that the same model found in the scenes that the output
    folder holds, of all their megapixels; else `LIKELY_GATED`."""
    facts = explainer.engine.facts
    if facts.direct:
        return Assumption(1.0, f"method {facts.method} has no gate")
    if explainer.gate <= 0:
        return Assumption(1.0, "a gate of 0")
    gated, pixels, scenes = 0.0, 0.0, 0
    with contextlib.suppress(InputError):
        for folder in finished_folders(task.output):
            with contextlib.suppress(InputError):
                record = Scene.read(folder).record
                result = record.result
                if (record.model_sha256, record.gate) == (facts.model_sha256, explainer.gate):
                    gated += result.tiles_gated * result.megapixels
                    pixels += result.megapixels
                    scenes += 1
    if not pixels:
        return Assumption(LIKELY_GATED, "default: no scene of this model in the output folder")
    plural = "" if scenes == 1 else "s"
    return Assumption(gated / pixels, f"{scenes} finished scene{plural} in {task.output}")


def free_mb(folder: Path) -> float:
    """What is free where a folder is, or would be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free / MB
