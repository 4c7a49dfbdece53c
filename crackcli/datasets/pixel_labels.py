"""Photographs with pixel labels: find the sets of a folder, pair masks by name, read them.

A set is a folder with ``images/`` (or ``crack/``) and ``masks/``. A mask has the stem of its
photograph and is 255 (or 1) at crack pixels, or has the values that a user names
(`crackcli.datasets.mask_values`). Instead of ``masks/`` there may be the annotations of a labelling
program (`crackcli.datasets.annotations`). An optional ``no_crack/`` beside them holds
crack-free photographs. A folder of such folders is several sets; a ``no_crack/`` directly in it
is a set of its own. A photograph whose mask is all 0 is crack-free, too.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.datasets.annotations import (
    DrawnMask,
    drawn_masks,
    has_annotations,
    read_annotations,
)
from crackcli.datasets.folders import photographs_in
from crackcli.datasets.left_out import LeftOut, readable
from crackcli.datasets.mask_values import AUTOMATIC, MaskValues, decode
from crackcli.errors import InputError
from crackcli.rasters.labels.label_image import read_label_image
from crackcli.rasters.photograph import read_photograph

log = logging.getLogger(__name__)

CRACK_ABOVE = 127  # of 255; mask values above it are crack
IMAGE_FOLDERS = ("images", "crack")  # either name
MOSTLY = 0.5  # fraction of pixels above which crack and background seem swapped
MASK_FOLDER, CRACK_FREE_FOLDER = "masks", "no_crack"

T = TypeVar("T")


@dataclass(frozen=True)
class LabelledPhotograph:
    """A photograph, and its mask if it shows a crack or has pixels that do not count.

    ``crack_fraction`` is the fraction of its pixels that are crack.
    """

    photograph: Path
    mask: Path | DrawnMask | None = None
    mask_values: MaskValues = AUTOMATIC
    crack_fraction: float = 0.0

    @property
    def cracked(self) -> bool:
        return self.crack_fraction > 0

    def image(self) -> UInt8:
        """Read the photograph as RGB (rows, cols, 3), upright."""
        return read_photograph(self.photograph)

    def label_values(self) -> UInt8:
        """Read the mask values (rows, cols): 0 to 255, all 0 without a mask."""
        if self.mask is None:
            return np.zeros(self.image().shape[:2], np.uint8)
        if isinstance(self.mask, DrawnMask):
            return self.mask.values(shape_of(self.image()))
        return read_mask(self.mask, self.mask_values)

    def ignored(self) -> Bools | None:
        """Return the pixels (rows, cols) that do not count; None if all do."""
        if self.mask is None or self.mask_values.ignore is None:
            return None
        if isinstance(self.mask, DrawnMask):
            return self.mask.ignored(shape_of(self.image()))
        return self.mask_values.ignore.among(read_label_image(self.mask))


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


def read_mask(path: Path, mask_values: MaskValues = AUTOMATIC) -> UInt8:
    """Read a mask (rows, cols) as 0 to 255 for crack; raise `InputError` if it is ambiguous."""
    return decode(read_label_image(path), path, mask_values)[0]


def paired(
    pairs: Iterable[tuple[Path, Path | DrawnMask]], mask_values: MaskValues, left_out: LeftOut
) -> Iterator[LabelledPhotograph]:
    """Check and pair photographs and their masks, without masks that are all 0; add photographs
    that cannot be read to ``left_out``."""
    for photograph, mask in pairs:
        try:
            image = read_photograph(photograph)
        except InputError as error:
            left_out.add(photograph, error)
            continue
        if isinstance(mask, DrawnMask):
            values = mask.values(shape_of(image))
        else:
            values = read_fitting_mask(mask, image, mask_values)
        crack = float(np.count_nonzero(values > CRACK_ABOVE)) / values.size
        needed = crack > 0 or mask_values.ignore is not None
        yield LabelledPhotograph(photograph, mask if needed else None, mask_values, crack)


def shape_of(image: UInt8) -> tuple[int, int]:
    """Return the rows and columns of an image (rows, cols, 3)."""
    return image.shape[0], image.shape[1]


def read_fitting_mask(mask: Path, image: UInt8, mask_values: MaskValues = AUTOMATIC) -> UInt8:
    """Read a mask (rows, cols); raise `InputError` if its size is not that of ``image``."""
    values = read_mask(mask, mask_values)
    if values.shape != image.shape[:2]:
        raise InputError(
            f"{mask}: {values.shape[1]} x {values.shape[0]} px, but its photograph has "
            f"{image.shape[1]} x {image.shape[0]} px; give masks of the size of their photographs"
        )
    return values


def read_labels(path: Path) -> UInt8:
    """Read an image of labels (rows, cols), each 0 to 255, as they are."""
    return read_label_image(path).values.clip(0, 255).astype(np.uint8)


def find_sets(
    data: Path, limit: int | None = None, mask_values: MaskValues = AUTOMATIC
) -> list[LabelledSet]:
    """Find the labelled sets of a folder, sorted by name.

    ``limit`` is the maximum number of photographs of each folder, evenly spaced over their names.
    Raises `InputError` if there is none, or if masks are unreadable, ambiguous or seem inverted.
    """
    if not data.is_dir():
        raise InputError(f"{data}: not a folder; give one with images/ and masks/")
    if is_set(data):
        return [read_set(data, limit, mask_values)]
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir() and is_set(folder))
    sets = [read_set(folder, limit, mask_values) for folder in folders]
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
    """Return True if a folder has images, and masks or annotations."""
    images = [folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()]
    return bool(images) and ((folder / MASK_FOLDER).is_dir() or has_annotations(folder, images))


def read_set(folder: Path, limit: int | None, mask_values: MaskValues) -> LabelledSet:
    """Read a set: photographs with a mask, and crack-free ones; log how many have no mask."""
    masks = find_masks(folder, mask_values)
    found = [path for name in IMAGE_FOLDERS for path in image_files(folder / name)]
    pairs = [(path, masks[path.stem]) for path in found if path.stem in masks]
    if not found or not masks:
        missing = MASK_FOLDER if found else IMAGE_FOLDERS[0]
        raise InputError(
            f"{folder / missing}: no image; put photographs into {IMAGE_FOLDERS[0]}/ and their "
            f"masks, under the same names, into {MASK_FOLDER}/"
        )
    if not pairs:
        raise InputError(
            f"{folder}: no mask has the name of a photograph; name masks/a.png for images/a.jpg"
        )
    if len(pairs) < len(found):
        without = len(found) - len(pairs)
        log.warning("%s: %d of %d photographs skipped; no mask", folder, without, len(found))
    left_out = LeftOut()
    chosen = evenly_spaced(pairs, limit)
    labelled = list(paired(chosen, mask_values, left_out))
    left_out.tell(folder, len(chosen))
    if not labelled:
        raise InputError(f"{folder}: none of its photographs can be read; copy them again")
    check_not_inverted(folder / MASK_FOLDER, labelled)
    crack_free = find_crack_free(folder / CRACK_FREE_FOLDER, limit, left_out)
    return LabelledSet(folder.resolve().name, (*labelled, *crack_free), left_out)


def find_masks(folder: Path, mask_values: MaskValues) -> Mapping[str, Path | DrawnMask]:
    """Return the masks of a set by the stem of their photograph: files in ``masks/``, or without
    this folder those that its annotations outline."""
    if not (folder / MASK_FOLDER).is_dir():
        images = [folder / name for name in IMAGE_FOLDERS]
        return drawn_masks(read_annotations(folder, images), mask_values)
    return {path.stem: path for path in image_files(folder / MASK_FOLDER)}


def check_not_inverted(folder: Path, labelled: Sequence[LabelledPhotograph]) -> None:
    """Raise an `InputError` if crack covers most of the masks and nobody said which value it is;
    log a warning if it covers most of some."""
    mean = sum(item.crack_fraction for item in labelled) / len(labelled)
    if mean > MOSTLY and labelled[0].mask_values.crack is None:
        raise InputError(
            f"{folder}: {mean:.0%} of the pixels would be crack, so the masks seem inverted; give "
            "--mask-crack 0 if black is crack, else --mask-crack with the value of crack"
        )
    full = [item for item in labelled if item.crack_fraction > MOSTLY]
    if full and mean <= MOSTLY:
        log.warning(
            "%s: crack covers more than half of %d of %d masks, such as %s; see that none of them "
            "is inverted",
            *(folder, len(full), len(labelled), full[0].photograph.stem),
        )


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
