"""Find which pixels of a raster are of the wall, beyond what its file says.

* A flat border is not, although the file declares no nodata (`crackcli.rasters.validity.border`).
* Pixels with the declared nodata value are, where the wall encloses them: black is often declared
  although the darkest parts of cracks are black. Nodata is `THICK_PX` thick, where all that lies
  outside the raster counts as nodata, and what is near such parts.

The raster is read once in windows of its own blocks, unless nothing can be found: a border without
declared nodata reaches a corner. What is kept has a few bytes per cell. The result does not depend
on the windows in which it is used later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.rasters.grid import Window
from crackcli.rasters.validity.bits import SparseBits, tiles_of
from crackcli.rasters.validity.border import (
    THICK_PX,
    Border,
    border_pixels,
    find_borders,
    reach_px,
)
from crackcli.rasters.validity.cells import BLACK, WHITE, Cells, at_pixels, dilate, open_by

WINDOW_PX = 2**22  # pixels that are read at once, about
NEAR_PX = 16  # of thick nodata, for its rounded corners, and of the edge
MIN_ROWS = 256  # of files whose blocks are lower


class StoredPixels(Protocol):
    """An opened raster that is read as its file stores it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Return the rows and columns of the file."""
        ...

    @property
    def block(self) -> tuple[int, int]:
        """Return the rows and columns of a block of the file."""
        ...

    def read_stored(self, window: Window) -> tuple[UInt8, Bools | None]:
        """Return the colours (rows, cols, 3) and the valid pixels (rows, cols), None if all are."""
        ...


@dataclass(frozen=True, eq=False)
class Validity:
    """What the file of a raster does not say about its pixels, as the file stores them.

    ``border`` holds those of a flat border; ``nodata`` (R, C) the cells of ``side`` px where the
    declared nodata value means nodata, None: everywhere. ``notes`` say in words what was found.
    """

    border: SparseBits
    nodata: Bools | None
    side: int
    notes: tuple[str, ...]

    def of(self, window: Window, declared: Bools) -> Bools:
        """Return the valid pixels (rows, cols) of a window; ``declared`` are those by the file."""
        if self.nodata is not None:
            declared = declared | ~at_pixels(self.nodata, self.side, window)
        return declared & ~self.border.read(window)

    def reduced(self, declared: Bools) -> Bools:
        """Return the valid pixels (R, C) of the whole raster at a lower resolution, like `of`."""
        rows, cols = (
            np.arange(count) * side // count
            for count, side in zip(declared.shape, self.border.shape, strict=True)
        )
        if self.nodata is not None:
            cells = np.ix_(rows // self.side, cols // self.side)
            declared = declared | ~self.nodata[cells]
        return declared & ~self.border.sample(rows, cols)


def find_validity(raster: StoredPixels, *, by_value: bool) -> Validity | None:
    """Return what the file of a raster does not say about its pixels; None if there is nothing.

    ``by_value`` is True if a declared value of the pixels means nodata.
    """
    cells = Cells.of_shape(raster.shape)
    if not may_differ(raster, cells):
        return None
    for window in windows(raster, cells.side):
        cells.add(window, *raster.read_stored(window))
    pixels, notes = raster.shape[0] * raster.shape[1], []
    empty, nodata = cells.empty, None
    if by_value and cells.missing.any():
        nodata = thick_nodata(cells)
        enclosed = cells.missing[~nodata].sum() / cells.whole * cells.side**2
        empty &= nodata
        if enclosed:
            notes.append(
                f"{percent(enclosed / pixels)} of it has the nodata value but is enclosed in the "
                "wall, as the black inside of cracks is, and counts as pixels"
            )
        else:
            nodata = None
    borders, border = find_borders(cells, empty), SparseBits(raster.shape)
    for tile in border_tiles(cells, borders):
        border.put(tile, border_of(tile, raster, cells, borders))
    if borders:
        colours = " and ".join(dict.fromkeys(name_of(each.colour) for each in borders))
        notes.append(
            f"its flat {colours} border, {percent(border.count() / pixels)} of it, is nodata"
        )
    return Validity(border, nodata, cells.side, tuple(notes)) if notes else None


def may_differ(raster: StoredPixels, cells: Cells) -> bool:
    """Return False if all pixels are valid by the file and no corner is flat, so that there is no
    border; ``cells`` are filled there."""
    for corner in cells.corners():
        rgb, valid = raster.read_stored(corner)
        cells.add(corner, rgb, valid)
        if valid is not None or cells.flat.any():
            return True
    return False


def windows(raster: StoredPixels, side: int) -> Iterator[Window]:
    """Yield windows that cover a raster, of whole blocks of its file and whole cells."""
    rows, cols = raster.shape
    high, wide = (
        min(length, block) if block % side == 0 or block >= length else block * side
        for length, block in zip(raster.shape, raster.block, strict=True)
    )
    high *= max(1, MIN_ROWS // high)
    high += -high % side
    step = max(1, WINDOW_PX // (high * wide)) * wide
    step += -step % side
    for row in range(0, rows, high):
        for col in range(0, cols, step):
            yield Window(row, col, high, step).clipped(rows, cols)


def thick_nodata(cells: Cells) -> Bools:
    """Return the cells (R, C) in which the declared value means nodata."""
    near = cells.px(NEAR_PX)
    nodata = dilate(open_by(cells.empty, cells.px(THICK_PX) | 1), near)
    nodata[:near] = nodata[-near:] = nodata[:, :near] = nodata[:, -near:] = True
    return nodata


def border_tiles(cells: Cells, borders: list[Border]) -> Iterator[Window]:
    """Yield the tiles of `SparseBits` that may hold pixels of a border."""
    if not borders:
        return
    near = dilate(np.any([each.cells for each in borders], axis=0), cells.px(reach_px(cells)))
    for tile in tiles_of(Window(0, 0, *cells.shape)):
        if cells.window(near, tile.clipped(*cells.shape)).any():
            yield tile


def border_of(tile: Window, raster: StoredPixels, cells: Cells, borders: list[Border]) -> Bools:
    """Return the pixels (rows, cols) of a tile that are of a border."""
    inner = tile.clipped(*raster.shape)
    if any(cells.window(each.cells, inner).all() for each in borders):
        return np.ones(inner.shape, bool)
    outer = inner.grown(reach_px(cells)).clipped(*raster.shape)
    return border_pixels(borders, cells, outer, inner, raster.read_stored(outer)[0])


def name_of(colour: UInt8) -> str:
    """Return a colour (3,) in words."""
    if colour.max() <= BLACK:
        return "black"
    return "white" if colour.min() >= WHITE else "#" + bytes(colour).hex()


def percent(fraction: float) -> str:
    """Return a fraction as a percentage of two digits."""
    return f"{100 * fraction:.2g} %"
