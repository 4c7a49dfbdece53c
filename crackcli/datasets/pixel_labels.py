"""Photographs with pixel labels: find the sets of a folder, pair masks by name, read them.

A set is a folder with ``images/`` (or ``crack/``) and ``masks/``. A mask has the stem of its
photograph and is 255 (or 1) at crack pixels. An optional ``no_crack/`` beside them holds
crack-free photographs. A folder of such folders is several sets; a ``no_crack/`` directly in it
is a set of its own. A photograph whose mask is all 0 is crack-free, too.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from crackcli.arrays import UInt8
from crackcli.datasets.folders import photographs_in
from crackcli.datasets.left_out import LeftOut, readable
from crackcli.errors import InputError
from crackcli.files import refuse_special
from crackcli.rasters.photograph import read_photograph

log = logging.getLogger(__name__)

CRACK_ABOVE = 127  # of 255; mask values above it are crack
IMAGE_FOLDERS = ("images", "crack")  # either name
MASK_FOLDER, CRACK_FREE_FOLDER = "masks", "no_crack"

T = TypeVar("T")


@dataclass(frozen=True)
class LabelledPhotograph:
    """A photograph, and its mask if it shows a crack."""

    photograph: Path
    mask: Path | None = None

    @property
    def cracked(self) -> bool:
        return self.mask is not None

    def image(self) -> UInt8:
        """Read the photograph as RGB (rows, cols, 3), upright."""
        return read_photograph(self.photograph)

    def label_values(self) -> UInt8:
        """Read the mask values (rows, cols): 0 to 255, all 0 without a mask."""
        if self.mask is None:
            return np.zeros(self.image().shape[:2], np.uint8)
        return read_mask(self.mask)


@dataclass(frozen=True)
class LabelledSet:
    """Labelled photographs that are evaluated together."""

    name: str
    photographs: tuple[LabelledPhotograph, ...]
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def cracked(self) -> list[LabelledPhotograph]:
        return [item for item in self.photographs if item.cracked]

    @property
    def crack_free(self) -> list[LabelledPhotograph]:
        return [item for item in self.photographs if not item.cracked]


def read_mask(path: Path) -> UInt8:
    """Read mask values (rows, cols) as 0 to 255; a mask of 0 and 1 is scaled."""
    values = read_labels(path)
    return values * np.uint8(255) if values.max() == 1 else values


def paired(pairs: Iterable[tuple[Path, Path]], left_out: LeftOut) -> Iterator[LabelledPhotograph]:
    """Check and pair photographs and their masks, without masks that are all 0; add photographs
    that cannot be read to ``left_out``."""
    for photograph, mask in pairs:
        try:
            image = read_photograph(photograph)
        except InputError as error:
            left_out.add(photograph, error)
            continue
        values = read_fitting_mask(mask, image)
        yield LabelledPhotograph(photograph, mask if values.any() else None)


def read_fitting_mask(mask: Path, image: UInt8) -> UInt8:
    """Read a mask (rows, cols); raise `InputError` if its size is not that of ``image``."""
    values = read_mask(mask)
    if values.shape != image.shape[:2]:
        raise InputError(
            f"{mask}: {values.shape[1]} x {values.shape[0]} px, but its photograph has "
            f"{image.shape[1]} x {image.shape[0]} px; give masks of the size of their photographs"
        )
    return values


def read_labels(path: Path) -> UInt8:
    """Read an image of labels (rows, cols) as grey values."""
    refuse_special(path, InputError, "give an image file")
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(f"{path}: cannot be decoded; remove it or save it again as PNG")
    return image.astype(np.uint8, copy=False)


def find_sets(data: Path, limit: int | None = None) -> list[LabelledSet]:
    """Find the labelled sets of a folder, sorted by name.

    ``limit`` is the maximum number of photographs of each folder, evenly spaced over their names.
    """
    if not data.is_dir():
        raise InputError(f"{data}: not a folder; give one with images/ and masks/")
    if is_set(data):
        return [read_set(data, limit)]
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir() and is_set(folder))
    sets = [read_set(folder, limit) for folder in folders]
    if not sets:
        raise InputError(
            f"{data}: no labelled photographs; put photographs into images/ and their masks, "
            "under the same names, into masks/"
        )
    left_out = LeftOut()
    crack_free = find_crack_free(data / CRACK_FREE_FOLDER, limit, left_out)
    if crack_free or left_out.names:
        sets.append(LabelledSet(CRACK_FREE_FOLDER, crack_free, left_out))
    return sets


def is_set(folder: Path) -> bool:
    """Return True if a folder has masks and images."""
    return (folder / MASK_FOLDER).is_dir() and any(
        (folder / name).is_dir() for name in IMAGE_FOLDERS
    )


def read_set(folder: Path, limit: int | None) -> LabelledSet:
    """Read a set: photographs with a mask, and crack-free ones; log how many have no mask."""
    masks = {path.stem: path for path in image_files(folder / MASK_FOLDER)}
    found = [path for name in IMAGE_FOLDERS for path in image_files(folder / name)]
    pairs = [(path, masks[path.stem]) for path in found if path.stem in masks]
    if not pairs:
        raise InputError(
            f"{folder}: no mask has the name of a photograph; name masks/a.png for images/a.jpg"
        )
    if len(pairs) < len(found):
        without = len(found) - len(pairs)
        log.warning("%s: %d of %d photographs skipped; no mask", folder, without, len(found))
    left_out = LeftOut()
    chosen = evenly_spaced(pairs, limit)
    labelled = list(paired(chosen, left_out))
    left_out.tell(folder, len(chosen))
    if not labelled:
        raise InputError(f"{folder}: none of its photographs can be read; copy them again")
    crack_free = find_crack_free(folder / CRACK_FREE_FOLDER, limit, left_out)
    return LabelledSet(folder.resolve().name, (*labelled, *crack_free), left_out)


def find_crack_free(
    folder: Path, limit: int | None, left_out: LeftOut
) -> tuple[LabelledPhotograph, ...]:
    """Return the crack-free photographs of a folder; add those that cannot be read to
    ``left_out``."""
    paths, own = evenly_spaced(image_files(folder), limit), LeftOut()
    found = tuple(map(LabelledPhotograph, readable(paths, own)))
    own.tell(folder, len(paths))
    left_out.merge(own)
    return found


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name; none if the folder is missing."""
    if not folder.is_dir():
        return []
    return photographs_in(folder, recurse=False)


def evenly_spaced(items: Sequence[T], limit: int | None) -> list[T]:
    """Return at most ``limit`` items, evenly spaced over the sequence."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[(2 * number + 1) * len(items) // (2 * limit)] for number in range(limit)]
