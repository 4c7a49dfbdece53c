"""Who computes score maps.  An engine is a class that is built and called like `Engine`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ScoreMaps:
    """``maps`` (B, H, W) float32, higher is more crack; ``probability`` (B, h, w) of each tile."""

    maps: Floats
    probability: Floats


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


class Engine(Protocol):
    """Computes score maps with a model file, one method and one start of the propagation.

    ``method`` and ``start`` may be None where the model file fixes them.  Images are RGB uint8
    (B, H, W, 3), sides multiples of the stride.  `explain` does in one go what the other three do
    in parts; see `crackcli.attribution.propagation`.
    """

    facts: EngineFacts

    def __init__(self, model: Path, method: str | None, start: str | None, device: str) -> None: ...

    def explain(self, images: Images, gate: float) -> ScoreMaps:
        """Maps of images; tiles with P(crack) below ``gate`` are not explained."""
        ...

    def features(self, images: Images) -> Floats:
        """Cells (B, C, F, G) of images."""
        ...

    def head(self, cells: Floats, gate: float) -> tuple[Floats, Floats]:
        """P(crack) (B, h, w) of every tile of the cells, and what each cell passes on."""
        ...

    def back(self, images: Images, value: Floats) -> Floats:
        """Maps (B, H, W) of images whose cells pass on ``value`` (B, C, F, G)."""
        ...
