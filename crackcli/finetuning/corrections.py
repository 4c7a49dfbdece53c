"""Cuts the reviewed cracks of one photograph into training patches, at native scale.

accepted  tiles along the centreline: crack
rejected  tiles along the centreline without an accepted or unreviewed crack: no crack. If there is
          none, a network that marks pixels gets tiles with an accepted crack, too
ordinary  tiles with a low P(crack) in which the scan marked nothing: no crack

Positions are jittered, so that a few reviewed cracks give enough patches. Some cracks are held out
for validation; no training patch touches them. Of accepted cracks, patches for a network that marks
pixels have pixel labels (`crackcli.finetuning.reviewed_pixels`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.random import Generator

from crackcli.arrays import Bools, Float32
from crackcli.datasets.folders import LabelledImage, tile_name
from crackcli.finetuning.reviewed_pixels import reviewed_pixels
from crackcli.finetuning.reviews import ReviewedCrack
from crackcli.inference.tile_map import BLOCK_PX, Place, TileProbabilities
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import RasterInfo, read_windows
from crackcli.rasters.score_mask import Band
from crackcli.rasters.writing.images import write_png
from crackcli.report.verdicts import ACCEPTED, REJECTED
from crackcli.scenes.scene import Scene
from crackcli.training.pixel_targets import to_values

SPACING_PX = 48  # of patches along a centreline
MIN_PATCHES, MAX_PATCHES = 8, 24  # of a crack
HELD_OUT_PATCHES = 2  # of a crack that is held out
ATTEMPTS = 6  # jittered positions for each wanted patch
# Highest P(crack) of an ordinary tile, relative to that of a cracked one.
ORDINARY_BELOW = 0.6
MIN_ORDINARY = 24  # tiles of a photograph
HELD_OUT_FRACTION = 0.2
MIN_TO_HOLD_OUT = 5  # reviewed cracks of a kind; of fewer, none is held out


@dataclass(frozen=True, eq=False)
class ReviewedPhotograph:
    """A scene, its photograph, P(crack) of its tiles by the earlier model, and its cracks."""

    scene: Scene
    info: RasterInfo
    tiles: TileProbabilities
    cracks: Sequence[ReviewedCrack]


@dataclass(frozen=True)
class Patch:
    """A tile with its label; ``crack`` is the id of the crack it was cut for, "" for none."""

    window: Window
    label: int
    source: str
    held_out: bool
    crack: str = ""


def choose_held_out(cracks: Sequence[ReviewedCrack], rng: Generator) -> set[str]:
    """Return the ids of cracks to hold out: a fifth of each kind that has enough of them.

    They are drawn from the shorter half, as the longest cracks give the most training patches.
    """
    held: set[str] = set()
    for verdict in (ACCEPTED, REJECTED):
        kind = [crack for crack in cracks if crack.verdict == verdict]
        if len(kind) >= MIN_TO_HOLD_OUT:
            kind.sort(key=lambda crack: (shapely.length(crack.line), crack.id))
            shorter = [crack.id for crack in kind[: (len(kind) + 1) // 2]]
            held.update(rng.choice(shorter, round(HELD_OUT_FRACTION * len(kind)), replace=False))
    return held


def choose_patches(photograph: ReviewedPhotograph, held: set[str], rng: Generator) -> list[Patch]:
    """Return all patches of one photograph; those of cracks in ``held`` are held out."""
    kinds: dict[bool, list[shapely.Geometry]] = {True: [], False: []}
    for crack in photograph.cracks:
        kinds[crack.verdict == REJECTED].append(crack.line)
    not_rejected = shapely.STRtree(kinds[False])
    hidden = shapely.STRtree([crack.line for crack in photograph.cracks if crack.id in held])
    accepted = shapely.STRtree([c.line for c in photograph.cracks if c.verdict == ACCEPTED])
    found: list[Patch] = []
    for crack in photograph.cracks:
        if crack.verdict not in (ACCEPTED, REJECTED):
            continue
        held_out = crack.id in held
        avoided = [] if held_out else [hidden]
        alone = [*avoided, not_rejected] if crack.verdict == REJECTED else avoided
        own = [
            Patch(window, int(crack.verdict == ACCEPTED), crack.verdict, held_out, crack.id)
            for window in windows_along(crack, photograph, alone, held_out, rng)
        ]
        if not own and not held_out and photograph.tiles.blocks is not None:
            own = [  # pixel labels distinguish the rejected crack from the accepted one beside it
                Patch(window, 1, ACCEPTED, held_out, crack.id)
                for window in windows_along(crack, photograph, avoided, held_out, rng)
                if len(accepted.query(window_box(window), "intersects"))
            ]
        found += own
    rejected = sum(patch.source == REJECTED for patch in found)
    return found + ordinary_patches(photograph, max(MIN_ORDINARY, rejected), rng)


def windows_along(
    crack: ReviewedCrack,
    photograph: ReviewedPhotograph,
    avoided: Sequence[shapely.STRtree],
    held_out: bool,
    rng: Generator,
) -> Iterator[Window]:
    """Yield jittered tiles along a crack that touch none of the ``avoided`` lines."""
    wanted = int(np.clip(shapely.length(crack.line) // SPACING_PX, MIN_PATCHES, MAX_PATCHES))
    wanted = HELD_OUT_PATCHES if held_out else wanted
    points = shapely.get_coordinates(shapely.segmentize(crack.line, SPACING_PX / 3))
    tile_px = photograph.tiles.tile_px
    for _ in range(wanted * ATTEMPTS):
        if wanted == 0:
            break
        jitter = rng.uniform(-tile_px / 4, tile_px / 4, 2)
        col, row = points[rng.integers(len(points))] + jitter - tile_px / 2
        window = Window(
            shift_inside(row, tile_px, photograph.info.rows),
            shift_inside(col, tile_px, photograph.info.cols),
            tile_px,
            tile_px,
        )
        if not any(len(tree.query(window_box(window), "intersects")) for tree in avoided):
            wanted -= 1
            yield window


def shift_inside(first: float, tile_px: int, side: int) -> int:
    """Return the start nearest to ``first`` at which a tile lies within a side of the photograph.

    A tile larger than the side is centred on it.
    """
    if side <= tile_px:
        return (side - tile_px) // 2
    return int(np.clip(round(first), 0, side - tile_px))


def window_box(window: Window) -> shapely.Polygon:
    """Return a window as a polygon in pixel edges (col, row)."""
    return shapely.box(window.col, window.row, window.end_col, window.end_row)


def ordinary_patches(photograph: ReviewedPhotograph, most: int, rng: Generator) -> list[Patch]:
    """Return up to ``most`` tiles, without overlap and without nodata, in which neither the model
    nor the report finds a crack."""
    tiles = photograph.tiles
    reported = shapely.STRtree([crack.line for crack in photograph.cracks])
    highest = ORDINARY_BELOW * tiles.cracked_from
    low = rng.permutation(np.flatnonzero(tiles.probability.reshape(-1) <= highest))
    windows = []
    with Band(photograph.scene.mask) as mask:
        for place in tiles.apart(low, len(low)):
            window = tiles.window(place)
            unknown_or_marked = mask.read(window).any()  # nodata or excluded, or crack
            if not unknown_or_marked and not len(reported.query(window_box(window), "intersects")):
                windows.append(window)
            if len(windows) == most:
                break
    held = round(HELD_OUT_FRACTION * len(windows))
    return [Patch(window, 0, "ordinary", index < held) for index, window in enumerate(windows)]


def write_patches(
    patches: Sequence[Patch], photograph: ReviewedPhotograph, folder: Path
) -> list[LabelledImage]:
    """Write patches as PNG into ``crack/`` and ``no_crack/`` below ``folder``; return them all.

    Pixel labels of cracked ones are written into ``pixels/``, if the model marks pixels.
    """
    photo = photograph.scene.name
    by_window = {patch.window for patch in patches}
    images = dict(read_windows(photograph.info, by_window))
    found = []
    with Band(photograph.scene.mask) as mask:
        for patch in patches:
            label = "crack" if patch.label else "no_crack"
            path = folder / label / tile_name(photo, patch.window)
            image = images[patch.window]
            write_png(path, image)
            item = LabelledImage(path, patch.label, photo, patch.source)
            if patch.label and photograph.tiles.blocks is not None:
                marked = mask.read(patch.window)
                labels = reviewed_pixels(photograph.cracks, patch.window, image, marked)
                if (labels > 0).any():
                    item = replace(item, pixels=folder / "pixels" / path.name)
                    write_png(folder / "pixels" / path.name, to_values(labels))
            found.append(item)
    return found


def crack_probabilities(
    photograph: ReviewedPhotograph, tiles: TileProbabilities
) -> dict[str, tuple[float, bool]]:
    """Return P(crack) of each crack, by id: the highest of its tiles, by a classifier.

    For a rejected crack, only tiles without accepted and unreviewed cracks count. If it has none,
    all of its tiles count and the second value is True: the P(crack) may be that of another crack.
    If the model marks pixels, it is the P(crack) that half of the crack's length reaches.
    """
    if tiles.blocks is not None:
        return {
            crack.id: (median_along(crack.line, tiles.blocks), False) for crack in photograph.cracks
        }
    found = {}
    shape = tiles.probability.shape
    stride, reach = tiles.stride_px, tiles.tile_px // 2
    others = np.zeros(shape, bool)
    for crack in photograph.cracks:
        if crack.verdict != REJECTED:
            others |= positions_near(crack.line, shape, stride, reach)
    for crack in photograph.cracks:
        own = positions_near(crack.line, shape, stride, reach)
        alone = own & ~others
        shared = crack.verdict == REJECTED and not alone.any()
        counted = alone if crack.verdict == REJECTED and not shared else own
        found[crack.id] = float(tiles.probability[counted].max()), shared
    return found


def median_along(line: shapely.Geometry, blocks: Float32) -> float:
    """Return the median, along a line, of the highest P(crack) of the ``blocks`` it crosses."""
    points = shapely.get_coordinates(shapely.segmentize(line, BLOCK_PX / 2))
    limits = np.array(blocks.shape[::-1]) - 1
    col, row = np.floor(points / BLOCK_PX).astype(int).clip(0, limits).T
    return float(np.median(blocks[row, col]))


def positions_near(line: shapely.Geometry, shape: Place, stride: int, reach_px: int) -> Bools:
    """Return the tile positions (h, w) whose centre is within ``reach_px`` of a line, along rows
    and along columns."""
    found = np.zeros(shape, bool)
    for col, row in shapely.get_coordinates(shapely.segmentize(line, stride / 2)):
        first_row, first_col = (max(0, int(np.ceil((v - reach_px) / stride))) for v in (row, col))
        end_row, end_col = (int(np.floor((v + reach_px) / stride)) + 1 for v in (row, col))
        found[first_row:end_row, first_col:end_col] = True
    return found
