"""gauges.png: the width at each gauge in every campaign, with error bars."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from crackcli.arrays import Float64, UInt8
from crackcli.figures.chart import Axes, Canvas, Colour, round_ticks
from crackcli.report.tables.columns import Row

COVERAGE = 1.96  # standard uncertainties of an error bar: 95 %
COLUMNS, CELL_PX, MARGINS_PX = 3, (300, 210), (64, 44, 20, 52)  # left, top, right, bottom
COLOUR: Colour = (69, 117, 180)
ROOM = 0.08  # of the range of an axis beyond the outermost values
YEAR_DAYS = 365.25


def draw_gauges(rows: Sequence[Row]) -> UInt8 | None:
    """Return a chart for each gauge as an RGB image; None if nothing was measured.

    Widths are in mm if all are. The x axis is the year, or the number of the campaign where a date
    is unknown.
    """
    known = [row for row in rows if row["width_px"] is not None]
    if not known:
        return None
    unit = "mm" if all(row["width_mm"] is not None for row in known) else "px"
    dated = all(row["date"] for row in rows)
    campaigns = list(dict.fromkeys(str(row["campaign"]) for row in rows))
    names = list(dict.fromkeys(str(row["gauge_id"]) for row in known))
    across = min(COLUMNS, len(names))
    canvas = Canvas(across * CELL_PX[0], -(-len(names) // across) * CELL_PX[1])
    places = {
        id(row): year(row["date"]) if dated else campaigns.index(row["campaign"]) + 1.0
        for row in rows
    }
    ends = with_room(np.array(list(places.values())))
    left, top, right, bottom = MARGINS_PX
    for number, name in enumerate(names):
        own = [row for row in known if row["gauge_id"] == name]
        x = np.array([places[id(row)] for row in own])
        width, unc = (
            np.array([row[f"width{part}_{unit}"] for row in own]) for part in ("", "_unc")
        )
        low, high = with_room(np.concatenate([width - COVERAGE * unc, width + COVERAGE * unc]))
        col, line = CELL_PX[0] * (number % across), CELL_PX[1] * (number // across)
        axes = Axes(
            canvas,
            col + left,
            line + top,
            col + CELL_PX[0] - right,
            line + CELL_PX[1] - bottom,
            ends,
            (low, high),
        )
        ticks = round_ticks(*ends, about=3) if dated else np.unique(x).tolist()
        title = f"{name}: {own[0]['crack_id']}"
        y_ticks = round_ticks(low, high, about=4)
        axes.frame(ticks, y_ticks, "year" if dated else "campaign", f"width, {unit}", title)
        for at, value, bar in zip(x, width, COVERAGE * unc, strict=True):
            axes.line([at, at], [value - bar, value + bar], COLOUR, 1.5)
        axes.line(x, width, COLOUR, 1.0)
        axes.dots(x, width, 3.5, COLOUR)
    return canvas.image()


def year(text: str) -> float:
    """Return a date as a year with a fraction."""
    day = date.fromisoformat(text)
    return day.year + (day - date(day.year, 1, 1)).days / YEAR_DAYS


def with_room(values: Float64) -> tuple[float, float]:
    """Return the ends of an axis of the values."""
    low, high = float(values.min()), float(values.max())
    room = ROOM * (high - low) or 0.5
    return low - room, high + room
