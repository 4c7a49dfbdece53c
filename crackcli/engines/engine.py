"""Interface of the engines that compute score maps, and the facts that each of them states."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crackcli.arrays import Float32, UInt8
from crackcli.engines.context_prescreen import ContextPrescreen
from crackcli.licences import Licence

Place = tuple[int, int]  # row and column of a pixel
DEVICES = ("auto", "cpu", "cuda")
DIRECT_KINDS = ("window", "stages", "tiles")  # of engines without a classifier; see `Engine`
# px; the receptive-field radii of `Engine.encode` and `Engine.decode` are at most these.
ENCODE_HALO_PX, DECODE_HALO_PX = 40, 24
MARKED_FROM = 0.5  # P(crack) from which a pixel is marked by a model without a calibration


@dataclass(frozen=True)
class ScoreMaps:
    """``maps`` (B, H, W) float32, higher is more crack; ``probability`` (B, h, w) of each tile."""

    maps: Float32
    probability: Float32


def ungated(maps: Float32) -> ScoreMaps:
    """Return maps of a method that has no P(crack) of tiles."""
    return ScoreMaps(maps, np.zeros((len(maps), 0, 0), np.float32))


@dataclass(frozen=True)
class EngineFacts:
    """An engine and the model and method it runs; part of the provenance of every scene."""

    engine: str
    device: str
    model: str  # file name
    model_sha256: str
    network: str
    method: str
    start: str  # attribution target, one of `crackcli.registry.STARTS`, or none
    tile_px: int  # side of a tile
    stride_px: int  # side of a feature cell, distance of tile positions
    reach_px: int  # receptive-field radius of a cell, beyond its own square
    margin: float  # typical logit(crack) - logit(no crack) on a crack
    kind: str = "propagation"  # see `Engine`
    passes: int = 1
    baseline: str | None = None  # reference images of methods that compare with some
    precision: str = "float32"  # of the convolutions
    licence: Licence = Licence()  # of the model
    calibration: Mapping[str, Any] | None = None  # see `crackcli.networks.checkpoint.Checkpoint`

    @property
    def direct(self) -> bool:
        """Whether pixels are scored without a classifier and its gate."""
        return self.kind in DIRECT_KINDS

    @property
    def marked_from(self) -> float:
        """P(crack) from which a pixel is marked, for methods whose maps are P(crack)."""
        return float((self.calibration or {}).get("threshold", MARKED_FROM))

    @property
    def prescreen(self) -> ContextPrescreen | None:
        """The prescreen of a student; None without one."""
        return ContextPrescreen.of(self.calibration)


class TileEngine(Protocol):
    """The part of an engine that classifies tiles; all that a prescreen needs.

    ``window_cells`` holds the number of cells, halo included, of the largest windows that suit
    the device, by the name of the method (``features``, ``back``). The defaults of a scan hold
    for names it lacks.
    """

    facts: EngineFacts

    @property
    def window_cells(self) -> Mapping[str, int]: ...

    def features(self, images: UInt8) -> Float32:
        """Compute the cells (B, C, F, G) of windows."""
        ...

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        """Compute P(crack) (B, h, w) of every tile, and what starts the backward pass.

        The second array is the relevance or gradient (B, C, F, G) at the cells, summed over the
        tiles with P(crack) of at least ``gate``; for methods of several passes it is (B, 1, F, G),
        1 where a cell lies under such a tile.
        """
        ...


class Engine(TileEngine, Protocol):
    """Computes score maps with one model file, method and attribution target.

    ``method``, ``start`` and ``baseline`` may be None where the model file fixes them.
    ``precision`` is one of `crackcli.registry.PRECISIONS`. Images are RGB uint8 (B, H, W, 3) with
    sides that are multiples of the stride.

    `explain` takes images of one tile or more and does everything at once. A scan calls the parts
    instead, on windows: images that extend ``facts.reach_px`` beyond their cells on each side.
    ``facts.kind`` lists the parts:

    propagation  `features`, `head`, `back`: see `crackcli.attribution.propagation`
    passes       `features`, `head`, and `pass_map` for each of ``facts.passes``: see
                 `crackcli.attribution.passes`
    window       `maps`, of images of any size; a pixel depends on ``facts.reach_px`` around it
    stages       the same `maps`, and their parts `encode`, `context` and `decode`; only `context`
                 has a wide receptive field. All of them take and return windows of the same size,
                 with sides that are multiples of 8 px, for `context` of the stride
    tiles        `maps`, of images of one tile
    """

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
        """Compute the maps of images; tiles with P(crack) below ``gate`` get no attribution."""
        ...

    def back(self, images: UInt8, value: Float32) -> Float32:
        """Propagate ``value`` (B, C, F, G), relevance or gradient at the cells, back to the pixels.

        Returns maps (B, H, W) of the windows: all that these cells contribute, up to the edges.
        """
        ...

    def pass_map(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        """Compute what pass ``number`` adds to the maps of the core of windows of a raster.

        ``gated`` (B, h, w) is 1 for tiles that get an attribution; the windows begin at ``place``.
        """
        ...

    def encode(self, images: UInt8) -> tuple[Float32, Float32, Float32]:
        """Compute features (B, C, h, w) of windows at 1/2, 1/4 and 1/8 of their resolution."""
        ...

    def context(self, eighths: Float32) -> Float32:
        """Compute features (B, C, h, w) of wider surroundings at 1/8 of the resolution."""
        ...

    def decode(
        self, images: UInt8, halves: Float32, quarters: Float32, context: Float32
    ) -> Float32:
        """Compute the maps (B, H, W) of windows, given the results of the other parts."""
        ...

    def maps(self, images: UInt8) -> Float32:
        """Compute the maps (B, H, W) of images, without a gate."""
        ...
