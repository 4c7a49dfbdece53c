"""Who computes score maps.  An engine is a class that is built and called like `Engine`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class ScoreMaps:
    """``maps`` (B, H, W) float32, higher is more crack; ``probability`` (B, h, w) of each tile."""

    maps: NDArray[np.float32]
    probability: NDArray[np.float32]


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
    tile_px: int
    stride_px: int


class Engine(Protocol):
    """Computes score maps with a model file, one method and one start of the propagation.

    ``method`` and ``start`` may be None where the model file fixes them.
    """

    facts: EngineFacts

    def __init__(self, model: Path, method: str | None, start: str | None, device: str) -> None: ...

    def explain(self, images: Images, gate: float) -> ScoreMaps:
        """Maps of RGB ``images`` (B, H, W, 3), sides multiples of the stride; tiles with
        P(crack) below ``gate`` are not explained."""
        ...
