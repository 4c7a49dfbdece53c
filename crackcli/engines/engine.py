"""Who computes score maps.  An engine is a class that is built and called like `Engine`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from crackcli.arrays import Float32, UInt8

Place = tuple[int, int]  # row and column of a pixel
DEVICES = {"auto": "", "cpu": "", "cuda": ""}
DIRECT_KINDS = ("window", "tiles")  # of engines without a classifier; see `Engine`


@dataclass(frozen=True)
class ScoreMaps:
    """``maps`` (B, H, W) float32, higher is more crack; ``probability`` (B, h, w) of each tile."""

    maps: Float32
    probability: Float32


def ungated(maps: Float32) -> ScoreMaps:
    """Maps of a method that judges no tiles."""
    return ScoreMaps(maps, np.zeros((len(maps), 0, 0), np.float32))


@dataclass(frozen=True)
class EngineFacts:
    """What an engine is and what it runs; part of the provenance of every scene."""

    engine: str
    device: str
    model: str  # file name
    model_sha256: str
    network: str
    method: str
    start: str
    tile_px: int  # side of a tile
    stride_px: int  # side of a feature cell, distance of tile positions
    reach_px: int  # how far beyond its own square a cell sees
    margin: float  # the network's usual logit(crack) - logit(no crack) on a crack
    kind: str = "propagation"  # see `Engine`
    passes: int = 1
    baseline: str | None = None  # what is compared with, of methods that compare
    precision: str = "float32"  # of the convolutions

    @property
    def direct(self) -> bool:
        """Whether pixels are scored without a classifier and its gate."""
        return self.kind in DIRECT_KINDS


class Engine(Protocol):
    """Computes score maps with a model file, one method and one start of the propagation.

    ``method``, ``start`` and ``baseline`` may be None where the model file fixes them.
    ``precision`` is one of `crackcli.registry.PRECISIONS`.  Images are
    RGB uint8 (B, H, W, 3), sides multiples of the stride.  `explain` does in one go, on images of
    one tile or more, what a scan does in parts, on windows: images that reach ``facts.reach_px``
    beyond their cells on each side.  Which parts there are is told by ``facts.kind``:

    propagation  features, head, back: see `crackcli.attribution.propagation`
    passes       features, head, and share for each of ``facts.passes``: see
                 `crackcli.attribution.passes`
    window       maps, of images of any size; a pixel sees ``facts.reach_px`` around it
    tiles        maps, of images of one tile

    An engine may have an attribute ``window_cells``: how many cells, by the names of features and
    back, the largest windows have that suit its device, with their halos.
    """

    facts: EngineFacts

    def __init__(
        self,
        model: Path,
        method: str | None,
        start: str | None,
        device: str,
        baseline: str | None = None,
        precision: str = "float32",
    ) -> None: ...

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        """Maps of images; tiles with P(crack) below ``gate`` are not explained."""
        ...

    def features(self, images: UInt8) -> Float32:
        """Cells (B, C, F, G) of windows."""
        ...

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        """P(crack) (B, h, w) of every tile of the cells, and what each cell passes on; of passes,
        1 where a cell is under a tile that is explained."""
        ...

    def back(self, images: UInt8, value: Float32) -> Float32:
        """Maps (B, H, W) of windows whose cells pass on ``value`` (B, C, F, G): all that these
        cells bring, up to the edges."""
        ...

    def share(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        """What pass ``number`` adds to the maps of the core of windows of a raster that begin at
        ``place``; ``gated`` (B, h, w) is 1 for tiles that are explained."""
        ...

    def maps(self, images: UInt8) -> Float32:
        """Maps (B, H, W) of images, without a gate."""
        ...
