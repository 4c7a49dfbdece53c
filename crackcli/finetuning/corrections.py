"""Reviewed cracks of one photograph as patches to learn from, at native scale.

accepted  tiles along the centreline: crack
rejected  tiles along the centreline that hold no accepted and no unreviewed crack: no crack
ordinary  tiles where the model is sure that there is none and the scan marked none: no crack

Positions are jittered, so that a handful of corrections gives enough patches.  Some cracks are held
out to judge by, and no patch for training shows any of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.random import Generator

from crackcli.arrays import Bools
from crackcli.datasets.folders import LabelledImage, tile_name
from crackcli.finetuning.reviews import ACCEPTED, REJECTED, ReviewedCrack
from crackcli.inference.tile_map import ALARM, Place, TileProbabilities
from crackcli.rasters.crops import read_windows, write_png
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import CRACK, Band, RasterInfo
from crackcli.scenes.scene import Scene

EVERY_PX = 48  # of a centreline gives a patch ...
FEWEST, MOST = 8, 24  # ... but so many of a crack at least and at most
HELD_OUT_PATCHES = 2  # of a crack that is held out
TRIES = 6  # jittered positions for each patch that is wanted
SURE = 0.3  # P(crack) up to which a tile is ordinary; well below what is explained
LEAST_ORDINARY = 24  # tiles of a photograph
HELD_OUT_SHARE = 0.2
ENOUGH = 5  # reviewed cracks of a kind from which on some are held out


@dataclass(frozen=True, eq=False)
class ReviewedPhotograph:
    """A scene, its photograph, P(crack) of its tiles before, and its cracks with verdicts."""

    scene: Scene
    info: RasterInfo
    tiles: TileProbabilities
    cracks: Sequence[ReviewedCrack]


@dataclass(frozen=True)
class Patch:
    """A tile to learn from: its label, its source, and whether it is held out."""

    window: Window
    label: int
    source: str
    held_out: bool
    crack: str = ""  # that it was cut for


def held_out_of(cracks: Sequence[ReviewedCrack], rng: Generator) -> set[str]:
    """The ids of cracks to judge by: a fifth of each kind that has enough, of the shorter half, as
    the longest have most to teach."""
    held: set[str] = set()
    for verdict in (ACCEPTED, REJECTED):
        kind = [crack for crack in cracks if crack.verdict == verdict]
        if len(kind) >= ENOUGH:
            kind.sort(key=lambda crack: (shapely.length(crack.line), crack.id))
            shorter = [crack.id for crack in kind[: (len(kind) + 1) // 2]]
            held.update(rng.choice(shorter, round(HELD_OUT_SHARE * len(kind)), replace=False))
    return held


def patches_of(corrected: ReviewedPhotograph, held: set[str], rng: Generator) -> list[Patch]:
    """All patches of one photograph."""
    kinds: dict[bool, list[shapely.Geometry]] = {True: [], False: []}
    for crack in corrected.cracks:
        kinds[crack.verdict == REJECTED].append(crack.line)
    others = shapely.STRtree(kinds[False])  # what a rejected tile must not hold
    hidden = shapely.STRtree([crack.line for crack in corrected.cracks if crack.id in held])
    found: list[Patch] = []
    for crack in corrected.cracks:
        if crack.verdict not in (ACCEPTED, REJECTED):
            continue
        held_out = crack.id in held
        avoided = [] if held_out else [hidden]
        if crack.verdict == REJECTED:
            avoided.append(others)
        found += [
            Patch(window, int(crack.verdict == ACCEPTED), crack.verdict, held_out, crack.id)
            for window in along(crack, corrected, avoided, held_out, rng)
        ]
    rejected = sum(patch.source == REJECTED for patch in found)
    return found + ordinary(corrected, max(LEAST_ORDINARY, rejected), rng)


def along(
    crack: ReviewedCrack,
    corrected: ReviewedPhotograph,
    avoided: Sequence[shapely.STRtree],
    held_out: bool,
    rng: Generator,
) -> Iterator[Window]:
    """Jittered tiles along a crack that hold nothing of what is ``avoided``."""
    wanted = int(np.clip(shapely.length(crack.line) // EVERY_PX, FEWEST, MOST))
    wanted = HELD_OUT_PATCHES if held_out else wanted
    points = shapely.get_coordinates(shapely.segmentize(crack.line, EVERY_PX / 3))
    tile_px = corrected.tiles.tile_px
    for _ in range(wanted * TRIES):
        if wanted == 0:
            break
        jitter = rng.uniform(-tile_px / 4, tile_px / 4, 2)
        col, row = points[rng.integers(len(points))] + jitter - tile_px / 2
        window = Window(
            inside(row, tile_px, corrected.info.rows),
            inside(col, tile_px, corrected.info.cols),
            tile_px,
            tile_px,
        )
        if not any(len(tree.query(box_of(window), "intersects")) for tree in avoided):
            wanted -= 1
            yield window


def inside(first: float, tile_px: int, side: int) -> int:
    """The nearest place at which a tile lies within a side, or in its middle if it is too large."""
    if side <= tile_px:
        return (side - tile_px) // 2
    return int(np.clip(round(first), 0, side - tile_px))


def box_of(window: Window) -> shapely.Polygon:
    return shapely.box(window.col, window.row, window.end_col, window.end_row)


def ordinary(corrected: ReviewedPhotograph, most: int, rng: Generator) -> list[Patch]:
    """Tiles, none over another, in which neither the model nor the report sees anything."""
    tiles = corrected.tiles
    reported = shapely.STRtree([crack.line for crack in corrected.cracks])
    sure = rng.permutation(np.flatnonzero(tiles.probability.reshape(-1) <= SURE))
    windows = []
    with Band(corrected.scene.mask) as mask:
        for place in tiles.apart(sure, len(sure)):
            window = tiles.window(place)
            marked = (mask.read(window) == CRACK).any()
            if not marked and not len(reported.query(box_of(window), "intersects")):
                windows.append(window)
            if len(windows) == most:
                break
    held = round(HELD_OUT_SHARE * len(windows))
    return [Patch(window, 0, "ordinary", index < held) for index, window in enumerate(windows)]


def write(
    patches: Sequence[Patch], corrected: ReviewedPhotograph, folder: Path
) -> list[LabelledImage]:
    """The patches as PNG in ``crack/`` and ``no_crack/`` of a folder, in the order given."""
    photo = corrected.scene.name
    by_window = {patch.window for patch in patches}
    images = dict(read_windows(corrected.info, by_window))
    found = []
    for patch in patches:
        label = "crack" if patch.label else "no_crack"
        path = folder / label / tile_name(photo, patch.window)
        write_png(path, images[patch.window])
        found.append(LabelledImage(path, patch.label, photo, patch.source))
    return found


def surest(
    corrected: ReviewedPhotograph, tiles: TileProbabilities
) -> dict[str, tuple[float, bool]]:
    """Of each crack the highest P(crack) of a tile that it touches, and whether it has no such tile
    for itself.

    Of a rejected one only tiles without accepted and unreviewed cracks count, where it has any.
    """
    found = {}
    shape = tiles.probability.shape
    stride, reach = tiles.stride_px, tiles.tile_px // 2
    others = np.zeros(shape, bool)
    for crack in corrected.cracks:
        if crack.verdict != REJECTED:
            others |= near(crack.line, shape, stride, reach)
    for crack in corrected.cracks:
        own = near(crack.line, shape, stride, reach)
        alone = own & ~others
        shared = crack.verdict == REJECTED and not alone.any()
        counted = alone if crack.verdict == REJECTED and not shared else own
        found[crack.id] = float(tiles.probability[counted].max()), shared
    return found


def near(line: shapely.Geometry, shape: Place, stride: int, reach_px: int) -> Bools:
    """Positions (h, w) whose centre lies within ``reach_px`` of a line, rows and columns apart."""
    found = np.zeros(shape, bool)
    for col, row in shapely.get_coordinates(shapely.segmentize(line, stride / 2)):
        first_row, first_col = (max(0, int(np.ceil((v - reach_px) / stride))) for v in (row, col))
        end_row, end_col = (int(np.floor((v + reach_px) / stride)) + 1 for v in (row, col))
        found[first_row:end_row, first_col:end_col] = True
    return found


def is_seen(probability: float) -> bool:
    return probability >= ALARM
