"""One raster in, score and mask on its grid out.

Three passes, each strip by strip, so that memory does not grow with the raster:

1. explain: relevance of each strip, at each zoom, to a file of the work folder, written aside and
   renamed: the files that exist are the progress, and an interrupted scan goes on after the last;
2. score: the zooms put together, one scale for the scene, ``score.tif``, which keeps what it was
   made from in its tags;
3. mask: see `crackcli.masking.scene_mask`; it needs the score and the photograph only.

All of this is made in the work folder; only then are the files of an earlier scan replaced, and
``scene.json`` is written last: its presence means that all three belong together.  A score that
was made from the same file by the same explanation is kept; with other masking options only the
third pass runs again.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from crackcli import __version__
from crackcli.arrays import Float16, Float32, Int64, UInt8
from crackcli.errors import InputError
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View, explain_view, together
from crackcli.masking.refinement import Masking
from crackcli.masking.scene_mask import SCORE_MAX, find_threshold, write_mask
from crackcli.progress import Progress
from crackcli.rasters.cog import write_cog
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.rasters.reader import NODATA, RasterInfo, inspect, read_tags
from crackcli.rasters.resampled import FULL_RESOLUTION, sort_zooms
from crackcli.registry import find_method
from crackcli.scan.fingerprint import fingerprint, scan_digest
from crackcli.scan.strip_store import PackedStrip, StripStore
from crackcli.scenes import recorded_scale as photograph
from crackcli.scenes.record import MaskingRecord, SceneFacts, SceneRecord, ScoredRecord
from crackcli.scenes.scene import Scene
from crackcli.threads import BackgroundWorker, ThreadPool, thread_count

log = logging.getLogger(__name__)

CORE_PX = 512
TOP_SHARE = 1e-5  # of the scene's pixels may lie above the scale of its score
HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)  # all numbers in half precision
LARGEST = 0x7BFF  # the last of those that are positive and finite; they rise from 0
STRIPS = 2  # of the score that are made at once
EXPLAINING = 0.9  # share of a scan's time, for the progress

Result = TypeVar("Result")


@dataclass(frozen=True)
class ScanTask:
    """A raster, the folder of its scene, and how it is cut and masked."""

    source: Path
    folder: Path
    masking: Masking = Masking("auto")
    core_px: int = CORE_PX  # of the network's pixels, at any zoom
    zooms: tuple[float, ...] = FULL_RESOLUTION
    hints: photograph.Hints = photograph.Hints()
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "zooms", sort_zooms(self.zooms))


@dataclass(frozen=True)
class ScanSummary:
    """What a scan gave; printed by the command, kept in ``run.json``."""

    scene: str
    source: Path
    mask: Path
    status: str  # done, masked again, or unchanged
    megapixels: float
    crack_px: int
    threshold: float
    tiles_gated: float  # share
    seconds: float


def scan_raster(
    task: ScanTask, explainer: StripScorer, progress: Progress = lambda share, words: None
) -> ScanSummary:
    """Scan ``task.source`` into ``task.folder``; goes on where an earlier scan stopped."""
    began = time.monotonic()
    info = inspect(task.source)
    facts = explainer.engine.facts
    masking = task.masking.suited(facts.method)
    views = [View.of(info, zoom, explainer, task.core_px) for zoom in task.zooms]
    scored = fingerprint(info, explainer, task.core_px, task.zooms)
    digest = scan_digest(scored)
    scene = Scene(task.folder, info.rows, info.cols, info.transform, info.crs_wkt)
    earlier = None if task.overwrite else finished(scene, scored)
    work = StripStore(task.folder / "work", digest)
    noted = photograph.find_scales(info, task.hints, earlier)
    if earlier is not None and earlier.record.masking == asdict(masking):
        if work.is_ours() or not work.note.exists():
            work.remove()  # of a run with other masking that was stopped
        photograph.store_scales(earlier, noted)
        return summary(earlier, task.source, "unchanged", 0.0)

    seconds = {} if earlier is None else earlier.record.seconds
    kept = (work.score, scene.score)
    score = None if task.overwrite else next(filter(work.made, kept), None)
    if score is None:
        earlier = None
        work.begin()
        try:
            explain(work, info, views, explainer, progress)
        except InputError:  # a file that is exported again begins anew
            work.remove()
            raise
        seconds["explain"] = time.monotonic() - began
        score = write_score(work, info, views, explainer)
        seconds["score"] = time.monotonic() - began - seconds["explain"]

    began_masking = time.monotonic()
    threshold = masking.threshold
    if threshold is None:
        threshold = find_threshold(score, masking)
    crack_px = write_mask(
        work.mask,
        score,
        info,
        masking,
        threshold,
        lambda share, words: progress(EXPLAINING + share * (1 - EXPLAINING), words),
    )
    seconds["mask"] = time.monotonic() - began_masking

    tags = read_tags(score)
    facts_of_scan: SceneFacts = {
        "source": {
            "file": info.path.name,
            "sha256": info.digest,
            "megapixels": round(info.megapixels, 3),
            "orientation": info.orientation,
            "stretch": info.stretch,
        },
        "photograph": noted,
        "scored": scored,
        "device": facts.device,
        "precision": facts.precision,
        "masking": cast(MaskingRecord, asdict(masking)),
        "threshold": threshold,
        "tiles_gated": float(tags["CRACKCLI_TILES_GATED"]),
        "probability": json.loads(tags["CRACKCLI_PROBABILITY"]),
        "crack_px": crack_px,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    scene = Scene(
        task.folder, info.rows, info.cols, info.transform, info.crs_wkt, SceneRecord(facts_of_scan)
    )
    work.publish(scene, score)
    status = "done" if earlier is None else "masked again"
    return summary(scene, task.source, status, time.monotonic() - began)


def finished(scene: Scene, scored: ScoredRecord) -> Scene | None:
    """The scene as it was finished earlier from the same file by the same explanation, or None."""
    try:
        earlier = Scene.read(scene.folder)
    except InputError:
        return None
    whole = scene.mask.exists() and scene.score.exists() and earlier.record.complete
    return earlier if whole and earlier.record.scored == scored else None


def summary(scene: Scene, source: Path, status: str, seconds: float) -> ScanSummary:
    result = scene.record.result
    return ScanSummary(
        scene=scene.name,
        source=source,
        mask=scene.mask,
        status=status,
        megapixels=result.megapixels,
        crack_px=result.crack_px,
        threshold=result.threshold,
        tiles_gated=result.tiles_gated,
        seconds=round(seconds, 3),
    )


def explain(
    work: StripStore,
    info: RasterInfo,
    views: Sequence[View],
    explainer: StripScorer,
    progress: Progress,
) -> None:
    """Relevance of every strip of every view that the work folder does not have yet."""
    cost = {(view, index): view.pixels(index) for view in views for index in range(len(view.grid))}
    missing = [
        (view, index)
        for view, index in cost
        if not work.has(view.zoom, index, view.window(index, info).shape)
    ]
    total = sum(cost.values())
    done = total - sum(map(cost.__getitem__, missing))
    if done:
        there = len(cost) - len(missing)
        log.info("%s: %d of %d strips are there already", info.path.name, there, len(cost))

    with ReadAhead(info) as raster, BackgroundWorker() as behind:

        def scan_strip(strip: tuple[View, int]) -> int:
            view, index = strip
            raster.begin_strip(view.window(index, info))

            def report(share: float) -> None:
                progress(EXPLAINING * (done + share * cost[strip]) / total, info.path.name)

            scores = explain_view(explainer, raster, view, index, report)
            behind.hand_over(partial(work.put, view.zoom, index, scores))
            return cost[strip]

        for pixels in map(scan_strip, missing):
            done += pixels
            progress(EXPLAINING * done / total, info.path.name)


def write_score(
    work: StripStore, info: RasterInfo, views: Sequence[View], explainer: StripScorer
) -> Path:
    """Write ``score.tif`` of what has been explained and return its path."""
    with ThreadPool(nullcontext, thread_count()) as crew:
        counts = sum(strips_of(work, views, crew, counted), np.zeros(len(HALVES), np.int64))
        top = top_of(counts, info.rows * info.cols)
        tags = tags_of(work, views, explainer, top)
        coded = strips_of(work, views, crew, partial(code, top=top))
        write_cog(work.score, coded, info, tags, "average")
    return work.score


def tags_of(
    work: StripStore, views: Sequence[View], explainer: StripScorer, top: float
) -> dict[str, str]:
    """What a score raster tells of itself."""
    tiles = [work.probability(view) for view in views]
    seen = sum(each.size for each in tiles)  # 0 where no tile is judged, and all is explained
    gated = sum(int((each >= explainer.gate).sum()) for each in tiles)
    facts = explainer.engine.facts
    return {
        "CRACKCLI_SCORE": f"root of {find_method(facts.method).score}",
        "CRACKCLI_SCORE_TOP": repr(top),  # the score that is stored as 254
        "CRACKCLI_METHOD": facts.method,
        "CRACKCLI_START": facts.start,
        "CRACKCLI_MARGIN": repr(facts.margin),
        "CRACKCLI_VERSION": __version__,
        "CRACKCLI_SCORED": work.digest,
        "CRACKCLI_ZOOMS": ",".join(f"{view.zoom:g}" for view in views),
        "CRACKCLI_TILES_GATED": repr(gated / seen if seen else 1.0),
        "CRACKCLI_PROBABILITY": json.dumps(
            [
                {"zoom": view.zoom} | summarised(each, explainer.gate, facts.stride_px / view.zoom)
                for view, each in zip(views, tiles, strict=True)
                if each.size
            ]
        ),
    }


def strips_of(
    work: StripStore,
    views: Sequence[View],
    crew: ThreadPool[None],
    use: Callable[[PackedStrip], Result],
) -> Iterator[Result]:
    """The ``use`` of what has been explained, all views together, strip by strip from the top."""
    if len(views) > 1:
        packed = map(PackedStrip.of, together([work.strips(view) for view in views]))
        return crew.imap(lambda _, strip: use(strip), packed, STRIPS)
    (view,) = views
    numbers = range(len(view.grid))
    return crew.imap(lambda _, number: use(work.packed(view.zoom, number)), numbers, STRIPS)


def counted(strip: PackedStrip) -> Int64:
    """How often each of `HALVES` occurs, but for the zeros where nothing is explained."""
    return np.bincount(strip.squares.view(np.uint16).reshape(-1), minlength=len(HALVES))


def summarised(probability: Float32, gate: float, stride_px: float) -> dict[str, Any]:
    """The grid of P(crack) (h, w) of all tiles in a few numbers; ``stride_px`` are pixels of the
    raster, ``histogram`` counts the tiles in ten equal bins from 0 to 1."""
    return {
        "rows": probability.shape[0],
        "cols": probability.shape[1],
        "stride_px": stride_px,
        "mean": round(float(probability.mean(dtype=np.float64)), 6),
        "max": round(float(probability.max()), 6),
        "share_at_gate": float((probability >= gate).mean()),
        "histogram": np.histogram(probability, 10, (0, 1))[0].tolist(),
    }


def root(relevance: Float16) -> Float32:
    """Root of positive relevance: evens out what spans many orders of magnitude."""
    return np.sqrt(relevance.astype(np.float32).clip(min=0))


def top_of(counts: Int64, pixels: int) -> float:
    """The root relevance that all but a few of the scene's pixels stay below; ``counts`` tells how
    often each of `HALVES` above zero occurs."""
    above = np.cumsum(counts[LARGEST:0:-1])[::-1]  # pixels with this relevance or more
    frequent = np.flatnonzero(above > TOP_SHARE * pixels)
    return float(root(HALVES[1 + frequent[-1]])) if len(frequent) else 1.0


def code(strip: PackedStrip, *, top: float) -> UInt8:
    """Scores as they are stored: 0 to 254, 255 where there is no data."""
    scaled = root(HALVES[: LARGEST + 1]) * (SCORE_MAX / top)
    table = np.zeros(len(HALVES), np.uint8)  # 0 for negative relevance
    table[: LARGEST + 1] = np.rint(scaled.clip(max=SCORE_MAX))
    coded = strip.spread_out(table[strip.squares.view(np.uint16)])
    if strip.valid is not None:
        coded[~strip.valid] = NODATA
    return coded
