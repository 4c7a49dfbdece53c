"""Measures the memory of a scan as a raster grows.

    python benchmarks/memory.py sample_data/wall.tif --sides 2048 8192 32768

Each raster is a square of ``side`` px: a facade, the photograph repeated, fills its full width, and
all above and below is nodata. So each strip of the facade is as wide as in a raster full of
pixels, but a gigapixel is scanned in minutes. Every scan is a separate process; its peak memory is
read from its run.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import rasterio
import rasterio.errors
import rasterio.windows
from harness import sparse

BAND_PX = 512


def facade(photograph: Path, side: int, rows: int, path: Path) -> None:
    """A JPEG-compressed GeoTIFF of ``side`` squared with ``rows`` of photograph in its middle."""
    with rasterio.open(photograph) as source:
        tile = source.read()
    height, width = tile.shape[1:]
    first = (side - rows) // 2 // BAND_PX * BAND_PX
    cols = np.arange(side) % width
    with sparse(path, side, BAND_PX) as target:
        for row in range(first, min(first + rows, side), BAND_PX):
            count = min(BAND_PX, side - row)
            window = rasterio.windows.Window(0, row, side, count)
            band = tile[:, (row + np.arange(count)) % height][:, :, cols]
            target.write(band, window=window)
            target.write_mask(np.full((count, side), 255, np.uint8), window=window)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[2048, 8192, 32768])
    parser.add_argument("--rows", type=int, default=1024, help="of photograph in each raster")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--zoom", default="1", help="as of crackcli scan")
    given = parser.parse_args()
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    print(
        "| side, px | megapixels | of these with data | seconds | peak, MB |\n" + "|---" * 5 + "|"
    )
    for side in given.sides:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            facade(given.photograph, side, given.rows, folder / "wall.tif")
            command = [sys.executable, "-m", "crackcli", "scan", "wall.tif", "-o", "out", "-q"]
            command += ["--zoom", given.zoom]
            command += ["--model", str(given.model.resolve())] if given.model else []
            began = time.monotonic()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            seconds = time.monotonic() - began
            peak = json.loads((folder / "out/run.json").read_text())["peak_memory_mb"]
        data = side * given.rows / 1e6
        print(f"| {side} | {side**2 / 1e6:.0f} | {data:.0f} | {seconds:.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
