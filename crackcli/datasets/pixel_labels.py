"""Photographs with pixel labels: folders found, masks paired by name and read.

A set is a folder with ``images/`` (or ``crack/``) and ``masks/``, where a mask has the stem of its
photograph and is 255 (or 1) where there is a crack; ``no_crack/`` beside them holds sound
photographs.  A folder of such folders is several sets; ``no_crack/`` in it is one of its own.  A
photograph whose mask is all 0 is sound too.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from crackcli.arrays import UInt8
from crackcli.datasets.folders import SUFFIXES
from crackcli.errors import InputError
from crackcli.rasters.reader import LEAST_PX

log = logging.getLogger(__name__)

LABELLED = 127  # of 255: above it a pixel of a mask is crack
IMAGES = ("images", "crack")  # either name
MASKS, SOUND = "masks", "no_crack"

T = TypeVar("T")


@dataclass(frozen=True)
class Labelled:
    """A photograph, and its mask if it shows a crack."""

    photograph: Path
    mask: Path | None = None

    @property
    def cracked(self) -> bool:
        return self.mask is not None

    def image(self) -> UInt8:
        """The photograph as RGB (rows, cols, 3), upright."""
        return decoded(self.photograph, cv2.IMREAD_COLOR_RGB)

    def values(self) -> UInt8:
        """The values (rows, cols) of the mask, 255 where there is a crack for sure."""
        if self.mask is None:
            return np.zeros(self.image().shape[:2], np.uint8)
        return mask_values(self.mask)


@dataclass(frozen=True)
class LabelledSet:
    """Photographs that are judged together."""

    name: str
    photographs: tuple[Labelled, ...]

    @property
    def cracked(self) -> list[Labelled]:
        return [item for item in self.photographs if item.cracked]

    @property
    def sound(self) -> list[Labelled]:
        return [item for item in self.photographs if not item.cracked]


def mask_values(path: Path) -> UInt8:
    """The values (rows, cols) of a mask as 0 to 255, also of one that is 0 and 1."""
    values = decoded(path, cv2.IMREAD_GRAYSCALE)
    return values * np.uint8(255) if values.max() == 1 else values


def paired(photograph: Path, mask: Path) -> Labelled:
    """A photograph with its mask; without it where it is all 0."""
    values = fitting(mask, checked(photograph))
    return Labelled(photograph, mask if values.any() else None)


def fitting(mask: Path, image: UInt8) -> UInt8:
    """The values of a mask, which must be as large as its photograph."""
    values = mask_values(mask)
    if values.shape != image.shape[:2]:
        raise InputError(
            f"{mask} is {values.shape[1]} x {values.shape[0]} px and its photograph "
            f"{image.shape[1]} x {image.shape[0]}; give masks of the size of their photographs"
        )
    return values


def checked(photograph: Path) -> UInt8:
    """A photograph that can be scanned: what cannot is to show before the work, not after hours."""
    image = decoded(photograph, cv2.IMREAD_COLOR_RGB)
    rows, cols = image.shape[:2]
    if min(rows, cols) < LEAST_PX:
        raise InputError(f"{photograph} is {cols} x {rows} px; at least {LEAST_PX} px are needed")
    return image


def decoded(path: Path, flags: int) -> UInt8:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise InputError(f"{path} cannot be decoded; remove it or save it again as JPEG or PNG")
    return image


def find_sets(data: Path, limit: int | None = None) -> list[LabelledSet]:
    """The sets of a folder, by name; ``limit`` takes so many photographs of each folder, evenly
    spread over their names."""
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; give one with images/ and masks/")
    if is_set(data):
        return [read_set(data, limit)]
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir() and is_set(folder))
    sets = [read_set(folder, limit) for folder in folders]
    if not sets:
        raise InputError(
            f"{data} holds no labelled photographs; put photographs into images/ and their masks, "
            "under the same names, into masks/"
        )
    sound = sound_in(data / SOUND, limit)
    return [*sets, LabelledSet(SOUND, sound)] if sound else sets


def is_set(folder: Path) -> bool:
    return (folder / MASKS).is_dir() and any((folder / name).is_dir() for name in IMAGES)


def read_set(folder: Path, limit: int | None) -> LabelledSet:
    """A folder's photographs that have a mask, and its sound ones; the others are counted."""
    masks = {path.stem: path for path in pictures(folder / MASKS)}
    found = [path for name in IMAGES for path in pictures(folder / name)]
    pairs = [(path, masks[path.stem]) for path in found if path.stem in masks]
    if not pairs:
        raise InputError(
            f"{folder} has no mask with the name of a photograph; name masks/a.png for images/a.jpg"
        )
    if len(pairs) < len(found):
        without = len(found) - len(pairs)
        log.warning("%s: %d photographs of %d have no mask", folder, without, len(found))
    labelled = [paired(photograph, mask) for photograph, mask in some(pairs, limit)]
    return LabelledSet(folder.resolve().name, (*labelled, *sound_in(folder / SOUND, limit)))


def sound_in(folder: Path, limit: int | None) -> tuple[Labelled, ...]:
    paths = some(pictures(folder), limit)
    for path in paths:
        checked(path)
    return tuple(map(Labelled, paths))


def pictures(folder: Path) -> list[Path]:
    """The image files of a folder, by name; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def some(items: Sequence[T], limit: int | None) -> list[T]:
    """At most ``limit`` items, evenly spread over their order."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[(2 * number + 1) * len(items) // (2 * limit)] for number in range(limit)]
