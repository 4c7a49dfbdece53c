"""A raster read ahead: decoded in bands of rows by several threads, each band once as a rule.

A scan goes from top to bottom and asks for windows that overlap: cells see beyond their strip, and
what is carried back looks at the strip again.  Here what is asked for is put together from bands
that are there already; the next ones are decoded meanwhile.  Whoever reads tells which strip comes:
then bands are forgotten that lie above all that the last strips have asked for.  Memory is that of
a strip, of what is read around it, and of the next one.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, UInt8
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Index, Pixels, Raster, RasterInfo, reflect_window
from crackcli.threads import ThreadPool, thread_count

BLOCK_ROWS = 512  # about, of rows that are decoded together
ABOVE_PX = 256  # above a strip, which is read at the least before it is known
REMEMBERED_STRIPS = 2  # that tell how far above a strip is read: the first one of a scan reads further
SWAPPED_BLOCK_ROWS = 4096  # where rows are columns of the file, each of which takes all of it


@dataclass
class DecodedRows:
    """Rows of a raster: ``rgb`` (rows, cols, 3), ``valid`` (rows, cols), None where all pixels are
    valid, and what must be done before they are."""

    rgb: UInt8
    valid: Bools | None
    parts: list[Future] = field(default_factory=list)

    def wait(self) -> None:
        """Until all is there; what went wrong is raised."""
        for part in self.parts:
            part.result()
        self.parts = []


class ReadAhead:
    """A raster opened for reading windows from top to bottom, read like a `Raster`; use as a
    context manager."""

    def __init__(self, info: RasterInfo, threads: int | None = None) -> None:
        self.info, self.threads = info, threads or thread_count()
        self.blocks: dict[int, DecodedRows] = {}
        self.strip = Window(0, 0, 0, info.cols)  # that is worked on
        self.above = deque([ABOVE_PX], REMEMBERED_STRIPS)  # rows that were read above the last strips

    def __enter__(self) -> "ReadAhead":
        with Raster(self.info) as raster:
            self.in_parts, self.pieces = raster.in_parts, raster.pieces
            block = raster.block[0] if self.in_parts else BLOCK_ROWS
        self.block_rows = SWAPPED_BLOCK_ROWS if raster.turn.swap else max(1, BLOCK_ROWS // block) * block
        self.crew = ThreadPool(lambda: Raster(self.info), self.threads if self.in_parts else 1)
        self.crew.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.crew.__exit__(*exception)

    def begin_strip(self, strip: Window) -> None:
        """Forget the bands that lie further above a full-width window than what was read above the
        last ones; all bands where it comes before these."""
        if strip.row < self.strip.row:
            self.blocks.clear()
            self.above.clear()
        top = (strip.row - max([ABOVE_PX, *self.above])) // self.block_rows
        self.blocks = {number: band for number, band in self.blocks.items() if number >= top}
        self.strip = strip
        self.above.append(0)

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the raster: what lies outside is reflected from inside."""
        valid = np.ones(window.shape, bool)
        rgb = np.empty((*window.shape, 3), np.uint8)
        self.assemble(window, rgb, valid if self.info.masked else None)
        return Pixels(rgb, valid)

    def read_rgb(self, window: Window) -> UInt8:
        """The same without validity."""
        rgb = np.empty((*window.shape, 3), np.uint8)
        self.assemble(window, rgb, None)
        return rgb

    def read_valid(self, window: Window) -> Bools:
        """Only which pixels are valid, of a window that may reach beyond the raster."""
        valid = np.ones(window.shape, bool)
        if self.info.masked:
            self.assemble(window, None, valid)
        return valid

    def assemble(self, window: Window, rgb: UInt8 | None, valid: Bools | None) -> None:
        """Fill the arrays that are given (rows, cols, ...) with a window."""
        inside, (row_index, col_index) = reflect_window(window, self.info.rows, self.info.cols)
        if inside != window.clipped(self.info.rows, self.info.cols):  # most of it lies outside
            pixels = self.read(inside)
            for whole, part in ((rgb, pixels.rgb), (valid, pixels.valid)):
                if whole is not None:
                    whole[:] = part[row_index][:, col_index]
            return
        for band, part, within in self.blocks_of(inside):
            at = part.within(window)
            if rgb is not None:
                rgb[at] = band.rgb[within]
            if valid is not None:
                valid[at] = band.valid[within]
        for array in (rgb, valid):
            if array is not None:
                fill_by_reflection(array, inside.within(window), row_index, col_index)
        self.decode_ahead(inside.end_row)

    def blocks_of(self, window: Window) -> Iterator[tuple[DecodedRows, Window, tuple[slice, slice]]]:
        """The bands of a window inside the raster: each with the part of the window that lies in
        it, and where that is in the band."""
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
        """Where a band lies."""
        row = number * self.block_rows
        return Window(row, 0, min(self.block_rows, self.info.rows - row), self.info.cols)

    def start_decoding(self, number: int) -> None:
        """Have a band decoded, unless that is done or under way."""
        if number not in self.blocks:
            window = self.block_window(number)
            band = DecodedRows(
                np.zeros((*window.shape, 3), np.uint8),
                np.zeros(window.shape, bool) if self.info.masked else None,
            )
            for piece in self.pieces(window) if self.in_parts else [window]:
                at = piece.within(window)
                valid = None if band.valid is None else band.valid[at]
                band.parts.append(self.crew.submit(partial(decode, piece, band.rgb[at], valid)))
            self.blocks[number] = band

    def decode_ahead(self, end_row: int) -> None:
        """Begin with the bands below a row that the next strip will ask for."""
        ahead = min(end_row + self.strip.rows, self.info.rows)
        for number in range(end_row // self.block_rows, -(-ahead // self.block_rows)):
            self.start_decoding(number)


def decode(piece: Window, rgb: UInt8, valid: Bools | None, raster: Raster) -> None:
    """A part of a raster into arrays that are there for it."""
    if raster.info.orientation == 1:
        raster.read_piece(piece, rgb, valid)
        return
    pixels = raster.read_inside(piece)
    rgb[:] = pixels.rgb
    if valid is not None:
        valid[:] = pixels.valid


def fill_by_reflection(array: NDArray, inside: tuple[slice, slice], rows: Index, cols: Index) -> None:
    """Fill an array (rows, cols, ...) around the part that lies ``inside`` from it; ``rows`` and
    ``cols`` tell which rows and columns of the part come where in the array."""
    for axis, (part, index) in enumerate(zip(inside, (rows, cols), strict=True)):
        if isinstance(index, slice):
            continue
        across = array.swapaxes(0, axis)
        for rim in (slice(0, part.start), slice(part.stop, None)):
            across[rim] = across[part.start + index[rim]]
