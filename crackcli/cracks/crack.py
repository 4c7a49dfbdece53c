"""A crack: its centreline, outline and measures, in pixels."""

from dataclasses import dataclass, field

import shapely

from crackcli.arrays import Float64
from crackcli.cracks.centreline import Line
from crackcli.cracks.widths import Widths


@dataclass(frozen=True, eq=False)
class Crack:
    """One crack, in pixels.

    ``centreline``  lines (N, 2) of x = col, y = row; pixel centres have whole numbers
    ``outline``     its pixels, in coordinates of pixel edges: 0.5 more than those of centres
    ``length_px``   of all lines; ``main_length_px`` of the longest way along them
    ``area_px``     number of pixels
    ``orientation_deg``  0 to 180, from +x counter-clockwise as one looks at the picture
    ``tortuosity``  of the longest way: length over chord
    ``score``       mean of its pixels, 0 to 1; None where the score raster says nothing
    ``squares``     sum of the squares of the scores of its pixels; None as before
    ``bbox``        first col, first row, last col, last row: all four within the crack
    ``touches_edge``, ``touches_nodata``  it may go on where nothing was seen
    ``joint_likelihood``  0 to 1, by `crackcli.cracks.joints` from all of its scene; None if not
    judged ``lines``       those of ``centreline``, with the nodes that they join"""

    id: str
    centreline: list[Float64]
    outline: shapely.MultiPolygon
    length_px: float
    main_length_px: float
    area_px: int
    widths: Widths
    orientation_deg: float
    tortuosity: float
    branches: int
    junctions: int
    endpoints: int
    score: float | None
    bbox: tuple[int, int, int, int]
    touches_edge: bool
    touches_nodata: bool
    joint_likelihood: float | None = None
    squares: float | None = None
    lines: tuple[Line, ...] = field(default=(), compare=False)
