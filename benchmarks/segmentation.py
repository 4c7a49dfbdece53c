"""Measures pixel scores of masks: a table of methods, post-processing and tolerance for each set.

    python benchmarks/segmentation.py DATA --sets deepcrack cfd masonry_dais

DATA is a data pack with test/<set>/images and test/<set>/masks, and test/patches/no_crack for false
positives. Every photograph is scanned as a scene, with the options of crackcli scan; ``tile`` rows
process it as one tile, resized to 256 px, as in Forest et al. 2024. Nothing is tuned here.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.evaluation.candidates import mask_tile
from crackcli.evaluation.study_protocol import study_mask
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer
from crackcli.masking.refinement import Masking
from crackcli.rasters.resampled import FULL_RESOLUTION, parse_zooms
from crackcli.rasters.score_mask import CRACK, read_band
from crackcli.registry import find_method
from crackcli.scan.raster import ScanTask, scan_raster

TOLERANCES_PX = (0, 2)


def scanned(
    photograph: Path,
    recipe: str,
    scorer: StripScorer,
    folder: Path,
    zooms: tuple[float, ...] = FULL_RESOLUTION,
) -> np.ndarray:
    """The mask of a photograph by a scan; the second recipe finds the score of the first."""
    task = ScanTask(photograph, folder / photograph.stem, masking=Masking(recipe), zooms=zooms)
    summary = scan_raster(task, scorer)
    return read_band(summary.mask) == CRACK


def labelled_photographs(folder: Path) -> list[tuple[Path, Path]]:
    """Photographs and their masks, by stem."""
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    return [(p, masks[p.stem]) for p in sorted((folder / "images").iterdir()) if p.stem in masks]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["deepcrack", "cfd", "masonry_dais"])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--method")
    parser.add_argument("--start")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--zoom", default="1", help="as of crackcli scan")
    parser.add_argument("--recipes", nargs="+", help="masking; default: of the method, and study")
    parser.add_argument("--limit", type=int, help="photographs of each set")
    parser.add_argument(
        "--tiles", action="store_true", help="also tile by tile, as Forest et al. 2024"
    )
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    options = ModelOptions(
        given.model, given.method, given.start, engine=given.engine, precision="float32"
    )
    scorer = open_scorer(options)
    zooms = parse_zooms(given.zoom)
    recipes = given.recipes or [find_method(scorer.engine.facts.method).masking, "study"]
    rows = []
    header = ["set", "recipe", "tolerance_px", "F1", "precision", "recall", "IoU"]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for which in given.sets:
            totals: dict[tuple[str, int], PixelScores] = defaultdict(PixelScores)
            began = time.monotonic()
            for photograph, mask in labelled_photographs(given.data / "test" / which)[
                : given.limit
            ]:
                labelled = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 127
                masks = {
                    recipe: scanned(photograph, recipe, scorer, folder / which, zooms)
                    for recipe in recipes
                }
                if given.tiles:
                    tile = mask_tile(scorer, photograph, study_mask)
                    masks["study, one tile"] = tile.mask
                for recipe, marked in masks.items():
                    for tolerance in TOLERANCES_PX:
                        totals[recipe, tolerance] += compare(marked, labelled, tolerance)
            for (recipe, tolerance), scores in totals.items():
                values = (scores.f1, scores.precision, scores.recall, scores.iou)
                rows.append([which, recipe, tolerance, *(f"{100 * v:.1f}" for v in values)])
                print("| " + " | ".join(map(str, rows[-1])) + " |", flush=True)
            print(f"{which}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        sound = PixelScores()
        for photograph in sorted((given.data / "test/patches/no_crack").iterdir())[: given.limit]:
            marked = scanned(photograph, recipes[0], scorer, folder / "sound", zooms)
            sound += compare(marked, np.zeros_like(marked))
        print(f"crack-free patches: {sound.marked_fraction:.2%} marked")
    if given.csv:
        with given.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
