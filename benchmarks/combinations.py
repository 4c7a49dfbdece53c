"""Compares ways to combine lrp and the student: accuracy, false cracks and time of each.

    python benchmarks/combinations.py DATA
    python benchmarks/combinations.py DATA --part train --limit 16 --model mine.safetensors

DATA is a data pack as of `segmentation`, with large/castle_facade_7103.jpg and the other
photographs of `CRACK_FREE`, in which every crack is a false one. Each photograph is scanned at full
resolution with the default options, in five ways:

a. lrp, refined on the photograph;
b. the student alone, its score thresholded;
c. lrp where the student marks something: tiles without a mark are neither classified nor explained;
d. lrp within ``--corridor-px`` of pixels whose score by the student is at least
   ``--corridor-score``;
e. the student, refined on the photograph.

Seconds are of the processor, all threads; those of c and d include the student.
``--part train`` takes photographs that the networks learnt from: to choose, not to judge.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from segmentation import labelled_photographs

from crackcli.arrays import Bools, Float32
from crackcli.cracks.joints import JOINT_THRESHOLD, with_joint_likelihoods
from crackcli.cracks.tracing import trace
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.engines.opening import open_engine
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.opening import scorer_of
from crackcli.inference.strips import StripScorer
from crackcli.masking.refinement import AREA_PX, Masking
from crackcli.masking.scene_mask import Scores
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import RasterReader
from crackcli.rasters.reader import inspect
from crackcli.rasters.score_mask import CRACK, read_band
from crackcli.rasters.writing.cog import write_cog
from crackcli.registry import DEFAULT_GATE
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.scenes.scene import Scene
from crackcli.shipped_models import shipped

SETS = ("deepcrack", "masonry_dais", "cfd")
PREFIXES = {"masonry_dais": "dais"}  # of the files in DATA/train/crack, if not the name of the set
CRACK_FREE = (
    "castle_facade_7103.jpg",
    "castle_facade_7109.jpg",
    "bridge_dacl_0444.jpg",
    "bridge_dacl_0623.jpg",
)
LONG_PX = 200  # length of a false crack that nobody overlooks
TOLERANCES_PX = (0, 2)
MARKED, UNMARKED = 1.0, 0.0  # what `StudentGate` returns in place of P(crack)


class StudentGate:
    """A prescreen that rules out the tiles in which a mask marks nothing."""

    threshold = DEFAULT_GATE / 2  # between `UNMARKED` and `MARKED`, and below the gate of the scan
    int8_engine = None
    mask: Bools  # of the photograph to be scanned

    def __init__(self, tile_px: int, stride_px: int) -> None:
        self.tile_px, self.stride_px = tile_px, stride_px

    def probability(self, raster: RasterReader, centres: Window, strip_px: int) -> Float32:
        """Return `MARKED` or `UNMARKED` (h, w) for each cell of a window on which a tile is
        centred."""
        total = cv2.integral(self.mask.astype(np.uint8))
        top, bottom = self.edges(centres.row, centres.rows, self.mask.shape[0])
        left, right = self.edges(centres.col, centres.cols, self.mask.shape[1])
        by_row = total[bottom] - total[top]
        marked = by_row[:, right] > by_row[:, left]
        return np.where(marked, np.float32(MARKED), np.float32(UNMARKED))

    def edges(self, first: int, count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the first pixels of tiles along a side, and those after the last."""
        centres = (first + np.arange(count)) * self.stride_px
        half = self.tile_px // 2
        return (centres - half).clip(0, side), (centres + half).clip(0, side)

    def fingerprint(self, zooms: Sequence[float]) -> list[str | float]:
        """Return what `crackcli.inference.strips.Prescreen` asks for; no scene is kept."""
        return ["student", self.threshold]


@dataclass(frozen=True)
class Marked:
    """The mask of a photograph by one of the ways, the score that its cracks are traced with, and
    what it took; ``explained`` of ``tiles`` were explained by lrp."""

    mask: Path
    score: Path
    seconds: float
    tiles: float = 0
    explained: float = 0

    def pixels(self) -> Bools:
        """Read the mask (rows, cols)."""
        flags: Bools = read_band(self.mask) == CRACK
        return flags


@dataclass
class Totals:
    """Sums over the photographs of one way."""

    scores: dict[tuple[str, int], PixelScores] = field(
        default_factory=lambda: defaultdict(PixelScores)
    )
    crack_free: PixelScores = field(default_factory=PixelScores)
    lengths_px: list[float] = field(default_factory=list)  # of false cracks
    seconds: float = 0
    megapixels: float = 0
    tiles: float = 0
    explained: float = 0

    def add_cost(self, marked: Marked) -> None:
        """Add the time and tiles of a photograph."""
        self.seconds += marked.seconds
        self.megapixels += marked.pixels().size / 1e6
        self.tiles += marked.tiles
        self.explained += marked.explained

    def row(self) -> list[str]:
        """Return the cells of the table: see `HEADER`."""
        f1 = [
            " / ".join(f"{100 * self.scores[name, px].f1:.1f}" for px in TOLERANCES_PX)
            for name in SETS
        ]
        return [
            *f1,
            f"{100 * self.crack_free.marked_fraction:.2f}",
            str(len(self.lengths_px)),
            str(sum(length > LONG_PX for length in self.lengths_px)),
            f"{100 * self.explained / self.tiles:.0f}" if self.tiles else "-",
            f"{self.seconds / self.megapixels:.1f}",
        ]


HEADER = [
    "way",
    *SETS,
    "crack-free patches, % marked",
    "false cracks",
    f"over {LONG_PX} px",
    "tiles explained, %",
    "seconds per MP",
]


def scanned(photograph: Path, folder: Path, scorer: StripScorer, recipe: str) -> Marked:
    """Scan a photograph into a new folder."""
    began = time.process_time()
    scan_raster(ScanTask(photograph, folder, masking=Masking(recipe)), scorer)
    seconds = time.process_time() - began
    scene = Scene.read(folder)
    grids = scene.record.facts["probability"]
    tiles = sum(grid["rows"] * grid["cols"] for grid in grids)
    explained = sum(grid["rows"] * grid["cols"] * grid["share_at_gate"] for grid in grids)
    return Marked(scene.mask, scene.score, seconds, tiles, explained)


@dataclass(frozen=True)
class Corridor:
    """Pixels within ``reach_px`` of those that have at least a ``score`` by the student."""

    reach_px: int
    score: float  # P(crack), 0 to 1

    def cut(self, photograph: Path, lrp: Marked, student: Marked, folder: Path) -> Marked:
        """Write the mask of lrp within the corridor, without specks, into a new folder."""
        pixels = lrp.pixels()
        with Scores(student.score) as scores:
            root, _ = scores.read(Window(0, 0, *pixels.shape))
        side = 2 * self.reach_px + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        near = cv2.dilate((root >= self.score**0.5).astype(np.uint8), disc) > 0
        cut = without_specks(pixels & near)
        folder.mkdir(parents=True)
        mask = folder / "mask.tif"
        write_cog(mask, [cut.astype(np.uint8) * np.uint8(CRACK)], inspect(photograph), {}, "mode")
        seconds = lrp.seconds + student.seconds
        return Marked(mask, lrp.score, seconds, lrp.tiles, lrp.explained)


def without_specks(mask: Bools) -> Bools:
    """Return a mask without components that a scan would leave out as too small."""
    _, labels, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = figures[:, cv2.CC_STAT_AREA] >= AREA_PX
    large[0] = False  # the background
    kept: Bools = large[labels]
    return kept


class Ways:
    """The scorers of lrp and of each student, and what marks a photograph with them."""

    def __init__(self, models: Sequence[Path], corridor: Corridor) -> None:
        engine = open_engine(method="lrp", device="cpu", precision="float32")
        self.lrp = ClassifierScorer(engine, DEFAULT_GATE)
        self.students: list[tuple[str, StripScorer, StudentGate, StripScorer]] = []
        for model in models:
            student = open_engine(model, "student", device="cpu", precision="float32")
            gate = StudentGate(engine.facts.tile_px, engine.facts.stride_px)
            gated = ClassifierScorer(engine, DEFAULT_GATE, gate)
            self.students.append((model.stem, scorer_of(student, DEFAULT_GATE), gate, gated))
        self.corridor = corridor

    def marks(self, photograph: Path) -> Iterator[tuple[str, Marked]]:
        """Yield the name of each way and what it marks; its files are there until the next."""
        with tempfile.TemporaryDirectory(prefix="combinations-") as name:
            folder = Path(name)
            lrp = scanned(photograph, folder / "lrp", self.lrp, "refined")
            yield "a. lrp, refined", lrp
            for number, (model, student, gate, gated) in enumerate(self.students):
                own = folder / str(number)
                plain = scanned(photograph, own / "plain", student, "plain")
                yield f"b. {model}, plain", plain
                gate.mask = plain.pixels()
                some = scanned(photograph, own / "gated", gated, "refined")
                seconds = plain.seconds + some.seconds
                yield (
                    f"c. lrp where {model} marks",
                    Marked(some.mask, some.score, seconds, some.tiles, some.explained),
                )
                yield (
                    f"d. lrp near {model}",
                    self.corridor.cut(photograph, lrp, plain, own / "corridor"),
                )
                yield (
                    f"e. {model}, refined",
                    scanned(photograph, own / "refined", student, "refined"),
                )
                shutil.rmtree(own)


def cracks_px(marked: Marked) -> list[float]:
    """Return the lengths of the cracks that crackcli report would list, joints left out."""
    rows, cols = read_band(marked.mask).shape
    cracks = with_joint_likelihoods(trace(marked.mask, marked.score, (rows, cols)).cracks)
    return [crack.length_px for crack in cracks if (crack.joint_likelihood or 0) < JOINT_THRESHOLD]


def spread(paths: list, limit: int | None) -> list:
    """Return at most ``limit`` entries, at even distances."""
    if limit is None or limit >= len(paths):
        return paths
    return [paths[round(index * (len(paths) - 1) / max(1, limit - 1))] for index in range(limit)]


def photographs_of(data: Path, part: str, name: str) -> list[tuple[Path, Path]]:
    """Return the photographs of a set and their masks; crops of ``train`` are left out, since
    their originals are there too."""
    if part == "test":
        return labelled_photographs(data / "test" / name)
    images = (data / "train" / "crack").glob(f"{PREFIXES.get(name, name)}_*")
    whole = sorted(path for path in images if "crop" not in path.name)
    masks = data / "train" / "masks"
    return [(path, masks / f"{path.stem}.png") for path in whole]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, nargs="+", help="students; default: the shipped one")
    parser.add_argument("--part", choices=("test", "train"), default="test")
    parser.add_argument("--limit", type=int, help="photographs of each set, and large ones")
    parser.add_argument("--corridor-px", type=int, default=8)
    parser.add_argument("--corridor-score", type=float, default=0.1)
    given = parser.parse_args()
    models = given.model or [shipped(".onnx", "student")]
    ways = Ways(models, Corridor(given.corridor_px, given.corridor_score))
    totals: dict[str, Totals] = defaultdict(Totals)

    for name in SETS:
        began = time.monotonic()
        for photograph, mask in spread(photographs_of(given.data, given.part, name), given.limit):
            labelled = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 127
            for way, marked in ways.marks(photograph):
                totals[way].add_cost(marked)
                for px in TOLERANCES_PX:
                    totals[way].scores[name, px] += compare(marked.pixels(), labelled, px)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)

    patches = "test/patches/no_crack" if given.part == "test" else "train/no_crack"
    for photograph in spread(sorted((given.data / patches).iterdir()), given.limit):
        for way, marked in ways.marks(photograph):
            totals[way].add_cost(marked)
            pixels = marked.pixels()
            totals[way].crack_free += compare(pixels, np.zeros_like(pixels))
    for photograph in spread([given.data / "large" / name for name in CRACK_FREE], given.limit):
        for way, marked in ways.marks(photograph):
            totals[way].add_cost(marked)
            lengths = cracks_px(marked)
            totals[way].lengths_px += lengths
            print(
                f"{photograph.stem}, {way}: {len(lengths)} false cracks, "
                f"{sum(length > LONG_PX for length in lengths)} over {LONG_PX} px, "
                f"{marked.seconds:.0f} s",
                file=sys.stderr,
            )

    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for way, sums in sorted(totals.items()):
        print("| " + " | ".join([way, *sums.row()]) + " |")


if __name__ == "__main__":
    main()
