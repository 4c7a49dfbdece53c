"""Shared by several benchmarks: a measured process, and a large raster that is mostly nodata."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.io import DatasetWriter


def run(command: list[str]) -> dict[str, float]:
    """Wall clock and processor seconds and peak MB of a process."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return {
        "seconds": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / unit,
    }


@contextmanager
def sparse(path: Path, side: int, block_px: int) -> Iterator[DatasetWriter]:
    """A JPEG-compressed GeoTIFF of ``side`` squared without data, open to be written in parts."""
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "height": side,
        "width": side,
        "tiled": True,
        "blockxsize": block_px,
        "blockysize": block_px,
        "compress": "jpeg",
        "photometric": "ycbcr",
        "bigtiff": "if_safer",
        "sparse_ok": True,
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile) as target,
    ):
        yield target
