"""Crops of the most significant changes: before, after, and their difference.

The earlier photograph is brought onto the later one by the alignment, and to its brightness where
the crop has no crack. Opening in the difference is dark, closing is bright.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from crackcli.arrays import Bools, UInt8
from crackcli.comparison.evidence.samples import Alignment
from crackcli.figures.sheet import join_images, text_line
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo

MARGIN_PX = 24  # of the photograph around the crack
SIDES_PX = 96, 640  # shortest and longest side of a crop, in px of the photograph
CELL_PX = 400  # longer side of a picture in the sheet
GAIN = 2.0  # of the difference
MIDDLE = 128  # grey level without a difference


@dataclass(frozen=True, eq=False)
class Sides:
    """The photographs of two campaigns, and the alignment between them."""

    before: RasterInfo
    after: RasterInfo
    alignment: Alignment


def draw_crop(sides: Sides, line: shapely.Geometry, caption: str) -> UInt8:
    """Return a sheet (rows, cols, 3) of the change along a ``line`` in px of the later photograph:
    before, after and difference, with a caption."""
    window = window_around(line, sides.after)
    with Raster(sides.after) as raster:
        later = raster.read(window).rgb
    earlier, shown = earlier_on_later(sides, window)
    difference = difference_of(earlier, later, shown)
    cells = [enlarged(image) for image in (earlier, later, difference)]
    sheet = join_images(cells, axis=1)
    return np.vstack([sheet, text_line(caption, sheet.shape[1])])


def window_around(line: shapely.Geometry, photograph: RasterInfo) -> Window:
    """Return the window of a photograph around a line; around the middle of a very long one."""
    low_x, low_y, high_x, high_y = shapely.bounds(line).tolist()
    points = shapely.get_coordinates(longest_part(line))
    middle = points[len(points) // 2]
    sides = []
    for low, high, at, limit in (
        (low_x, high_x, middle[0], photograph.cols),
        (low_y, high_y, middle[1], photograph.rows),
    ):
        size = int(np.clip(high - low + 2 * MARGIN_PX, *SIDES_PX))
        centre = (low + high) / 2 if high - low + 2 * MARGIN_PX <= SIDES_PX[1] else at
        size = min(size, limit)
        first = int(np.clip(round(centre - size / 2), 0, limit - size))
        sides.append((first, size))
    (col, cols), (row, rows) = sides
    return Window(row, col, rows, cols)


def longest_part(line: shapely.Geometry) -> shapely.Geometry:
    """Return the longest part of a line of several."""
    longest: shapely.Geometry = max(shapely.get_parts(line), key=lambda part: float(part.length))
    return longest


def earlier_on_later(sides: Sides, window: Window) -> tuple[UInt8, Bools]:
    """Return the earlier photograph in a window of the later one, and where it shows it (rows,
    cols)."""
    rows, cols = np.mgrid[window.row : window.end_row, window.col : window.end_col]
    points = np.column_stack([cols.ravel(), rows.ravel()]) + 0.5
    placed = sides.alignment.to_before(points).reshape(window.rows, window.cols, 2) - 0.5
    limits = np.array([sides.before.cols, sides.before.rows]) - 1
    inside = np.asarray(((placed >= 0) & (placed <= limits)).all(axis=2), bool)
    blank = np.full((window.rows, window.cols, 3), 255, np.uint8)
    if not inside.any():
        return blank, inside
    low = np.floor(placed[inside].min(axis=0)).astype(int)
    high = np.ceil(placed[inside].max(axis=0)).astype(int) + 1
    source = Window(int(low[1]), int(low[0]), int(high[1] - low[1]), int(high[0] - low[0]))
    with Raster(sides.before) as raster:
        pixels = raster.read(source)
    x, y = (placed - low).astype(np.float32).transpose(2, 0, 1)
    warped = cv2.remap(pixels.rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    valid = cv2.remap(pixels.valid.astype(np.uint8), x, y, cv2.INTER_NEAREST)
    shown = np.asarray(inside & (np.asarray(valid) > 0), bool)
    return np.where(shown[..., None], np.asarray(warped, np.uint8), blank), shown


def difference_of(earlier: UInt8, later: UInt8, shown: Bools) -> UInt8:
    """Return later less earlier brightness, times `GAIN`, around `MIDDLE`; white where the earlier
    photograph shows nothing."""
    was, now = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float) for image in (earlier, later))
    if shown.any():
        was = was * (np.median(now[shown]) / max(float(np.median(was[shown])), 1.0))
    grey = np.rint(MIDDLE + GAIN * (now - was)).clip(0, 255)
    grey[~shown] = 255
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def enlarged(image: UInt8) -> UInt8:
    """Return an image whose longer side is `CELL_PX`."""
    factor = CELL_PX / max(image.shape[:2])
    rows, cols = (max(1, round(side * factor)) for side in image.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (cols, rows), interpolation=way), np.uint8)
