"""growth.png: by how much cracks opened or closed, with error bars and limits of detection."""

from collections.abc import Sequence

import numpy as np

from crackcli.arrays import UInt8
from crackcli.comparison.outputs.geopackage import KINDS
from crackcli.figures.chart import GREY, PALE, Axes, Canvas, rgb, round_ticks, text_px
from crackcli.report.tables.columns import Row

MOST = 24  # cracks, those whose change is the most certain
WIDTH_PX, ROW_PX, TOP_PX, BOTTOM_PX, MARGIN_PX = 860, 22, 44, 62, 24
COVERAGE = 1.96  # standard uncertainties of an error bar: 95 %
ROOM = 1.1  # of the axis beyond the longest bar
BAR_PX, DOT_PX = 1.5, 4.0


def draw_growth(rows: Sequence[Row]) -> UInt8 | None:
    """Return the chart of changes in the largest width as an RGB image; None if no change has an
    uncertainty. It is in mm if all have a scale."""
    known = [row for row in rows if row["d_width_max_unc_px"] is not None]
    chosen = sorted(known, key=lambda row: row["p_value"])[:MOST]
    if not chosen:
        return None
    unit = "px" if any(row["d_width_max_unc_mm"] is None for row in chosen) else "mm"
    names = [f"d_width_max_{unit}", f"d_width_max_unc_{unit}", f"detection_limit_width_max_{unit}"]
    values, uncertainties, limits = (np.array([row[name] for row in chosen]) for name in names)
    chosen_names = [str(row["change_id"]) for row in chosen]
    reach = ROOM * float(np.max(np.abs(values) + COVERAGE * uncertainties))
    height = TOP_PX + ROW_PX * len(chosen) + BOTTOM_PX
    canvas = Canvas(WIDTH_PX, height)
    left = MARGIN_PX + max(map(text_px, chosen_names)) + 8
    axes = Axes(
        canvas,
        left,
        TOP_PX,
        WIDTH_PX - MARGIN_PX,
        height - BOTTOM_PX,
        (-reach, reach),
        (len(chosen), 0),
    )
    places = np.arange(len(chosen)) + 0.5
    for place, limit in zip(places.tolist(), limits.clip(max=reach).tolist(), strict=True):
        axes.band([-limit, limit], [place + 0.35] * 2, [place - 0.35] * 2, PALE)
    title = f"Change of the largest width, {unit}: 95 % bars; grey: below the limit of detection"
    axes.frame(round_ticks(-reach, reach), [], f"change, {unit}", "", title)
    axes.dashed((0, 0), (0, len(chosen)), GREY)
    for row, place, value, unc in zip(chosen, places, values, uncertainties, strict=True):
        colour = rgb(KINDS[row["kind"]])
        bar = value + np.array([-1, 1]) * COVERAGE * unc
        axes.line(bar, [place, place], colour, BAR_PX)
        axes.dots([value], [place], DOT_PX, colour)
        y = axes.place([0], [place])[0, 1]
        canvas.text((left - 8, y), str(row["change_id"]), align=1)
    return canvas.image()
