"""Photographs as training tiles: sizes, windows, masks, random changes, reference tiles.

A small picture, with a short side up to 1.5 tiles, is resized to one tile. A large photograph is a
bag of tiles, in the sense of multiple-instance learning: its one bit says that at least one tile
shows a crack, or that none does. So any tile of a crack-free photograph is a negative example. Of a
cracked photograph, the tile with the highest P(crack) of the current network is the positive
example (`Patches.windows`); before there is a trained network, the whole photograph, shrunk to a
tile, is.
"""

import random
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from crackcli.arrays import UInt8
from crackcli.datasets.folders import LABELS, LabelledImage, sampling_weights
from crackcli.datasets.pixel_labels import CRACK_ABOVE, read_fitting_mask
from crackcli.errors import InputError
from crackcli.rasters.photograph import read_photograph as read_photograph  # for other modules, too
from crackcli.synthesis.twins import distracted_twin, twin
from crackcli.training.augmentation import augmentation, geometric, photometric, to_tensor

SINGLE_TILE = 1.5  # tiles; up to this short side a picture is resized to one tile
LONGEST = 4  # tiles; a larger photograph is shrunk to this long side
REFERENCE_PHOTOGRAPHS = 5  # number in Forest et al. 2024
MEAN_PHOTOGRAPHS = 256  # at most; the mean of more is the same


def to_bag(image: UInt8, tile_px: int, stride_px: int) -> UInt8:
    """Resize a small picture to one tile, and a photograph to sides of whole strides."""
    rows, cols = image.shape[:2]
    if min(rows, cols) <= SINGLE_TILE * tile_px:
        return resize(image, tile_px, tile_px)
    factor = min(1.0, LONGEST * tile_px / max(rows, cols))
    rows, cols = (
        max(tile_px, round(side * factor / stride_px) * stride_px) for side in (rows, cols)
    )
    return resize(image, rows, cols)


def resize(image: UInt8, rows: int, cols: int) -> UInt8:
    """Resize an image by area averaging if it shrinks, else by bicubic interpolation."""
    if image.shape[:2] == (rows, cols):
        return image
    method = cv2.INTER_AREA if image.shape[0] > rows else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (cols, rows), interpolation=method), np.uint8)


class TileDataset(Dataset[tuple[Tensor, int | Tensor]]):
    """Photographs ``found`` as pairs of a tile (3, T, T) uint8 and its target."""

    found: Sequence[LabelledImage]

    def __len__(self) -> int:
        return len(self.found)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Tensor, int | Tensor]: ...


class Patches(TileDataset):
    """Photographs as tiles (3, tile_px, tile_px) uint8 with their label, randomly changed.

    ``windows`` contains the (row, col) of the tile that shows the crack, for large photographs for
    which it is known. A fraction ``drawn`` of the tiles is replaced by twins: other crack-free
    photographs onto which a crack is drawn if the label is crack, else distractors (see
    `crackcli.synthesis.twins`). Of the cracked tiles that remain, half that fraction gets
    distractors, too.
    """

    def __init__(
        self, found: Sequence[LabelledImage], tile_px: int, stride_px: int, drawn: float = 0.0
    ) -> None:
        self.found = found
        self.tile_px = tile_px
        self.stride_px = stride_px
        self.drawn = drawn
        self.windows: dict[Path, tuple[int, int]] = {}
        self.augment = augmentation(tile_px)
        self.crack_free = [item for item in found if item.label == 0]
        weights = torch.tensor(sampling_weights(found), dtype=torch.float64)
        self.crack_free_weights = weights[[item.label == 0 for item in found]]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        item = self.found[index]
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        # One random number for both decisions: twins at its lower end, distractors at its upper.
        # A second one would change the sequence of random numbers, and with it all results.
        chance = float(torch.rand(()))
        if chance < self.drawn:
            background = self.crack_free[int(torch.multinomial(self.crack_free_weights, 1))]
            tile = twin(self.tile(background), item.label, rng)
        else:
            tile = self.tile(item)
            if item.label == 1 and chance > 1 - self.drawn * (1 - self.drawn) / 2:
                tile = distracted_twin(tile, rng)
        return self.augment(to_tensor(tile)), item.label

    def tile(self, item: LabelledImage) -> UInt8:
        """Return a tile of a photograph that has its label."""
        tile_px = self.tile_px
        bag = to_bag(read_photograph(item.path), tile_px, self.stride_px)
        if item.path in self.windows:
            row, col = self.windows[item.path]
        elif item.label == 1:
            return resize(bag, tile_px, tile_px)
        else:
            row, col = (int(torch.randint(side - tile_px + 1, ())) for side in bag.shape[:2])
        return bag[row : row + tile_px, col : col + tile_px]


class MaskedPatches(TileDataset):
    """Photographs as tiles (3, tile_px, tile_px) uint8 with bool masks (tile_px, tile_px).

    Geometric changes apply to both, changes of light and colour to the photograph alone. The tile
    of a large cracked photograph contains a crack pixel that is drawn at random.
    """

    def __init__(self, found: Sequence[LabelledImage], tile_px: int, stride_px: int) -> None:
        self.found = found
        self.tile_px = tile_px
        self.stride_px = stride_px
        self.geometric, self.photometric = geometric(tile_px), photometric()

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        bag = to_bag(read_masked(self.found[index]), self.tile_px, self.stride_px)
        tile = self.geometric(to_tensor(self.tile(bag)))
        return self.photometric(tile[:3]), tile[3] > CRACK_ABOVE

    def tile(self, bag: UInt8) -> UInt8:
        """Return a tile (tile_px, tile_px, 4) of a photograph with its mask as fourth channel."""
        tile_px = self.tile_px
        rows, cols = np.nonzero(bag[..., 3] > CRACK_ABOVE)
        lowest, highest = (0, 0), tuple(side - tile_px for side in bag.shape[:2])
        if len(rows):
            chosen = int(torch.randint(len(rows), ()))
            place = rows[chosen], cols[chosen]
            lowest = tuple(max(0, at - tile_px + 1) for at in place)
            highest = tuple(min(most, at) for most, at in zip(highest, place, strict=True))
        row, col = (
            int(torch.randint(low, high + 1, ())) for low, high in zip(lowest, highest, strict=True)
        )
        return bag[row : row + tile_px, col : col + tile_px]


def mask_path(item: LabelledImage) -> Path:
    """Return the path of a photograph's mask: in ``masks/`` beside the folder of its label."""
    labels = (path for path in item.path.parents if path.name == LABELS[item.label])
    return next(labels, item.path.parent).with_name("masks") / f"{item.path.stem}.png"


def read_masked(item: LabelledImage) -> UInt8:
    """Read a photograph and its mask, 0 to 255, as four channels (rows, cols, 4).

    Raise an `InputError` if the mask of a crack-free photograph shows a crack.
    """
    image, path = read_photograph(item.path), mask_path(item)
    mask = read_fitting_mask(path, image, item.mask_values)
    if item.label == 0 and (mask > CRACK_ABOVE).any():
        raise InputError(
            f"{path}: shows a crack, but its photograph lies in '{LABELS[0]}'; move the photograph "
            "or correct the mask"
        )
    return np.dstack([image, mask])


def choose_references(
    found: Sequence[LabelledImage], tile_px: int, stride_px: int, seed: int
) -> Tensor | None:
    """Return the reference tiles that a checkpoint stores, (1 + N, 3, T, T) uint8.

    DeepLift, integrated gradients and the SHAP methods compare an image with crack-free ones. The
    first tile is the mean of crack-free photographs; the N others, up to `REFERENCE_PHOTOGRAPHS`,
    are drawn at random, alternating between sources. Return None if all photographs have cracks.
    """
    crack_free = [item for item in found if item.label == 0]
    if not crack_free:
        return None
    order = random.Random(seed)
    by_source: dict[str, list[LabelledImage]] = {}
    for item in order.sample(crack_free, len(crack_free)):
        by_source.setdefault(item.source, []).append(item)
    queues = [by_source[source] for source in sorted(by_source)]
    chosen: list[LabelledImage] = []
    while any(queues):
        chosen += [queue.pop() for queue in queues if queue]
    tiles = [centre_tile(item, tile_px, stride_px) for item in chosen[:MEAN_PHOTOGRAPHS]]
    mean = np.mean([tile.numpy() for tile in tiles], axis=0, dtype=np.float64)
    first = torch.from_numpy(np.rint(mean).astype(np.uint8))
    return torch.stack([first, *tiles[:REFERENCE_PHOTOGRAPHS]])


def centre_tile(item: LabelledImage, tile_px: int, stride_px: int) -> Tensor:
    """Return the tile (3, T, T) at the centre of a photograph."""
    bag = to_bag(read_photograph(item.path), tile_px, stride_px)
    row, col = ((side - tile_px) // 2 for side in bag.shape[:2])
    return to_tensor(bag[row : row + tile_px, col : col + tile_px])
