"""Measures time per megapixel and peak memory of scans as a raster grows.

    python benchmarks/scaling.py sample_data/wall.tif -o scaling --largest-mp 100
    nohup nice python benchmarks/scaling.py sample_data/wall.tif -o scaling --largest-mp 1000 &

Each raster is a square of about 10, 30, 100, 300, 1100 megapixels, a sparse GeoTIFF made for the
run. A ninth of it are islands that all show the same piece of the photograph. The rest is nodata,
as around the buildings of a survey's orthophoto, and costs little, so that a gigapixel is feasible
on two cores. The last but one column gives the cost per megapixel of photograph, the one before
that of a whole raster with this fraction. Each scan is a separate process; seconds and peak memory
are those of the kernel. A table goes to ``scaling.md``, a chart to ``scaling.png``.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.errors
from harness import run, sparse
from rasterio.windows import Window

SIZES_MP = (10, 30, 100, 300, 1100)  # about
TILE_PX = 512  # of the GeoTIFF
ISLAND_PX = 1024  # where --island-px does not say otherwise


@dataclass(frozen=True)
class Measured:
    """A scan of one size; ``tiles`` is the share of tiles that were explained."""

    megapixels: float
    wall: float
    tiles: float
    seconds: float
    cpu: float
    peak_mb: float


def islands(side: int, period: int, island: int) -> list[tuple[int, int]]:
    """Upper left corners of islands ``island`` px wide, one in the middle of each square of
    ``period`` of them."""
    places = range(period // 2 * island, side, period * island)
    return [(row, col) for row in places for col in places]


def draw(piece: np.ndarray, side: int, period: int, path: Path) -> float:
    """A sparse GeoTIFF of ``side`` squared with the ``piece`` (3, rows, cols) in each island, and
    how many megapixels of it are wall."""
    rows, cols = piece.shape[1:]
    corners = islands(side, period, rows)
    with sparse(path, side, TILE_PX) as target:
        for row, col in corners:
            window = Window(col, row, cols, rows)
            target.write(piece, window=window)
            target.write_mask(np.full(piece.shape[1:], 255, np.uint8), window=window)
    return len(corners) * rows * cols / 1e6


def sides(largest_mp: float, square: int) -> list[int]:
    """Of the rasters: a whole number of squares with an island each, so that every size has the
    same share of wall."""
    sizes = [size for size in SIZES_MP if size <= 1.1 * largest_mp]
    numbers = {max(1, round(math.sqrt(size * 1e6) / square)) for size in sizes}
    return [number * square for number in sorted(numbers)]


def scanned(piece: np.ndarray, side: int, period: int, options: list[str]) -> Measured:
    """A scan of a raster of ``side`` squared."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wall = draw(piece, side, period, folder / "wall.tif")
        command = [sys.executable, "-m", "crackcli", "scan", str(folder / "wall.tif")]
        command += ["-o", str(folder / "out"), "-q", *options]
        used = run(command)
        (scene,) = json.loads((folder / "out/run.json").read_text(encoding="utf-8"))["scenes"]
    return Measured(side**2 / 1e6, wall, scene["tiles_gated"], **used)


def table(rows: list[Measured]) -> str:
    heads = ("MP", "wall, MP", "tiles explained", "seconds", "CPU s")
    heads += ("CPU s / MP", "CPU s / MP of wall", "peak, MB")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += [
        f"| {row.megapixels:.0f} | {row.wall:.1f} | {row.tiles:.1%} | {row.seconds:.0f} "
        f"| {row.cpu:.0f} | {row.cpu / row.megapixels:.2f} | {row.cpu / row.wall:.1f} "
        f"| {row.peak_mb:.0f} |"
        for row in rows
    ]
    if len(rows) > 1:
        first, last = rows[0], rows[-1]
        larger = last.megapixels / first.megapixels
        power = math.log(last.cpu / first.cpu) / math.log(larger)
        lines.append(
            f"\n{larger:.0f} times the pixels took {last.cpu / first.cpu:.1f} times the seconds of "
            f"the processor (power {power:.2f}; 1 is linear) and "
            f"{last.peak_mb / first.peak_mb:.2f} times the memory."
        )
    return "\n".join(lines)


def chart(rows: list[Measured], path: Path) -> None:
    """Seconds and memory over megapixels, both on scales where a straight line is a power."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    size = [row.megapixels for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.loglog(size, [row.cpu for row in rows], "o-", label="scan")
    cost = rows[-1].cpu / rows[-1].megapixels
    left.loglog(size, [cost * each for each in size], "--", color="0.6", label="linear")
    left.set(xlabel="megapixels", ylabel="seconds of the processor")
    left.legend()
    right.semilogx(size, [row.peak_mb for row in rows], "o-")
    right.set(xlabel="megapixels", ylabel="peak memory, MB", ylim=(0, None))
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print and write a table and a chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("scaling"))
    parser.add_argument("--largest-mp", type=float, default=100)
    parser.add_argument("--method", default="lrp")
    parser.add_argument("--period", type=int, default=3, help="one in its square is wall; 1: all")
    parser.add_argument("--island-px", type=int, default=ISLAND_PX, help="side of a piece of wall")
    parser.add_argument("--place", default="488,0", help="row, column of the piece that is shown")
    parser.add_argument("--options", default="", help="of crackcli scan, as one text")
    given = parser.parse_args()
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    row, col = map(int, given.place.split(","))
    with rasterio.open(given.photograph) as source:
        piece = source.read((1, 2, 3), window=Window(col, row, *[given.island_px] * 2))
    if piece.shape[1:] != (given.island_px, given.island_px):
        sys.exit(f"{given.photograph} has no {given.island_px} px square at {given.place}")
    given.output.mkdir(parents=True, exist_ok=True)
    options = ["--method", given.method, *given.options.split()]
    about = (
        f"`scan {' '.join(options)}`, {os.environ.get('OMP_NUM_THREADS', 'all')} threads; "
        f"{1 / given.period**2:.0%} of each raster is wall, the rest no data\n"
    )
    rows: list[Measured] = []
    for side in sides(given.largest_mp, given.period * given.island_px):
        rows.append(scanned(piece, side, given.period, options))
        text = f"{about}\n{table(rows)}\n"
        (given.output / "scaling.md").write_text(text, encoding="utf-8")
        chart(rows, given.output / "scaling.png")
        print(
            f"{rows[-1].megapixels:.0f} MP: {rows[-1].cpu:.0f} CPU s", file=sys.stderr, flush=True
        )
    print(text)


if __name__ == "__main__":
    main()
