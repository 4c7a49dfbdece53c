"""Measures a scan without its network: reading, cutting, work files, score, threshold, mask, COG.

    PYTHONPATH=. python benchmarks/host.py -o host               # 34 megapixels, a minute
    PYTHONPATH=. python benchmarks/host.py -o host --rows 32768 --cols 32768   # a gigapixel

The network is replaced by one that answers immediately, with cells, P(crack) and relevance of the
real shapes and sizes: a tile is cracked if it has very dark pixels, and relevance is their
darkness. So everything between a fast device and the disk is measured. The images are drawn,
tiled JPEG in a TIFF, once crack-free, once with 5 % of the tiles cracked. Seconds are wall-clock
seconds and those of all threads of the process; a stage that runs beside others is part of both.
``host.md`` contains the table.
"""

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import rasterio
import speed_walls
from affine import Affine

from crackcli.engines.engine import EngineFacts
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.scan import raster as scan
from crackcli.scan.process_memory import peak_memory_mb
from crackcli.scenes.scene import Scene

PIECE = (2048, 4096)
CHANNELS = 512
REACH_PX, STRIDE_PX, TILE_CELLS = 59, 32, 8
DARK = 60  # grey values that the null network takes for crack
SAMPLED_PX = 4
WORDS = {"sound": "sound", "few": "5 % of the tiles cracked"}
STAGES = {
    "inspect": (scan, "inspect"),
    "explain": (scan, "explain"),
    "score": (scan, "write_score"),
    "threshold": (scan, "find_threshold"),
    "mask": (scan, "write_mask"),
}


class NullEngine:
    """Takes no time, and answers as a network does: what it gives depends on the pixels only."""

    def __init__(self) -> None:
        self.facts = EngineFacts(
            engine="null",
            device="cpu",
            model="null.onnx",
            model_sha256="0" * 64,
            network="vgg11",
            method="lrp",
            start="margin",
            tile_px=TILE_CELLS * STRIDE_PX,
            stride_px=STRIDE_PX,
            reach_px=REACH_PX,
            margin=9.0,
        )
        self.cell = np.random.default_rng(0).random(CHANNELS, np.float32)[None, :, None, None]
        self.window_cells: dict[str, int] = {}
        self.seconds = 0.0

    def features(self, images):
        began = time.thread_time()
        inner = images[:, REACH_PX:-REACH_PX, REACH_PX:-REACH_PX, 0]
        b, rows, cols = (inner.shape[0], *(side // STRIDE_PX for side in inner.shape[1:]))
        few = inner[:, ::SAMPLED_PX, ::SAMPLED_PX]
        per_cell = STRIDE_PX // SAMPLED_PX
        least = few.reshape(b, rows, per_cell, cols, per_cell).min(axis=(2, 4))
        cells = np.empty((b, CHANNELS, rows, cols), np.float32)
        cells[:] = self.cell
        cells[:, 0] = least
        self.seconds += time.thread_time() - began
        return cells

    def head(self, cells, gate):
        began = time.thread_time()
        dark = (cells[0, 0] < DARK).astype(np.uint8)
        rows, cols = (side - TILE_CELLS + 1 for side in dark.shape)
        anchor = (TILE_CELLS - 1, TILE_CELLS - 1)
        over = cv2.dilate(dark, np.ones((TILE_CELLS, TILE_CELLS), np.uint8), anchor=(0, 0))
        probability = over[:rows, :cols].astype(np.float32)
        value = np.zeros((1, CHANNELS, *dark.shape), np.float32)
        if probability.any():
            wide = np.zeros(dark.shape, np.uint8)
            wide[:rows, :cols] = probability
            value[:] = cv2.dilate(wide, np.ones((TILE_CELLS, TILE_CELLS), np.uint8), anchor=anchor)
        self.seconds += time.thread_time() - began
        return probability[None], value

    def back(self, images, value):
        began = time.thread_time()
        passed = np.pad(value[0, 0], 2)  # of the cells around too, which see some of these
        reach = cv2.resize(
            passed, None, fx=STRIDE_PX, fy=STRIDE_PX, interpolation=cv2.INTER_NEAREST
        )[5:-5, 5:-5]
        darkness = np.float32(DARK + 40) - images[0, ..., 0]
        maps = darkness * reach * np.float32(1e-5)
        self.seconds += time.thread_time() - began
        return maps[None]


def draw(name: str, rows: int, cols: int, path: Path) -> Path:
    """A wall of any size, of one drawn piece and its mirror images."""
    piece = speed_walls.draw(name, PIECE)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "ycbcr"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "jpeg"}
    profile |= {"bigtiff": "if_safer", "crs": "EPSG:2056"}
    profile |= {"transform": Affine(0.001, 0, 2533000, 0, -0.001, 1152000)}
    with rasterio.open(path, "w", height=rows, width=cols, **profile) as file:
        for down, row in enumerate(range(0, rows, PIECE[0])):
            for across, col in enumerate(range(0, cols, PIECE[1])):
                part = piece[:: -1 if down % 2 else 1, :: -1 if across % 2 else 1]
                part = part[: rows - row, : cols - col]
                window = rasterio.windows.Window(col, row, part.shape[1], part.shape[0])
                file.write(np.moveaxis(part, -1, 0), window=window)
    return path


def spent() -> tuple[float, float, float]:
    """Seconds: the clock's, of all threads, of this one."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime, time.thread_time()


def measure(source: Path, folder: Path) -> dict:
    """A scan of a wall: seconds of its stages, digests of what it wrote."""
    engine = NullEngine()
    scorer = ClassifierScorer(engine, 0.5)
    took: dict[str, list[float]] = {}

    def watched(name: str, function):
        def call(*arguments, **named):
            began = spent()
            try:
                return function(*arguments, **named)
            finally:
                took[name] = [end - start for start, end in zip(began, spent(), strict=True)]

        return call

    for name, (module, attribute) in STAGES.items():
        setattr(module, attribute, watched(name, getattr(module, attribute)))
    shutil.rmtree(folder, ignore_errors=True)  # what a run that was stopped has left
    began = spent()
    task = scan.ScanTask(source, folder, core_px=scorer.core_px, overwrite=True)
    summary = scan.scan_raster(task, scorer)
    took["whole scan"] = [end - start for start, end in zip(began, spent(), strict=True)]
    return {
        "took": took,
        "null_engine": engine.seconds,
        "megapixels": summary.megapixels,
        "crack_px": summary.crack_px,
        "tiles_gated": summary.tiles_gated,
        "peak_mb": peak_memory_mb(),
        "digests": digests(folder),
    }


def digests(folder: Path) -> dict[str, str]:
    """What a scene holds: pixels, overviews and tags of its rasters, its threshold."""
    found = {"threshold": repr(Scene.read(folder).record.threshold)}
    for name in ("score.tif", "mask.tif"):
        with rasterio.open(folder / name) as file:
            pixels = [file.read(1).tobytes(), json.dumps(file.tags(), sort_keys=True).encode()]
            levels = range(len(file.overviews(1)))
        found[name] = hashlib.sha256(b"".join(pixels)).hexdigest()[:16]
        overviews = []
        for level in levels:
            with rasterio.open(folder / name, overview_level=level) as file:
                overviews.append(file.read(1).tobytes())
        found[f"{name} overviews"] = hashlib.sha256(b"".join(overviews)).hexdigest()[:16]
    return found


def table(results: dict[str, dict]) -> str:
    lines = [
        "| wall | stage | MP/s | s/MP | CPU s/MP, all threads | CPU s/MP, main thread |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, result in results.items():
        megapixels = result["megapixels"]
        for stage, seconds in result["took"].items():
            each = [value / megapixels for value in seconds]
            costs = " | ".join(f"{value:.4f}" for value in each)
            lines.append(f"| {WORDS[name]} | {stage} | {1 / each[0]:.0f} | {costs} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("host"))
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--cols", type=int, default=8192)
    parser.add_argument("--walls", nargs="+", choices=("sound", "few"), default=["sound", "few"])
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.output)))
        return
    given.output.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in given.walls:
        path = given.output / f"{name}_{given.rows}_{given.cols}.tif"
        if not path.exists():
            draw(name, given.rows, given.cols, path)
        command = [sys.executable, __file__, "--one", str(path), "-o", str(given.output / name)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[name] = json.loads(done.stdout.splitlines()[-1])
        rest = {key: value for key, value in results[name].items() if key != "took"}
        print(name, json.dumps(rest), file=sys.stderr)
    text = table(results)
    (given.output / "host.md").write_text(text + "\n", encoding="utf-8")
    (given.output / "host.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
