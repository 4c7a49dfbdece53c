"""Views of a raster at several zooms, and how their scores are merged.

The network detects cracks of the widths it was trained on. At twice the resolution a hairline has
such a width; at half of it, a gap that fills half a tile does.

Positions: a view at zoom z has z pixels per pixel of the raster, counted from its upper left
corner. Pixel i of the raster, with its centre at i + 0.5, has its centre in the view at
(i + 0.5) z. Zooms are powers of two, so that every window of a view is resampled in the same
phases: a pixel is the same in any window. Beyond the edges the raster is reflected first.

Unit: a score is the relevance that one pixel *of the view* gets from the tiles over it. So a crack
that looks alike to the network scores alike at every zoom, and one threshold suits all. (Relevance
per pixel of the raster would be z * z times that.) Hence resampling back to the raster takes the
mean of z * z pixels, or repeats one. Views are merged by their maximum: a clear crack in one view
is not diluted by another view that cannot show it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Float16
from crackcli.inference.strips import StripScorer, StripScores
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.grid import Grid, Window
from crackcli.rasters.nodata import RasterReader
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.resampled import ResampledRaster, resampled_shape


@dataclass(frozen=True)
class View:
    """A raster at one zoom, and the grid that it is cut by there."""

    zoom: float
    grid: Grid

    @classmethod
    def of(cls, info: RasterInfo, zoom: float, scorer: StripScorer, core_px: int) -> "View":
        """Return the view of a raster at a zoom.

        ``core_px`` are pixels of the view: blocks have the same size at every zoom, and a strip of
        a larger view is as many times as wide.
        """
        rows, cols = resampled_shape(info, zoom)
        return cls(zoom, scorer.grid(rows, cols, core_px))

    def pixels(self, index: int) -> int:
        """Return the number of pixels of a strip that the network processes."""
        return self.grid.row_spans[index][1] * self.grid.cols

    def window(self, index: int, info: RasterInfo) -> Window:
        """Return the pixels of the raster that a strip of the view shows."""
        row, rows = self.grid.row_spans[index]
        first = round(row / self.zoom)
        end = min(info.rows, round((row + rows) / self.zoom))
        return Window(first, 0, end - first, info.cols)


def score_view(
    scorer: StripScorer,
    raster: RasterReader,
    view: View,
    index: int,
    report: FractionDone = ignore,
) -> StripScores:
    """Return the scores of a strip of a view, at the resolution of the raster."""
    if view.zoom == 1:
        return scorer.score_strip(raster, view.grid, index, report)
    scores = scorer.score_strip(ResampledRaster(raster, view.zoom), view.grid, index, report)
    window = view.window(index, raster.info)
    relevance = resample_back(scores.relevance, view.zoom)[: window.rows, : window.cols]
    valid = raster.read_valid(window)
    return StripScores(np.where(valid, relevance, np.float16(0)), valid, scores.probability)


def resample_back(relevance: Float16, zoom: float) -> Float16:
    """Return relevance (rows, cols) of a view at the resolution of the raster."""
    if zoom < 1:
        side = round(1 / zoom)
        return relevance.repeat(side, axis=0).repeat(side, axis=1)
    side = round(zoom)
    total = np.zeros((relevance.shape[0] // side, relevance.shape[1] // side), np.float32)
    for row in range(side):
        for col in range(side):
            total += relevance[row::side, col::side]
    return (total / side**2).astype(np.float16)


def merge_views(views: Sequence[Iterator[StripScores]]) -> Iterator[StripScores]:
    """Yield the maximum relevance over all views, part by part from the top.

    Views may be cut in different places. P(crack) is left empty if there are several views, as
    their tiles differ in size on the raster.
    """
    if len(views) == 1:
        yield from views[0]
        return
    held = [next(strips) for strips in views]
    at = [0] * len(views)
    while True:
        rows = min(len(scores.relevance) - first for scores, first in zip(held, at, strict=True))
        parts = [
            scores.relevance[first : first + rows] for scores, first in zip(held, at, strict=True)
        ]
        valid = held[0].valid[at[0] : at[0] + rows]
        yield StripScores(np.maximum.reduce(parts), valid, np.zeros((0, 0), np.float32))
        for number, strips in enumerate(views):
            at[number] += rows
            if at[number] == len(held[number].relevance):
                following = next(strips, None)
                if following is None:  # the last row: all views end there
                    return
                held[number], at[number] = following, 0
