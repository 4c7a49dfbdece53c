"""The scores of a strip, and the interfaces of what computes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crackcli.arrays import Bools, Float16, Float32
from crackcli.engines.engine import Engine, TileEngine
from crackcli.errors import ModelError
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Grid, Strip, Window
from crackcli.rasters.nodata import RasterReader

CORE_PX = 512  # side of a block that is scored by itself


@dataclass(frozen=True)
class StripScores:
    """``relevance`` (rows, cols) float16, ``valid`` (rows, cols), and P(crack) (h, w) of the tiles
    whose centres lie in the strip, one every stride."""

    relevance: Float16
    valid: Bools
    probability: Float32


class Int8TileEngine(TileEngine, Protocol):
    """An engine that computes its cells in int8; ``sha256`` is the checksum of its model file."""

    sha256: str


class Prescreen(Protocol):
    """A cheap pass that rules out tiles which clearly show no crack; see
    `crackcli.inference.prescreen`."""

    @property
    def threshold(self) -> float:
        """P(crack) of the prescreen at or above which a tile is classified in full."""
        ...

    @property
    def int8_engine(self) -> Int8TileEngine | None:
        """The engine that the prescreen runs in int8; None if it uses that of the scan."""
        ...

    def probability(self, raster: RasterReader, centres: Window, strip_px: int) -> Float32:
        """Return the highest P(crack) (h, w) near each cell of a window on which a tile is centred,
        for a raster cut into strips of at most ``strip_px`` rows."""
        ...

    def fingerprint(self, zooms: Sequence[float]) -> float | list[str | float] | None:
        """Return what the score of a scan at these zooms depends on, for JSON."""
        ...

    def on(self, engine: TileEngine, int8_engine: Int8TileEngine) -> "Prescreen":
        """Return the same prescreen on another engine, one in int8 on ``int8_engine``."""
        ...


class StripScorer(Protocol):
    """Interface that a scan uses to compute the scores of a strip."""

    @property
    def engine(self) -> Engine: ...

    @property
    def gate(self) -> float:
        """P(crack); tiles below it get no attribution."""
        ...

    @property
    def core_px(self) -> int:
        """Side of a block, or height of a strip, that suits it."""
        ...

    @property
    def prescreen(self) -> Prescreen | None: ...

    @property
    def channels(self) -> int:
        """Channels of a feature cell; 0 for methods without a classifier."""
        ...

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """Return the strips and blocks in which a raster is scored."""
        ...

    def score_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        """Return the score of every pixel of a strip."""
        ...

    def on(self, engine: Engine, int8_engine: Int8TileEngine) -> "StripScorer":
        """Return the same scorer on another engine, a prescreen in int8 on ``int8_engine``."""
        ...


def check_finite(values: Float32, engine: TileEngine) -> None:
    """Raise a `ModelError` unless all values that a network computed are finite."""
    if not np.isfinite(values).all():
        raise ModelError(
            f"{engine.facts.model}: damaged, its scores are not finite; get the file again"
        )


def span(strip: Strip) -> Window:
    """Return the window that holds the padded windows of all blocks of a strip."""
    first, last = strip.blocks[0].padded, strip.blocks[-1].padded
    return Window(first.row, first.col, first.rows, last.end_col - first.col)


def as_half(values: Float32) -> Float16:
    """Convert to half precision, clipped to its range of +-65504."""
    largest = np.finfo(np.float16).max
    return values.clip(-largest, largest).astype(np.float16)
