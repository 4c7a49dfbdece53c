"""Tiles of a photograph for a deep zoom: JPEG squares of each level of a pyramid of halves.

The photograph is read once, by strips of tiles. Each level halves its strips and passes them to
the next coarser one, so memory grows with the width of the photograph and not with its height.
Tiles without a valid pixel are not written. Level 0 is one tile; the last has the full resolution.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from crackcli.arrays import Bools, UInt8
from crackcli.files import output_errors
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo, check_unchanged

log = logging.getLogger(__name__)

TILE_PX = 512
ON_DISK = 1.5  # of the size of the photograph's files: the most that its tiles may take
LEAST_BYTES = 2**21  # that they may take in any case: of a drawing of few bytes, too
PAPER = 235  # grey of pixels that are not valid
# Quality of JPEG, and finest levels left out: the first with which the tiles are small enough.
SETTINGS = ((88, 0), (78, 0), (65, 0), (50, 0), (65, 1), (50, 1), (50, 2), (50, 3))


class TooLarge(Exception):
    """The tiles take more space on the disk than they may."""


@dataclass
class Budget:
    """Bytes that may still be written."""

    left: int

    def take(self, count: int) -> None:
        """Raise `TooLarge` if fewer are left."""
        self.left -= count
        if self.left < 0:
            raise TooLarge


@dataclass(frozen=True)
class Pyramid:
    """The tiles that were written: ``levels`` from the coarsest, of each a row of ``0`` and ``1``
    for each row of tiles; empty levels have none. ``left_out`` finest levels are empty."""

    levels: tuple[tuple[str, ...], ...]
    left_out: int


@dataclass
class Level:
    """One level of a pyramid while it is written.

    ``folder`` is None if it is left out. ``rgb`` and ``valid`` are halved strips of the finer level
    that wait to be a strip of tiles.
    """

    folder: Path | None
    quality: int
    budget: Budget
    coarser: "Level | None"
    present: list[str] = field(default_factory=list)
    rgb: list[UInt8] = field(default_factory=list)
    valid: list[Bools] = field(default_factory=list)

    def add(self, rgb: UInt8, valid: Bools) -> None:
        """Write a strip of tiles, (rows, cols, 3) and (rows, cols), and pass on its half."""
        if self.folder is not None:
            flags = [self.write(rgb, valid, col) for col in range(0, rgb.shape[1], TILE_PX)]
            self.present.append("".join("01"[flag] for flag in flags))
        if self.coarser is not None:
            self.coarser.gather(*halved(rgb, valid))

    def write(self, rgb: UInt8, valid: Bools, col: int) -> bool:
        """Write the tile that begins at a column; return False if it has no valid pixel."""
        assert self.folder is not None
        place = slice(None), slice(col, col + TILE_PX)
        if not valid[place].any():
            return False
        tile = np.ascontiguousarray(rgb[place][..., ::-1])
        _, file = cv2.imencode(".jpg", tile, (cv2.IMWRITE_JPEG_QUALITY, self.quality))
        self.budget.take(file.nbytes)
        (self.folder / f"{col // TILE_PX}_{len(self.present)}.jpg").write_bytes(file.tobytes())
        return True

    def gather(self, rgb: UInt8, valid: Bools) -> None:
        """Take half a strip; two are a strip."""
        self.rgb.append(rgb)
        self.valid.append(valid)
        if len(self.rgb) == 2:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self.rgb:
            rgb, valid = np.concatenate(self.rgb), np.concatenate(self.valid)
            self.rgb, self.valid = [], []
            self.add(rgb, valid)


def write_tiles(info: RasterInfo, folder: Path, max_mp: float) -> Pyramid:
    """Write the tiles of a photograph as ``folder/LEVEL/COL_ROW.jpg``, at most ``max_mp``
    megapixels in the finest level, and at most `ON_DISK` times the size of its files.

    Raises `InputError` if it cannot be read or was changed, `OutputError` if they cannot be
    written.
    """
    allowed = max(LEAST_BYTES, int(ON_DISK * sum(each.size for each in info.files)))
    least_left_out = 0
    while info.megapixels / 4**least_left_out > max_mp:
        least_left_out += 1
    for quality, more in SETTINGS:
        with suppress(TooLarge):
            found = write_levels(info, folder, quality, least_left_out + more, Budget(allowed))
            check_unchanged(info)
            if found.left_out:
                shown = 100 / 2**found.left_out
                log.info("%s: the page shows it at %.3g %% of its size", info.path.name, shown)
            return found
    shutil.rmtree(folder, ignore_errors=True)
    log.warning("%s: the page shows no photograph: its tiles would be too large", info.path.name)
    return Pyramid((), 0)


def write_levels(
    info: RasterInfo, folder: Path, quality: int, left_out: int, budget: Budget
) -> Pyramid:
    """Write all levels but the finest ``left_out``; raises `TooLarge` beyond the ``budget``."""
    count = level_count(info.rows, info.cols)
    left_out = min(left_out, count - 1)
    shutil.rmtree(folder, ignore_errors=True)
    levels: list[Level] = []
    with output_errors(folder):
        for number in range(count):
            own = folder / str(number) if number < count - left_out else None
            if own is not None:
                own.mkdir(parents=True)
            levels.append(Level(own, quality, budget, levels[-1] if levels else None))
        for rgb, valid in strips(info):
            levels[-1].add(rgb, valid)
        for level in reversed(levels):
            level.flush()
    return Pyramid(tuple(tuple(level.present) for level in levels), left_out)


def level_count(rows: int, cols: int) -> int:
    """Return how many levels there are, the first of which is one tile."""
    count, side = 1, max(rows, cols)
    while side > TILE_PX:
        side = -(-side // 2)
        count += 1
    return count


def strips(info: RasterInfo) -> Iterator[tuple[UInt8, Bools]]:
    """Yield strips of tiles of a photograph from top to bottom, on paper where nothing is valid."""
    with Raster(info) as raster:
        for row in range(0, info.rows, TILE_PX):
            window = Window(row, 0, TILE_PX, info.cols).clipped(info.rows, info.cols)
            pixels = raster.read(window)
            pixels.rgb[~pixels.valid] = PAPER
            yield pixels.rgb, pixels.valid


def halved(rgb: UInt8, valid: Bools) -> tuple[UInt8, Bools]:
    """Return a strip at half its size: means of 2 by 2 pixels, valid where one of them is."""
    more = [(0, side % 2) for side in valid.shape]
    if any(after for _, after in more):
        rgb, valid = np.pad(rgb, (*more, (0, 0)), "edge"), np.pad(valid, more, "edge")
    rows, cols = valid.shape[0] // 2, valid.shape[1] // 2
    half = cv2.resize(rgb, (cols, rows), interpolation=cv2.INTER_AREA)
    some = np.asarray(valid.reshape(rows, 2, cols, 2).any(axis=(1, 3)), bool)
    return np.asarray(half, np.uint8), some
