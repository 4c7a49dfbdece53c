"""Cover the flagged cells of an array with few rectangles. Integers only, no pixels."""

from collections.abc import Iterator

import numpy as np

from crackcli.arrays import Bools, Float32
from crackcli.rasters.grid import Window


def grow_within(window: Window, by: int, limit: Window) -> Window:
    """Return a window with ``by`` more on each side, clipped to ``limit``.

    It has no rows or no columns if the two do not overlap.
    """
    row, col = max(window.row - by, limit.row), max(window.col - by, limit.col)
    end_row = min(window.end_row + by, limit.end_row)
    end_col = min(window.end_col + by, limit.end_col)
    return Window(row, col, max(0, end_row - row), max(0, end_col - col))


def cover(flags: Bools, most: int, halo: int) -> Iterator[Window]:
    """Yield windows that contain every flagged cell once, and few other cells.

    A window with its ``halo`` on each side has at most ``most`` cells, unless it is one cell.
    Windows end at gaps of more than two halos between flagged cells.
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
    """Return the smallest window around the flagged cells of ``window``; None if there are none."""
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
    """Return the parts before and after the first gap of at least ``gap`` rows or columns.

    Returns an empty list if there is no such gap between flagged cells.
    """
    inside = flags[window.within(Window(0, 0, *flags.shape))]
    for axis in (1, 0):
        flagged = np.flatnonzero(inside.any(axis=axis))
        gaps = np.flatnonzero(np.diff(flagged) > gap)
        if len(gaps):
            end, start = int(flagged[gaps[0]]) + 1, int(flagged[gaps[0] + 1])
            first = (end, window.cols) if axis == 1 else (window.rows, end)
            offset = (start, 0) if axis == 1 else (0, start)
            return [
                Window(window.row, window.col, *first),
                Window(
                    *(window.row + offset[0], window.col + offset[1]),
                    *(window.rows - offset[0], window.cols - offset[1]),
                ),
            ]
    return []


def split_evenly(window: Window, most: int, halo: int) -> list[Window]:
    """Return about equal parts of at most ``most`` cells each, halo included.

    The number of parts along each side minimises the total number of cells with halos.
    """
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
    if best is None:
        raise ValueError(f"{window} has no rows")
    _, rows, cols = best
    return [
        Window(
            *(window.row + row, window.col + col),
            *(min(rows, window.rows - row), min(cols, window.cols - col)),
        )
        for row in range(0, window.rows, rows)
        for col in range(0, window.cols, cols)
    ]


def cover_cheaply(flags: Bools, most: int, halo: float, call: float) -> Iterator[Window]:
    """Yield windows that contain every flagged cell once, so that they cost little.

    A window costs the cells that it has with a ``halo`` on each side, and those of a ``call``; it
    has ``most`` cells at most, without its halo. It is halved as long as this lowers the cost.
    """

    def cheapest(window: Window) -> tuple[float, list[Window]]:
        part = bounding_window(flags, window)
        if part is None:
            return 0.0, []
        whole = call + (part.rows + 2 * halo) * (part.cols + 2 * halo)
        cells = part.rows * part.cols
        if cells == 1:
            return whole, [part]
        halves = [cheapest(half) for half in halve(part)]
        cost = sum(cost for cost, _ in halves)
        if cells <= most and whole <= cost:
            return whole, [part]
        return cost, [window for _, windows in halves for window in windows]

    yield from cheapest(Window(0, 0, *flags.shape))[1]


def halve(window: Window) -> list[Window]:
    """Return two parts of a window of more than one cell, cut across its longer side."""
    row, col, rows, cols = window.row, window.col, window.rows, window.cols
    if rows >= cols:
        return [
            Window(row, col, rows // 2, cols),
            Window(row + rows // 2, col, -(-rows // 2), cols),
        ]
    return [Window(row, col, rows, cols // 2), Window(row, col + cols // 2, rows, -(-cols // 2))]


def rectangles(flags: Bools) -> Iterator[Window]:
    """Yield windows that contain every flagged cell once and no other cell.

    Each window is a run of flagged cells in a row, joined with equal runs in the rows below.
    """
    begun: dict[tuple[int, int], int] = {}  # first row of each open run (start, end)
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
    """Return how many of the flagged squares (h, w) of ``side`` cells cover each cell.

    The result has shape (h + side - 1, w + side - 1).
    """
    total = np.pad(flags.astype(np.float32), side)
    total = total.cumsum(axis=0).cumsum(axis=1)
    inner = (
        total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    )
    return inner[: len(flags) + side - 1, : flags.shape[1] + side - 1]
