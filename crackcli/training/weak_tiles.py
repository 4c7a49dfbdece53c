"""Tiles for a network that marks pixels and that no mask of a person teaches.

Five kinds, each with a target that holds the crack's cover of every pixel, or `UNKNOWN`:

cracked twins     a crack drawn onto a crack-free photograph; its exact cover is known
distracted twins  the same with marks that only resemble cracks: cover 0
crack-free        a photograph of ``no_crack/``: cover 0
labelled          a photograph of ``crack/`` with pixel labels, some of them unknown; they come
                  from an explanation or from a reviewed crack
weak              a photograph of ``crack/``: there is a crack, nobody knows where
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from crackcli.arrays import Floats, UInt8
from crackcli.datasets.folders import LabelledImage, sampling_weights
from crackcli.synthesis.twins import cracked_twin, distracted_twin
from crackcli.training.augmentation import strong_photometric, to_tensor, turned
from crackcli.training.patches import LONGEST, TileDataset, read_photograph, resize, to_bag
from crackcli.training.pixel_targets import UNKNOWN, read_pixel_labels, resize_labels

SCALES = (0.6, 1.7)  # px of a tile per px of a crack-free photograph; log-uniform
WEAK_VIEW = 0.75  # least side of a weak tile, relative to its photograph: the crack must be in it
# Half of the draws are cracked photographs. In these fractions of the draws of either kind, tiles
# are twins instead. Together: 35 % cracked twins, which alone teach where a crack ends, 17 %
# distracted ones, 15 % crack-free tiles and 33 % weak or labelled ones, from which real cracks are
# learnt.
CRACKED_TWINS = 0.35
DISTRACTED_TWINS = 0.35  # of the draws of crack-free photographs
LABELLED = 0.6  # of the draws of cracked photographs that have pixel labels


class WeakTiles(TileDataset):
    """Photographs as tiles (3, T, T) uint8 with targets (T, T) float32, randomly changed.

    ``windows`` contains the (row, col) of the tile that shows the crack, for large cracked
    photographs for which it is known; see `to_bag`.
    """

    def __init__(self, found: Sequence[LabelledImage], tile_px: int, stride_px: int) -> None:
        self.found = found
        self.tile_px = tile_px
        self.stride_px = stride_px
        self.windows: dict[Path, tuple[int, int]] = {}
        self.turned, self.photometric = turned(), strong_photometric()
        self.crack_free = [item for item in found if item.label == 0]
        weights = torch.tensor(sampling_weights(found), dtype=torch.float64)
        self.crack_free_weights = weights[[item.label == 0 for item in found]]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        item = self.found[index]
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        chance = rng.random()
        if chance < CRACKED_TWINS:
            if item.label == 1:
                item = self.crack_free[int(torch.multinomial(self.crack_free_weights, 1))]
            tile, cover = cracked_twin(self.crack_free_tile(item, rng), rng)
        elif item.pixels is not None and rng.random() < LABELLED:
            tile, cover = self.labelled_tile(item.path, item.pixels, rng)
        elif item.label == 1:
            tile = self.weak_tile(item, rng)
            cover = np.full(tile.shape[:2], UNKNOWN, np.float32)
        else:
            tile = self.crack_free_tile(item, rng)
            if chance < CRACKED_TWINS + DISTRACTED_TWINS:
                tile = distracted_twin(tile, rng)
            cover = np.zeros(tile.shape[:2], np.float32)
        return self.changed(tile, cover)

    def changed(self, tile: UInt8, cover: Floats) -> tuple[Tensor, Tensor]:
        """Return a tile and its target after the same random flips and turns."""
        both = torch.cat(
            [to_tensor(tile).float(), torch.from_numpy(cover.astype(np.float32))[None]]
        )
        both = self.turned(both)
        return self.photometric(both[:3].to(torch.uint8)), both[3].contiguous()

    def crack_free_tile(self, item: LabelledImage, rng: Generator) -> UInt8:
        """Return a random part of a crack-free photograph, at a random scale."""
        image = read_photograph(item.path)
        return crop(image, self.random_side(image, rng), self.tile_px, rng)

    def labelled_tile(self, path: Path, pixels: Path, rng: Generator) -> tuple[UInt8, Floats]:
        """Return a random part of a photograph and its pixel labels, at a random scale."""
        image, labels = read_photograph(path), read_pixel_labels(pixels)
        side = self.random_side(image, rng)
        row, col = (int(rng.integers(length - side + 1)) for length in labels.shape)
        part = slice(row, row + side), slice(col, col + side)
        tile_px = self.tile_px
        tile = resize(image[part], tile_px, tile_px)
        return tile, resize_labels(labels[part], tile_px, tile_px)

    def random_side(self, image: UInt8, rng: Generator) -> int:
        """Return the side in px of the part of a photograph that becomes a tile."""
        scale = float(np.exp(rng.uniform(*np.log(SCALES))))
        return int(min(round(self.tile_px / scale), *image.shape[:2]))

    def weak_tile(self, item: LabelledImage, rng: Generator) -> UInt8:
        """Return most of a cracked photograph, or of the window of it that shows the crack."""
        tile_px = self.tile_px
        image = to_bag(read_photograph(item.path), tile_px, self.stride_px)
        if item.path in self.windows:
            row, col = self.windows[item.path]
            image = image[row : row + tile_px, col : col + tile_px]
        else:
            image = resize(image, tile_px, tile_px)
        return crop(image, round(rng.uniform(WEAK_VIEW, 1) * tile_px), tile_px, rng)


def crop(image: UInt8, side: int, tile_px: int, rng: Generator) -> UInt8:
    """Return a random square of ``side`` px of an image, resized to a tile."""
    row, col = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
    return resize(image[row : row + side, col : col + side], tile_px, tile_px)


def whole_photograph(path: Path, tile_px: int, stride_px: int) -> UInt8:
    """Return a photograph at its own scale, for validation, with sides of whole strides.

    One smaller than a tile is enlarged, one of more than `LONGEST` tiles is shrunk, and a rim of
    less than a stride is cut off.
    """
    image = read_photograph(path)
    rows, cols = image.shape[:2]
    factor = min(max(1.0, tile_px / min(rows, cols)), LONGEST * tile_px / max(rows, cols))
    image = resize(image, *(max(stride_px, round(side * factor)) for side in (rows, cols)))
    rows, cols = (side // stride_px * stride_px for side in image.shape[:2])
    row, col = (image.shape[0] - rows) // 2, (image.shape[1] - cols) // 2
    return image[row : row + rows, col : col + cols]
