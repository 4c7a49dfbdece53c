"""Prescreening: a cheap pass, at half resolution or in int8, that skips tiles which clearly show no
crack.

In int8, P(crack) differs from that of the full pass by about 0.01. It costs half of the full pass
in bfloat16, a quarter of it in float32, on processors with int8 instructions.

Half resolution costs a quarter of the full pass. The classifier still finds cracks of 2 px and
more there. The threshold was chosen on training patches: see `benchmarks/first_look.py`. It
saves time on smooth crack-free surfaces only: on rough or cracked ones nearly every tile is
classified in full all the same.

A scan does not prescreen by default.
"""

from collections.abc import Sequence

import numpy as np

from crackcli.arrays import Float32, Int64
from crackcli.engines.engine import TileEngine
from crackcli.inference.lattice import Lattice
from crackcli.inference.strips import Int8TileEngine
from crackcli.inference.tile_classifier import GROUP, TileClassifier
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import RasterReader
from crackcli.rasters.resampled import ResampledRaster

ZOOM = 0.5
HALF_THRESHOLD = 0.1  # P(crack) at half resolution; at or above it a tile is classified in full
INT8_THRESHOLD = 0.35  # the same in int8; well below the default gate of 0.5


class HalfResolutionPrescreen:
    """Classifies tiles of a raster at half its resolution."""

    int8_engine: Int8TileEngine | None = None

    def __init__(self, engine: TileEngine, threshold: float = HALF_THRESHOLD) -> None:
        lattice = Lattice.of(engine.facts)
        rows = lattice.rows_below + GROUP - 1  # that the full pass asks for, at full resolution
        self.classifier = TileClassifier(engine, rows_below=-(-rows // 2) + lattice.tile)
        self.threshold = threshold

    def probability(self, raster: RasterReader, centres: Window, strip_px: int) -> Float32:
        """Return the highest P(crack) (h, w) near each cell of a window on which a tile is centred.

        This is the maximum over the tiles of the smaller view that are centred there, or on either
        side. Returns 1 for views at another zoom than 1: smaller ones have half the resolution
        already, and larger ones are for hairlines, which half of it would not show.
        """
        if raster.zoom != 1:
            return np.ones(centres.shape, np.float32)
        lattice, view = self.classifier.lattice, ResampledRaster(raster, ZOOM)
        height = max(1, strip_px // 2 // lattice.stride_px) * lattice.stride_px
        grid = self.classifier.grid(view.info.rows, view.info.cols, height)
        tiles = lattice.tiles_of_raster(grid)
        available = lattice.centres_of(tiles)
        rows = beside(centres.row, centres.rows, available.row, available.rows)
        cols = beside(centres.col, centres.cols, available.col, available.cols)
        first, last = int(rows.min()), int(rows.max())
        requested = Window(tiles.row + first, tiles.col, last - first + 1, tiles.cols)
        probability = self.classifier.classify(view, grid, requested)
        by_row: Float32 = probability[rows - first].max(axis=0)
        highest: Float32 = by_row[:, cols].max(axis=1)
        return highest

    def fingerprint(self, zooms: Sequence[float]) -> float | None:
        """Return the threshold; None for scans without zoom 1, on which it has no effect."""
        return self.threshold if 1.0 in zooms else None

    def on(self, engine: TileEngine, int8_engine: Int8TileEngine) -> "HalfResolutionPrescreen":
        """Return the same on another engine."""
        return HalfResolutionPrescreen(engine, self.threshold)


class Int8Prescreen:
    """Classifies tiles of a raster in int8."""

    def __init__(self, engine: Int8TileEngine, threshold: float = INT8_THRESHOLD) -> None:
        lattice = Lattice.of(engine.facts)
        rows = lattice.rows_below + GROUP - 1  # that the full pass asks for
        self.classifier = TileClassifier(engine, rows_below=rows + lattice.tile - 1)
        self.int8_engine = engine
        self.threshold = threshold

    def probability(self, raster: RasterReader, centres: Window, strip_px: int) -> Float32:
        """Return P(crack) (h, w) of the tiles centred on a full-width window of cells."""
        grid = self.classifier.grid(raster.info.rows, raster.info.cols, strip_px)
        requested = self.classifier.lattice.tiles_centred_on(centres)
        return self.classifier.classify(raster, grid, requested)

    def fingerprint(self, zooms: Sequence[float]) -> list[str | float]:
        """Return the threshold and the checksum of the model, whose numbers enter the score."""
        return ["int8", self.threshold, self.int8_engine.sha256]

    def on(self, engine: TileEngine, int8_engine: Int8TileEngine) -> "Int8Prescreen":
        """Return the same on another int8 engine."""
        return Int8Prescreen(int8_engine, self.threshold)


def beside(first: int, count: int, origin: int, most: int) -> Int64:
    """Return the indices (2, count) of the tiles of the smaller view before and behind each place
    of the raster, both the same for one on it; the view has ``most`` tiles from ``origin`` on."""
    place = np.arange(first, first + count)
    both = np.stack([place // 2, -(-place // 2)]) - origin
    indices: Int64 = both.clip(0, most - 1)
    return indices
