"""P(crack) of every tile of a whole photograph, as a scan sees it, and tiles cut from it.

Tiles are at native scale, however large the photograph: it is read in strips by
`crackcli.inference.explainer`, whose gate is set so high that nothing is explained.  Position (r,
c) is the tile whose centre lies r and c strides from the upper left corner."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Bools, Float32
from crackcli.engines.engine import Engine
from crackcli.inference.explainer import Explainer
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo

CORE_PX = 512  # of a strip
NOTHING = 2.0  # a gate that no tile passes
ALARM = 0.5  # P(crack) from which on a tile counts as cracked

Place = tuple[int, int]  # row and column of a tile, in positions


@dataclass(frozen=True, eq=False)
class TileProbabilities:
    """``probability`` (h, w) at every position; ``usable`` (h, w) where the tile lies within the
    photograph and all of its pixels are data."""

    probability: Float32
    usable: Bools
    tile_px: int
    stride_px: int

    @property
    def positions(self) -> int:
        return int(self.usable.sum())

    @property
    def alarms(self) -> int:
        """Positions at which a crack is seen."""
        return int((self.usable & (self.probability >= ALARM)).sum())

    def window(self, place: Place) -> Window:
        """The pixels of a tile."""
        row, col = (index * self.stride_px - self.tile_px // 2 for index in place)
        return Window(row, col, self.tile_px, self.tile_px)

    def apart(self, order: Iterable[int], most: int, taken: Iterable[Place] = ()) -> list[Place]:
        """The first ``most`` of flat positions in ``order`` whose tiles overlap neither each other
        nor those ``taken``."""
        free = self.usable.copy()
        reach = self.tile_px // self.stride_px - 1
        chosen: list[Place] = []

        def take(place: Place) -> None:
            row, col = place
            free[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1] = 0

        for place in taken:
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
    """P(crack) of all tiles of a photograph; memory is that of a few strips."""
    explainer = Explainer(engine, NOTHING)
    grid = explainer.grid(info.rows, info.cols, CORE_PX)
    stride, tile = engine.facts.stride_px, engine.facts.tile_px
    probability: list[Float32] = []
    whole: list[Bools] = []
    with Raster(info) as raster:
        for index in range(len(grid)):
            scores = explainer.explain_strip(
                raster,
                grid,
                index,
                lambda share, before=index: report((before + share) / len(grid)),
            )
            probability.append(scores.probability)
            whole.append(whole_cells(scores.valid, stride))
            report((index + 1) / len(grid))
    cells = tile // stride
    within = np.outer(
        places(info.rows, tile, stride, sum(map(len, whole))),
        places(info.cols, tile, stride, whole[0].shape[1]),
    )
    usable = within & covered(np.concatenate(whole), cells)
    return TileProbabilities(np.concatenate(probability), usable, tile, stride)


def whole_cells(valid: Bools, stride: int) -> Bools:
    """Cells (h, w) all of whose pixels (rows, cols) are data; what lies beyond the edge counts."""
    rows, cols = (-(-side // stride) * stride for side in valid.shape)
    padded = np.ones((rows, cols), bool)
    padded[: valid.shape[0], : valid.shape[1]] = valid
    return padded.reshape(rows // stride, stride, cols // stride, stride).all(axis=(1, 3))


def covered(whole: Bools, cells: int) -> Bools:
    """Positions (h, w) whose tiles of ``cells`` a side have nothing but whole cells."""
    before = cells // 2
    padded = np.pad(whole, (before, cells - 1 - before), constant_values=True)
    return np.lib.stride_tricks.sliding_window_view(padded, (cells, cells)).all(axis=(2, 3))


def places(side: int, tile: int, stride: int, positions: int) -> Bools:
    """Along a side, which positions have their tile within; the middle one if none fits."""
    first = np.arange(positions) * stride - tile // 2
    if side < tile:
        return np.abs(first + (tile - side) / 2).argmin() == np.arange(positions)
    return (first >= 0) & (first + tile <= side)
