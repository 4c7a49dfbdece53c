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

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.errors import UsageError
from crackcli.inference.explainer import StripExplainer, StripScores
from crackcli.inference.tile_classifier import Report, untold
from crackcli.rasters.grid import Grid, Window
from crackcli.rasters.nodata import Readable, fill
from crackcli.rasters.reader import Bytes, Flags, Pixels, RasterInfo

ZOOMS = (0.25, 0.5, 1.0, 2.0, 4.0)
PLAIN = (1.0,)
AUTO = (0.5, 1.0)  # what measured better than plain and costs a quarter more; see the README
TAPS_PX = 2  # of the raster, on each side, that a pixel of a larger view is made of
NEAR_PX = 8  # of the raster: around what is resampled, so that holes are filled the same way
PIECE_ROWS, PIECE_COLS = 256, 4096  # of the raster: resampled at once; whole pixels of a view

Relevance = NDArray[np.float16]


def parse_zooms(text: str) -> tuple[float, ...]:
    """Zooms as they are typed: "2", "0.5,1,2", or auto."""
    if text.strip() == "auto":
        return AUTO
    try:
        zooms = [float(part) for part in text.split(",")]
    except ValueError:
        zooms = []
    return in_order(zooms, text)


def in_order(zooms: Collection[float], typed: object = None) -> tuple[float, ...]:
    """Zooms rising, each once: a scan is the same in whatever order they were given.

    Raises a `UsageError` unless there are some, and all are known.
    """
    if not zooms or not set(zooms) <= set(ZOOMS):
        menu = ", ".join(f"{zoom:g}" for zoom in ZOOMS)
        given = zooms if typed is None else typed
        raise UsageError(f"'{given}' is no zoom; choose one of: {menu}, several as 1,2, or auto")
    return tuple(sorted({float(zoom) for zoom in zooms}))


@dataclass(frozen=True)
class View:
    """A raster at one zoom, and how it is cut there."""

    zoom: float
    grid: Grid

    @classmethod
    def of(cls, info: RasterInfo, zoom: float, explainer: StripExplainer, core_px: int) -> "View":
        """``core_px`` are pixels of the view: blocks are as large at every zoom, and a strip of a
        larger view is as many times as wide."""
        rows, cols = seen_shape(info, zoom)
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


def seen_shape(info: RasterInfo, zoom: float) -> tuple[int, int]:
    """Rows and columns of a view; the last of a smaller one may reach beyond the raster."""
    rows, cols = (int(np.ceil(side * zoom)) for side in (info.rows, info.cols))
    return rows, cols


class Zoomed:
    """An open raster as it is seen at another zoom; read like a `Raster`."""

    def __init__(self, raster: Readable, zoom: float) -> None:
        rows, cols = seen_shape(raster.info, zoom)
        digest = f"{raster.info.digest} x{zoom:g}"
        self.info = replace(raster.info, rows=rows, cols=cols, digest=digest)
        self.raster, self.zoom = raster, zoom

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the view."""
        inner = self.source_of(window)
        seen = self.seen(inner)
        rgb, valid = np.zeros((*seen.shape, 3), np.uint8), np.zeros(seen.shape, bool)
        for row in range(inner.row, inner.end_row, PIECE_ROWS):
            rows = Window(row, inner.col, min(PIECE_ROWS, inner.end_row - row), inner.cols)
            outer = rows.grown(NEAR_PX)
            pixels = self.raster.read(outer)
            valid[self.seen(rows).within(seen)] = flags_at(
                pixels.valid[rows.within(outer)], self.zoom
            )
            for col in range(inner.col, inner.end_col, PIECE_COLS):
                part = Window(row, col, rows.rows, min(PIECE_COLS, inner.end_col - col))
                around = part.grown(NEAR_PX).within(outer)
                if pixels.valid[around].any():
                    filled = fill(pixels.rgb[around], pixels.valid[around])
                    rgb[self.seen(part).within(seen)] = resampled(filled, self.zoom)
        asked = window.within(seen)
        return Pixels(rgb[asked], valid[asked])

    def read_valid(self, window: Window) -> Flags:
        """Only which pixels are valid, of a window inside the view."""
        inner = self.source_of(window)
        inside = inner.clipped(self.raster.info.rows, self.raster.info.cols)
        valid = np.zeros(inner.shape, bool)
        valid[inside.within(inner)] = self.raster.read_valid(inside)
        return flags_at(valid, self.zoom)[window.within(self.seen(inner))]

    def source_of(self, window: Window) -> Window:
        """The whole pixels of the raster that hold a window of the view."""
        row, col = (int(np.floor(first / self.zoom)) for first in (window.row, window.col))
        end_row, end_col = (
            int(np.ceil(end / self.zoom)) for end in (window.end_row, window.end_col)
        )
        return Window(row, col, end_row - row, end_col - col)

    def seen(self, source: Window) -> Window:
        """A window of the raster as one of the view."""
        return Window(*(round(v * self.zoom) for v in (source.row, source.col, *source.shape)))


def resampled(rgb: Bytes, zoom: float) -> Bytes:
    """What a view shows of ``rgb`` (rows, cols, 3) without the `NEAR_PX` on each side of it: larger
    by cubic interpolation, smaller by the mean of the pixels that fall together."""
    rim = NEAR_PX if zoom < 1 else NEAR_PX - TAPS_PX
    part = np.ascontiguousarray(rgb[rim:-rim, rim:-rim])
    size = round(part.shape[1] * zoom), round(part.shape[0] * zoom)
    if zoom < 1:
        return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    cut = round(TAPS_PX * zoom)
    return cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)[cut:-cut, cut:-cut]


def flags_at(flags: Flags, zoom: float) -> Flags:
    """Flags (rows, cols) in a view; in a smaller one set where one of those that fall together is,
    since only there is something to be seen."""
    if zoom >= 1:
        return flags.repeat(round(zoom), axis=0).repeat(round(zoom), axis=1)
    side = round(1 / zoom)
    rows, cols = flags.shape
    return flags.reshape(rows // side, side, cols // side, side).any(axis=(1, 3))


def explain_view(
    explainer: StripExplainer, raster: Readable, view: View, index: int, report: Report = untold
) -> StripScores:
    """The scores of a strip of a view, on the pixels of the raster."""
    if view.zoom == 1:
        return explainer.explain_strip(raster, view.grid, index, report)
    scores = explainer.explain_strip(Zoomed(raster, view.zoom), view.grid, index, report)
    window = view.window(index, raster.info)
    relevance = brought_back(scores.relevance, view.zoom)[: window.rows, : window.cols]
    valid = raster.read_valid(window)
    return StripScores(np.where(valid, relevance, np.float16(0)), valid, scores.probability)


def brought_back(relevance: Relevance, zoom: float) -> Relevance:
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
