"""The walls that `speed` scans: drawn plaster, with no, few or only cracked tiles."""

import sys
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from crackcli.synthesis.cover import PaintStyle, coverage, paint
from crackcli.synthesis.random_cracks import CrackStyle, random_crack
from crackcli.synthesis.surfaces import photographed

sys.path.append(str(Path(__file__).parents[1] / "sample_data"))
from scenery import random_wall

TILE_PX = 256
SEED = 3
STYLE = CrackStyle((3.0, 6.0), closing=(0.0, 0.0))
FEW = 0.05  # share of the tiles that are cracked


def cracked_tiles(name: str, rows: int, cols: int) -> list[tuple[int, int, int]]:
    """Tile row, first tile column and number of tiles of each crack of a wall by this name."""
    if name == "sound":
        return []
    if name == "cracked":
        return [(row, 0, cols) for row in range(rows)]
    few = max(1, round(FEW * rows * cols))
    return [(rows // 2, (cols - few) // 2, few)] if few <= cols else [(rows // 2, 0, cols)]


def draw(name: str, shape: tuple[int, int]) -> np.ndarray:
    """A wall (rows, cols, 3): ``sound``, ``few`` or ``cracked``; the same at each call."""
    rng = np.random.default_rng(SEED)
    image = random_wall(rng, "plaster", shape).image
    for row, col, count in cracked_tiles(name, shape[0] // TILE_PX, shape[1] // TILE_PX):
        y = (row + np.array([0.4, 0.6])) * TILE_PX
        x = col * TILE_PX + 8, (col + count) * TILE_PX - 8
        paths = random_crack(rng, (x[0], y[0]), (x[1], y[1]), STYLE)
        image = paint(image, coverage(paths, shape), rng, PaintStyle(contrast=0.65))
    return photographed(np.random.default_rng([SEED, 1]), image)


def write(path: Path, image: np.ndarray) -> Path:
    """A tiled GeoTIFF, compressed like an orthophoto."""
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "ycbcr"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "jpeg"}
    profile |= {"crs": "EPSG:2056", "transform": Affine(0.001, 0, 2533000, 0, -0.001, 1152000)}
    rows, cols = image.shape[:2]
    with rasterio.open(path, "w", height=rows, width=cols, **profile) as file:
        file.write(np.moveaxis(image, -1, 0))
    return path
