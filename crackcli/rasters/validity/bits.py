"""A mask of any size in which few parts differ from zero, compressed tile by tile."""

import zlib
from collections.abc import Iterator

import numpy as np

from crackcli.arrays import Bools, Int64
from crackcli.rasters.grid import Window

TILE_PX = 256
ALL = b""  # content of a tile whose pixels are all set


class SparseBits:
    """Flags of a raster of ``shape`` (rows, cols); those of tiles that were not put are zero."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.tiles: dict[tuple[int, int], bytes] = {}

    def put(self, tile: Window, flags: Bools) -> None:
        """Store the flags (rows, cols) of a tile, one of `tiles_of`."""
        if flags.any():
            content = ALL if flags.all() else zlib.compress(np.packbits(flags).tobytes(), 1)
            self.tiles[tile.row // TILE_PX, tile.col // TILE_PX] = content

    def count(self) -> int:
        """Return the number of flags that are set."""
        wholes = (tile_at(*place).clipped(*self.shape) for place in self.tiles)
        return sum(int(np.count_nonzero(self.read(whole))) for whole in wholes)

    def read(self, window: Window) -> Bools:
        """Return the flags (rows, cols) of a window inside the raster."""
        flags = np.zeros(window.shape, bool)
        for tile in tiles_of(window):
            content = self.tiles.get((tile.row // TILE_PX, tile.col // TILE_PX))
            if content is None:
                continue
            whole = tile.clipped(*self.shape)
            row, col = max(whole.row, window.row), max(whole.col, window.col)
            end_row = min(whole.end_row, window.end_row)
            part = Window(row, col, end_row - row, min(whole.end_col, window.end_col) - col)
            if content == ALL:
                flags[part.within(window)] = True
                continue
            packed = np.frombuffer(zlib.decompress(content), np.uint8)
            stored = np.unpackbits(packed, count=whole.rows * whole.cols).reshape(whole.shape)
            flags[part.within(window)] = stored[part.within(whole)]
        return flags

    def sample(self, rows: Int64, cols: Int64) -> Bools:
        """Return the flags (R, C) of the pixels in some rows (R,) and columns (C,), both rising."""
        flags = np.zeros((len(rows), len(cols)), bool)
        for tile_row, tile_col in self.tiles:
            whole = tile_at(tile_row, tile_col).clipped(*self.shape)
            low, high = np.searchsorted(rows, (whole.row, whole.end_row))
            left, right = np.searchsorted(cols, (whole.col, whole.end_col))
            if high > low and right > left:
                inside = np.ix_(rows[low:high] - whole.row, cols[left:right] - whole.col)
                flags[low:high, left:right] = self.read(whole)[inside]
        return flags


def tile_at(row: int, col: int) -> Window:
    """Return the window of a tile by its place in the grid of tiles."""
    return Window(row * TILE_PX, col * TILE_PX, TILE_PX, TILE_PX)


def tiles_of(window: Window) -> Iterator[Window]:
    """Yield the tiles that a window touches, in reading order; they may reach beyond the raster."""
    for row in range(window.row // TILE_PX, -(-window.end_row // TILE_PX)):
        for col in range(window.col // TILE_PX, -(-window.end_col // TILE_PX)):
            yield tile_at(row, col)
