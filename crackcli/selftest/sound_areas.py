"""Where a finished scan says that a surface is sound, and places spread over it.

The raster is looked at in cells of `CELL_PX`.  A cell is *marked* if one of its pixels is crack (or
a joint) in the mask, or no data.  It is *suspected* if the score points at it: it lies in a tile
that the classifier takes for cracked, though no crack was marked.  Methods without a gate suspect
everything, and so nothing.

Notation: cells (h, w) of a raster; P places.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import Bools, Float32, Float64, Int64
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import CRACK, NODATA, Band

CELL_PX = 32
STRIP_CELLS = 16  # rows of cells that are read at once
SPACINGS_PX = (512, 384, 256, 192, 128, 96, 64)  # between places: as far apart as they fit


@dataclass(frozen=True, eq=False)
class Cells:
    """``marked`` and ``suspected`` (h, w) of a raster of ``rows`` by ``cols``."""

    marked: Bools
    suspected: Bools
    rows: int
    cols: int

    @classmethod
    def of(cls, mask: Path, score: Path, *, gated: bool) -> "Cells":
        """The cells of a scene, from its rasters; ``gated`` tells whether its method has a gate."""
        marked, suspected = [], []
        with Band(mask) as masks, Band(score) as scores:
            rows, cols = masks.shape
            for row in range(0, rows, STRIP_CELLS * CELL_PX):
                strip = Window(row, 0, min(STRIP_CELLS * CELL_PX, rows - row), cols)
                values = masks.read(strip)
                marked.append(any_in_cells((values == CRACK) | (values == NODATA)))
                values = scores.read(strip)
                suspected.append(any_in_cells((values > 0) & (values != NODATA) & gated))
        return cls(np.concatenate(marked), np.concatenate(suspected), rows, cols)

    def clear(self, marked_px: float, suspected_px: float, edge_px: float) -> Bools:
        """Cells (h, w) whose middle is at least so far from any marked and any suspected cell, and
        from the edges of the raster."""
        y = (np.arange(self.marked.shape[0])[:, None] + 0.5) * CELL_PX
        x = (np.arange(self.marked.shape[1])[None, :] + 0.5) * CELL_PX
        inside = (np.minimum(y, self.rows - y) >= edge_px) & (
            np.minimum(x, self.cols - x) >= edge_px
        )
        return inside & (away(self.marked) >= marked_px) & (away(self.suspected) >= suspected_px)


def any_in_cells(flags: Bools) -> Bools:
    """Whether any pixel (rows, cols) of a cell (h, w) is set; cells at the rim may be smaller."""
    more = [(0, -side % CELL_PX) for side in flags.shape]
    padded = np.pad(flags, more)
    h, w = (side // CELL_PX for side in padded.shape)
    return padded.reshape(h, CELL_PX, w, CELL_PX).any(axis=(1, 3))


def away(cells: Bools) -> Float32:
    """From the middle of each cell (h, w) to the next one that is set, in px, to its nearer rim."""
    if not cells.any():
        return np.full(cells.shape, np.inf, np.float32)
    free = np.where(cells, 0, 1).astype(np.uint8)
    steps = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (steps - 0.5).clip(min=0) * CELL_PX


@dataclass(frozen=True)
class Place:
    """Where something may be drawn: x (col) and y (row) in px, and whether tiles there were taken
    for cracked before."""

    x: float
    y: float
    suspected: bool


def choose_places(
    rng: Generator, quiet: Bools, sound: Bools, count: int
) -> tuple[list[Place], float]:
    """At most ``count`` places, by chance, in cells (h, w) that are ``quiet``, and only when these
    are used up in those that are ``sound``; and the least distance between two of them in px.

    Places keep the largest of `SPACINGS_PX` at which there are enough of them; none the least one.
    """
    chosen = np.zeros((0, 2), np.int64)
    spacing = float("inf")
    for cells in (quiet, sound & ~quiet):
        free = np.argwhere(cells)
        nearest = distances(free, chosen)
        for apart_px in SPACINGS_PX:
            while len(chosen) < count and (fits := np.flatnonzero(nearest >= apart_px)).size:
                took = free[rng.choice(fits)]
                chosen = np.vstack([chosen, took])
                nearest = np.minimum(nearest, distances(free, took[None]))
                spacing = min(spacing, apart_px)
    # a cell is a square in which the place lies anywhere
    at = (chosen + rng.uniform(0.1, 0.9, chosen.shape)) * CELL_PX
    places = [
        Place(float(x), float(y), not bool(quiet[row, col]))
        for (y, x), (row, col) in zip(at, chosen.tolist(), strict=True)
    ]
    return places, spacing


def distances(cells: Int64, others: Int64) -> Float64:
    """From each cell (M, 2) to the nearest of the others (N, 2), in px."""
    nearest = np.full(len(cells), np.inf)
    for other in others:
        np.minimum(nearest, CELL_PX * np.linalg.norm(cells - other, axis=1), out=nearest)
    return nearest
