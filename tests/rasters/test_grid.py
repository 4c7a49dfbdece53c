"""Each pixel belongs to one block, whatever the size of the raster."""

import numpy as np
import pytest

from crackcli.errors import UsageError
from crackcli.rasters.grid import Grid, Window


@pytest.mark.parametrize(
    ("rows", "cols", "core_px", "halo_px"),
    [(32, 32, 64, 32), (333, 517, 96, 64), (1000, 31, 128, 0), (65, 4097, 512, 128)],
)
def test_each_pixel_belongs_to_one_block(rows, cols, core_px, halo_px):
    blocks = np.zeros((rows, cols), int)

    for strip in Grid(rows, cols, core_px, halo_px):
        for block in strip.blocks:
            blocks[block.core.within(Window(0, 0, rows, cols))] += 1

    assert (blocks == 1).all()


def test_tile_positions_of_all_blocks_lie_on_one_lattice():
    for strip in Grid(333, 517, 96, 64):
        for block in strip.blocks:
            assert (block.core.row % 32, block.core.col % 32) == (0, 0)
            assert (block.padded.row % 32, block.padded.col % 32) == (0, 0)
            assert (block.padded.rows % 32, block.padded.cols % 32) == (0, 0)


def test_a_block_has_its_halo_on_each_side():
    for strip in Grid(333, 517, 96, 64):
        for block in strip.blocks:
            assert block.core.row - block.padded.row == 64
            assert block.padded.end_row - block.core.end_row >= 64
            assert block.padded.end_col - block.core.end_col >= 64


def test_the_crop_selects_the_core():
    (strip,) = Grid(40, 100, 128, 32)
    (block,) = strip.blocks
    padded = np.arange(block.padded.rows * block.padded.cols).reshape(block.padded.shape)

    core = padded[block.crop]

    assert core.shape == (40, 100)
    assert core[0, 0] == padded[32, 32]


def test_no_block_is_a_sliver():
    grid = Grid(520, 520, 512, 0)

    assert [rows for _, rows in grid.row_spans] == [288, 232]


@pytest.mark.parametrize(
    ("core_px", "halo_px", "message"),
    [
        (100, 0, "--core-px 100: must be a multiple of 32; use 128"),
        (1, 0, "use 32"),
        (64, 20, "halo_px 20: must be a multiple of 32; use 32"),
    ],
)
def test_sizes_off_the_lattice_are_refused(core_px, halo_px, message):
    with pytest.raises(UsageError, match=message):
        Grid(100, 100, core_px, halo_px)


def test_a_window_can_be_grown_and_clipped():
    window = Window(5, 10, 20, 30).grown(10)

    assert window == Window(-5, 0, 40, 50)
    assert window.clipped(25, 45) == Window(0, 0, 25, 45)
