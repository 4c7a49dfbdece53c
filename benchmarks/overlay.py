"""Masks drawn onto their photographs, to be looked at.

    python benchmarks/overlay.py OUT wall.tif -o overlays --side 1600

OUT is the output folder of crackcli scan.  Each scene becomes one PNG: the photograph shrunk to
``--side``, with what is crack in red; a pixel is red where any of those it stands for is crack, so
that hairlines are seen.  ``--window COL ROW SIDE`` shows a part at full size, plain beside marked.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from crackcli.grid import Window
from crackcli.raster import Raster, inspect, read_band
from crackcli.scene import Scene

RED = np.array([255, 0, 0])


def marked(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photograph (rows, cols, 3) with the mask in red."""
    rgb = rgb.copy()
    rgb[mask] = 0.25 * rgb[mask] + 0.75 * RED
    return rgb


def shrunk(rgb: np.ndarray, mask: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Both at most ``side`` px wide and high."""
    rows, cols = mask.shape
    factor = min(1.0, side / max(rows, cols))
    size = round(cols * factor), round(rows * factor)
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), share > 0.02


def main() -> None:
    """Write one PNG a scene and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("overlays"))
    parser.add_argument("--side", type=int, default=1600)
    parser.add_argument("--window", type=int, nargs=3, metavar=("COL", "ROW", "SIDE"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for photograph in given.photographs:
        scene = Scene.read(given.out / photograph.stem)
        window = Window(0, 0, scene.rows, scene.cols)
        if given.window:
            col, row, side = given.window
            window = Window(row, col, side, side).clipped(scene.rows, scene.cols)
        with Raster(inspect(photograph)) as raster:
            rgb = raster.read(window).rgb
        mask = read_band(scene.mask, window) == 1
        if given.window:
            image = np.hstack([rgb, marked(rgb, mask)])
        else:
            image = marked(*shrunk(rgb, mask, given.side))
        path = given.output / f"{photograph.stem}.png"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        print(path)


if __name__ == "__main__":
    main()
