"""Measures time and memory of crackcli report for ten thousand cracks and a million pixels.

    python benchmarks/report_scale.py
    python benchmarks/report_scale.py --cracks 40000 --length-px 30

A georeferenced photograph is drawn, grey grain with a short wandering crack in each cell of a
lattice, and scanned by its darkness (``--method raw --masking plain``). So the output folder is
that of a scan, and the crack pixels of its mask are known. It is reported twice: with the
photograph available, and without. Each report is a separate process; seconds and peak memory are
those of the kernel. The limits hold for two cores that nobody else uses. For comparison a process
starts Python with the same libraries and reads mask and score once.
"""

import argparse
import csv
import json
import sys
import tempfile
import warnings
from pathlib import Path

import cv2
import numpy as np
import rasterio
import rasterio.errors
from harness import run

WALL, CRACK, GRAIN = 205, 45, 2.0  # grey levels
THRESHOLD = 0.65  # of the root of darkness: 0.44 of the wall, 0.91 of a crack
MM_PER_PX = 0.5
RIM_PX = 14  # between a crack and the next
SECONDS, MEGABYTES = 30, 1000  # what was promised
READING = """
import sys
import numpy, rasterio, scipy.ndimage, shapely, pyogrio, cv2
for path in sys.argv[1:]:
    with rasterio.open(path) as source:
        for _, window in source.block_windows(1):
            source.read(1, window=window)
"""


def wander(rng: np.random.Generator, length_px: float) -> np.ndarray:
    """Points (N, 2) of a line of steps of 4 px that turns a little at each of them, around 0."""
    steps = max(2, round(length_px / 4))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.25, steps))
    points = np.cumsum(4 * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    return points - (points.min(axis=0) + points.max(axis=0)) / 2


def draw(path: Path, cracks: int, length_px: float, thickness_px: int) -> int:
    """A photograph of a wall with so many cracks; its pixels that are crack are returned."""
    rng = np.random.default_rng(3)
    cell = round(length_px) + thickness_px + RIM_PX
    across = int(np.ceil(np.sqrt(cracks)))
    down = -(-cracks // across)
    picture = np.full((down * cell, across * cell), WALL, np.uint8)
    for number in range(cracks):
        middle = (np.array([number % across, number // across]) + 0.5) * cell
        points = np.rint(wander(rng, length_px) + middle).astype(np.int32)
        cv2.polylines(picture, [points], False, CRACK, thickness_px)
    count = int((picture == CRACK).sum())
    for row in range(0, len(picture), cell):
        part = picture[row : row + cell]
        part[:] = (part + rng.normal(0, GRAIN, part.shape)).clip(0, 255)
    size = MM_PER_PX / 1000
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": picture.shape[0],
        "width": picture.shape[1],
        "tiled": True,
        "compress": "deflate",
        "crs": "EPSG:32632",
        "transform": rasterio.transform.from_origin(465_000, 5_080_000, size, size),
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(picture, 1)
    return count


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cracks", type=int, default=10_000)
    parser.add_argument("--length-px", type=float, default=22)
    parser.add_argument("--thickness-px", type=int, default=3)
    parser.add_argument("--options", default="", help="of crackcli report, as one text")
    given = parser.parse_args()
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    crackcli = [sys.executable, "-m", "crackcli"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photograph = folder / "wall.tif"
        pixels = draw(photograph, given.cracks, given.length_px, given.thickness_px)
        out = folder / "out"
        scan = [*crackcli, "scan", str(photograph), "-o", str(out), "-q", "--method", "raw"]
        run([*scan, "--masking", "plain", "--threshold", str(THRESHOLD)])
        scene = json.loads((out / "wall/scene.json").read_text(encoding="utf-8"))
        megapixels = scene["rows"] * scene["cols"] / 1e6
        print(
            f"{given.cracks} cracks of {pixels} px drawn on {megapixels:.0f} MP, "
            f"{scene['crack_px']} px of them in the mask\n"
        )
        rasters = [str(out / "wall" / file) for file in ("mask.tif", "score.tif")]
        rows = [("both rasters read once", run([sys.executable, "-c", READING, *rasters]))]
        report = [*crackcli, "report", str(out), "-q", *given.options.split()]
        rows.append(("report, photograph at hand", run(report)))
        photograph.rename(folder / "elsewhere.tif")
        rows.append(("report, without it", run(report)))
        with (folder / "out/cracks.csv").open(encoding="utf-8", newline="") as file:
            found = sum(1 for _ in csv.DictReader(file))
        print(
            "| what | seconds | of the processor | times reading | peak, MB |\n" + "|---" * 5 + "|"
        )
        for words, used in rows:
            times = used["cpu"] / rows[0][1]["cpu"]
            print(
                f"| {words} | {used['seconds']:.1f} | {used['cpu']:.1f} | {times:.1f} "
                f"| {used['peak_mb']:.0f} |"
            )
        slowest = max(used["seconds"] for _, used in rows[1:])
        most = max(used["peak_mb"] for _, used in rows[1:])
        kept = slowest <= SECONDS and most <= MEGABYTES
        print(
            f"\n{found} cracks and joints reported; {SECONDS} s and "
            f"{MEGABYTES} MB are {'kept' if kept else 'NOT kept'}"
        )
        if found != given.cracks or not kept:
            sys.exit(1)


if __name__ == "__main__":
    main()
