"""Find the flat border of a raster: the black collar of a rotated orthophoto, a frame, grey fill.

A border has one colour, is flat, reaches the edge of the raster or declared nodata, somewhere a
corner, and ends abruptly. So black in the middle is no border, nor a burnt-out patch at the edge,
nor a shadow or a sky that fades into the wall, nor a black crack that runs out of the photograph: a
border is `THICK_PX` thick, where all that lies outside the raster counts as border.

It is found among small cells (`crackcli.rasters.validity.cells`), then pixel by pixel: beside it,
JPEG makes pixels that have nearly its colour, and warping mixes it with the wall.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.rasters.grid import Window
from crackcli.rasters.validity.cells import (
    BLACK,
    BRIGHT_SPREAD,
    OTHER_SPREAD,
    SPREAD,
    WHITE,
    Cells,
    dilate,
    largest,
    open_by,
)

THICK_PX = 32
MIN_AT_EDGE_PX = 32  # along the edge
MIN_SIDE_PX = 128  # of a raster; in a smaller one, border and wall are not told apart
MOST_COLOURS = 3
ABRUPT = 24  # levels between the border and what lies `BESIDE_PX` from it, at least
BESIDE_PX = 16  # and up to two cells more

BLURRED_PX = 16  # from the border's cells: two blocks of JPEG, one with halved colours
NEARLY = 32  # levels by which a channel may differ there
MIXED_PX = 2  # beside all these


@dataclass(frozen=True, eq=False)
class Border:
    """A flat border: its colour (3,) and its cells (R, C)."""

    colour: UInt8
    cells: Bools


def find_borders(cells: Cells, empty: Bools) -> list[Border]:
    """Return the flat borders of a raster; ``empty`` (R, C) are cells of declared nodata."""
    found: list[Border] = []
    if min(cells.shape) < MIN_SIDE_PX:
        return found
    for colour in edge_colours(cells, empty):
        region = connected_to_edge(alike(cells, colour) & ~empty, empty)
        region &= open_by(region | empty, cells.px(THICK_PX) | 1)
        border = Border(colour, region)
        if at_edge(region, empty).sum() * cells.side >= MIN_AT_EDGE_PX and is_abrupt(
            border, cells, empty
        ):
            found.append(border)
    return found


def edge_colours(cells: Cells, empty: Bools) -> Iterator[UInt8]:
    """Yield the most frequent colours (3,) of flat cells at the edge that reach a corner, no two of
    them alike; beside declared nodata, any."""
    waiting = at_edge(cells.flat & ~empty, empty)
    corners = np.zeros_like(empty)
    corners[:: len(empty) - 1, :: empty.shape[1] - 1] = True
    corners |= dilate(empty, 1) if empty.any() else False
    for _ in range(MOST_COLOURS):
        at_corner = waiting & corners
        if not at_corner.any():
            return
        colours, counts = np.unique(cells.colour[at_corner], axis=0, return_counts=True)
        colour = colours[np.argmax(counts)]
        yield colour
        waiting &= ~alike(cells, colour)


def at_edge(flags: Bools, empty: Bools) -> Bools:
    """Return the flags (R, C) at the edge of the raster or beside ``empty`` cells."""
    edge = dilate(empty, 1) if empty.any() else np.zeros_like(empty)
    edge[0] = edge[-1] = edge[:, 0] = edge[:, -1] = True
    return flags & edge


def alike(cells: Cells, colour: UInt8) -> Bools:
    """Return the flat cells (R, C) of about one colour."""
    if colour.max() <= BLACK:
        spread = SPREAD
    else:
        spread = BRIGHT_SPREAD if colour.min() >= WHITE else OTHER_SPREAD
    found = cells.flat.copy()
    difference = np.abs(cells.colour[found].astype(np.int16) - colour)
    found[found] = difference.max(axis=1) <= spread
    return found


def connected_to_edge(flags: Bools, empty: Bools) -> Bools:
    """Return the flags (R, C) whose connected area reaches the edge or ``empty`` cells."""
    count, labels = cv2.connectedComponents(flags.view(np.uint8), connectivity=4)
    reached = np.zeros(count, bool)
    reached[labels[at_edge(flags, empty)]] = True
    reached[0] = False
    return np.asarray(reached[labels], np.bool_)


def is_abrupt(border: Border, cells: Cells, empty: Bools) -> bool:
    """Return True if most of what lies beside a border differs clearly from it."""
    reach = cells.px(BESIDE_PX)
    near, far = (dilate(border.cells, by) for by in (reach, reach + 2))
    beside = cells.colour[far & ~near & ~empty]
    if not len(beside):
        return False
    difference = np.abs(beside.astype(np.int16) - border.colour).max(axis=1)
    return bool(np.median(difference) >= ABRUPT)


def border_pixels(
    borders: list[Border], cells: Cells, window: Window, inner: Window, rgb: UInt8
) -> Bools:
    """Return the border pixels (rows, cols) of ``inner``.

    ``rgb`` (rows, cols, 3) are the pixels of ``window``, which contains it and its surroundings of
    `reach_px`.
    """
    flags = np.zeros(window.shape, bool)
    for border in borders:
        core = cells.window(border.cells, window)
        colour = np.broadcast_to(border.colour, rgb.shape)
        nearly = largest(np.maximum(rgb, colour) - np.minimum(rgb, colour)) <= NEARLY
        flags |= core | dilate(core, blurred_px(cells)) & nearly
    return dilate(flags, MIXED_PX)[inner.within(window)]


def blurred_px(cells: Cells) -> int:
    """Return how far from the cells of a border its pixels may lie: those of JPEG, and those in
    cells of which only a part is border."""
    return BLURRED_PX + 2 * cells.side


def reach_px(cells: Cells) -> int:
    """Return how far from a pixel others decide whether it is of a border."""
    return blurred_px(cells) + MIXED_PX
