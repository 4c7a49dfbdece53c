"""From blocks of a raster to relevance: gate by the classifier, then explain.

A pixel's map depends on tiles that reach up to 256 px away and, through them, on a little more.
So a block is read with a halo, explained whole, and only its core is kept.  Pixels without data
are filled from their nearest neighbours first: any other value would be an edge, and edges are
what a crack classifier looks at.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.attribution import DEFAULT_METHOD, DEFAULT_START, STARTS
from crackcli.engines import Engine
from crackcli.errors import ModelError
from crackcli.grid import Block, Strip, Window
from crackcli.raster import Bytes, Flags, Raster
from crackcli.registry import ENGINES, METHODS, check, load

SHIPPED = "vgg11_128"
PACKAGED = Path(__file__).parent / "_models"  # where an installation keeps them
CHECKOUT = Path(__file__).parents[1] / "models"  # where a clone keeps them


@dataclass(frozen=True)
class StripScores:
    """``relevance`` (rows, cols) float16, ``valid`` (rows, cols), and P(crack) of the tiles whose
    centres lie in the strip (h, w), on a lattice of one stride."""

    relevance: NDArray[np.float16]
    valid: Flags
    probability: NDArray[np.float32]


@dataclass(frozen=True)
class Explainer:
    """An engine and the P(crack) from which on a tile is explained."""

    engine: Engine
    gate: float

    def explain_strip(self, raster: Raster, strip: Strip) -> StripScores:
        """Relevance of every pixel of a strip; memory is that of one block and one strip."""
        outer = span(strip)
        pixels = raster.read(outer)
        relevance = np.zeros(strip.window.shape, np.float16)
        probability = []
        for block in strip.blocks:
            window = block.padded.within(outer)
            valid = pixels.valid[window]
            within = block.core.within(strip.window)
            if not valid[block.crop].any():
                probability.append(np.zeros(self.owned(block), np.float32))
                continue
            scores = self.engine.explain(fill(pixels.rgb[window], valid)[None], self.gate)
            relevance[within] = scores.maps[0][block.crop]
            rows, cols = self.owned(block)
            skip = self.first(block)
            probability.append(scores.probability[0][skip : skip + rows, skip : skip + cols])
        valid = pixels.valid[strip.window.within(outer)]
        relevance[~valid] = 0
        return StripScores(relevance, valid, np.hstack(probability))

    def owned(self, block: Block) -> tuple[int, int]:
        """Rows and columns of the tile positions that belong to a block: those with their centre
        in its core."""
        stride_px = self.engine.facts.stride_px
        rows, cols = block.core.shape
        return -(-rows // stride_px), -(-cols // stride_px)

    def first(self, block: Block) -> int:
        """The first such tile position, along rows as along columns."""
        halo_px = block.core.row - block.padded.row
        return (halo_px - self.engine.facts.tile_px // 2) // self.engine.facts.stride_px


def span(strip: Strip) -> Window:
    """The one window that holds the padded windows of all blocks of a strip."""
    first, last = strip.blocks[0].padded, strip.blocks[-1].padded
    return Window(first.row, first.col, first.rows, last.end_col - first.col)


def fill(rgb: Bytes, valid: Flags) -> Bytes:
    """``rgb`` (rows, cols, 3) with the colour of the nearest valid pixel where there is none."""
    if valid.all():
        return rgb
    _, nearest = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[valid]] = rgb[valid]
    return colours[nearest]


def find_model(model: Path | None, method: str | None, start: str | None, engine: str) -> Path:
    """The model file to use: the one given, or the shipped one that fits method and engine."""
    if model is not None:
        return model
    method, start = method or DEFAULT_METHOD, start or DEFAULT_START
    folder = PACKAGED if PACKAGED.is_dir() else CHECKOUT
    if engine == "torch":
        return folder / f"{SHIPPED}.safetensors"
    graph = folder / f"{SHIPPED}.{method}.{start}.onnx"
    if not graph.is_file():
        raise ModelError(
            f"no graph of the shipped model has method {method} and start {start}; "
            "use --engine torch, or write one with crackcli export"
        )
    return graph


def open_engine(
    model: Path | None, method: str | None, start: str | None, engine: str, device: str
) -> Engine:
    """The engine for a model file; ``engine`` auto goes by the file's suffix."""
    if method is not None:
        check(METHODS, method)
    if start is not None:
        check(STARTS, start)
    path = find_model(model, method, start, engine)
    if engine == "auto":
        engine = "torch" if path.suffix == ".safetensors" else "onnx"
    return load(ENGINES, check(ENGINES, engine))(path, method, start, device)
