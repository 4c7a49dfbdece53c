"""The protocol of the paper (Forest et al. 2024): one tile per photograph, its map as a mask.

Options and names call it ``study``. It is `simple+final` of the paper: scale the score map of one
tile to 0 to 1, and threshold it half-way between the means below and above the threshold. Invert a
mask of more than half of the tile. Then close it, remove small components, and close it again with
a wider element. Nothing is tuned on labels. Photographs of other sizes are resized to the tile,
and the mask back to the photograph.

The paper attributes LRP to the sum of both logits and all other methods to the crack logit. Its
integrated gradients use a black image as the baseline (by its README), in the growth experiment the
mean of crack-free images (by its code).
"""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, UInt8
from crackcli.engines.engine import EngineFacts, ScoreMaps
from crackcli.masking.refinement import STUDY_AREA_PX, STUDY_CLOSINGS_PX, close, isodata

PATCH_PX = 256  # side of the paper's patches
STUDY_CRACK = 255  # the only mask value that the paper takes for crack
MAX_MASK_FRACTION = 0.5  # of the tile; larger masks are inverted
BASELINES = {"intgrad": "black"}  # of the paper's segmentation, where not the method's own

Floats = NDArray[np.floating]


class Explains(Protocol):
    """The part of an engine that is used here."""

    @property
    def facts(self) -> EngineFacts: ...

    def explain(self, images: UInt8, gate: float) -> ScoreMaps: ...


def study_start(method: str) -> str:
    """Return the attribution target of a method in the paper; the same for all LRP composites."""
    return "both" if method.startswith("lrp") else "crack"


def score_maps(engine: Explains, photographs: Sequence[UInt8]) -> Floats:
    """Return maps (N, T, T) of photographs (rows, cols, 3), each resized to one tile of T px."""
    side = engine.facts.tile_px
    tiles = [resize_square(photograph, side) for photograph in photographs]
    return engine.explain(np.stack(tiles), 0.0).maps


def resize_square(photograph: UInt8, side_px: int) -> UInt8:
    """Resize to a square; shrink by area means, which keep a thin crack visible."""
    shrinks = max(photograph.shape[:2]) > side_px
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(photograph, (side_px, side_px), interpolation=interpolation)
    return resized.astype(np.uint8, copy=False)


def resize_mask(mask: Bools, shape: tuple[int, ...]) -> Bools:
    """Resize a mask to another size (rows, cols) by the nearest pixel."""
    small = mask.astype(np.uint8)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def study_mask(score_map: Floats) -> Bools:
    """Return the mask of the paper's `simple+final` for the score map (rows, cols) of a tile."""
    low, high = float(score_map.min()), float(score_map.max())
    scaled = (score_map.astype(np.float64) - low) / max(high - low, 1e-12)
    values, counts = np.unique(scaled, return_counts=True)
    mask = scaled > isodata(counts, values)
    mask = ~mask if mask.mean() > MAX_MASK_FRACTION else mask
    mask = close(mask, STUDY_CLOSINGS_PX[0])
    return close(large_components(mask)[0], STUDY_CLOSINGS_PX[1])


def probability_mask(score_map: Floats) -> Bools:
    """Threshold a probability map (rows, cols) at 0.5, as the paper's growth experiment does with
    the maps of its U-Net."""
    return score_map > 0.5


def large_components(mask: Bools) -> tuple[Bools, int]:
    """Return the 8-connected components of at least 50 px, the paper's cracks, and their number."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= STUDY_AREA_PX
    large[0] = False
    return large[labels], int(large.sum())
