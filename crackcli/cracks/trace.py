"""Cracks: traced from a mask of any size, each with its centreline, outline and measures.

The mask is read strip by strip and kept as runs of crack pixels (`crackcli.masking.runs`); cracks
are what hangs together, diagonals included.  Everything after that happens on lists of pixels, so
the result does not depend on the strips, and a crack costs what its pixels cost however far it
runs.

All measures are in pixels of the raster; `crackcli.scenes.scale` turns them into millimetres.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from crackcli.cracks import widths
from crackcli.cracks.centreline import Line, Numbers, centreline
from crackcli.cracks.outline import outlines
from crackcli.cracks.pixel_set import Integers, PixelSet, thin
from crackcli.cracks.skeleton import graphs, prune
from crackcli.cracks.width_methods import FROM_MASK
from crackcli.cracks.widths import Widths
from crackcli.errors import InputError
from crackcli.masking.runs import CRACK, Runs, batches, find_runs, number_cracks
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Band, Bytes, read_band

STRIP_PX = 32_000_000  # pixels of the mask that are read at once
STRIP_ROWS = 512  # strips are whole rows of the mask's blocks

Report = Callable[[float], None]  # share of the mask that has been read, 0 to 1


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
    centreline: list[Numbers]
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


@dataclass(frozen=True, eq=False)
class Traced:
    """The cracks of one mask, and how many of its pixels are data."""

    cracks: list[Crack]
    assessed_px: int


def trace(
    mask: Path,
    score: Path,
    shape: tuple[int, int],
    *,
    scene: str = "crack",
    strip_rows: int | None = None,
    report: Report = lambda share: None,
) -> Traced:
    """All cracks of a mask raster, numbered by first pixel in reading order: ``scene-0001`` ...

    Mask and score have ``shape`` (rows, cols).  Raises `InputError` where one of them is damaged
    or of another shape.
    """
    rows, cols = shape
    if strip_rows is None:
        strip_rows = max(1, STRIP_PX // (cols * STRIP_ROWS)) * STRIP_ROWS
    for path in (mask, score):
        with Band(path) as band:
            if band.shape != shape:
                raise InputError(
                    f"{path} is not as large as scene.json says; scan this image again"
                )

    def strips() -> Iterator[tuple[Bytes, Bytes | None]]:
        for row in range(0, rows, strip_rows):
            window = Window(row, 0, min(strip_rows, rows - row), cols)
            strip = read_band(mask, window)
            yield strip, read_band(score, window) if (strip == CRACK).any() else None
            report((row + window.rows) / rows)

    runs = find_runs(strips(), rows, cols)
    return Traced(list(measured(runs, scene)), runs.assessed_px)


def measured(runs: Runs, scene: str) -> Iterator[Crack]:
    """Every crack of the mask that ``runs`` stand for."""
    if len(runs) == 0:
        return
    crack, count = number_cracks(runs)
    scores = np.bincount(crack, runs.score, count)
    squares = np.bincount(crack, runs.squared, count)
    scored = np.bincount(crack, runs.scored, count)
    at_edge = np.bincount(crack, runs.at_edge, count) > 0
    beside_nodata = np.bincount(crack, runs.beside_nodata, count) > 0
    for pixels, owner in batches(runs, crack):
        first = int(owner.min())
        for offset, shape in enumerate(shapes(pixels, owner - first, int(owner.max()) - first + 1)):
            number = first + offset
            yield Crack(
                id=f"{scene}-{number + 1:04d}",
                score=float(scores[number] / scored[number]) if scored[number] else None,
                squares=float(squares[number]) if scored[number] else None,
                touches_edge=bool(at_edge[number]),
                touches_nodata=bool(beside_nodata[number]),
                **shape,
            )


def shapes(pixels: PixelSet, owner: Integers, owners: int) -> Iterator[dict]:
    """What the pixels alone tell of each crack, in the order of ``owner`` (N,)."""
    on_skeleton = thin(pixels)
    skeleton, radii = pixels[on_skeleton], pixels.radii(on_skeleton)
    skeletons = graphs(skeleton, radii, owner[on_skeleton], owners)
    areas = outlines(pixels, owner, owners)
    order = np.argsort(owner, kind="stable")
    members = np.split(pixels.points[order], np.cumsum(np.bincount(owner, minlength=owners))[:-1])
    owner_or_none = np.append(owner, -1)

    for number, (graph, own) in enumerate(zip(skeletons, members, strict=True)):

        def inside(points: Numbers, number: int = number) -> NDArray[np.bool_]:
            return owner_or_none[pixels.find(points)] == number

        line = centreline(prune(graph), inside, own)
        samples = widths.sample(line)
        across = widths.area_length(samples, own)
        low, high = own.min(axis=0).astype(int), own.max(axis=0).astype(int)
        yield {
            "centreline": [part.points for part in line.lines],
            "lines": tuple(line.lines),
            "outline": areas[number],
            "length_px": line.length_px,
            "main_length_px": line.main_path[0],
            "area_px": len(own),
            "widths": widths.summarise(samples, across, len(own), FROM_MASK),
            "orientation_deg": line.orientation_deg,
            "tortuosity": line.tortuosity,
            "branches": len(line.lines),
            "junctions": line.junctions,
            "endpoints": line.endpoints,
            "bbox": (int(low[0]), int(low[1]), int(high[0]), int(high[1])),
        }
