"""Measures what prescreening (--look) loses and saves on labelled patches.

    python benchmarks/first_look.py DATA/train --limit 200
    python benchmarks/first_look.py DATA/test/patches
    python benchmarks/first_look.py PHOTOGRAPHS --tiles
    python benchmarks/first_look.py DATA/train --limit 50 --look-in int8

``crack/`` and ``no_crack/`` contain patches of about a tile. Each is processed as in a scan,
mirrored at its edges. A patch of ``crack/`` is lost if the network finds a crack in its middle and
the prescreen skips it. A patch of ``no_crack/`` is opened if the prescreen does not skip it. At
half the resolution a tile is twice as large as a patch and contains the mirrored crack again, so a
patch is lost less easily than a place on an image. With ``--tiles`` all tiles of large photographs
are processed both ways; lost are tiles in which the network finds a crack.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from crackcli.engines.onnx import Int8Engine
from crackcli.engines.opening import open_engine
from crackcli.inference.opening import PRESCREENS
from crackcli.inference.prescreen import (
    HALF_THRESHOLD,
    INT8_THRESHOLD,
    HalfResolutionPrescreen,
    Int8Prescreen,
)
from crackcli.inference.tile_classifier import TileClassifier
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.shipped_models import shipped

GATE = 0.5
STRIP_PX = 1024
LEASTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)


def looks(
    classifier: TileClassifier, prescreen: HalfResolutionPrescreen | Int8Prescreen, path: Path
) -> tuple[float, float]:
    """P(crack) of the tile in the middle of a patch, and what the first look gives there."""
    info = inspect(path)
    grid = classifier.grid(info.rows, info.cols, STRIP_PX)
    row, col = (side // 2 // classifier.lattice.stride_px for side in (info.rows, info.cols))
    with Raster(info) as raster:
        centre = Window(row, col, 1, 1)
        full = classifier.classify(raster, grid, classifier.lattice.tiles_centred_on(centre))
        first = prescreen.probability(raster, centre, STRIP_PX)
    return float(full[0, 0]), float(first[0, 0])


def tiles(
    classifier: TileClassifier, prescreen: HalfResolutionPrescreen | Int8Prescreen, path: Path
) -> np.ndarray:
    """The same (N, 2) of all tiles of a photograph."""
    info = inspect(path)
    grid = classifier.grid(info.rows, info.cols, STRIP_PX)
    asked = classifier.lattice.tiles_of_raster(grid)
    with Raster(info) as raster:
        full = [
            classifier.classify(raster, grid, Window(row, asked.col, 1, asked.cols))
            for row in range(asked.row, asked.end_row)
        ]
        centres = classifier.lattice.centres_of(asked)
        first = prescreen.probability(raster, centres, STRIP_PX)
    return np.stack([np.concatenate(full).ravel(), first.ravel()], axis=1)


def of_photographs(
    classifier: TileClassifier,
    prescreen: HalfResolutionPrescreen | Int8Prescreen,
    folder: Path,
    limit: int,
) -> None:
    """Measure all tiles of the photographs in a folder, and print a table."""
    print(
        "| photograph | tiles with a crack | " + " | ".join(f"lost at {x:g}" for x in LEASTS),
        end="",
    )
    print(" | " + " | ".join(f"opened at {x:g}" for x in LEASTS) + " |")
    print("|---" * (2 + 2 * len(LEASTS)) + "|")
    for path in [*patches(folder, limit)]:
        full, first = tiles(classifier, prescreen, path).T
        found = full >= GATE
        lost = [int((found & (first < least)).sum()) for least in LEASTS]
        opened = [f"{(first >= least).mean():.0%}" for least in LEASTS]
        print("| " + " | ".join(map(str, [path.name, int(found.sum()), *lost, *opened])) + " |")
        sys.stdout.flush()


def patches(folder: Path, limit: int) -> list[Path]:
    """Up to ``limit`` files of a folder, drawn by a fixed seed."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[:limit]]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patches", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--look-in", choices=list(PRESCREENS), default="half")
    parser.add_argument("--limit", type=int, default=100_000, help="patches of each class")
    parser.add_argument("--tiles", action="store_true", help="of large photographs in a folder")
    given = parser.parse_args()
    engine = open_engine(given.model, "lrp")
    classifier = TileClassifier(engine)
    chosen = HALF_THRESHOLD if given.look_in == "half" else INT8_THRESHOLD

    def prescreen() -> HalfResolutionPrescreen | Int8Prescreen:
        if given.look_in == "half":
            return HalfResolutionPrescreen(engine)
        return Int8Prescreen(Int8Engine(engine, shipped(".int8.onnx")))

    if given.tiles:
        of_photographs(classifier, prescreen(), given.patches, given.limit)
        return
    seen: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        for label in ("crack", "no_crack"):
            pairs = []
            for path in patches(given.patches / label, given.limit):
                image = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if image is None or min(image.shape[:2]) < engine.facts.tile_px // 2:
                    continue
                copy = Path(name) / "patch.png"  # without what the file says of itself
                cv2.imwrite(str(copy), image)
                pairs.append(looks(classifier, prescreen(), copy))
                print(f"{label} {path.name} {pairs[-1]}", file=sys.stderr)
            seen[label] = np.array(pairs).reshape(-1, 2)
    cracked, sound = seen["crack"], seen["no_crack"]
    found = cracked[:, 0] >= GATE
    print(f"{len(cracked)} cracked patches, {found.sum()} found in full; {len(sound)} sound ones")
    both = np.concatenate((cracked, sound))
    apart = np.abs(both[:, 1] - both[:, 0])
    print(f"P(crack) moved by {apart.mean():.4f} in the mean, {apart.max():.4f} at most\n")
    print("| look from | lost of those found | sound ones opened |\n|---|---|---|")
    for least in LEASTS:
        lost = int((found & (cracked[:, 1] < least)).sum())
        opened = int((sound[:, 1] >= least).sum())
        mark = "**" if least == chosen else ""
        print(
            f"| {mark}{least:g}{mark} | {lost} ({lost / max(1, found.sum()):.1%}) "
            f"| {opened} ({opened / max(1, len(sound)):.0%}) |"
        )


if __name__ == "__main__":
    main()
