"""Cracks: traced from a mask of any size, each with its centreline, outline and measures.

The mask is read strip by strip and kept as runs of crack pixels (`crackcli.masking.runs`); cracks
are what hangs together, diagonals included.  Everything after that happens on lists of pixels, so
the result does not depend on the strips, and a crack costs what its pixels cost however far it
runs.

All measures are in pixels of the raster; `crackcli.scenes.scale` turns them into millimetres.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crackcli.arrays import Bools, Float64, Int64, UInt8
from crackcli.cracks import widths
from crackcli.cracks.centreline import centreline
from crackcli.cracks.crack import Crack
from crackcli.cracks.outline import outlines
from crackcli.cracks.pixel_set import PixelSet, thin
from crackcli.cracks.skeleton import graphs, prune
from crackcli.cracks.widths import FROM_MASK
from crackcli.errors import InputError
from crackcli.masking.runs import Runs, find_runs, number_cracks
from crackcli.progress import FractionDone
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import CRACK, Band, read_band

STRIP_PX = 32_000_000  # pixels of the mask that are read at once
STRIP_ROWS = 512  # strips are whole rows of the mask's blocks


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
    report: FractionDone = lambda share: None,
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

    def strips() -> Iterator[tuple[UInt8, UInt8 | None]]:
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


def shapes(pixels: PixelSet, owner: Int64, owners: int) -> Iterator[dict]:
    """What the pixels alone tell of each crack, in the order of ``owner`` (N,)."""
    on_skeleton = thin(pixels)
    skeleton, radii = pixels[on_skeleton], pixels.radii(on_skeleton)
    skeletons = graphs(skeleton, radii, owner[on_skeleton], owners)
    areas = outlines(pixels, owner, owners)
    order = np.argsort(owner, kind="stable")
    members = np.split(pixels.points[order], np.cumsum(np.bincount(owner, minlength=owners))[:-1])
    owner_or_none = np.append(owner, -1)

    for number, (graph, own) in enumerate(zip(skeletons, members, strict=True)):

        def inside(points: Float64, number: int = number) -> Bools:
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


BATCH_PX = 200_000  # crack pixels that are worked on at once


def batches(runs: Runs, crack: Int64) -> Iterator[tuple[PixelSet, Int64]]:
    """The cracks' pixels, whole cracks at a time: pixels (N) and the crack (N,) of each.

    A batch holds about `BATCH_PX` pixels, or one crack that is larger.
    """
    order = np.argsort(crack, kind="stable")
    sizes = np.bincount(crack, runs.length)
    turn = (np.cumsum(sizes) - sizes) // BATCH_PX  # number of the batch of each crack
    batch_of = turn[crack[order]]
    for members in np.split(order, np.flatnonzero(np.diff(batch_of)) + 1):
        members = np.sort(members)
        length = runs.length[members]
        begins = np.repeat(np.cumsum(length) - length, length)
        cols = np.arange(len(begins)) - begins + np.repeat(runs.start[members], length)
        rows = np.repeat(runs.row[members], length)
        yield PixelSet(rows, cols), np.repeat(crack[members], length)
