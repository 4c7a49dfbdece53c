"""Draws masks onto their photographs, for visual inspection.

    python benchmarks/overlay.py OUT wall.tif -o overlays --side 1600

OUT is the output folder of crackcli scan. Each scene becomes one PNG: the photograph reduced to
``--side``, with cracks in red and joints, as classified by crackcli report, in blue. A pixel is
coloured if any of the pixels it stands for is marked, so that hairlines stay visible. ``--window
COL ROW SIDE`` shows a part at full size, plain beside marked.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from crackcli.cracks.joints import JOINT_THRESHOLD, with_joint_likelihoods
from crackcli.cracks.tracing import trace
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.rasters.score_mask import read_band
from crackcli.scenes.scene import Scene

RED, BLUE = np.array([255, 0, 0]), np.array([0, 60, 255])


def marked(rgb: np.ndarray, mask: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """The photograph (rows, cols, 3) with the mask in red, joints in blue."""
    rgb = rgb.copy()
    for where, colour in ((mask, RED), (joints, BLUE)):
        rgb[where] = 0.25 * rgb[where] + 0.75 * colour
    return rgb


def joints_of(scene: Scene, window: Window) -> np.ndarray:
    """The pixels of the window that belong to joints.

    They are told anew from the mask of the whole scene, which is traced for it, and by the default
    of crackcli report: a report with another ``--joint-likelihood`` is not looked at.
    """
    cracks = trace(scene.mask, scene.score, (scene.rows, scene.cols)).cracks
    image = np.zeros((window.rows, window.cols), np.uint8)
    for crack in with_joint_likelihoods(cracks):
        if (crack.joint_likelihood or 0.0) >= JOINT_THRESHOLD:
            for part in crack.outline.geoms:
                rings = [part.exterior, *part.interiors]
                points = [
                    np.array(ring.coords) - (window.col + 0.5, window.row + 0.5) for ring in rings
                ]
                cv2.fillPoly(image, [np.rint(p).astype(np.int32) for p in points], 1)
    return image == 1


def shrunk(
    rgb: np.ndarray, masks: list[np.ndarray], side: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """All at most ``side`` px wide and high."""
    rows, cols = rgb.shape[:2]
    factor = min(1.0, side / max(rows, cols))
    size = round(cols * factor), round(rows * factor)
    shares = [cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) for m in masks]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), [share > 0.02 for share in shares]


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
        masks = [read_band(scene.mask, window) == 1, joints_of(scene, window)]
        masks[1] &= masks[0]
        if given.window:
            image = np.hstack([rgb, marked(rgb, *masks)])
        else:
            rgb, masks = shrunk(rgb, masks, given.side)
            image = marked(rgb, *masks)
        path = given.output / f"{photograph.stem}.png"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        print(path)


if __name__ == "__main__":
    main()
