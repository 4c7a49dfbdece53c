"""A contact sheet: a row for each photograph, with its labels and the mask of every method.

On the faded photograph, blue pixels are true positives, orange ones false positives and magenta
ones false negatives. Most colour-blind people can distinguish the three. The F1 of the
photograph at 0 px stands below each mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.datasets.pixel_scores import compare
from crackcli.figures.sheet import (
    CELL_PX,
    GAP_PX,
    LEFT_PX,
    WHITE,
    add_caption,
    draw_text,
    fade,
    fit_to_cell,
    join_images,
    text_line,
)

FOUND, FALSE, MISSED = (0, 90, 200), (240, 120, 0), (200, 0, 140)
LABELLED = (0, 0, 0)

Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class SheetRow:
    """A photograph (rows, cols, 3), its crack pixels (rows, cols), and the masks of the methods;
    None if a method was not run on it."""

    name: str
    image: UInt8
    true: Bools
    masks: Sequence[Bools | None]


def contact_sheet(items: Sequence[SheetRow], heads: Sequence[str], title: str) -> UInt8:
    """Return the sheet (rows, cols, 3), with ``heads`` above the columns of masks."""
    columns = ("photograph", "labels", *heads)
    rows = [join_images([text_line(head, CELL_PX) for head in columns], axis=1)]
    rows += [join_images(cells(item), axis=1) for item in items]
    width = rows[0].shape[1]
    rim = ((GAP_PX, GAP_PX), (GAP_PX, GAP_PX), (0, 0))
    return np.pad(
        join_images([text_line(title, width), legend(width), *rows], axis=0),
        rim,
        constant_values=WHITE,
    )


def cells(item: SheetRow) -> list[UInt8]:
    """Return the cells of a row: the photograph, its labels, then every mask."""
    return [
        add_caption(fit_to_cell(item.image, []), item.name),
        add_caption(fit_to_cell(fade(item.image), [(item.true, LABELLED)]), ""),
        *(mask_cell(item.image, mask, item.true) for mask in item.masks),
    ]


def mask_cell(image: UInt8, mask: Bools | None, true: Bools) -> UInt8:
    """Return the cell of a mask: found, false and missed pixels over the faded photograph."""
    if mask is None:
        return add_caption(np.full_like(fit_to_cell(image, []), 255), "not run")
    layers = [(true & ~mask, MISSED), (mask & ~true, FALSE), (mask & true, FOUND)]
    return add_caption(fit_to_cell(fade(image), layers), f"F1 {100 * compare(mask, true).f1:.0f}")


def legend(width_px: int) -> UInt8:
    """Return a line that explains the colours."""
    line = text_line("", width_px)
    left = LEFT_PX
    for colour, text in ((FOUND, "found"), (FALSE, "false"), (MISSED, "missed")):
        cv2.rectangle(line, (left, 5), (left + 14, 19), colour, -1)
        draw_text(line, text, left + 20)
        left += 96
    return line
