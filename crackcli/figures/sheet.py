"""Sheets of images: cells, captions and lines of text, by OpenCV."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8

CELL_PX = 224
GAP_PX = 4
TEXT_LINE_PX = 26  # of a line of text
FADED = 0.55  # how far a photograph behind a mask fades to white
MIN_FRACTION = 0.15  # share of a shrunk pixel that is marked, from which on it is coloured
BLACK = (20, 20, 20)
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
LEFT_PX = 4  # of a text
FRAME: dict[str, Any] = {"mode": "constant", "constant_values": 255}
Colour = tuple[int, int, int]


def fade(image: UInt8) -> UInt8:
    """The photograph in grey, half-way to white."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.rint(grey + FADED * (255.0 - grey)).astype(np.uint8)


def fit_to_cell(image: UInt8, layers: Sequence[tuple[Bools, Colour]]) -> UInt8:
    """An image as wide as a cell, or as high, whole and undistorted, with masks in colours over it;
    later ones cover earlier ones, and what is thin is not lost as it shrinks."""
    rows, cols = image.shape[:2]
    factor = CELL_PX / max(rows, cols)
    size = max(1, round(cols * factor)), max(1, round(rows * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    small = cv2.resize(image, size, interpolation=way)
    for mask, colour in layers:
        share = cv2.resize(mask.astype(np.float32), size, interpolation=way)
        small[share > MIN_FRACTION] = colour
    left = (CELL_PX - size[0]) // 2
    return np.pad(small, ((0, 0), (left, CELL_PX - size[0] - left), (0, 0)), **FRAME)


def add_caption(cell: UInt8, text: str) -> UInt8:
    """A cell with a line of text below it."""
    return np.vstack([cell, text_line(text, cell.shape[1])])


def text_line(text: str, width_px: int) -> UInt8:
    """A line of text on white."""
    line = np.full((TEXT_LINE_PX, width_px, 3), 255, np.uint8)
    draw_text(line, text, LEFT_PX)
    return line


def draw_text(line: UInt8, text: str, left: int) -> None:
    """Text onto a line, smaller where it would not fit."""
    (width, _), _ = cv2.getTextSize(text, FONT, SCALE, 1)
    scale = min(SCALE, SCALE * (line.shape[1] - left) / max(width, 1))
    cv2.putText(line, text, (left, TEXT_LINE_PX - 8), FONT, scale, BLACK, 1, cv2.LINE_AA)


def join_images(images: Sequence[UInt8], axis: int) -> UInt8:
    """Images beside or below each other, with thin white gaps."""
    shape = list(images[0].shape)
    shape[axis] = GAP_PX
    gap = np.full(shape, 255, np.uint8)
    parts = [part for image in images for part in (image, gap)][:-1]
    return np.concatenate(parts, axis=axis)
