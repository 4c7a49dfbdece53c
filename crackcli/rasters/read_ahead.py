"""Read a raster ahead: several threads decode blocks of rows, as a rule each block once.

A scan goes from top to bottom and asks for overlapping windows: receptive fields extend beyond a
strip, and relevance is propagated back to the same strip. `ReadAhead` assembles each window from
decoded blocks and decodes the next ones meanwhile. `ReadAhead.begin_strip` drops the blocks above
all that the last strips have read. Memory is that of a strip with its surroundings and the next
strip.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, UInt8
from crackcli.rasters.grid import Index, Window, reflect_window
from crackcli.rasters.reader import Pixels, Raster, RasterInfo
from crackcli.threads import ThreadPool, thread_count

BLOCK_ROWS = 512  # about as many rows are decoded together
ABOVE_PX = 256  # rows above a strip that are kept at least; its real need is not known yet
REMEMBERED_STRIPS = 2  # decide how many rows are kept: the first strip of a scan reads more
SWAPPED_BLOCK_ROWS = 4096  # rows that are columns of the file: decoding any takes the whole file


@dataclass
class DecodedRows:
    """A block of rows: ``rgb`` (rows, cols, 3) and ``valid`` (rows, cols), None if all are valid.

    ``parts`` are the tasks that fill the arrays.
    """

    rgb: UInt8
    valid: Bools | None
    parts: list[Future[None]] = field(default_factory=list)

    def wait(self) -> None:
        """Wait until all parts are decoded; raise their first exception."""
        for part in self.parts:
            part.result()
        self.parts = []


class ReadAhead:
    """A raster opened for reading from top to bottom, like a `Raster`; a context manager."""

    zoom = 1.0
    keeps_decoded = True

    def __init__(self, info: RasterInfo, threads: int | None = None) -> None:
        self.info, self.threads = info, threads or thread_count()
        self.blocks: dict[int, DecodedRows] = {}
        self.strip = Window(0, 0, 0, info.cols)  # the current one
        self.above = deque([ABOVE_PX], REMEMBERED_STRIPS)  # rows read above the last strips

    def __enter__(self) -> "ReadAhead":
        with Raster(self.info) as raster:
            self.in_parts, self.pieces = raster.in_parts, raster.pieces
            block = raster.block[0] if self.in_parts else BLOCK_ROWS
        self.block_rows = (
            SWAPPED_BLOCK_ROWS if raster.orientation.swap else max(1, BLOCK_ROWS // block) * block
        )
        self.pool = ThreadPool(lambda: Raster(self.info), self.threads if self.in_parts else 1)
        self.pool.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.pool.__exit__(*exception)

    def begin_strip(self, strip: Window) -> None:
        """Drop the blocks further above a full-width window than was read above the last ones.

        Drops all blocks if ``strip`` lies above the current one.
        """
        if strip.row < self.strip.row:
            self.blocks.clear()
            self.above.clear()
        top = (strip.row - max([ABOVE_PX, *self.above])) // self.block_rows
        self.blocks = {number: block for number, block in self.blocks.items() if number >= top}
        self.strip = strip
        self.above.append(0)

    def read(self, window: Window) -> Pixels:
        """Read a window; beyond the edges, the raster is reflected."""
        valid = np.ones(window.shape, bool)
        rgb = np.empty((*window.shape, 3), np.uint8)
        self.assemble(window, rgb, valid if self.info.masked else None)
        return Pixels(rgb, valid)

    def read_rgb(self, window: Window) -> UInt8:
        """Read the colours (rows, cols, 3) of a window like `read`."""
        rgb = np.empty((*window.shape, 3), np.uint8)
        self.assemble(window, rgb, None)
        return rgb

    def read_valid(self, window: Window) -> Bools:
        """Return the valid pixels (rows, cols) of a window like `read`."""
        valid = np.ones(window.shape, bool)
        if self.info.masked:
            self.assemble(window, None, valid)
        return valid

    def assemble(self, window: Window, rgb: UInt8 | None, valid: Bools | None) -> None:
        """Fill ``rgb`` (rows, cols, 3) and ``valid`` (rows, cols), where given, with a window."""
        inside, (row_index, col_index) = reflect_window(window, self.info.rows, self.info.cols)
        if inside != window.clipped(self.info.rows, self.info.cols):  # most of it lies outside
            pixels = self.read(inside)
            if rgb is not None:
                rgb[:] = pixels.rgb[row_index][:, col_index]
            if valid is not None:
                valid[:] = pixels.valid[row_index][:, col_index]
            return
        for block, part, within in self.blocks_of(inside):
            at = part.within(window)
            if rgb is not None:
                rgb[at] = block.rgb[within]
            if valid is not None and block.valid is not None:
                valid[at] = block.valid[within]
        for array in (rgb, valid):
            if array is not None:
                fill_by_reflection(array, inside.within(window), row_index, col_index)
        self.decode_ahead(inside.end_row)

    def blocks_of(
        self, window: Window
    ) -> Iterator[tuple[DecodedRows, Window, tuple[slice, slice]]]:
        """Yield the blocks of a window inside the raster, decoded.

        With each block: the part of the window that lies in it, and its position in the block.
        """
        self.above[-1] = max(self.above[-1], self.strip.row - window.row)
        numbers = range(window.row // self.block_rows, -(-window.end_row // self.block_rows))
        for number in numbers:
            self.start_decoding(number)
        for number in numbers:
            self.blocks[number].wait()
            rows = self.block_window(number)
            row = max(window.row, rows.row)
            part = Window(row, window.col, min(window.end_row, rows.end_row) - row, window.cols)
            yield self.blocks[number], part, part.within(rows)

    def block_window(self, number: int) -> Window:
        """Return the window of a block."""
        row = number * self.block_rows
        return Window(row, 0, min(self.block_rows, self.info.rows - row), self.info.cols)

    def start_decoding(self, number: int) -> None:
        """Start decoding a block, unless it is decoded or being decoded."""
        if number not in self.blocks:
            window = self.block_window(number)
            block = DecodedRows(
                np.zeros((*window.shape, 3), np.uint8),
                np.zeros(window.shape, bool) if self.info.masked else None,
            )
            for piece in self.pieces(window) if self.in_parts else [window]:
                at = piece.within(window)
                valid = None if block.valid is None else block.valid[at]
                block.parts.append(self.pool.submit(partial(decode, piece, block.rgb[at], valid)))
            self.blocks[number] = block

    def decode_ahead(self, end_row: int) -> None:
        """Start decoding the blocks below ``end_row`` that the next strip will need."""
        ahead = min(end_row + self.strip.rows, self.info.rows)
        for number in range(end_row // self.block_rows, -(-ahead // self.block_rows)):
            self.start_decoding(number)


def decode(piece: Window, rgb: UInt8, valid: Bools | None, raster: Raster) -> None:
    """Decode a piece of a raster into ``rgb`` (rows, cols, 3) and ``valid`` (rows, cols)."""
    if raster.info.orientation == 1:
        raster.read_piece(piece, rgb, valid)
        return
    pixels = raster.read_inside(piece)
    rgb[:] = pixels.rgb
    if valid is not None:
        valid[:] = pixels.valid


def fill_by_reflection(
    array: NDArray[Any], inside: tuple[slice, slice], rows: Index, cols: Index
) -> None:
    """Fill the rim of an array (rows, cols, ...) from the part that lies ``inside`` of it.

    ``rows`` and ``cols`` are the indices, within that part, of each position of the array.
    """
    for axis, (part, index) in enumerate(zip(inside, (rows, cols), strict=True)):
        if isinstance(index, slice):
            continue
        across = array.swapaxes(0, axis)
        for rim in (slice(0, part.start), slice(part.stop, None)):
            across[rim] = across[part.start + index[rim]]
