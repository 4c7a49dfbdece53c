"""Grey values of a photograph at several resolutions, and where they may be used.

Coordinates are those of pixel edges: (0, 0) is the upper left corner of the photograph, and the
middle of its first pixel is (0.5, 0.5). So they scale with the resolution without an offset.

A photograph of up to `HELD_PX` is held in memory; larger ones are read window by window, and only
reduced copies of them are held.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float32, Float64, UInt8
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Pixels, RasterInfo
from crackcli.rasters.score_mask import CRACK

HELD_PX = 48 * 2**20  # pixels of a photograph, or of a reduced copy, that are held in memory
MARGIN_PX = 4  # around the pixels of a crack: its blurred rim
LINE_PX = 5  # width at which a crack is drawn that is given as a line

Lines = NDArray[np.object_] | Sequence[shapely.Geometry]


class Photograph(Protocol):
    """An open raster, such as `crackcli.rasters.Raster`."""

    @property
    def info(self) -> RasterInfo:
        """Return the size, place and content of the raster."""
        ...

    def read(self, window: Window) -> Pixels:
        """Read a window."""
        ...

    def read_reduced(self, rows: int, cols: int) -> Pixels:
        """Read the whole raster at a size of ``rows`` by ``cols``."""
        ...


@runtime_checkable
class CrackMask(Protocol):
    """An open mask raster, such as `crackcli.rasters.score_mask.Band`."""

    def read(self, window: Window) -> UInt8:
        """Read a window (rows, cols); 1 is a crack."""
        ...


Cracks = CrackMask | Lines | None


@dataclass(frozen=True, eq=False)
class Grey:
    """Grey values (rows, cols) and the pixels ``usable`` (rows, cols): valid, and no crack."""

    values: Float32
    usable: Bools


class Level:
    """A photograph reduced to ``rows`` by ``cols``, from its file or from a ``finer`` level."""

    def __init__(
        self,
        photograph: Photograph,
        cracks: CrackMask | None,
        reduction: int,
        finer: "Level | None" = None,
    ) -> None:
        info = photograph.info
        self.photograph, self.cracks, self.reduction = photograph, cracks, reduction
        self.rows, self.cols = (max(1, side // reduction) for side in (info.rows, info.cols))
        self.px = np.array([info.cols / self.cols, info.rows / self.rows])  # of one of its pixels
        self.held: tuple[UInt8, UInt8] | None = None
        if self.rows * self.cols <= HELD_PX:
            self.held = self.read_whole() if finer is None else self.reduce(finer)
        else:
            self.px = np.full(2, float(reduction))

    def read(self, window: Window) -> Grey:
        """Read a window of the level; what lies outside is black and not usable."""
        inside = window.clipped(self.rows, self.cols)
        values, usable = np.zeros(window.shape, np.float32), np.zeros(window.shape, bool)
        if inside.rows > 0 and inside.cols > 0:
            grey, clear = self.read_inside(inside)
            values[inside.within(window)] = grey
            usable[inside.within(window)] = clear > 0
        return Grey(values, usable)

    def read_inside(self, window: Window) -> tuple[UInt8, UInt8]:
        """Return grey values and usable pixels (rows, cols) of a window inside the level."""
        if self.held is not None:
            part = window.within(Window(0, 0, self.rows, self.cols))
            return self.held[0][part], self.held[1][part]
        times = self.reduction
        full = Window(*(times * v for v in (window.row, window.col, window.rows, window.cols)))
        pixels = self.photograph.read(full)
        grey = to_grey(pixels.rgb)
        usable = clear_of_cracks(pixels.valid, self.cracks, full)
        return reduced(grey, window.shape), reduced_flags(usable, window.shape)

    def read_whole(self) -> tuple[UInt8, UInt8]:
        """Return grey values and usable pixels of the whole level."""
        info, shape = self.photograph.info, (self.rows, self.cols)
        full = Window(0, 0, info.rows, info.cols)
        if info.rows * info.cols <= HELD_PX:
            pixels = self.photograph.read(full)
            usable = clear_of_cracks(pixels.valid, self.cracks, full)
            return reduced(to_grey(pixels.rgb), shape), reduced_flags(usable, shape)
        pixels = self.photograph.read_reduced(*shape)
        usable = np.where(pixels.valid, 255, 0).astype(np.uint8)
        if self.cracks is not None:
            usable &= self.reduced_cracks()
        return to_grey(pixels.rgb), usable

    def reduce(self, finer: "Level") -> tuple[UInt8, UInt8]:
        """Return grey values and usable pixels of the whole level, from those of a finer one."""
        assert finer.held is not None
        grey, usable = finer.held
        return reduced(grey, (self.rows, self.cols)), reduced_flags(usable, (self.rows, self.cols))

    def reduced_cracks(self) -> UInt8:
        """Return 255 for the pixels of the level that are clear of cracks, strip by strip."""
        info = self.photograph.info
        clear = np.empty((self.rows, self.cols), np.uint8)
        step = max(1, HELD_PX // (4 * info.cols) // self.reduction)  # rows of the level
        for row in range(0, self.rows, step):
            rows = min(step, self.rows - row)
            first, end = (round(edge * self.px[1]) for edge in (row, row + rows))
            full = Window(first, 0, end - first, info.cols)
            flags = clear_of_cracks(np.ones(full.shape, bool), self.cracks, full)
            clear[row : row + rows] = reduced_flags(flags, (rows, self.cols))
        return clear

    def to_level(self, points: Float64) -> Float64:
        """Return points (N, 2) of the photograph in pixels of the level."""
        return np.asarray(points / self.px)


class Levels:
    """A photograph at reductions by whole numbers: the finest that is held, and all coarser ones,
    are read from the file once."""

    def __init__(self, photograph: Photograph, cracks: Cracks) -> None:
        self.photograph, self.cracks = photograph, drawn(cracks)
        self.info = photograph.info
        self.made: dict[int, Level] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """The rows and columns of the photograph."""
        return self.info.rows, self.info.cols

    def at(self, reduction: int) -> Level:
        """Return the photograph at 1 / ``reduction`` of its resolution."""
        if reduction not in self.made:
            base = max(1, math.ceil(math.sqrt(self.info.rows * self.info.cols / HELD_PX)))
            finer = self.at(base) if reduction > base else None
            self.made[reduction] = Level(self.photograph, self.cracks, reduction, finer)
        return self.made[reduction]

    def of_side(self, side_px: int) -> Level:
        """Return the level whose longer side has about ``side_px`` (at least that, below twice)."""
        return self.at(max(1, math.floor(max(self.shape) / side_px)))


class DrawnLines:
    """A mask raster of lines (N,) in pixels, which are drawn when a window is read."""

    def __init__(self, lines: Lines) -> None:
        self.tree = shapely.STRtree(list(lines))

    def read(self, window: Window) -> UInt8:
        """Read a window (rows, cols); 1 is a crack."""
        image = np.zeros(window.shape, np.uint8)
        box = shapely.box(window.col, window.row, window.end_col, window.end_row)
        near = self.tree.query(box.buffer(LINE_PX))
        lines = shapely.get_parts(self.tree.geometries[near])
        origin = (window.col, window.row)
        shifted = [
            np.rint(shapely.get_coordinates(line) - origin - 0.5).astype(np.int32) for line in lines
        ]
        cv2.polylines(image, shifted, False, CRACK, LINE_PX)
        return image


def drawn(cracks: Cracks) -> CrackMask | None:
    """Return cracks given as lines as a mask; a mask, or none, as it is."""
    if cracks is None or isinstance(cracks, CrackMask):
        return cracks
    return DrawnLines(cracks) if len(cracks) else None


def clear_of_cracks(valid: Bools, cracks: CrackMask | None, window: Window) -> UInt8:
    """Return 255 for the valid pixels (rows, cols) of a window that no crack is near, else 0."""
    clear = np.where(valid, 255, 0).astype(np.uint8)
    if cracks is None:
        return clear
    outer = window.grown(MARGIN_PX)
    crack = (cracks.read(outer) == CRACK).astype(np.uint8)
    near = cv2.dilate(crack, np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8))
    clear[near[window.within(outer)] > 0] = 0
    return clear


def to_grey(rgb: UInt8) -> UInt8:
    """Return the grey values (rows, cols) of colours (rows, cols, 3)."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY), np.uint8)


def reduced(grey: UInt8, shape: tuple[int, int]) -> UInt8:
    """Return grey values at a smaller size ``shape``: each is the mean of those that it covers."""
    if grey.shape == shape:
        return grey
    return np.asarray(cv2.resize(grey, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def reduced_flags(flags: UInt8, shape: tuple[int, int]) -> UInt8:
    """Return flags (0 or 255) at a smaller size: set where nearly all that they cover are."""
    return np.where(reduced(flags, shape) > 250, 255, 0).astype(np.uint8)
