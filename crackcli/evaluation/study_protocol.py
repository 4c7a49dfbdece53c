"""The study's protocol: a photograph as one tile, its map as a mask, its cracks counted.

`simple+final` of Forest et al. 2024: the map of one tile is scaled to 0 to 1 and cut at the value
half-way between the means below and above it; a mask of more than half of the tile is turned
round; then a closing, the removal of small components, and a wider closing.  Nothing is tuned on
labels.  Photographs of other sizes are resized to the tile, and the mask back to the photograph.

The study starts LRP from both logits alike and all other methods from that of "crack".  Its
integrated gradients begin at a black image (by its README), in the growth experiment at the mean of
sound ones (by its code).
"""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, UInt8
from crackcli.engines.engine import EngineFacts, ScoreMaps
from crackcli.masking.refinement import STUDY_AREA_PX, STUDY_CLOSINGS_PX, close, isodata

PATCH_PX = 256  # side of the study's patches
STUDY_CRACK = 255  # the only value of a mask that the study takes for crack
MOST = 0.5  # of the tile that may be marked before the mask is turned round
BASELINES = {"intgrad": "black"}  # where its segmentation does not take the method's own

Floats = NDArray[np.floating]


class Explains(Protocol):
    """What of an engine is used here."""

    @property
    def facts(self) -> EngineFacts: ...

    def explain(self, images: UInt8, gate: float) -> ScoreMaps: ...


def start_of(method: str) -> str:
    """What the study's explanations by a method start from; LRP by any composite of rules."""
    return "both" if method.startswith("lrp") else "crack"


def maps_of(engine: Explains, photographs: Sequence[UInt8]) -> Floats:
    """The maps (N, T, T) of photographs (rows, cols, 3), each resized to one tile of T px."""
    side = engine.facts.tile_px
    tiles = [resized(photograph, side) for photograph in photographs]
    return engine.explain(np.stack(tiles), 0.0).maps


def resized(photograph: UInt8, side_px: int) -> UInt8:
    """A photograph as a square; where it shrinks by the mean, in which a thin crack stays."""
    shrinks = max(photograph.shape[:2]) > side_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(photograph, (side_px, side_px), interpolation=how)


def resized_mask(mask: Bools, shape: tuple[int, int]) -> Bools:
    """A mask at another size (rows, cols), by the nearest pixel."""
    small = mask.astype(np.uint8)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def study_mask(score_map: Floats) -> Bools:
    """`simple+final` on the map (rows, cols) of one tile."""
    low, high = float(score_map.min()), float(score_map.max())
    scaled = (score_map.astype(np.float64) - low) / max(high - low, 1e-12)
    values, counts = np.unique(scaled, return_counts=True)
    mask = scaled > isodata(counts, values)
    mask = ~mask if mask.mean() > MOST else mask
    mask = close(mask, STUDY_CLOSINGS_PX[0])
    return close(large_components(mask)[0], STUDY_CLOSINGS_PX[1])


def half_mask(score_map: Floats) -> Bools:
    """A map (rows, cols) of probabilities cut at a half: what the study's growth experiment does
    with those of its U-Net."""
    return score_map > 0.5


def large_components(mask: Bools) -> tuple[Bools, int]:
    """The 8-connected components of at least 50 px, and how many they are: the study's cracks."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= STUDY_AREA_PX
    large[0] = False
    return large[labels], int(large.sum())
