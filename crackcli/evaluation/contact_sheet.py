"""A contact sheet: a row for each photograph, with its labels and the mask of every method.

On a faded photograph blue pixels are crack and found, orange ones are marked and not crack, and
magenta ones are crack and missed: three colours that most colour-blind people tell apart.  Below
each mask stands the F1 of the photograph, at 0 px.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.datasets.pixel_scores import compare

CELL_PX = 224
GAP_PX = 4
BAND_PX = 26  # of a line of text
FADED = 0.55  # how far a photograph behind a mask fades to white
SEEN = 0.15  # share of a shrunk pixel that is marked, from which on it is coloured
FOUND, FALSE, MISSED = (0, 90, 200), (240, 120, 0), (200, 0, 140)
TRUE = (0, 0, 0)
BLACK = (20, 20, 20)
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
LEFT_PX = 4  # of a text
FRAME: dict[str, Any] = {"mode": "constant", "constant_values": 255}

Flags = NDArray[np.bool_]
Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Strip:
    """A photograph (rows, cols, 3), its true mask (rows, cols), and the masks of the methods, None
    where a method did not see it."""

    name: str
    image: Image
    true: Flags
    masks: Sequence[Flags | None]


def contact_sheet(strips: Sequence[Strip], heads: Sequence[str], title: str) -> Image:
    """The sheet (rows, cols, 3) with ``heads`` over the masks of each strip."""
    columns = ("photograph", "labels", *heads)
    rows = [joined([band(head, CELL_PX) for head in columns], axis=1)]
    rows += [joined(cells_of(strip), axis=1) for strip in strips]
    width = rows[0].shape[1]
    rim = ((GAP_PX, GAP_PX), (GAP_PX, GAP_PX), (0, 0))
    return np.pad(joined([band(title, width), legend(width), *rows], axis=0), rim, **FRAME)


def cells_of(strip: Strip) -> list[Image]:
    """The photograph, its labels, then every mask."""
    return [
        captioned(fitted(strip.image, []), strip.name),
        captioned(fitted(faded(strip.image), [(strip.true, TRUE)]), ""),
        *(judged(strip.image, mask, strip.true) for mask in strip.masks),
    ]


def judged(image: Image, mask: Flags | None, true: Flags) -> Image:
    """A cell with what was found, what is false, and what was missed."""
    if mask is None:
        return captioned(np.full_like(fitted(image, []), 255), "not seen")
    layers = [(true & ~mask, MISSED), (mask & ~true, FALSE), (mask & true, FOUND)]
    return captioned(fitted(faded(image), layers), f"F1 {100 * compare(mask, true).f1:.0f}")


def faded(image: Image) -> Image:
    """The photograph in grey, half-way to white."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.rint(grey + FADED * (255.0 - grey)).astype(np.uint8)


def fitted(image: Image, layers: Sequence[tuple[Flags, Colour]]) -> Image:
    """An image as wide as a cell, or as high, whole and undistorted, with masks in colours over it;
    later ones cover earlier ones, and what is thin is not lost as it shrinks."""
    rows, cols = image.shape[:2]
    factor = CELL_PX / max(rows, cols)
    size = max(1, round(cols * factor)), max(1, round(rows * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    small = cv2.resize(image, size, interpolation=way)
    for mask, colour in layers:
        share = cv2.resize(mask.astype(np.float32), size, interpolation=way)
        small[share > SEEN] = colour
    left = (CELL_PX - size[0]) // 2
    return np.pad(small, ((0, 0), (left, CELL_PX - size[0] - left), (0, 0)), **FRAME)


def captioned(cell: Image, text: str) -> Image:
    """A cell with a line of text below it."""
    return np.vstack([cell, band(text, cell.shape[1])])


def legend(width_px: int) -> Image:
    """What the colours mean."""
    line = band("", width_px)
    left = LEFT_PX
    for colour, text in ((FOUND, "found"), (FALSE, "false"), (MISSED, "missed")):
        cv2.rectangle(line, (left, 5), (left + 14, 19), colour, -1)
        written(line, text, left + 20)
        left += 96
    return line


def band(text: str, width_px: int) -> Image:
    """A line of text on white."""
    line = np.full((BAND_PX, width_px, 3), 255, np.uint8)
    written(line, text, LEFT_PX)
    return line


def written(line: Image, text: str, left: int) -> None:
    """Text onto a line, smaller where it would not fit."""
    (width, _), _ = cv2.getTextSize(text, FONT, SCALE, 1)
    scale = min(SCALE, SCALE * (line.shape[1] - left) / max(width, 1))
    cv2.putText(line, text, (left, BAND_PX - 8), FONT, scale, BLACK, 1, cv2.LINE_AA)


def joined(images: Sequence[Image], axis: int) -> Image:
    """Images beside or below each other, with thin white gaps."""
    shape = list(images[0].shape)
    shape[axis] = GAP_PX
    gap = np.full(shape, 255, np.uint8)
    parts = [part for image in images for part in (image, gap)][:-1]
    return np.concatenate(parts, axis=axis)
