"""A contact sheet: a row for each photograph, with its labels and the mask of every method.

On a faded photograph blue pixels are crack and found, orange ones are marked and not crack, and
magenta ones are crack and missed: three colours that most colour-blind people tell apart.  Below
each mask stands the F1 of the photograph, at 0 px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.datasets.pixel_scores import compare
from crackcli.figures.sheet import (
    CELL_PX,
    FRAME,
    GAP_PX,
    LEFT_PX,
    text_line,
    add_caption,
    fade,
    fit_to_cell,
    join_images,
    draw_text,
)

FOUND, FALSE, MISSED = (0, 90, 200), (240, 120, 0), (200, 0, 140)
TRUE = (0, 0, 0)

Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class SheetRow:
    """A photograph (rows, cols, 3), its true mask (rows, cols), and the masks of the methods, None
    where a method did not see it."""

    name: str
    image: UInt8
    true: Bools
    masks: Sequence[Bools | None]


def contact_sheet(strips: Sequence[SheetRow], heads: Sequence[str], title: str) -> UInt8:
    """The sheet (rows, cols, 3) with ``heads`` over the masks of each strip."""
    columns = ("photograph", "labels", *heads)
    rows = [join_images([text_line(head, CELL_PX) for head in columns], axis=1)]
    rows += [join_images(cells_of(strip), axis=1) for strip in strips]
    width = rows[0].shape[1]
    rim = ((GAP_PX, GAP_PX), (GAP_PX, GAP_PX), (0, 0))
    return np.pad(
        join_images([text_line(title, width), legend(width), *rows], axis=0), rim, **FRAME
    )


def cells_of(strip: SheetRow) -> list[UInt8]:
    """The photograph, its labels, then every mask."""
    return [
        add_caption(fit_to_cell(strip.image, []), strip.name),
        add_caption(fit_to_cell(fade(strip.image), [(strip.true, TRUE)]), ""),
        *(judged(strip.image, mask, strip.true) for mask in strip.masks),
    ]


def judged(image: UInt8, mask: Bools | None, true: Bools) -> UInt8:
    """A cell with what was found, what is false, and what was missed."""
    if mask is None:
        return add_caption(np.full_like(fit_to_cell(image, []), 255), "not seen")
    layers = [(true & ~mask, MISSED), (mask & ~true, FALSE), (mask & true, FOUND)]
    return add_caption(fit_to_cell(fade(image), layers), f"F1 {100 * compare(mask, true).f1:.0f}")


def legend(width_px: int) -> UInt8:
    """What the colours mean."""
    line = text_line("", width_px)
    left = LEFT_PX
    for colour, text in ((FOUND, "found"), (FALSE, "false"), (MISSED, "missed")):
        cv2.rectangle(line, (left, 5), (left + 14, 19), colour, -1)
        draw_text(line, text, left + 20)
        left += 96
    return line
