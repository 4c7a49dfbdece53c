"""Scan one raster: write a score and a mask on its grid.

Three passes, each strip by strip, so that memory does not grow with the raster:

1. explain: write the relevance of each strip, at each zoom, to a file of the work folder. The
   files that exist are the progress; an interrupted scan continues after the last;
2. score: merge the zooms, find one scale for the scene, write ``score.tif``; its tags hold the
   fingerprint of what it was made from;
3. mask: see `crackcli.masking.scene_mask`; it needs the score and the image only.

All files are made in the work folder. Only then are the files of an earlier scan replaced, and
``scene.json`` is written last: if it exists, all three belong together. A score made from the same
file by the same model and options is kept; with other masking options only the third pass runs.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from crackcli import __version__
from crackcli.arrays import Float16, Float32, Int64, UInt8
from crackcli.errors import InputError
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View, merge_views, score_view
from crackcli.masking.refinement import Masking
from crackcli.masking.scene_mask import find_threshold, write_mask
from crackcli.outputs import keep_aside
from crackcli.progress import Progress, ignore, in_pixels, part
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.rasters.reader import RasterInfo, check_unchanged, inspect
from crackcli.rasters.resampled import FULL_RESOLUTION, sort_zooms
from crackcli.rasters.score_mask import NODATA, SCORE_MAX, read_tags
from crackcli.rasters.writing.cog import write_cog
from crackcli.registry import find_method
from crackcli.scan.areas import excluded_areas, excluded_record
from crackcli.scan.fingerprint import fingerprint
from crackcli.scan.remaining_work import missing_strips, remaining_work
from crackcli.scan.scene_files import State
from crackcli.scan.strip_store import PackedStrip, StripStore
from crackcli.scenes import recorded_scale
from crackcli.scenes.areas.survey_areas import SurveyAreas
from crackcli.scenes.record import MaskingRecord, SceneFacts, SceneRecord, TileGridRecord
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import relative_to, store_path
from crackcli.threads import BackgroundWorker, ThreadPool, thread_count

log = logging.getLogger(__name__)

CORE_PX = 512
TOP_SHARE = 1e-5  # fraction of the scene's pixels that may lie above the scale of its score
FLOAT16_VALUES = np.arange(2**16, dtype=np.uint16).view(np.float16)  # all numbers in half precision
LARGEST = 0x7BFF  # index of the last positive finite one; they rise from index 0
STRIPS = 2  # of the score that are encoded at once
EXPLAINING = 0.9  # fraction of a scan's time, for the progress

Result = TypeVar("Result")


@dataclass(frozen=True)
class ScanTask:
    """A raster, the folder of its scene, and how it is cut and masked."""

    source: Path
    folder: Path
    masking: Masking = Masking("auto")
    core_px: int = CORE_PX  # side of a block in pixels of the view, at any zoom
    zooms: tuple[float, ...] = FULL_RESOLUTION
    bands: tuple[int, ...] = ()  # to read as colours; none: those that the file declares
    page: int | None = None  # which full-size page of the file, from 1; None: its only one
    hints: recorded_scale.Hints = recorded_scale.Hints()
    areas: SurveyAreas = SurveyAreas()
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "zooms", sort_zooms(self.zooms))


@dataclass(frozen=True)
class ScanSummary:
    """The result of a scan, as the command prints it and ``run.json`` holds it."""

    scene: str
    source: Path
    mask: Path
    status: str  # done, masked again, or unchanged
    megapixels: float
    crack_px: int
    threshold: float
    tiles_gated: float  # fraction
    excluded_px: int  # valid pixels in areas that the user excluded
    seconds: float


def scan_raster(task: ScanTask, scorer: StripScorer, progress: Progress = ignore) -> ScanSummary:
    """Scan ``task.source`` into ``task.folder``, or continue where an earlier scan stopped.

    Raises an `InputError` if the raster cannot be read, an `OutputError` if a file cannot be
    written.
    """
    began = time.monotonic()
    whole = inspect(task.source, task.bands, task.page)
    info = whole.excluding(excluded_areas(task.areas, whole, task.folder, task.hints))
    facts = scorer.engine.facts
    masking = task.masking.suited(facts.method)
    views = [View.of(info, zoom, scorer, task.core_px) for zoom in task.zooms]
    scored = fingerprint(info, scorer, task.core_px, task.zooms)
    left = remaining_work(task.folder, info, views, scored, masking, overwrite=task.overwrite)
    store, earlier = left.store, left.earlier
    scales = recorded_scale.find_scales(info, task.hints, earlier)
    if earlier is not None and left.unchanged:
        if store.is_ours():
            store.remove()  # of an interrupted run with other masking
        if left.files.mask is State.CHANGED:
            log.warning(
                "%s: was changed since it was scanned, and is kept; --overwrite makes it again",
                earlier.mask,
            )
        recorded_scale.store_scales(earlier, scales)
        store_path(task.folder.parent, Scene.read(earlier.folder), task.source)
        return summary(earlier, task.source, "unchanged", 0.0)

    for note in info.notes:
        log.warning("%s: %s", info.path.name, note)
    seconds = {} if earlier is None else dict(earlier.record.seconds)
    score = left.score
    store.begin()
    with discarding(store):
        if score is None:
            earlier = None
            explaining = in_pixels(part(progress, 0, EXPLAINING), info.megapixels)
            explain(store, info, views, scorer, explaining)
            seconds["explain"] = time.monotonic() - began
            score = write_score(store, info, views, scorer)
            seconds["score"] = time.monotonic() - began - seconds["explain"]

        began_masking = time.monotonic()
        threshold = masking.threshold
        if threshold is None:
            threshold = find_threshold(score, masking)
        masked = in_pixels(part(progress, EXPLAINING, 1), info.megapixels)
        crack_px = write_mask(store.mask, score, info, masking, threshold, masked)
        check_unchanged(info, thorough=True)
    seconds["mask"] = time.monotonic() - began_masking
    for name, value in seconds.items():
        log.debug("%s: %s took %.2f s", info.path.name, name, value)

    tags = read_tags(score)
    record: SceneFacts = {
        "source": {
            "file": info.path.name,
            "path": relative_to(task.folder.parent, task.source),
            "sha256": info.digest,
            "megapixels": round(info.megapixels, 3),
            "orientation": info.orientation,
            "stretch": info.stretch,
            "notes": list(info.notes),
        },
        "photograph": scales,
        "scored": scored,
        "device": facts.device,
        "precision": facts.precision,
        "licence": facts.licence.name or None,
        "masking": cast(MaskingRecord, asdict(masking)),
        "threshold": threshold,
        "tiles_gated": float(tags["CRACKCLI_TILES_GATED"]),
        "probability": json.loads(tags["CRACKCLI_PROBABILITY"]),
        "crack_px": crack_px,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    if info.excluded is not None:
        record["excluded"] = excluded_record(task.areas, whole, info.excluded)
    scene = replace(left.scene, record=SceneRecord(record))
    for path, _ in left.files.in_the_way:  # only with --overwrite
        keep_aside(path)
    store.publish(scene, score)
    status = "done" if earlier is None else "masked again"
    return summary(scene, task.source, status, time.monotonic() - began)


def summary(scene: Scene, source: Path, status: str, seconds: float) -> ScanSummary:
    """Return the figures of a finished scene."""
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
        excluded_px=scene.record.excluded_px,
        seconds=round(seconds, 3),
    )


@contextmanager
def discarding(store: StripStore) -> Iterator[None]:
    """Delete the work on a raster that cannot be read, or was changed: its scan starts anew."""
    try:
        yield
    except InputError:
        store.remove()
        raise


def explain(
    store: StripStore,
    info: RasterInfo,
    views: Sequence[View],
    scorer: StripScorer,
    progress: Progress,
) -> None:
    """Score every strip of every view that the store does not hold yet."""
    missing = [
        (view, index)
        for view, indices in zip(views, missing_strips(store, info, views), strict=True)
        for index in indices
    ]
    all_strips = sum(len(view.grid) for view in views)
    total = sum(view.pixels(index) for view in views for index in range(len(view.grid)))
    done = total - sum(view.pixels(index) for view, index in missing)
    if done:
        log.info(
            "%s: continues an interrupted scan; %d of %d strips are finished",
            info.path.name,
            all_strips - len(missing),
            all_strips,
        )
    stage = f"{info.path.name}: scores"
    with ReadAhead(info) as raster, BackgroundWorker() as behind:
        for view, index in missing:
            began = time.monotonic()
            pixels = view.pixels(index)
            raster.begin_strip(view.window(index, info))

            def report(fraction: float, pixels: int = pixels, done: int = done) -> None:
                progress((done + fraction * pixels) / total, stage)

            scores = score_view(scorer, raster, view, index, report)
            log.debug(
                "%s: strip %d of %d at zoom %g scored in %.2f s",
                info.path.name,
                index + 1,
                len(view.grid),
                view.zoom,
                time.monotonic() - began,
            )
            check_unchanged(info)  # a strip of another photograph must not be stored
            behind.hand_over(partial(store.put, view.zoom, index, scores))
            done += pixels
            progress(done / total, stage)


def write_score(
    store: StripStore, info: RasterInfo, views: Sequence[View], scorer: StripScorer
) -> Path:
    """Write ``score.tif`` from the strips of the store and return its path."""
    with ThreadPool(nullcontext, thread_count()) as pool:
        counts = sum(
            strips_of(store, views, pool, count_values), np.zeros(len(FLOAT16_VALUES), np.int64)
        )
        top = top_of(counts, info.rows * info.cols)
        tags = tags_of(store, views, scorer, top)
        coded = strips_of(store, views, pool, partial(encode, top=top))
        write_cog(store.score, coded, info, tags, "average")
    return store.score


def tags_of(
    store: StripStore, views: Sequence[View], scorer: StripScorer, top: float
) -> dict[str, str]:
    """Return the tags of a score raster."""
    tiles = [store.probability(view) for view in views]
    classified = sum(each.size for each in tiles)  # 0 for methods that score every pixel
    gated = sum(int((each >= scorer.gate).sum()) for each in tiles)
    facts = scorer.engine.facts
    return {
        "CRACKCLI_SCORE": f"root of {find_method(facts.method).score}",
        "CRACKCLI_SCORE_TOP": repr(top),  # the score that is stored as 254
        "CRACKCLI_METHOD": facts.method,
        "CRACKCLI_START": facts.start,
        "CRACKCLI_MARGIN": repr(facts.margin),
        "CRACKCLI_MARKED_FROM": repr(facts.marked_from),  # P(crack); of scores that are its root
        "CRACKCLI_VERSION": __version__,
        "CRACKCLI_SCORED": store.digest,
        "CRACKCLI_ZOOMS": ",".join(f"{view.zoom:g}" for view in views),
        "CRACKCLI_TILES_GATED": repr(gated / classified if classified else 1.0),
        "CRACKCLI_PROBABILITY": json.dumps(
            [
                tile_grid(view.zoom, each, scorer.gate, facts.stride_px / view.zoom)
                for view, each in zip(views, tiles, strict=True)
                if each.size
            ]
        ),
    }


def strips_of(
    store: StripStore,
    views: Sequence[View],
    pool: ThreadPool[None],
    use: Callable[[PackedStrip], Result],
) -> Iterator[Result]:
    """Yield ``use(strip)`` for each strip from the top, all views merged."""
    if len(views) > 1:
        packed = map(PackedStrip.of, merge_views([store.strips(view) for view in views]))
        return pool.imap(lambda _, strip: use(strip), packed, STRIPS)
    (view,) = views
    numbers = range(len(view.grid))
    return pool.imap(lambda _, number: use(store.packed(view.zoom, number)), numbers, STRIPS)


def count_values(strip: PackedStrip) -> Int64:
    """Count how often each of `FLOAT16_VALUES` occurs, without the squares that are all zero."""
    return np.bincount(strip.squares.view(np.uint16).reshape(-1), minlength=len(FLOAT16_VALUES))


def tile_grid(zoom: float, probability: Float32, gate: float, stride_px: float) -> TileGridRecord:
    """Summarise P(crack) (h, w) of all tiles; ``stride_px`` are pixels of the raster, and the
    histogram has ten equal bins from 0 to 1."""
    return {
        "zoom": zoom,
        "rows": probability.shape[0],
        "cols": probability.shape[1],
        "stride_px": stride_px,
        "mean": round(float(probability.mean(dtype=np.float64)), 6),
        "max": round(float(probability.max()), 6),
        "share_at_gate": float((probability >= gate).mean()),
        "histogram": np.histogram(probability, 10, (0, 1))[0].tolist(),
    }


def root(relevance: Float16) -> Float32:
    """Return the root of positive relevance, 0 of negative; it spans fewer orders of magnitude."""
    roots: Float32 = np.sqrt(relevance.astype(np.float32).clip(min=0))
    return roots


def top_of(counts: Int64, pixels: int) -> float:
    """Return the root relevance that only a fraction `TOP_SHARE` of the pixels exceeds; ``counts``
    holds how often each of `FLOAT16_VALUES` occurs."""
    above = np.cumsum(counts[LARGEST:0:-1])[::-1]  # pixels with this relevance or more
    frequent = np.flatnonzero(above > TOP_SHARE * pixels)
    return float(root(FLOAT16_VALUES[1 + frequent[-1]])) if len(frequent) else 1.0


def encode(strip: PackedStrip, *, top: float) -> UInt8:
    """Encode scores as bytes: 0 to 254, 255 nodata."""
    scaled = root(FLOAT16_VALUES[: LARGEST + 1]) * (SCORE_MAX / top)
    table = np.zeros(len(FLOAT16_VALUES), np.uint8)  # 0 for negative relevance
    table[: LARGEST + 1] = np.rint(scaled.clip(max=SCORE_MAX))
    coded = strip.spread_out(table[strip.squares.view(np.uint16)])
    if strip.valid is not None:
        coded[~strip.valid] = NODATA
    return coded
