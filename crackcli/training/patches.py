"""Photographs as the tiles that a network is trained on: sizes, windows, masks, random changes.

A small picture (up to 1.5 tiles) is one tile, resized.  A large photograph is a bag of tiles: its
one bit says that at least one tile has a crack, or that none has.  So a sound photograph gives any
of its tiles; a cracked one gives the tile where the model of the moment is surest (multiple-
instance learning; `Patches.windows`), and before there is such a model, all of itself, shrunk.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from crackcli.arrays import UInt8
from crackcli.datasets.folders import LABELS, LabelledImage, sampling_weights
from crackcli.datasets.pixel_labels import CRACK_ABOVE, read_fitting_mask, read_image
from crackcli.errors import InputError
from crackcli.synthesis.twins import distracted_twin, twin
from crackcli.training.augmentation import augmentation, looks, places, to_tensor

SINGLE = 1.5  # tiles: up to this short side a picture is one tile
LONGEST = 4  # tiles: a larger photograph is shrunk to this side before it is cut


def read_photograph(path: Path) -> UInt8:
    """A photograph as RGB (rows, cols, 3), upright."""
    return read_image(path, cv2.IMREAD_COLOR_RGB)


def to_bag(image: UInt8, tile_px: int, stride_px: int) -> UInt8:
    """One tile for a small picture; else the photograph in sides of whole strides."""
    rows, cols = image.shape[:2]
    if min(rows, cols) <= SINGLE * tile_px:
        return resize(image, tile_px, tile_px)
    factor = min(1.0, LONGEST * tile_px / max(rows, cols))
    rows, cols = (
        max(tile_px, round(side * factor / stride_px) * stride_px) for side in (rows, cols)
    )
    return resize(image, rows, cols)


def resize(image: UInt8, rows: int, cols: int) -> UInt8:
    """By area where it shrinks, else bicubic."""
    if image.shape[:2] == (rows, cols):
        return image
    shrinks = image.shape[0] > rows
    return cv2.resize(
        image, (cols, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )


class Patches(Dataset[tuple[Tensor, int]]):
    """Photographs as tiles (3, tile_px, tile_px) uint8 with their label, randomly changed.

    ``windows`` holds the (row, col) of the tile that shows the crack, of the large photographs
    where it is known.  A share ``drawn`` of the tiles is replaced by a twin of a crack-free
    photograph with the same label: with cracks drawn onto it, or with what is no crack (see
    `crackcli.synthesis.twins`); half that share of the cracked photographs get distractors too.
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
        self.sound = [item for item in found if item.label == 0]
        shares = torch.tensor(sampling_weights(found), dtype=torch.float64)
        self.sound_shares = shares[[item.label == 0 for item in found]]

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        item = self.found[index]
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        chance = float(torch.rand(()))
        if chance < self.drawn:
            background = self.sound[int(torch.multinomial(self.sound_shares, 1))]
            tile = twin(self.tile(background), item.label, rng)
        else:
            tile = self.tile(item)
            if item.label == 1 and chance > 1 - self.drawn * (1 - self.drawn) / 2:
                tile = distracted_twin(tile, rng)
        return self.augment(to_tensor(tile)), item.label

    def tile(self, item: LabelledImage) -> UInt8:
        """The tile of a photograph that carries its label."""
        tile_px = self.tile_px
        bag = to_bag(read_photograph(item.path), tile_px, self.stride_px)
        if item.path in self.windows:
            row, col = self.windows[item.path]
        elif item.label == 1:
            return resize(bag, tile_px, tile_px)
        else:
            row, col = (int(torch.randint(side - tile_px + 1, ())) for side in bag.shape[:2])
        return bag[row : row + tile_px, col : col + tile_px]


class MaskedPatches(Dataset[tuple[Tensor, Tensor]]):
    """Photographs as tiles (3, tile_px, tile_px) uint8 with their masks (tile_px, tile_px) of
    bools, changed together; light and colour of the photograph alone.

    Of a large cracked photograph any tile is taken that holds a crack pixel drawn by lot.
    """

    def __init__(self, found: Sequence[LabelledImage], tile_px: int, stride_px: int) -> None:
        self.found = found
        self.tile_px = tile_px
        self.stride_px = stride_px
        self.places, self.looks = places(tile_px), looks()

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        bag = to_bag(read_masked(self.found[index]), self.tile_px, self.stride_px)
        tile = self.places(to_tensor(self.tile(bag)))
        return self.looks(tile[:3]), tile[3] > CRACK_ABOVE

    def tile(self, bag: UInt8) -> UInt8:
        """A tile of a photograph with its mask as the fourth channel."""
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


def mask_of(item: LabelledImage) -> Path:
    """Where the mask of a photograph lies: in ``masks/`` beside the folder that is its label."""
    labels = (path for path in item.path.parents if path.name == LABELS[item.label])
    return next(labels, item.path.parent).with_name("masks") / f"{item.path.stem}.png"


def read_masked(item: LabelledImage) -> UInt8:
    """A photograph and its mask, 0 to 255, as four channels (rows, cols, 4)."""
    image, path = read_photograph(item.path), mask_of(item)
    mask = read_fitting_mask(path, image)
    if item.label == 0 and (mask > CRACK_ABOVE).any():
        raise InputError(
            f"{path} shows a crack, but its photograph lies in '{LABELS[0]}'; move the photograph "
            "or mend the mask"
        )
    return np.dstack([image, mask])
