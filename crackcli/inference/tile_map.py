"""P(crack) of every tile of a whole photograph, for training on hard negatives.

Tiles are at full resolution. The photograph is read in strips, so its size does not matter.
Position (r, c) is the tile whose centre lies r and c strides from the upper left corner.

A classifier gives P(crack) of tiles. Of a student, which gives that of pixels, a tile has the
P(crack) that `LEAST_PX` pixels of one of its cells reach: fewer pixels are no crack of a scan.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from crackcli.arrays import Bools, Float32
from crackcli.engines.engine import Engine
from crackcli.inference.opening import scorer_of
from crackcli.inference.tile_classifier import TileClassifier
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.covering import grow_within
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo

CORE_PX = 512  # height of a strip
CRACKED_FROM = 0.5  # P(crack) at or above which a tile counts as cracked, by a classifier
LEAST_PX = 40  # of a mark; a scan removes smaller ones
BLOCK_PX = 8  # side of the blocks in which the highest P(crack) of pixels is kept

Values = TypeVar("Values", Bools, Float32)
Place = tuple[int, int]  # row and column of a tile, in positions


@dataclass(frozen=True, eq=False)
class TileProbabilities:
    """P(crack) of the tiles of a photograph.

    probability   (h, w) at every position
    usable        (h, w) is set where the tile lies inside the photograph and all of its pixels are
                  valid
    cracked_from  P(crack) at or above which a tile, or a pixel, counts as cracked
    blocks        (rows / 8, cols / 8) highest P(crack) of the pixels in each block, of a model that
                  gives P(crack) of pixels; else None
    """

    probability: Float32
    usable: Bools
    tile_px: int
    stride_px: int
    cracked_from: float = CRACKED_FROM
    blocks: Float32 | None = None

    @property
    def positions(self) -> int:
        """Number of usable positions."""
        return int(self.usable.sum())

    @property
    def positives(self) -> int:
        """Number of usable positions classified as cracked."""
        return int((self.usable & (self.probability >= self.cracked_from)).sum())

    def window(self, place: Place) -> Window:
        """Return the pixels of a tile."""
        row, col = (index * self.stride_px - self.tile_px // 2 for index in place)
        return Window(row, col, self.tile_px, self.tile_px)

    def apart(self, order: Iterable[int], most: int, occupied: Iterable[Place] = ()) -> list[Place]:
        """Return the first ``most`` usable positions whose tiles do not overlap.

        ``order`` are flat positions, the first preferred; nor do they overlap
        tiles at ``occupied``.
        """
        free = self.usable.copy()
        reach = self.tile_px // self.stride_px - 1
        chosen: list[Place] = []

        def take(place: Place) -> None:
            row, col = place
            free[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1] = 0

        for place in occupied:
            take(place)
        for flat in order:
            if len(chosen) == most:
                break
            row, col = divmod(int(flat), free.shape[1])
            if free[row, col]:
                chosen.append((row, col))
                take((row, col))
        return chosen


def tile_probabilities(
    info: RasterInfo, engine: Engine, report: FractionDone = ignore
) -> TileProbabilities:
    """Classify all tiles of a photograph; memory is that of a few strips."""
    if engine.facts.direct:
        return marked_tiles(info, engine, report)
    classifier = TileClassifier(engine)
    lattice, grid = classifier.lattice, classifier.grid(info.rows, info.cols, CORE_PX)
    stride, tile = engine.facts.stride_px, engine.facts.tile_px
    probability: list[Float32] = []
    whole: list[Bools] = []
    with Raster(info) as raster:
        for index in range(len(grid)):

            def report_strip(fraction: float, index: int = index) -> None:
                report((index + fraction) / len(grid))

            strip = grid.strip(index).window
            core = lattice.cells_of(strip)
            # The same windows as in a scan, as the last bits depend on them.
            near = grow_within(core, lattice.reach, lattice.cells_of_raster(grid))
            requested = lattice.tiles_over(near, grid)
            tiles = classifier.classify(raster, grid, requested, report=report_strip)
            probability.append(tiles[lattice.tiles_centred_on(core).within(requested)])
            whole.append(whole_cells(raster.read_valid(strip), stride))
            report((index + 1) / len(grid))
    usable = usable_tiles(info, np.concatenate(whole), tile, stride)
    return TileProbabilities(np.concatenate(probability), usable, tile, stride)


def marked_tiles(
    info: RasterInfo, engine: Engine, report: FractionDone = ignore
) -> TileProbabilities:
    """Return P(crack) of all tiles by a model that gives P(crack) of pixels."""
    scorer = scorer_of(engine, gate=0)
    grid = scorer.grid(info.rows, info.cols, scorer.core_px)
    stride, tile = engine.facts.stride_px, engine.facts.tile_px
    cells: list[Float32] = []
    blocks: list[Float32] = []
    whole: list[Bools] = []
    with Raster(info) as raster:
        for index in range(len(grid)):

            def report_strip(fraction: float, index: int = index) -> None:
                report((index + fraction) / len(grid))

            scores = scorer.score_strip(raster, grid, index, report_strip)
            probability = scores.relevance.astype(np.float32)
            cells.append(kth_highest(probability, stride, LEAST_PX))
            blocks.append(kth_highest(probability, BLOCK_PX, 1))
            whole.append(whole_cells(scores.valid, stride))
    count = tile // stride
    return TileProbabilities(
        highest_under_tiles(np.concatenate(cells), count),
        usable_tiles(info, np.concatenate(whole), tile, stride),
        tile,
        stride,
        engine.facts.marked_from,
        np.concatenate(blocks),
    )


def kth_highest(values: Float32, side: int, k: int) -> Float32:
    """Return the ``k``-th highest value (h, w) of each square of ``side`` px; squares at the lower
    and right edges are filled up with 0."""
    rows, cols = (-(-length // side) for length in values.shape)
    padded = np.zeros((rows * side, cols * side), np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    squares = padded.reshape(rows, side, cols, side).swapaxes(1, 2).reshape(rows, cols, -1)
    highest: Float32 = np.partition(squares, -k, axis=2)[..., -k]
    return highest


def highest_under_tiles(cells: Float32, count: int) -> Float32:
    """Return the highest value (h, w) of the cells under each tile, ``count`` cells wide."""
    highest: Float32 = windows_of(cells, count, 0.0).max(axis=(2, 3))
    return highest


def usable_tiles(info: RasterInfo, whole: Bools, tile: int, stride: int) -> Bools:
    """Return which tiles (h, w) lie inside a photograph and on ``whole`` (h, w) cells only."""
    within = np.outer(
        places(info.rows, tile, stride, whole.shape[0]),
        places(info.cols, tile, stride, whole.shape[1]),
    )
    return within & covered(whole, tile // stride)


def whole_cells(valid: Bools, stride: int) -> Bools:
    """Return the cells (h, w) all of whose pixels (rows, cols) are valid; pixels beyond the edge
    count as valid."""
    rows, cols = (-(-side // stride) * stride for side in valid.shape)
    padded = np.ones((rows, cols), bool)
    padded[: valid.shape[0], : valid.shape[1]] = valid
    by_cell = padded.reshape(rows // stride, stride, cols // stride, stride)
    whole: Bools = np.logical_and.reduce(by_cell, axis=(1, 3))
    return whole


def covered(whole: Bools, cells: int) -> Bools:
    """Return the positions (h, w) whose tiles, ``cells`` wide, hold whole cells only."""
    whole_tiles: Bools = np.logical_and.reduce(windows_of(whole, cells, True), axis=(2, 3))
    return whole_tiles


def windows_of(values: Values, cells: int, beyond: float) -> Values:
    """Return the cells under the tile of each position (h, w, cells, cells), ``beyond`` outside."""
    before = cells // 2
    padded = np.pad(values, (before, cells - 1 - before), constant_values=beyond)
    windows: Values = np.lib.stride_tricks.sliding_window_view(padded, (cells, cells))
    return windows


def places(side: int, tile: int, stride: int, positions: int) -> Bools:
    """Return which positions along a side have their tile inside; the middle one if none fits."""
    first = np.arange(positions) * stride - tile // 2
    if side < tile:
        middle: Bools = np.arange(positions) == np.abs(first + (tile - side) / 2).argmin()
        return middle
    inside: Bools = (first >= 0) & (first + tile <= side)
    return inside
