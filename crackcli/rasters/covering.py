"""Rectangles of cells: how flagged ones are covered by few windows.  Integers only, no pixels."""

from collections.abc import Iterator

import numpy as np

from crackcli.arrays import Bools, Float32
from crackcli.rasters.grid import Window


def grow_within(window: Window, by: int, limit: Window) -> Window:
    """A window with ``by`` more on each side, as far as ``limit`` goes; of no size where they do
    not meet."""
    row, col = max(window.row - by, limit.row), max(window.col - by, limit.col)
    end_row = min(window.end_row + by, limit.end_row)
    end_col = min(window.end_col + by, limit.end_col)
    return Window(row, col, max(0, end_row - row), max(0, end_col - col))


def cover(flags: Bools, most: int, halo: int) -> Iterator[Window]:
    """Windows that hold every flagged cell once, and as little else as is worth it.

    A window and its ``halo`` on each side have at most ``most`` cells, or it is one cell.  Where
    nothing is flagged for longer than two halos, windows end.
    """
    waiting = [Window(0, 0, *flags.shape)]
    while waiting:
        part = bounding_window(flags, waiting.pop())
        if part is None:
            continue
        pieces = split_at_gap(flags, part, 2 * halo + 1) or split_evenly(part, most, halo)
        if len(pieces) == 1:
            yield part
        waiting += pieces[::-1] if len(pieces) > 1 else []


def bounding_window(flags: Bools, window: Window) -> Window | None:
    """The smallest window around what is flagged in one."""
    inside = flags[window.within(Window(0, 0, *flags.shape))]
    rows, cols = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return Window(
        window.row + int(rows[0]),
        window.col + int(cols[0]),
        int(rows[-1] - rows[0]) + 1,
        int(cols[-1] - cols[0]) + 1,
    )


def split_at_gap(flags: Bools, window: Window, gap: int) -> list[Window]:
    """The parts before and behind the first ``gap`` rows or columns without a flag, if any."""
    inside = flags[window.within(Window(0, 0, *flags.shape))]
    for axis in (1, 0):
        there = np.flatnonzero(inside.any(axis=axis))
        wide = np.flatnonzero(np.diff(there) > gap)
        if len(wide):
            end, start = int(there[wide[0]]) + 1, int(there[wide[0] + 1])
            first = (end, window.cols) if axis == 1 else (window.rows, end)
            more = (start, 0) if axis == 1 else (0, start)
            return [
                Window(window.row, window.col, *first),
                Window(
                    *(window.row + more[0], window.col + more[1]),
                    *(window.rows - more[0], window.cols - more[1]),
                ),
            ]
    return []


def split_evenly(window: Window, most: int, halo: int) -> list[Window]:
    """About equal parts that have at most ``most`` cells with their halos, so that all of them
    together have as few as possible."""
    best: tuple[int, int, int] | None = None
    for down in range(1, window.rows + 1):
        rows = -(-window.rows // down)
        longest = min(window.cols, most // (rows + 2 * halo) - 2 * halo)
        if longest < 1 and down < window.rows:
            continue
        across = -(-window.cols // max(1, longest))
        cols = -(-window.cols // across)
        cost = down * across * (rows + 2 * halo) * (cols + 2 * halo)
        if best is None or cost < best[0]:
            best = cost, rows, cols
    _, rows, cols = best
    return [
        Window(
            *(window.row + row, window.col + col),
            *(min(rows, window.rows - row), min(cols, window.cols - col)),
        )
        for row in range(0, window.rows, rows)
        for col in range(0, window.cols, cols)
    ]


def halve(window: Window) -> list[Window]:
    """Two parts of a window of more than one cell, cut across its longer side."""
    row, col, rows, cols = window.row, window.col, window.rows, window.cols
    if rows >= cols:
        return [
            Window(row, col, rows // 2, cols),
            Window(row + rows // 2, col, -(-rows // 2), cols),
        ]
    return [Window(row, col, rows, cols // 2), Window(row, col + cols // 2, rows, -(-cols // 2))]


def rectangles(flags: Bools) -> Iterator[Window]:
    """Windows that hold every flagged cell once and nothing else: runs of cells in a row, together
    with the same runs in the rows below."""
    begun: dict[tuple[int, int], int] = {}
    for row in range(len(flags) + 1):
        line = np.zeros(flags.shape[1] + 2, np.int8)
        if row < len(flags):
            line[1:-1] = flags[row]
        steps = np.diff(line)
        starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        runs = {(int(a), int(b)) for a, b in zip(starts, ends, strict=True)}
        for run in sorted(begun.keys() - runs):
            first = begun.pop(run)
            yield Window(first, run[0], row - first, run[1] - run[0])
        for run in runs - begun.keys():
            begun[run] = row


def count_squares(flags: Bools, side: int) -> Float32:
    """How many of the flagged squares (h, w) of ``side`` cells lie over each cell: (h + side - 1,
    w + side - 1)."""
    total = np.pad(flags.astype(np.float32), side)
    total = total.cumsum(axis=0).cumsum(axis=1)
    inner = (
        total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    )
    return inner[: len(flags) + side - 1, : flags.shape[1] + side - 1]
