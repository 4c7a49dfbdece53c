"""Measures how a method treats the joints of masonry: cracks in them, and joints without a crack.

    python benchmarks/joints.py DATA
    python benchmarks/joints.py DATA --model student --model open --method lrp

For each model or method: the fraction of the length of each crack of sample_data/wall.tif that its
mask finds, within 3 px; the marked pixels of that wall further than 10 px from a crack; and the
fraction of the pixels of crack-free brickwork (DATA/test/patches/no_crack/brickwork*) that it
marks.
"""

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import shapely
from segmentation import scanned

from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions

SAMPLE = Path(__file__).parents[1] / "sample_data"
FOUND_PX = 3
FALSE_PX = 10  # from the nearest true crack


def true_lines() -> dict[str, shapely.MultiLineString]:
    """The centrelines of the cracks of the sample wall; x is the column."""
    truth = json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))
    return {
        str(crack["crack_id"]): shapely.MultiLineString([path["points"] for path in crack["paths"]])
        for crack in truth["wall"]
    }


def found_fraction(lines: shapely.MultiLineString, near: np.ndarray) -> float:
    """The fraction of centrelines that lies where ``near`` (rows, cols) is set."""
    points = shapely.get_coordinates(shapely.segmentize(lines, 1.0))
    cols, rows = np.rint(points).astype(int).T
    rows, cols = rows.clip(0, near.shape[0] - 1), cols.clip(0, near.shape[1] - 1)
    return float(near[rows, cols].mean())


def grown(mask: np.ndarray, by_px: int) -> np.ndarray:
    """A mask with everything within a distance of it."""
    side = 2 * by_px + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def main() -> None:
    """Scan and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--method", action="append", default=[])
    given = parser.parse_args()
    lines = true_lines()
    print("| scanned with |" + " | ".join(f"crack {name}" for name in lines), end="")
    print(" | false px | bricks marked |\n" + "|---" * (len(lines) + 3) + "|")
    chosen = [(model, ModelOptions(model)) for model in given.model]
    chosen += [(method, ModelOptions(method=method)) for method in given.method]
    for name, options in chosen:
        scorer = open_scorer(options)
        with tempfile.TemporaryDirectory() as folder:
            mask = scanned(SAMPLE / "wall.tif", "auto", scorer, Path(folder))
            bricks = [
                scanned(path, "auto", scorer, Path(folder)).mean()
                for path in sorted((given.data / "test/patches/no_crack").glob("brickwork*"))
            ]
        near, drawn = grown(mask, FOUND_PX), np.zeros(mask.shape, np.uint8)
        for line in shapely.get_parts(list(lines.values())):
            points = np.rint(shapely.get_coordinates(line)).astype(np.int32)
            cv2.polylines(drawn, [points], isClosed=False, color=1)
        cells = [f"{found_fraction(line, near):.0%}" for line in lines.values()]
        false_px = int((mask & ~grown(drawn > 0, FALSE_PX)).sum())
        print("|", " | ".join([name, *cells, str(false_px), f"{np.mean(bricks):.2%}"]), "|")


if __name__ == "__main__":
    main()
