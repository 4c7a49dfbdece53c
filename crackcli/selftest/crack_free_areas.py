"""Crack-free areas of a finished scan, and random places spread over them.

The raster is divided into cells of `CELL_PX`. A cell is *marked* if one of its pixels is crack,
joint or nodata in the mask. It is *suspected* if one of its pixels has a score: it lies in a tile
that the classifier calls cracked, though no crack was marked. Methods without a gate give every
pixel a score, so that their score is ignored.

Notation: cells (h, w) of a raster.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import Bools, Float32, Float64, Int64
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import CRACK, NODATA, Band

CELL_PX = 32
STRIP_CELLS = 16  # rows of cells that are read at once
SPACINGS_PX = (512, 384, 256, 192, 128, 96, 64)  # of places; the largest one that fits is used


@dataclass(frozen=True, eq=False)
class Cells:
    """``marked`` and ``suspected`` cells (h, w) of a raster of ``rows`` by ``cols`` pixels."""

    marked: Bools
    suspected: Bools
    rows: int
    cols: int

    @classmethod
    def read(cls, mask: Path, score: Path, *, gated: bool) -> "Cells":
        """Read the cells of a scene from its rasters; without ``gated``, no cell is suspected."""
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
        """Return the cells (h, w) whose centre is at least this far from every marked cell, every
        suspected cell, and the edges of the raster."""
        y = (np.arange(self.marked.shape[0])[:, None] + 0.5) * CELL_PX
        x = (np.arange(self.marked.shape[1])[None, :] + 0.5) * CELL_PX
        inside = (np.minimum(y, self.rows - y) >= edge_px) & (
            np.minimum(x, self.cols - x) >= edge_px
        )
        off_marks = distance_to(self.marked) >= marked_px
        off_suspicion = distance_to(self.suspected) >= suspected_px
        return np.asarray(inside & off_marks & off_suspicion, bool)


def any_in_cells(flags: Bools) -> Bools:
    """Return the cells (h, w) with a set pixel (rows, cols); those at the rim may be smaller."""
    more = [(0, -side % CELL_PX) for side in flags.shape]
    padded = np.pad(flags, more)
    h, w = (side // CELL_PX for side in padded.shape)
    return np.asarray(padded.reshape(h, CELL_PX, w, CELL_PX).any(axis=(1, 3)), bool)


def distance_to(cells: Bools) -> Float32:
    """Return the distance in px from the centre of each cell (h, w) to the nearest set cell.

    It is measured to the near rim of that cell; infinite if no cell is set.
    """
    if not cells.any():
        return np.full(cells.shape, np.inf, np.float32)
    free = np.where(cells, 0, 1).astype(np.uint8)
    steps = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray((steps - 0.5).clip(min=0) * CELL_PX, np.float32)


@dataclass(frozen=True)
class Place:
    """A place to draw a crack at: x (col) and y (row) in px; ``suspected`` if the classifier calls
    tiles there cracked."""

    x: float
    y: float
    suspected: bool


def choose_places(
    rng: Generator, unsuspected: Bools, crack_free: Bools, count: int
) -> tuple[list[Place], float]:
    """Return at most ``count`` random places, and their smallest distance in px.

    They lie in cells (h, w) that are ``unsuspected``; when these are used up, in other
    ``crack_free`` cells. Places keep the largest of `SPACINGS_PX` at which there are enough of
    them, and none is nearer to another than the smallest.
    """
    chosen = np.zeros((0, 2), np.int64)
    spacing = float("inf")
    for cells in (unsuspected, crack_free & ~unsuspected):
        free = np.argwhere(cells)
        nearest = nearest_distances(free, chosen)
        for apart_px in SPACINGS_PX:
            while len(chosen) < count and (fits := np.flatnonzero(nearest >= apart_px)).size:
                took = free[rng.choice(fits)]
                chosen = np.vstack([chosen, took])
                nearest = np.minimum(nearest, nearest_distances(free, took[None]))
                spacing = min(spacing, apart_px)
    # a place lies anywhere in its cell, except near the rim
    at = (chosen + rng.uniform(0.1, 0.9, chosen.shape)) * CELL_PX
    places = [
        Place(float(x), float(y), not bool(unsuspected[row, col]))
        for (y, x), (row, col) in zip(at, chosen.tolist(), strict=True)
    ]
    return places, spacing


def nearest_distances(cells: Int64, others: Int64) -> Float64:
    """Return the distance (M) in px from each cell (M, 2) to the nearest of the others (N, 2)."""
    nearest = np.full(len(cells), np.inf)
    for other in others:
        np.minimum(nearest, CELL_PX * np.linalg.norm(cells - other, axis=1), out=nearest)
    return nearest
