"""Which values of a mask are crack, and which do not count.

A mask of two values, 0 and 1, 0 and 255, or 0 and the largest of its file, is unambiguous. So is
one of many greys most of which are nearly black or white: it was resized, smoothed or saved as
JPEG. In all others (class numbers, colours, 255 for "ignore") a person has to say which value is
crack; the error names the values found.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crackcli.arrays import Bools, Int64, UInt8
from crackcli.errors import InputError, UsageError
from crackcli.rasters.labels.label_image import Kind, LabelImage

CRACK_VALUE, MAX_BYTE = 255, 255
MIDDLE = (64, 191)  # of 255; greys that are neither nearly black nor nearly white
MAX_MIDDLE = 2.0  # of them per white pixel in a mask that was smoothed: thin cracks are mostly edge
MIDDLE_GREYS = 8  # different ones at least in a mask that was smoothed
NAMED = 8  # values that an error names, at most
NAME = re.compile(r"[^\W\d].*")  # begins with a letter
PART = re.compile(r"(\d+)(?:-(\d+))?|#([0-9a-f]{6})", re.I)


@dataclass(frozen=True)
class Values:
    """Values of a mask as a user gives them: numbers, ranges of them (low, high), or colours.

    ``names`` are the parts of the text, which may be names of classes.
    """

    text: str
    ranges: tuple[tuple[int, int], ...]
    colours: bool
    names: frozenset[str] = frozenset()

    def among(self, image: LabelImage) -> Bools:
        """Return the pixels (rows, cols) that have one of the values."""
        if self.colours != (image.kind is Kind.COLOUR):
            return np.zeros(image.values.shape, bool)
        found = np.zeros(image.values.shape, bool)
        for low, high in self.ranges:
            found |= (image.values >= low) & (image.values <= high)
        return found


@dataclass(frozen=True)
class MaskValues:
    """The values of crack and of pixels that do not count; None for crack: as the mask shows."""

    crack: Values | None = None
    ignore: Values | None = None


AUTOMATIC = MaskValues()


def parse_values(option: str, text: str) -> Values:
    """Return the values of a text such as "2", "1,3", "128-255", "#ff0000,#00ff00" or "crack".

    Raises a `UsageError` that names ``option``.
    """
    names = frozenset(part.strip() for part in text.split(","))
    if all(NAME.fullmatch(name) for name in names):
        return Values(text, (), colours=False, names=names)
    parts = [PART.fullmatch(part.strip()) for part in text.split(",")]
    numbers = [part.group(1) is not None for part in parts if part]
    if None in parts or len(set(numbers)) != 1:
        raise UsageError(
            f"{option} {text}: give values of the mask, such as 2, 1,3 or 128-255, colours, such "
            "as #ff0000, or names of classes"
        )
    ranges = []
    for part in parts:
        assert part is not None
        low = int(part.group(1)) if numbers[0] else int(part.group(3), 16)
        high = int(part.group(2) or low) if numbers[0] else low
        if high < low:
            raise UsageError(f"{option} {text}: {low} is above {high}; give the lower one first")
        ranges.append((low, high))
    return Values(text, tuple(ranges), not numbers[0], names)


def decode(image: LabelImage, path: Path, wanted: MaskValues) -> tuple[UInt8, Bools]:
    """Return the mask (rows, cols), 0 to 255 for crack, and the pixels that do not count.

    Raises an `InputError` that names the values of ``path`` if they do not show which are crack.
    """
    nothing = np.zeros(image.values.shape, bool)
    ignored = wanted.ignore.among(image) if wanted.ignore else nothing
    if wanted.crack is not None:
        check_kind(image, path, wanted.crack)
        crack = wanted.crack.among(image) & ~ignored
        return np.where(crack, CRACK_VALUE, 0).astype(np.uint8), ignored
    counted = np.where(ignored, 0, image.values)
    values = np.unique(counted[~ignored])
    top = int(values[-1]) if len(values) else 0
    if not top:
        return np.zeros(counted.shape, np.uint8), ignored
    if set(values) <= {0, top} and is_clear(top, image):
        return np.where(counted == top, CRACK_VALUE, 0).astype(np.uint8), ignored
    if is_smoothed(counted, values, image):
        return (counted * MAX_BYTE // max(top_of(image), 1)).astype(np.uint8), ignored
    raise InputError(
        f"{path}: its values are {named(image)}; say which is crack, and which does not count: "
        f"--mask-crack {example(image)}, --mask-ignore VALUE"
    )


def check_kind(image: LabelImage, path: Path, crack: Values) -> None:
    """Raise an `InputError` if a number was given for a mask of colours, or the reverse."""
    fits = crack.ranges and crack.colours == (image.kind is Kind.COLOUR)
    if not image.values.any() or fits:
        return
    raise InputError(
        f"{path}: --mask-crack {crack.text}: the values of this mask are {named(image)}; give "
        f"those of crack, such as --mask-crack {example(image)}"
    )


def is_clear(top: int, image: LabelImage) -> bool:
    """Return True if ``top``, the only value beside 0, can only mean crack."""
    if image.kind is Kind.GREY:
        return top in (1, MAX_BYTE, image.depth)
    return image.kind is Kind.NUMBER and top == 1  # 255 in a palette is the rim in PASCAL VOC


def is_smoothed(counted: Int64, values: Int64, image: LabelImage) -> bool:
    """Return True if a mask is black and white with greys in between.

    A lossy file has them along edges, a lossless one if it was resized: then many different ones.
    """
    if image.kind is not Kind.GREY:
        return False
    scale = MAX_BYTE / max(top_of(image), 1)
    white = np.count_nonzero(counted * scale > MIDDLE[1])
    middle = np.count_nonzero((counted * scale >= MIDDLE[0]) & (counted * scale <= MIDDLE[1]))
    greys = np.count_nonzero((values * scale >= MIDDLE[0]) & (values * scale <= MIDDLE[1]))
    return bool(middle <= MAX_MIDDLE * white and (image.lossy or greys >= MIDDLE_GREYS))


def top_of(image: LabelImage) -> int:
    """Return the value of white: that of a byte if the image has no larger one."""
    return MAX_BYTE if image.values.max() <= MAX_BYTE else image.depth


def named(image: LabelImage) -> str:
    """Return the commonest values of an image with their fractions: "0 (97.1 %), 2 (2.9 %)"."""
    values, counts = np.unique(image.values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    texts = [
        f"{value_text(int(values[at]), image)} ({counts[at] / image.values.size:.1%})".replace(
            "%", " %"
        )
        for at in order[:NAMED]
    ]
    return ", ".join(texts) + (f" and {len(values) - NAMED} more" if len(values) > NAMED else "")


def example(image: LabelImage) -> str:
    """Return the commonest value but 0, 255 and the background, as an example for an option."""
    values, counts = np.unique(image.values, return_counts=True)
    background = values[counts.argmax()]  # cracks cover little
    unlikely = np.stack([values == 0, values == background, values == MAX_BYTE])
    text = value_text(int(values[np.lexsort([-counts, *unlikely[::-1]])[0]]), image)
    return f"'{text}'" if image.kind is Kind.COLOUR else text


def value_text(value: int, image: LabelImage) -> str:
    """Return a value as an option takes it."""
    return f"#{value:06x}" if image.kind is Kind.COLOUR else str(value)
