"""P(crack) of every tile of a whole photograph, for training on hard negatives.

Tiles are at full resolution. The photograph is read in strips, so its size does not matter.
Position (r, c) is the tile whose centre lies r and c strides from the upper left corner.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Bools, Float32
from crackcli.engines.engine import TileEngine
from crackcli.inference.tile_classifier import TileClassifier
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.covering import grow_within
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo

CORE_PX = 512  # height of a strip
CRACKED_FROM = 0.5  # P(crack) at or above which a tile counts as cracked

Place = tuple[int, int]  # row and column of a tile, in positions


@dataclass(frozen=True, eq=False)
class TileProbabilities:
    """``probability`` (h, w) at every position; ``usable`` (h, w) is set where the tile lies inside
    the photograph and all of its pixels are valid."""

    probability: Float32
    usable: Bools
    tile_px: int
    stride_px: int

    @property
    def positions(self) -> int:
        """Number of usable positions."""
        return int(self.usable.sum())

    @property
    def positives(self) -> int:
        """Number of usable positions classified as cracked."""
        return int((self.usable & (self.probability >= CRACKED_FROM)).sum())

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
    info: RasterInfo, engine: TileEngine, report: FractionDone = ignore
) -> TileProbabilities:
    """Classify all tiles of a photograph; memory is that of a few strips."""
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
    cells = tile // stride
    within = np.outer(
        places(info.rows, tile, stride, sum(map(len, whole))),
        places(info.cols, tile, stride, whole[0].shape[1]),
    )
    usable = within & covered(np.concatenate(whole), cells)
    return TileProbabilities(np.concatenate(probability), usable, tile, stride)


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
    before = cells // 2
    padded = np.pad(whole, (before, cells - 1 - before), constant_values=True)
    under = np.lib.stride_tricks.sliding_window_view(padded, (cells, cells))
    whole_tiles: Bools = np.logical_and.reduce(under, axis=(2, 3))
    return whole_tiles


def places(side: int, tile: int, stride: int, positions: int) -> Bools:
    """Return which positions along a side have their tile inside; the middle one if none fits."""
    first = np.arange(positions) * stride - tile // 2
    if side < tile:
        middle: Bools = np.arange(positions) == np.abs(first + (tile - side) / 2).argmin()
        return middle
    inside: Bools = (first >= 0) & (first + tile <= side)
    return inside
