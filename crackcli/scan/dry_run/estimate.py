"""Predict time, memory and disk space of a scan, image by image.

The counts come from the grid (`crackcli.scan.dry_run.workload`), the seconds per count from a
calibration on this machine (`crackcli.scan.dry_run.speed`). How much of an image will be explained
is not known before a scan. So each figure is a `Range` from a crack-free surface, where all tiles
are classified and none explained, to one cracked all over, with a likely one between. Nothing is
written but to a temporary folder.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

from crackcli.errors import InputError
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View
from crackcli.progress import Progress, ignore
from crackcli.rasters.access.folders import Skipped, rows
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo, inspect_header
from crackcli.scan.areas import excluded_areas
from crackcli.scan.dry_run.memory import peak_mb
from crackcli.scan.dry_run.speed import Clock, Overhead, Speed, mask_px, measure
from crackcli.scan.dry_run.workload import (
    DataShare,
    WorkloadCount,
    blocks_hit,
    counts_of,
    sample_data_share,
)
from crackcli.scan.fingerprint import fingerprint
from crackcli.scan.inputs import Failure, exit_code
from crackcli.scan.process_memory import MB, resident_mb
from crackcli.scan.raster import ScanTask
from crackcli.scan.remaining_work import TO_MASK, UNCHANGED, RemainingWork, remaining_work
from crackcli.scan.survey import SurveyTask, failing, find_inputs, opened
from crackcli.scenes.areas.survey_areas import SurveyAreas
from crackcli.scenes.scene import Scene, finished_folders

LIKELY_GATED = 0.25  # fraction of tiles that are explained, if there is no earlier scan
TIMED_PX = 1_000_000  # read once, to time it
MIN_DATA = 0.05  # fraction of these that counts as valid, at least
OVERVIEWS = 4 / 3  # size of a raster with its overviews, each of a quarter of the pixels before
COPIES = 2  # of a raster while it is written: its tiles, then all of it in order
INSPECTED, CALIBRATED = 0.3, 0.6  # fractions of the time when these are done, for the progress


@dataclass(frozen=True)
class Range:
    """A figure for a crack-free surface (``sound``), a likely one, and one cracked all over."""

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
    """The predicted cost of one image.

    ``status`` is new, interrupted, to mask (its score is finished) or unchanged; ``blocks`` is the
    number left to score; ``data_share`` is the fraction of blocks with valid pixels, from a sample;
    ``peak_mb`` is that of the whole process.
    """

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
    """The assumed fraction of tiles at the gate or above, and its source."""

    tiles_gated: float
    source: str


@dataclass(frozen=True)
class SurveyEstimate:
    """The predicted cost of all images, one after the other.

    ``seconds`` includes the start of the program; ``peak_mb`` and ``work_mb`` are those of the
    largest image, ``result_mb`` is the sum; ``free_mb`` is the free space on the disk of the output
    folder.
    """

    scenes: list[SceneEstimate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
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
    progress: Progress = ignore,
    on_failure: Callable[[Failure], None] = lambda failure: None,
    clock: Clock = time.perf_counter,
) -> SurveyEstimate:
    """Predict the cost of `crackcli.scan.survey.scan_survey` with the same task.

    Inputs that cannot be opened are failures, as there; damage further inside a file shows only
    when it is scanned. The exit code is that of a scan with these failures.
    """
    imported = time.process_time()  # mostly spent on imports so far
    areas = SurveyAreas.read(task.areas)
    inputs = find_inputs(task)
    rasters, skipped = inputs.named(task.output, task.bands), rows(inputs.skipped)
    failures: list[Failure] = []

    def fail(failure: Failure) -> None:
        failures.append(failure)
        on_failure(failure)

    for failure in inputs.failures:
        fail(failure)
    known: dict[str, RasterInfo] = {}
    for number, (name, (source, page)) in enumerate(rasters.items()):
        progress(INSPECTED * number / len(rasters), source.name)
        with failing(source, fail):
            whole = inspect_header(source, task.bands, page)
            excluded = excluded_areas(areas, whole, task.output / name, task.hints)
            known[name] = whole.excluding(excluded)
    if not known:
        code = exit_code(scenes=0, failures=failures)
        return SurveyEstimate(failures=failures, skipped=skipped, exit_code=code)

    began = clock()
    scorer, core_px = opened(task)
    started = imported + clock() - began
    facts = scorer.engine.facts
    at_rest_mb = resident_mb()
    progress(INSPECTED, "calibration")
    masking = task.masking.suited(facts.method)
    speed, assumption = measure(scorer, masking, clock), assumed(task, scorer)
    estimator = Estimator(scorer, speed, assumption, at_rest_mb, clock)
    scenes: list[SceneEstimate] = []
    for number, (name, info) in enumerate(known.items()):
        progress(CALIBRATED + (1 - CALIBRATED) * number / len(known), info.path.name)
        folder, again = task.output / name, task.overwrite
        one = ScanTask(info.path, folder, masking, core_px, task.zooms, overwrite=again)
        with failing(info.path, fail):
            scenes.append(estimator.estimate(one, info))
    return SurveyEstimate(
        scenes=scenes,
        failures=failures,
        skipped=skipped,
        engine=asdict(facts),
        pace=speed,
        assumption=assumption,
        seconds=sum((each.seconds for each in scenes), Range(started, started, started)),
        peak_mb=max((each.peak_mb for each in scenes), default=0.0),
        result_mb=sum((each.result_mb for each in scenes), NONE),
        work_mb=max((each.work_mb for each in scenes), key=lambda each: each.cracked, default=NONE),
        free_mb=free_mb(task.output),
        exit_code=exit_code(len(scenes), failures),
    )


class Estimator:
    """Predicts the cost of images from the measured speed of one scorer."""

    def __init__(
        self,
        scorer: StripScorer,
        speed: Speed,
        assumption: Assumption,
        at_rest_mb: float,
        clock: Clock,
    ) -> None:
        self.scorer, self.speed, self.at_rest_mb = scorer, speed, at_rest_mb
        self.assumption, self.clock = assumption, clock
        self.reading: dict[str, float] = {}  # seconds per pixel, by the suffix of the file

    def estimate(self, task: ScanTask, info: RasterInfo) -> SceneEstimate:
        """Predict the cost of one image; raises an `InputError` if it cannot be read."""
        views = [View.of(info, zoom, self.scorer, task.core_px) for zoom in task.zooms]
        scored = fingerprint(info, self.scorer, task.core_px, task.zooms)
        left = remaining_work(
            task.folder, info, views, scored, task.masking, overwrite=task.overwrite
        )
        status, missing = left.status, left.missing
        counts = [
            self.counts(info, view, strips) for view, strips in zip(views, missing, strict=True)
        ]
        unchanged = status == UNCHANGED
        data = DataShare(1.0, 1.0) if unchanged else self.data_share(info, task.core_px)
        shares = self.explained(task.core_px)
        strips = sum(len(view.grid) for view in views)

        def seconds(share: float) -> float:
            return self.seconds(left, counts, data, share)

        own = [mixed(self.speed, data.blocks * share) for share in astuple(shares)]
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
            strips_done=strips - sum(map(len, missing)),
            blocks=sum(
                len(strips) * len(view.grid.col_spans)
                for view, strips in zip(views, missing, strict=True)
            ),
            data_share=data.blocks,
            seconds=NONE if unchanged else Range(*map(seconds, astuple(shares))),
            peak_mb=peak_mb(
                self.scorer, info, views, [all_over for _, all_over in counts], self.at_rest_mb
            ),
            result_mb=Range(*(pixels * result_bytes(each) for each in own)),
            work_mb=NONE
            if unchanged
            else Range(*(pixels * work_bytes(each, len(views), status) for each in own)),
        )

    def counts(
        self, info: RasterInfo, view: View, strips: Sequence[int]
    ) -> tuple[WorkloadCount, WorkloadCount]:
        """Count the workload of strips of a view if crack-free, and if cracked all over."""
        sound, cracked = (
            counts_of(self.scorer, info, view, strips, cracked=cracked) for cracked in (False, True)
        )
        return sound, cracked

    def explained(self, core_px: int) -> Range:
        """Return the fraction of the blocks with valid pixels that are explained."""
        facts = self.scorer.engine.facts
        if facts.direct or self.scorer.gate <= 0:
            return Range(1.0, 1.0, 1.0)
        # Only methods of several passes work on blocks; others on cells.
        side_px = core_px if facts.kind == "passes" else facts.stride_px
        return Range(0.0, blocks_hit(self.assumption.tiles_gated, side_px, facts), 1.0)

    def seconds(
        self,
        left: RemainingWork,
        counts: Sequence[tuple[WorkloadCount, WorkloadCount]],
        data: DataShare,
        share: float,
    ) -> float:
        """Return the seconds of engine, reading and the rest of a scan, if a fraction ``share`` of
        the blocks with valid pixels is explained."""
        info, speed, marked = left.info, self.speed, data.blocks * share
        own, pixels = mixed(speed, marked), info.rows * info.cols
        read_s = self.reading[info.path.suffix.lower()]
        total = speed.scene_s
        for view, strips, (sound, cracked) in zip(left.views, left.missing, counts, strict=True):
            more = cracked.load + sound.load.times(-1)
            cells_px = sound.load.cells_px * data.wide + more.cells_px * marked
            head = sound.load.head * data.blocks + more.head * marked
            maps_px = sound.load.maps_px * data.blocks + more.maps_px * marked
            total += speed.look_s * sound.load.look_px * data.wide
            total += speed.cells_s * cells_px + speed.head_s * head + speed.maps_s * maps_px
            total += read_s * (sound.load.read_px * data.wide + more.read_px * marked)
            total += own.pack_s * pixels * len(strips) / len(view.grid)
        if left.status != TO_MASK:
            total += own.score_s * pixels
        return total + mask_px(info.rows, info.cols) * (own.mask_s + read_s * marked)

    def data_share(self, info: RasterInfo, core_px: int) -> DataShare:
        """Return where a raster has valid pixels, from a sample of its blocks.

        Of the first file of each type some rows are read, to time it.
        """
        with Raster(info) as raster:
            data = sample_data_share(raster, core_px)
            suffix = info.path.suffix.lower()
            if suffix not in self.reading:
                rows = min(info.rows, max(1, TIMED_PX // info.cols))
                row = min(data.row, info.rows - rows)
                began = self.clock()
                pixels = raster.read(Window(row, 0, rows, info.cols))
                taken = self.clock() - began
                known = float(pixels.valid.mean())
                self.reading[suffix] = taken / (max(MIN_DATA, known) * rows * info.cols)
            return data


def mixed(speed: Speed, marked: float) -> Overhead:
    """Return the overhead of a scan if a fraction ``marked`` of the raster is explained."""
    pairs = zip(astuple(speed.sound), astuple(speed.cracked), strict=True)
    return Overhead(*(sound + (cracked - sound) * marked for sound, cracked in pairs))


def result_bytes(own: Overhead) -> float:
    """Return the bytes per pixel of both rasters of a scene."""
    return OVERVIEWS * (own.score_bytes + own.mask_bytes)


def work_bytes(own: Overhead, views: int, status: str) -> float:
    """Return the bytes per pixel of the work folder at its fullest: strips and both rasters, the
    last one twice while it is written."""
    strips = 0.0 if status == TO_MASK else views * own.strip_bytes
    return strips + max(COPIES * own.score_bytes, result_bytes(own) + own.mask_bytes)


def assumed(task: SurveyTask, scorer: StripScorer) -> Assumption:
    """Return the fraction of gated tiles in the scenes of the output folder that were scanned with
    this model and gate, weighted by megapixels; `LIKELY_GATED` if there are none."""
    facts = scorer.engine.facts
    if facts.direct:
        return Assumption(1.0, f"method {facts.method} scores every pixel")
    if scorer.gate <= 0:
        return Assumption(1.0, "a gate of 0")
    gated, pixels, scenes = 0.0, 0.0, 0
    with contextlib.suppress(InputError):
        for folder in finished_folders(task.output):
            with contextlib.suppress(InputError):
                record = Scene.read(folder).record
                result = record.result
                if (record.model_sha256, record.gate) == (facts.model_sha256, scorer.gate):
                    gated += result.tiles_gated * result.megapixels
                    pixels += result.megapixels
                    scenes += 1
    if not pixels:
        return Assumption(LIKELY_GATED, "default: no scene of this model in the output folder")
    plural = "" if scenes == 1 else "s"
    return Assumption(gated / pixels, f"{scenes} finished scene{plural} in {task.output}")


def free_mb(folder: Path) -> float:
    """Return the free space (MB) on the disk that holds a folder, or would hold it."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free / MB
