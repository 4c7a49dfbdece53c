"""A crack: its centreline, outline and measures, in pixels of the raster."""

from dataclasses import dataclass, field

import shapely

from crackcli.arrays import Float64
from crackcli.cracks.centreline import Line
from crackcli.cracks.widths import Widths


@dataclass(frozen=True, eq=False)
class Crack:
    """One crack; all lengths, widths and areas are in pixels.

    ``centreline``        lines (N, 2) of x = col, y = row; pixel centres are whole numbers
    ``outline``           its pixels, in coordinates of pixel edges: 0.5 more than those of centres
    ``length_px``         of all lines; ``main_length_px`` of the longest path along them
    ``area_px``           number of pixels
    ``orientation_deg``   0 to 180, from +x counter-clockwise as seen in the image
    ``tortuosity``        of the longest path: length over chord
    ``score``             mean of its pixels, 0 to 1; None where the score raster is nodata
    ``squared_score_sum`` sum of the squared scores of its pixels; None as above
    ``bbox``              first col, first row, last col, last row, all inclusive
    ``touches_edge``      it reaches the edge of the raster, beyond which it may go on
    ``touches_nodata``    it reaches nodata, beyond which it may go on
    ``joint_likelihood``  0 to 1 (`crackcli.cracks.joints`); None if not computed
    ``lines``             the lines of ``centreline``, with the nodes that they join
    """

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
    squared_score_sum: float | None = None
    lines: tuple[Line, ...] = field(default=(), compare=False)
