"""Compose sheets of images with OpenCV: cells, captions and lines of text."""

from collections.abc import Sequence

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.figures.chart import FONT, Colour
from crackcli.texts import printable

CELL_PX = 224
GAP_PX = 4
TEXT_LINE_PX = 26  # height of a line of text
FADED = 0.55  # fraction of white of a photograph behind a mask
MIN_FRACTION = 0.15  # of a reduced pixel that is marked: less is not coloured
BLACK = (20, 20, 20)
SCALE = 0.5  # of the font
LEFT_PX = 4  # margin of a text
WHITE = 255


def fade(image: UInt8) -> UInt8:
    """Return the photograph in grey, faded towards white by `FADED`."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    faded: UInt8 = np.rint(grey + FADED * (255.0 - grey)).astype(np.uint8)
    return faded


def fit_to_cell(image: UInt8, layers: Sequence[tuple[Bools, Colour]]) -> UInt8:
    """Return an image scaled to a cell without distortion, with masks drawn over it in colours.

    Later layers cover earlier ones. Thin parts of a mask survive the reduction (`MIN_FRACTION`).
    """
    rows, cols = image.shape[:2]
    factor = CELL_PX / max(rows, cols)
    size = max(1, round(cols * factor)), max(1, round(rows * factor))
    resampling = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    small: UInt8 = np.asarray(cv2.resize(image, size, interpolation=resampling), np.uint8)
    for mask, colour in layers:
        marked = np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=resampling))
        small[marked > MIN_FRACTION] = colour
    left = (CELL_PX - size[0]) // 2
    return np.pad(small, ((0, 0), (left, CELL_PX - size[0] - left), (0, 0)), constant_values=WHITE)


def add_caption(cell: UInt8, text: str) -> UInt8:
    """Return a cell with a line of text below it."""
    return np.vstack([cell, text_line(text, cell.shape[1])])


def text_line(text: str, width_px: int) -> UInt8:
    """Return a line of text on white."""
    line = np.full((TEXT_LINE_PX, width_px, 3), WHITE, np.uint8)
    draw_text(line, text, LEFT_PX)
    return line


def draw_text(line: UInt8, text: str, left: int) -> None:
    """Draw text onto a line, smaller if it would not fit."""
    text = printable(text)  # OpenCV crashes on bytes that are not UTF-8
    (width, _), _ = cv2.getTextSize(text, FONT, SCALE, 1)
    scale = min(SCALE, SCALE * (line.shape[1] - left) / max(width, 1))
    cv2.putText(line, text, (left, TEXT_LINE_PX - 8), FONT, scale, BLACK, 1, cv2.LINE_AA)


def join_images(images: Sequence[UInt8], axis: int) -> UInt8:
    """Join images along ``axis`` (0: below each other), with thin white gaps."""
    shape = list(images[0].shape)
    shape[axis] = GAP_PX
    gap = np.full(shape, WHITE, np.uint8)
    parts = [part for image in images for part in (image, gap)][:-1]
    return np.concatenate(parts, axis=axis)
