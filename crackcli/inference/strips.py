"""The scores of a strip, and what computes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from crackcli.arrays import Bools, Float16, Float32
from crackcli.engines.engine import Engine
from crackcli.errors import ModelError
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Grid, Strip, Window
from crackcli.rasters.nodata import RasterReader


class Prescreen(Protocol):
    """A first look that tells which parts of a raster are worth a second; see
    `crackcli.inference.prescreen`."""

    least: float

    def around(self, raster: RasterReader, centres: Window, strip_px: int) -> Float32:
        """The highest P(crack) around each place of a window of cells, where tiles are centred, of
        a raster that is cut into strips so high at most."""
        ...

    def noted(self, zooms: Sequence[float]) -> Any:
        """What a scan at these zooms notes of it, for JSON: scores made with the same are alike."""
        ...


def check_finite(values: Float32, engine: Engine) -> None:
    """Raise a `ModelError` where a network gives what is not a number."""
    if not np.isfinite(values).all():
        raise ModelError(f"{engine.facts.model} is damaged: its scores are not finite")


CORE_PX = 512  # of a block that is explained by itself


@dataclass(frozen=True)
class StripScores:
    """``relevance`` (rows, cols) float16, ``valid`` (rows, cols), and P(crack) (h, w) of the tiles
    whose centres lie in the strip, on a lattice of one stride."""

    relevance: Float16
    valid: Bools
    probability: Float32


class StripScorer(Protocol):
    """What a scan has its strips explained by."""

    engine: Engine
    gate: float
    core_px: int  # side of a block, or height of a strip, that suits it
    look: Prescreen | None  # that comes first, where there is one

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """The blocks in which a raster is explained."""
        ...

    def explain_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        """The score of every pixel of a strip."""
        ...


def span(strip: Strip) -> Window:
    """The one window that holds the padded windows of all blocks of a strip."""
    first, last = strip.blocks[0].padded, strip.blocks[-1].padded
    return Window(first.row, first.col, first.rows, last.end_col - first.col)


def as_half(values: Float32) -> Float16:
    """In half precision, which ends at 65504."""
    largest = np.finfo(np.float16).max
    return values.clip(-largest, largest).astype(np.float16)
