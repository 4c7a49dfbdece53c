"""Crack-free photographs that a checkpoint carries, for methods that compare an image with them.

DeepLift, integrated gradients and the SHAP methods ask what a photograph has that a sound one has
not.  So a checkpoint holds the mean of crack-free photographs it was trained on and a few of them,
drawn by a seed, sources alike.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from crackcli.datasets.folders import LabelledImage
from crackcli.training.augmentation import to_tensor
from crackcli.training.patches import read_photograph, to_bag

PHOTOGRAPHS = 5  # the study's number
MEAN_OF = 256  # at most; the mean of more is the same


def choose_references(
    found: Sequence[LabelledImage], tile_px: int, stride_px: int, seed: int
) -> Tensor | None:
    """The mean of crack-free photographs and `PHOTOGRAPHS` of them, fewer if there are fewer:
    (1 + N, 3, T, T) uint8; None where all have cracks."""
    sound = [item for item in found if item.label == 0]
    if not sound:
        return None
    order = random.Random(seed)
    by_source: dict[str, list[LabelledImage]] = {}
    for item in order.sample(sound, len(sound)):
        by_source.setdefault(item.source, []).append(item)
    queues = [by_source[source] for source in sorted(by_source)]
    chosen = []
    while any(queues):
        chosen += [queue.pop() for queue in queues if queue]
    tiles = [middle(item, tile_px, stride_px) for item in chosen[:MEAN_OF]]
    mean = np.mean([tile.numpy() for tile in tiles], axis=0, dtype=np.float64)
    return torch.stack([torch.from_numpy(np.rint(mean).astype(np.uint8)), *tiles[:PHOTOGRAPHS]])


def middle(item: LabelledImage, tile_px: int, stride_px: int) -> Tensor:
    """The tile (3, T, T) in the middle of a photograph."""
    bag = to_bag(read_photograph(item.path), tile_px, stride_px)
    row, col = ((side - tile_px) // 2 for side in bag.shape[:2])
    return to_tensor(bag[row : row + tile_px, col : col + tile_px])
