"""Feature cells and tiles of a raster: windows of integers, no pixel values.

Rows and columns are those of cells; cell (0, 0) is the raster's upper left corner. A tile is named
by its first cell. Tiles whose centres lie on the edge of the raster count, so the lattice of cells
extends half a tile beyond each edge.
"""

from dataclasses import dataclass

from crackcli.engines.engine import EngineFacts
from crackcli.rasters.covering import grow_within
from crackcli.rasters.grid import Grid, Window


@dataclass(frozen=True)
class Lattice:
    """The sizes of a network's cells and tiles, and the windows that follow from them.

    ``stride_px`` is the side of a cell, ``tile`` the side of a tile in cells, ``reach_px`` the
    receptive-field radius of a cell: pixels further from its square do not change it.
    """

    stride_px: int
    tile: int
    reach_px: int

    @classmethod
    def of(cls, facts: EngineFacts) -> "Lattice":
        """Return the lattice of an engine."""
        return cls(facts.stride_px, facts.tile_px // facts.stride_px, facts.reach_px)

    @property
    def reach(self) -> int:
        """The receptive-field radius in cells, rounded up."""
        return -(-self.reach_px // self.stride_px)

    @property
    def edge(self) -> int:
        """Cells that the lattice extends beyond each edge of the raster: half a tile."""
        return self.tile // 2

    @property
    def rows_below(self) -> int:
        """Rows of cells below a strip that the attribution of its pixels depends on.

        Cells within the reach of the strip send relevance to its pixels; the tiles over these
        cells extend ``tile - 1`` further.
        """
        return self.tile - 1 + self.reach

    def cells_of_raster(self, grid: Grid) -> Window:
        """Return all cells of a raster: those of its pixels, and half a tile beyond each edge."""
        return self.cells_of(Window(0, 0, grid.rows, grid.cols)).grown(self.edge)

    def tiles_of_raster(self, grid: Grid) -> Window:
        """Return all tiles of a raster."""
        cells = self.cells_of_raster(grid)
        return Window(cells.row, cells.col, *(side - self.tile + 1 for side in cells.shape))

    def cells_of_strip(self, index: int, grid: Grid, rows_below: int) -> Window:
        """Return the cells to compute for strip ``index``: those not computed for the strips above
        it, down to ``rows_below`` rows below it. The last strips may have no rows left."""
        all_cells = self.cells_of_raster(grid)
        row, rows = grid.row_spans[index]
        own = self.cells_of(Window(row, 0, rows, grid.cols))
        first = all_cells.row if index == 0 else min(own.row + rows_below, all_cells.end_row)
        end = min(own.end_row + rows_below, all_cells.end_row)
        return Window(first, all_cells.col, end - first, all_cells.cols)

    def cells_under(self, tiles: Window) -> Window:
        """Return all cells that lie under some of the tiles."""
        return Window(tiles.row, tiles.col, *(side + self.tile - 1 for side in tiles.shape))

    def tiles_touching(self, cells: Window) -> Window:
        """Return all tiles over some of the cells, even beyond the edge of the lattice."""
        more = self.tile - 1
        return Window(cells.row - more, cells.col - more, cells.rows + more, cells.cols + more)

    def tiles_over(self, cells: Window, grid: Grid) -> Window:
        """Return all tiles of a raster over some of the cells."""
        return grow_within(self.tiles_touching(cells), 0, self.tiles_of_raster(grid))

    def tiles_centred_on(self, cells: Window) -> Window:
        """Return the tiles whose centres are the upper left corners of the cells."""
        return Window(cells.row - self.edge, cells.col - self.edge, *cells.shape)

    def centres_of(self, tiles: Window) -> Window:
        """Return the cells whose upper left corners are the centres of the tiles."""
        return Window(tiles.row + self.edge, tiles.col + self.edge, *tiles.shape)

    def cells_of(self, pixels: Window) -> Window:
        """Return the cells of a window of pixels that begins on a cell."""
        rows, cols = (-(-side // self.stride_px) for side in pixels.shape)
        return Window(pixels.row // self.stride_px, pixels.col // self.stride_px, rows, cols)

    def pixels_of(self, cells: Window) -> Window:
        """Return the pixels in the squares of the cells."""
        return Window(*(side * self.stride_px for side in (cells.row, cells.col, *cells.shape)))

    def receptive_field(self, cells: Window) -> Window:
        """Return the pixels that the cells depend on."""
        return self.pixels_of(cells).grown(self.reach_px)

    def area_with_halo(self, cells: Window) -> int:
        """Return the number of cells in a window and within the reach around it."""
        return (cells.rows + 2 * self.reach) * (cells.cols + 2 * self.reach)
