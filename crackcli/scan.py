"""One raster in, score and mask on its grid out.

Three passes, each strip by strip, so that memory does not grow with the raster:

1. explain: relevance of each strip to a file of the work folder, written aside and renamed: the
   files that exist are the progress, and an interrupted scan goes on after the last of them;
2. score: one scale for the scene, ``score.tif``, and from its histogram one threshold;
3. mask: see `crackcli.mask_scene`; it needs the score and the photograph only.

``scene.json`` is written last: its presence means that the scene is finished.  A scene that was
finished with other masking options keeps its score; only the third pass runs again.
"""

import hashlib
import json
import logging
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crackcli import __version__
from crackcli.explainer import Explainer, StripScores
from crackcli.files import write_json, written_aside
from crackcli.grid import Grid
from crackcli.mask_scene import SCORE_MAX, find_threshold, write_mask
from crackcli.masking import Masking
from crackcli.raster import NODATA, Bytes, Raster, RasterInfo, inspect, write_cog
from crackcli.registry import BACKENDS, load
from crackcli.scene import Scene

log = logging.getLogger(__name__)

CORE_PX = 512
TOP_SHARE = 1e-5  # of the scene's pixels may lie above the scale of its score
ROOTS = np.geomspace(1e-6, 1e3, 1801)  # bins of root relevance, 1 % wide

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ScanTask:
    """A raster, the folder of its scene, and how it is cut and masked."""

    source: Path
    folder: Path
    masking: Masking = Masking()
    core_px: int = CORE_PX
    backend: str = "serial"
    overwrite: bool = False


@dataclass(frozen=True)
class SceneSummary:
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
    task: ScanTask, explainer: Explainer, progress: Progress = lambda share, words: None
) -> SceneSummary:
    """Scan ``task.source`` into ``task.folder``; goes on where an earlier scan stopped."""
    began = time.monotonic()
    info = inspect(task.source)
    grid = explainer.grid(info.rows, info.cols, task.core_px)
    scored = {
        "source_sha256": info.digest,
        "engine": {k: v for k, v in asdict(explainer.engine.facts).items() if k != "device"},
        "gate": explainer.gate,
        "core_px": task.core_px,
        "crackcli_version": __version__,
    }
    scene = Scene(task.folder, info.rows, info.cols, info.transform, info.crs_wkt)
    earlier = None if task.overwrite else finished(scene, scored)
    if earlier is not None and earlier.record["masking"] == asdict(task.masking):
        return summary(earlier, task.source, "unchanged", 0.0)

    seconds: dict[str, float] = {}
    if earlier is None:
        work = Work(task.folder / "work", scored)
        explain(work, info, grid, explainer, task.backend, progress)
        seconds["explain"] = time.monotonic() - began
        gated = write_score(work, scene, info, explainer)
        seconds["score"] = time.monotonic() - began - seconds["explain"]
    else:
        seconds, gated = earlier.record["seconds"], earlier.record["tiles_gated"]

    began_masking = time.monotonic()
    threshold = task.masking.threshold or find_threshold(scene, task.masking)
    crack_px = write_mask(scene, info, task.masking, threshold, progress)
    seconds["mask"] = time.monotonic() - began_masking

    record: dict[str, Any] = {
        "source": {
            "file": info.path.name,
            "sha256": info.digest,
            "megapixels": round(info.megapixels, 3),
            "orientation": info.orientation,
            "stretch": info.stretch,
        },
        "scored": scored,
        "device": explainer.engine.facts.device,
        "masking": asdict(task.masking),
        "threshold": threshold,
        "tiles_gated": gated,
        "crack_px": crack_px,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    scene = Scene(task.folder, info.rows, info.cols, info.transform, info.crs_wkt, record)
    scene.write()
    shutil.rmtree(task.folder / "work", ignore_errors=True)
    status = "done" if earlier is None else "masked again"
    return summary(scene, task.source, status, time.monotonic() - began)


def finished(scene: Scene, scored: dict[str, Any]) -> Scene | None:
    """The scene as it was finished earlier from the same file by the same explanation, or None."""
    if not (scene.folder / "scene.json").exists() or not scene.score.exists():
        return None
    earlier = Scene.read(scene.folder)
    return earlier if earlier.record.get("scored") == scored else None


def summary(scene: Scene, source: Path, status: str, seconds: float) -> SceneSummary:
    return SceneSummary(
        scene=scene.name,
        source=source,
        mask=scene.mask,
        status=status,
        megapixels=scene.record["source"]["megapixels"],
        crack_px=scene.record["crack_px"],
        threshold=scene.record["threshold"],
        tiles_gated=scene.record["tiles_gated"],
        seconds=round(seconds, 3),
    )


class Work:
    """The folder of a scan in progress: one file for each finished strip.

    It belongs to one source, model and set of options; work for another is thrown away.
    """

    def __init__(self, folder: Path, scored: dict[str, Any]) -> None:
        self.folder = folder
        text = json.dumps(scored, sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        note = folder / "work.json"
        try:
            same = json.loads(note.read_text(encoding="utf-8"))["digest"] == self.digest
        except (OSError, ValueError, KeyError):
            same = False
        if not same:
            shutil.rmtree(folder, ignore_errors=True)
            write_json(note, {"digest": self.digest})

    def path(self, index: int) -> Path:
        return self.folder / f"strip_{index:06d}.npz"

    def has(self, index: int) -> bool:
        """Whether a strip is there and whole."""
        return self.path(index).exists() and zipfile.is_zipfile(self.path(index))

    def put(self, index: int, scores: StripScores) -> None:
        with written_aside(self.path(index)) as aside:
            np.savez_compressed(aside, **vars(scores))

    def get(self, index: int) -> StripScores:
        with np.load(self.path(index), allow_pickle=False) as arrays:
            return StripScores(**arrays)


def explain(
    work: Work,
    info: RasterInfo,
    grid: Grid,
    explainer: Explainer,
    backend: str,
    progress: Progress,
) -> None:
    """Relevance of every strip that the work folder does not have yet."""
    missing = [index for index in range(len(grid)) if not work.has(index)]
    done = len(grid) - len(missing)
    if done:
        log.info("%s: %d of %d strips are there already", info.path.name, done, len(grid))

    def scan_strip(index: int) -> int:
        with Raster(info) as raster:
            work.put(index, explainer.explain_strip(raster, grid, index))
        return index

    for count, _ in enumerate(load(BACKENDS, backend)(scan_strip, missing), start=done + 1):
        progress(count / len(grid), info.path.name)


def write_score(work: Work, scene: Scene, info: RasterInfo, explainer: Explainer) -> float:
    """Write ``score.tif`` and return the share of tiles that were explained."""
    strips = range(len(list(work.folder.glob("strip_*.npz"))))
    counts = np.zeros(len(ROOTS) - 1, np.int64)
    gated, tiles = 0, 0
    for index in strips:
        scores = work.get(index)
        counts += np.histogram(root(scores), ROOTS)[0]
        gated += int((scores.probability >= explainer.gate).sum())
        tiles += scores.probability.size
    top = top_of(counts, info.rows * info.cols)
    facts = explainer.engine.facts
    tags = {
        "CRACKCLI_SCORE": "root of positive relevance",
        "CRACKCLI_SCORE_TOP": repr(top),  # the score that is stored as 254
        "CRACKCLI_METHOD": facts.method,
        "CRACKCLI_START": facts.start,
        "CRACKCLI_VERSION": __version__,
    }
    coded = (code(work.get(index), top) for index in strips)
    write_cog(scene.score, coded, info, tags, resampling="average")
    return gated / tiles


def root(scores: StripScores) -> NDArray[np.float32]:
    """Root of positive relevance: evens out what spans many orders of magnitude."""
    return np.sqrt(scores.relevance.astype(np.float32).clip(min=0))


def top_of(counts: NDArray[np.int64], pixels: int) -> float:
    """The root relevance that all but a few of the scene's pixels stay below."""
    above = np.cumsum(counts[::-1])[::-1]  # pixels in this bin or a higher one
    bins = np.flatnonzero(above > TOP_SHARE * pixels)
    return float(ROOTS[bins[-1] + 1]) if len(bins) else 1.0


def code(scores: StripScores, top: float) -> Bytes:
    """Scores as they are stored: 0 to 254, 255 where there is no data."""
    coded = np.rint(root(scores) * (SCORE_MAX / top)).clip(max=SCORE_MAX).astype(np.uint8)
    coded[~scores.valid] = NODATA
    return coded
