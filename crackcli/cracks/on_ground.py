"""Measures of a crack whose pixels are not square on the ground.

A crack is traced and its widths are measured in pixels of the raster. Here lengths, widths and
directions become those in squares as large as a pixel (`crackcli.rasters.ground.pixel`), so that
one factor converts them to millimetres. Lines and points stay in pixels, and areas are the same.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import crackcli.cracks.widths as widths
from crackcli.arrays import Float64
from crackcli.cracks.centreline import Centreline, Line
from crackcli.cracks.crack import Crack
from crackcli.cracks.widths import MASK_METHOD, Samples
from crackcli.rasters.ground.pixel import PixelShape


class LineMeasures(TypedDict):
    """Fields of a `Crack` that follow from its lines."""

    length_px: float
    main_length_px: float
    tortuosity: float
    orientation_deg: float


def line_measures(
    lines: Sequence[Line], junctions: int, endpoints: int, shape: PixelShape
) -> LineMeasures:
    """Return the measures in squares of ``lines``, which are in pixels."""
    if not shape.is_square:
        lines = [replace(line, points=shape.in_squares(line.points)) for line in lines]
    whole = Centreline(list(lines), junctions, endpoints)
    return {
        "length_px": whole.length_px,
        "main_length_px": whole.main_path[0],
        "tortuosity": whole.tortuosity,
        "orientation_deg": whole.orientation_deg,
    }


def stretches(samples: Samples, shape: PixelShape) -> Float64:
    """Return by which factor (S,) the line at each sample is longer in squares than in pixels. A
    width there is as many times smaller, as the area of a strip stays the same."""
    return shape.stretch(samples.normals[:, ::-1] * (-1, 1))  # along the line


def in_squares(crack: Crack, shape: PixelShape) -> Crack:
    """Return a crack with its measures by the mask in squares instead of pixels."""
    if shape.is_square:
        return crack
    profile = crack.widths.profile
    assert profile is not None
    samples = widths.sample_lines(crack.lines)
    longer = stretches(samples, shape)
    across = widths.summarise(
        replace(samples, steps=samples.steps * longer),
        profile.width_px / longer,
        crack.area_px,
        MASK_METHOD,
    )
    measures = line_measures(crack.lines, crack.junctions, crack.endpoints, shape)
    return replace(crack, widths=across, **measures)
