"""Trace the cracks of a mask of any size, each with its centreline, outline and measures.

The mask is read strip by strip and kept as runs of crack pixels (`crackcli.masking.runs`). A crack
is a connected component, diagonals included. All further steps work on lists of pixels, so the
result does not depend on the strips, and a crack costs as much as its pixels, however long it is.

All measures are in pixels of the raster; `crackcli.scenes.scale` converts them to millimetres.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import shapely

import crackcli.cracks.widths as widths
from crackcli.arrays import Bools, Float64, Int64, UInt8
from crackcli.cracks.centreline import Line, centreline
from crackcli.cracks.crack import Crack
from crackcli.cracks.outline import outlines
from crackcli.cracks.pixel_set import PixelSet, thin
from crackcli.cracks.skeleton import prune, skeleton_graphs
from crackcli.cracks.widths import MASK_METHOD, Widths
from crackcli.errors import InputError
from crackcli.masking.runs import Runs, find_runs, number_cracks
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import CRACK, Band, read_band

STRIP_PX = 32_000_000  # pixels of the mask that are read at once, at most
STRIP_ROWS = 512  # a multiple of the height of the mask's blocks


class Shape(TypedDict):
    """Fields of a `Crack` that follow from its pixels alone."""

    centreline: list[Float64]
    lines: tuple[Line, ...]
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
    bbox: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Traced:
    """The cracks of one mask, and its number of valid pixels."""

    cracks: list[Crack]
    assessed_px: int


def trace(
    mask: Path,
    score: Path,
    shape: tuple[int, int],
    *,
    scene: str = "crack",
    strip_rows: int | None = None,
    report: FractionDone = ignore,
) -> Traced:
    """Return all cracks of a mask raster, with the ids ``scene-0001`` ... in reading order.

    Mask and score have ``shape`` (rows, cols). Raises `InputError` if one of them is damaged or has
    another shape.
    """
    rows, cols = shape
    if strip_rows is None:
        strip_rows = max(1, STRIP_PX // (cols * STRIP_ROWS)) * STRIP_ROWS
    for path in (mask, score):
        with Band(path) as band:
            if band.shape != shape:
                raise InputError(
                    f"{path}: {band.shape[1]} x {band.shape[0]} px, but scene.json says "
                    f"{cols} x {rows} px; scan this image again"
                )

    def strips() -> Iterator[tuple[UInt8, UInt8 | None]]:
        for row in range(0, rows, strip_rows):
            window = Window(row, 0, min(strip_rows, rows - row), cols)
            strip = read_band(mask, window)
            yield strip, read_band(score, window) if (strip == CRACK).any() else None
            report((row + window.rows) / rows)

    runs = find_runs(strips(), rows, cols)
    return Traced(list(trace_runs(runs, scene)), runs.assessed_px)


def trace_runs(runs: Runs, scene: str) -> Iterator[Crack]:
    """Yield every crack of the mask that consists of ``runs``."""
    if len(runs) == 0:
        return
    crack, count = number_cracks(runs)
    scores = np.bincount(crack, runs.score, count)
    squared_scores = np.bincount(crack, runs.squared, count)
    scored = np.bincount(crack, runs.scored, count)
    at_edge = np.bincount(crack, runs.at_edge, count) > 0
    beside_nodata = np.bincount(crack, runs.beside_nodata, count) > 0
    for pixels, labels in pixel_batches(runs, crack):
        first = int(labels.min())
        in_batch = int(labels.max()) - first + 1
        for offset, shape in enumerate(crack_shapes(pixels, labels - first, in_batch)):
            number = first + offset
            yield Crack(
                id=f"{scene}-{number + 1:04d}",
                score=float(scores[number] / scored[number]) if scored[number] else None,
                squared_score_sum=float(squared_scores[number]) if scored[number] else None,
                touches_edge=bool(at_edge[number]),
                touches_nodata=bool(beside_nodata[number]),
                **shape,
            )


def crack_shapes(pixels: PixelSet, labels: Int64, n_cracks: int) -> Iterator[Shape]:
    """Yield for each crack the fields that follow from its pixels alone.

    ``labels`` (N,) is the crack of each pixel, 0 to ``n_cracks`` - 1.
    """
    on_skeleton = thin(pixels)
    skeleton, radii = pixels[on_skeleton], pixels.radii(on_skeleton)
    skeletons = skeleton_graphs(skeleton, radii, labels[on_skeleton], n_cracks)
    areas = outlines(pixels, labels, n_cracks)
    order = np.argsort(labels, kind="stable")
    members = np.split(
        pixels.points[order], np.cumsum(np.bincount(labels, minlength=n_cracks))[:-1]
    )
    label_or_none = np.append(labels, -1)

    for number, (graph, own) in enumerate(zip(skeletons, members, strict=True)):

        def inside(points: Float64, number: int = number) -> Bools:
            return np.asarray(label_or_none[pixels.find(points)] == number, np.bool_)

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
            "widths": widths.summarise(samples, across, len(own), MASK_METHOD),
            "orientation_deg": line.orientation_deg,
            "tortuosity": line.tortuosity,
            "branches": len(line.lines),
            "junctions": line.junctions,
            "endpoints": line.endpoints,
            "bbox": (int(low[0]), int(low[1]), int(high[0]), int(high[1])),
        }


BATCH_PX = 200_000  # crack pixels that are processed at once


def pixel_batches(runs: Runs, crack: Int64) -> Iterator[tuple[PixelSet, Int64]]:
    """Yield batches of whole cracks: their pixels (N) and the crack (N,) of each.

    A batch contains about `BATCH_PX` pixels, or one crack that is larger.
    """
    order = np.argsort(crack, kind="stable")
    sizes = np.bincount(crack, runs.length)
    batch_of_crack = (np.cumsum(sizes) - sizes) // BATCH_PX
    batch_of = batch_of_crack[crack[order]]
    for members in np.split(order, np.flatnonzero(np.diff(batch_of)) + 1):
        members = np.sort(members)
        length = runs.length[members]
        run_starts = np.repeat(np.cumsum(length) - length, length)
        cols = np.arange(len(run_starts)) - run_starts + np.repeat(runs.start[members], length)
        rows = np.repeat(runs.row[members], length)
        yield PixelSet(rows, cols), np.repeat(crack[members], length)
