"""Contact sheets of drawn twins, for visual inspection.

    python benchmarks/twin_sheets.py PHOTOS -o FOLDER [--pairs 12] [--seed 0] [--only NAME ...]

PHOTOS is a folder of crack-free photographs. FOLDER gets one PNG for each family of distractors
(family_NAME.png), one for distracted twins as in training, one for cracked twins, one for cracks of
each width (cracks_8px.png) and one for each kind (kind_joints.png). They show photograph and twin
side by side at 1:1; those of a kind show the twin, and the twin with its crack outlined in green.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import UInt8
from crackcli.synthesis.distractors import DISTRACTORS
from crackcli.synthesis.twins import KINDS, cracked_twin, distracted_twin
from crackcli.training.patches import read_photograph, resize

TILE_PX = 256
PAIRS_A_ROW = 2
RIM_PX = 3
WIDTHS_PX = (1, 2, 4, 8, 16)
LEAST_COVER = 0.35  # of a pixel inside the outline of a crack
GREEN = (0, 255, 0)
SUFFIXES = {".jpg", ".jpeg", ".png"}


def main() -> None:
    """Reads the arguments and writes the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of sheets without .png")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    for name, draw in sheets().items():
        if args.only and name not in args.only:
            continue
        rng = np.random.default_rng([args.seed, *name.encode()])
        photographs = some_photographs(args.photographs, args.pairs, rng)
        pairs = [draw(photograph, rng) for photograph in photographs]
        path = args.output / f"{name}.png"
        cv2.imwrite(str(path), cv2.cvtColor(sheet(pairs), cv2.COLOR_RGB2BGR))
        print(path)


Pair = tuple[UInt8, UInt8]
Show = Callable[[UInt8, Generator], Pair]


def sheets() -> dict[str, Show]:
    """What is shown side by side on each sheet."""
    families = {f"family_{name}": family(name) for name in DISTRACTORS}
    widths = {f"cracks_{width_px}px": cracked(width_px) for width_px in WIDTHS_PX}
    kinds = {f"kind_{kind}": outlined(kind) for kind in KINDS}
    return {**families, **widths, **kinds, "distracted": family(None), "cracked": cracked(None)}


def family(name: str | None) -> Show:
    """A photograph, and its twin with distractors of a family, or random ones."""

    def show(photograph: UInt8, rng: Generator) -> Pair:
        return photograph, distracted_twin(photograph, rng, None if name is None else [name])

    return show


def cracked(width_px: float | None) -> Show:
    """A photograph, and its twin with a crack of a width, or a random one."""

    def show(photograph: UInt8, rng: Generator) -> Pair:
        return photograph, cracked_twin(photograph, rng, width_px)[0]

    return show


def outlined(kind: str) -> Show:
    """A twin with a crack of a kind, and the same with a line around the crack."""

    def show(photograph: UInt8, rng: Generator) -> Pair:
        twin, cover = cracked_twin(photograph, rng, kind=kind)
        mask = (cover > LEAST_COVER).astype(np.uint8)
        lines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        marked = twin.copy()
        cv2.drawContours(marked, lines, -1, GREEN, 1)
        return twin, marked

    return show


def some_photographs(folder: Path, count: int, rng: Generator) -> list[UInt8]:
    """Photographs from each source in turn; the source is the start of a file's name."""
    sources: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            sources.setdefault(path.name.split("_")[0], []).append(path)
    turns = [rng.permutation(np.array(paths, object)) for paths in sources.values()]
    picked = []
    for number in range(count):
        paths = turns[number % len(turns)]
        picked.append(paths[number // len(turns) % len(paths)])
    return [resize(read_photograph(path), TILE_PX, TILE_PX) for path in picked]


def sheet(pairs: list[tuple[UInt8, UInt8]]) -> UInt8:
    """Pairs in rows, with white rims; more of a rim between pairs."""
    cells = [
        np.pad(
            np.hstack([left, np.full((TILE_PX, 1, 3), 255, np.uint8), right]),
            ((RIM_PX, RIM_PX), (RIM_PX, RIM_PX), (0, 0)),
            constant_values=255,
        )
        for left, right in pairs
    ]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % PAIRS_A_ROW)
    rows = [np.hstack(cells[n : n + PAIRS_A_ROW]) for n in range(0, len(cells), PAIRS_A_ROW)]
    return np.vstack(rows)


if __name__ == "__main__":
    main()
