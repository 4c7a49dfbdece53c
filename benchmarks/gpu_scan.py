"""Rasters for `gpu`, and scans of them, each in a process of its own.

python benchmarks/gpu_scan.py walls FOLDER WALL TEXTURE SIDE...
python benchmarks/gpu_scan.py scan WALL.tif FOLDER DEVICE PRECISION
python benchmarks/gpu_scan.py agree WALL.tif FOLDER DEVICE
"""

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import speed_walls

WALLS = {"sound": "sound", "few": "5 % of the tiles cracked"}
BLOCK_PX = 512


def cores() -> int:
    """How many threads everybody may use."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() else len(os.sched_getaffinity(0))


def wall_path(folder: Path, wall: str, side: int) -> Path:
    return folder / f"{wall}_{side}.tif"


def make_walls(folder: Path, wall: str, texture_px: int, sides: list[int]) -> None:
    """A drawn texture mirrored on and on, as tiled JPEG TIFFs, the smallest first."""
    import rasterio
    from rasterio.windows import Window

    texture = speed_walls.draw(wall, (texture_px, texture_px))
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "ycbcr"}
    profile |= {"tiled": True, "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX, "compress": "jpeg"}
    profile |= {"bigtiff": "if_safer", "num_threads": "all_cpus", "crs": "EPSG:2056"}
    profile["transform"] = rasterio.Affine(0.001, 0, 2533000, 0, -0.001, 1152000)
    for side in sorted(sides):
        at = np.arange(side) % (2 * texture_px)
        at = np.minimum(at, 2 * texture_px - 1 - at)
        path = wall_path(folder, wall, side)
        aside = path.with_suffix(".aside.tif")
        with rasterio.open(aside, "w", height=side, width=side, **profile) as target:
            for row in range(0, side, BLOCK_PX):
                rows = texture[at[row : row + BLOCK_PX]]
                band = np.moveaxis(rows[:, at], -1, 0)
                target.write(band, window=Window(0, row, side, len(rows)))
        aside.rename(path)


class Timed:
    """An engine whose seconds are counted, by what it is asked for."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.facts = engine, engine.facts
        self.window_cells = engine.window_cells
        self.seconds: dict[str, float] = defaultdict(float)
        self.pixels: dict[str, int] = defaultdict(int)

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def features(self, images):
        return self.timed("features", images[..., 0].size, images)

    def head(self, cells, gate):
        return self.timed("head", cells[:, 0].size, cells, gate)

    def back(self, images, value):
        return self.timed("back", images[..., 0].size, images, value)

    def timed(self, stage, size, *given):
        began = time.perf_counter()
        result = getattr(self.engine, stage)(*given)
        self.seconds[stage] += time.perf_counter() - began
        self.pixels[stage] += size
        return result


def opened(device: str, precision: str) -> Any:
    """A warm scorer, and how long that took."""
    from crackcli.engines.opening import open_engine
    from crackcli.inference.opening import scorer_of
    from crackcli.registry import DEFAULT_GATE

    began = time.monotonic()
    engine = open_engine(method="lrp", engine="torch", device=device, precision=precision)
    scorer = scorer_of(Timed(engine), DEFAULT_GATE)
    side_px = 320 + 2 * scorer.engine.facts.reach_px
    scorer.engine.features(np.zeros((1, side_px, side_px, 3), np.uint8))
    return scorer, time.monotonic() - began


def scan(source: Path, folder: Path, scorer: Any) -> dict[str, Any]:
    """A scan and what it took; the engine's seconds are inside of those of ``explain``."""
    from crackcli.scan.process_memory import peak_memory_mb
    from crackcli.scan.raster import ScanTask, scan_raster

    engine = scorer.engine
    engine.seconds.clear()
    engine.pixels.clear()
    began = time.monotonic()
    task = ScanTask(source, folder, core_px=scorer.core_px, overwrite=True)
    summary = scan_raster(task, scorer)
    seconds = time.monotonic() - began
    record = json.loads((folder / "scene.json").read_text())
    found = {
        "megapixels": summary.megapixels,
        "seconds": round(seconds, 2),
        "stages": record["seconds"],
        "engine_s": {name: round(value, 2) for name, value in engine.seconds.items()},
        "engine_mp": {name: round(size / 1e6, 1) for name, size in engine.pixels.items()},
        "precision": record["precision"],
        "device": record["device"],
        "tiles_gated": summary.tiles_gated,
        "crack_px": summary.crack_px,
        "file_mb": round(source.stat().st_size / 1e6, 1),
        "host_mb": peak_memory_mb(),
        "mask": str(summary.mask),
    }
    if engine.facts.device == "cuda":
        import torch

        found["gpu_gb"] = round(torch.cuda.max_memory_reserved() / 1e9, 2)
    return found


def scans(folder: Path, wall: str, device: str, limit: float, sides: list[int]) -> None:
    """Of the smallest raster, and of the largest that takes no longer than the limit by that;
    a line of JSON of each."""
    scorer, open_s = opened(device, "bfloat16")
    sides = sorted(sides)
    for number in range(2):
        source = wait_for(folder, wall, sides[0] if not number else sides[-1])
        found = scan(source, folder / f"scan_{wall}_{number}", scorer) | {"open_s": open_s}
        print(json.dumps(found), flush=True)
        a_pixel = found["seconds"] / found["megapixels"] / 1e6
        sides = [side for side in sides[1:] if a_pixel * side**2 <= limit]
        if not sides:
            break


def wait_for(folder: Path, wall: str, side: int) -> Path:
    """The path of a raster, once it is made."""
    path = wall_path(folder, wall, side)
    while not path.exists():
        time.sleep(0.1)
    return path


def agree(folder: Path, wall: str, device: str, side: int) -> None:
    """IoU of the masks of bfloat16 and float32, in JSON."""
    from speed import agreement

    source = wait_for(folder, wall, side)
    masks = [
        scan(source, folder / precision, opened(device, precision)[0])["mask"]
        for precision in ("float32", "bfloat16")
    ]
    print(json.dumps({"iou": agreement(masks[1], masks[0])}))


def main() -> None:
    """One of the three."""
    what, folder, wall, *rest = sys.argv[1:]
    if what == "walls":
        texture_px, *sides = map(int, rest)
        make_walls(Path(folder), wall, texture_px, sides)
    elif what == "scans":
        device, limit, *sides = rest
        scans(Path(folder), wall, device, float(limit), list(map(int, sides)))
    else:
        agree(Path(folder), wall, rest[0], int(rest[1]))


if __name__ == "__main__":
    main()
