"""A raster seen larger or smaller by the network, and scores of several views put together.

The network knows cracks of the widths that it was shown.  A hairline is one of these when it is
seen at twice its resolution, a gap that fills half a tile when it is seen at half of it.

Positions: a view at zoom z has z pixels where the raster has one, counted from its upper left
corner: pixel i of the raster, whose centre is i + 0.5, has its centre in the view at (i + 0.5) z.
Zooms are powers of two, so that every window of a view is resampled in the same phases: a pixel
of it is the same in whatever window it is read.  Beyond the edges the raster is reflected first.

Unit: a score says what one pixel *of the view* gets of the relevance of the tiles over it.  So a
crack that looks the same to the network scores the same at every zoom, and one threshold is right
for all.  (As a density, relevance per pixel of the raster, it would be z * z times that.)  Hence
going back to the raster takes the mean of z * z pixels, or repeats one; and views are put together
by their maximum: what one of them sees clearly is not diluted by one that cannot see it.
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
    """A raster at one zoom, and how it is cut there."""

    zoom: float
    grid: Grid

    @classmethod
    def of(cls, info: RasterInfo, zoom: float, explainer: StripScorer, core_px: int) -> "View":
        """``core_px`` are pixels of the view: blocks are as large at every zoom, and a strip of a
        larger view is as many times as wide."""
        rows, cols = resampled_shape(info, zoom)
        return cls(zoom, explainer.grid(rows, cols, core_px))

    def pixels(self, index: int) -> int:
        """How many the network sees of a strip: what it costs."""
        return self.grid.row_spans[index][1] * self.grid.cols

    def window(self, index: int, info: RasterInfo) -> Window:
        """The pixels of the raster that a strip of the view shows."""
        row, rows = self.grid.row_spans[index]
        first = round(row / self.zoom)
        end = min(info.rows, round((row + rows) / self.zoom))
        return Window(first, 0, end - first, info.cols)


def explain_view(
    explainer: StripScorer,
    raster: RasterReader,
    view: View,
    index: int,
    report: FractionDone = ignore,
) -> StripScores:
    """The scores of a strip of a view, on the pixels of the raster."""
    if view.zoom == 1:
        return explainer.explain_strip(raster, view.grid, index, report)
    scores = explainer.explain_strip(ResampledRaster(raster, view.zoom), view.grid, index, report)
    window = view.window(index, raster.info)
    relevance = brought_back(scores.relevance, view.zoom)[: window.rows, : window.cols]
    valid = raster.read_valid(window)
    return StripScores(np.where(valid, relevance, np.float16(0)), valid, scores.probability)


def brought_back(relevance: Float16, zoom: float) -> Float16:
    """Relevance (rows, cols) of a view at the resolution of the raster."""
    if zoom < 1:
        side = round(1 / zoom)
        return relevance.repeat(side, axis=0).repeat(side, axis=1)
    side = round(zoom)
    total = np.zeros((relevance.shape[0] // side, relevance.shape[1] // side), np.float32)
    for row in range(side):
        for col in range(side):
            total += relevance[row::side, col::side]
    return (total / side**2).astype(np.float16)


def together(views: Sequence[Iterator[StripScores]]) -> Iterator[StripScores]:
    """The relevance of all views put together, part by part from the top; views may be cut in
    different places.  The tiles of several views have no P(crack) in common: it is left empty."""
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
