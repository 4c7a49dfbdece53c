"""Windows contain every flagged cell once, respect the size limit, and skip gaps."""

import numpy as np
import pytest
from walls import random_mask

from crackcli.rasters.covering import (
    count_squares,
    cover,
    cover_cheaply,
    grow_within,
    halve,
    rectangles,
)
from crackcli.rasters.grid import Window


def counted(parts, shape):
    """Count the windows that cover each cell."""
    total = np.zeros(shape, int)
    for part in parts:
        total[part.within(Window(0, 0, *shape))] += 1
    return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("most", "halo"), [(64, 2), (150, 1), (10_000, 2)])
def test_every_flagged_cell_is_in_one_window_of_the_size_allowed(seed, most, halo):
    flags = random_mask(seed).astype(bool)

    parts = list(cover(flags, most, halo))

    times = counted(parts, flags.shape)
    assert times.max() <= 1
    assert times[flags].all()
    assert all((p.rows + 2 * halo) * (p.cols + 2 * halo) <= most for p in parts)


@pytest.mark.parametrize("seed", range(4))
def test_cheap_windows_contain_every_flagged_cell_once(seed):
    flags = random_mask(seed).astype(bool)

    parts = list(cover_cheaply(flags, 60, 0.75, 4))

    times = counted(parts, flags.shape)
    assert times.max() <= 1
    assert times[flags].all()
    assert all(part.rows * part.cols <= 60 for part in parts)


def test_cheap_windows_follow_scattered_cells():
    flags = np.zeros((40, 40), bool)
    flags[::8, ::8] = True
    flags[20:30, 20:30] = True

    parts = list(cover_cheaply(flags, 576, 0.75, 4))

    cost = sum(4 + (part.rows + 1.5) * (part.cols + 1.5) for part in parts)
    assert cost < 0.5 * (4 + 41.5**2)


def test_a_flagged_raster_is_cheapest_in_large_windows():
    parts = list(cover_cheaply(np.ones((48, 48), bool), 576, 0.75, 4))

    assert sorted((part.rows, part.cols) for part in parts) == [(24, 24)] * 4


def test_a_window_has_at_least_one_cell_whatever_the_limit():
    assert len(list(cover(np.ones((2, 3), bool), 1, 2))) == 6


def test_windows_end_at_long_gaps():
    flags = np.zeros((9, 40), bool)
    flags[2:5, 3:6] = flags[6, 30:34] = True

    assert set(cover(flags, 10_000, 2)) == {Window(2, 3, 3, 3), Window(6, 30, 1, 4)}


def test_no_flagged_cell_gives_no_window():
    assert not list(cover(np.zeros((5, 7), bool), 100, 2))
    assert not list(rectangles(np.zeros((5, 7), bool)))


def test_a_large_area_is_split_with_little_halo():
    parts = list(cover(np.ones((36, 80), bool), 640, 2))

    read = sum((part.rows + 4) * (part.cols + 4) for part in parts)
    assert read < 1.5 * 36 * 80  # squares of 21 cells, 640 with their halo, would take 1.42 each
    assert len({part.shape for part in parts}) <= 4


@pytest.mark.parametrize("seed", range(4))
def test_rectangles_contain_exactly_the_flagged_cells(seed):
    flags = random_mask(seed).astype(bool)

    np.testing.assert_array_equal(counted(rectangles(flags), flags.shape), flags)


def test_a_flagged_rectangle_is_one_window():
    flags = np.zeros((9, 9), bool)
    flags[2:6, 1:8] = True

    assert list(rectangles(flags)) == [Window(2, 1, 4, 7)]


@pytest.mark.parametrize("window", [Window(3, -2, 5, 4), Window(0, 0, 1, 7), Window(1, 1, 2, 1)])
def test_halves_are_the_whole(window):
    one, other = halve(window)

    assert one.rows * one.cols + other.rows * other.cols == window.rows * window.cols
    assert (one.row, one.col) == (window.row, window.col)
    assert (other.end_row, other.end_col) == (window.end_row, window.end_col)


def test_squares_that_cover_a_cell_are_counted():
    flags = random_mask(2, (7, 9)).astype(bool)
    expected = np.zeros((9, 11), np.float32)
    for row, col in np.argwhere(flags):
        expected[row : row + 3, col : col + 3] += 1

    np.testing.assert_array_equal(count_squares(flags, 3), expected)


def test_a_window_grows_up_to_the_limit_and_is_empty_outside():
    limit = Window(-4, -4, 20, 20)

    assert grow_within(Window(-3, 5, 2, 2), 3, limit) == Window(-4, 2, 6, 8)
    assert grow_within(Window(30, 0, 2, 2), 0, limit).rows == 0
