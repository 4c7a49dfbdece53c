"""Pixel labels of reviewed cracks, for a network that marks pixels.

Near a reviewed crack a person has judged the marks of the scan, so that each pixel has a label:

accepted  its marked pixels are crack, the others beside it are not
drawn     a line of a person is a few px off: of a corridor along it, the pixels that the
          photograph shows to be as dark as a crack are; the rest of the corridor is unknown
rejected  no pixel is crack

Pixels near an unreviewed crack and those far from all cracks are unknown. A pixel belongs to the
crack with the nearest centreline.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import shapely

from crackcli.arrays import Bools, Float32, UInt8
from crackcli.finetuning.reviews import ReviewedCrack
from crackcli.masking.refinement import grey, refine
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import CRACK
from crackcli.report.verdicts import ACCEPTED, UNREVIEWED
from crackcli.training.pixel_targets import UNKNOWN

BESIDE_PX = 12.0  # from the edge of a crack, to which pixels without a mark are not crack
USUAL_WIDTH_PX = 4.0  # of a crack without a measured width
OFF_PX = 4.0  # between a line drawn by a person and the edge of its crack
ALONG = 0.5  # fraction of a drawn line that the photograph must show; else it is unknown
GRAINS = 2.0  # standard deviations of the surroundings, up to 16 px from the line
SURROUNDINGS_PX = 16.0
SHIFT_BITS = 4  # OpenCV draws lines at 1/16 px


def reviewed_pixels(
    cracks: Sequence[ReviewedCrack], window: Window, rgb: UInt8, mask: UInt8
) -> Float32:
    """Return the labels (rows, cols) of a window: 1 crack, 0 no crack, -1 unknown.

    ``rgb`` (rows, cols, 3) and ``mask`` (rows, cols) are those of the window.
    """
    shape = mask.shape[0], mask.shape[1]
    labels = np.full(shape, UNKNOWN, np.float32)
    near = [crack for crack in cracks if is_near(crack, window)]
    if not near:
        return labels
    distances = np.stack([distance_px(crack.line, window) for crack in near])
    nearest = distances.argmin(axis=0)
    for number, (crack, distance) in enumerate(zip(near, distances, strict=True)):
        if crack.verdict == UNREVIEWED:
            continue
        own = (nearest == number) & (distance <= BESIDE_PX + width_px(crack) / 2)
        labels[own] = 0
        if crack.verdict != ACCEPTED:
            continue
        corridor = distance <= width_px(crack) / 2 + OFF_PX
        if crack.drawn:
            labels[own & corridor] = UNKNOWN
            found = found_pixels(rgb, corridor)
            if not shows_crack(rgb, found, corridor, distance):
                labels[own] = UNKNOWN
                continue
        else:
            found = mask == CRACK
            labels[own & found & (distance > max(OFF_PX, width_px(crack)))] = UNKNOWN
            found &= distance <= max(OFF_PX, width_px(crack))
        labels[own & found] = 1
    return labels


def width_px(crack: ReviewedCrack) -> float:
    """Return the mean width of a crack, or a usual one if it was not measured."""
    return crack.width_px or USUAL_WIDTH_PX


def is_near(crack: ReviewedCrack, window: Window) -> bool:
    """Return True if the labels of a window may depend on a crack."""
    reach = BESIDE_PX + width_px(crack)
    box = shapely.box(window.col, window.row, window.end_col, window.end_row)
    return bool(shapely.dwithin(crack.line, box, reach))


def distance_px(line: shapely.Geometry, window: Window) -> Float32:
    """Return the distance (rows, cols) of each pixel of a window from a line, which may lie
    outside."""
    rim = int(2 * BESIDE_PX)
    away = np.ones((window.rows + 2 * rim, window.cols + 2 * rim), np.uint8)
    origin = np.array([window.col - rim, window.row - rim]) + 0.5  # pixel edges to centres
    for part in shapely.get_parts(line):
        points = np.rint((shapely.get_coordinates(part) - origin) * 2**SHIFT_BITS).astype(np.int32)
        cv2.polylines(away, [points], False, 0, shift=SHIFT_BITS)
    if away.all():
        return np.full((window.rows, window.cols), np.inf, np.float32)
    distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance[rim:-rim, rim:-rim], np.float32)


def found_pixels(rgb: UInt8, corridor: Bools) -> Bools:
    """Return the pixels of a corridor that the photograph (rows, cols, 3) shows as a crack."""
    return refine(rgb, corridor.astype(np.float32), 1.0).weak


def shows_crack(rgb: UInt8, found: Bools, corridor: Bools, distance: Float32) -> bool:
    """Return True if the pixels found in a corridor lie along most of its line, at distance 0, and
    are darker than the surroundings by more than the grain."""
    line, beside = distance == 0, ~corridor & (distance <= SURROUNDINGS_PX)
    if not found.any() or not line.any() or not beside.any():
        return False
    side = 2 * int(OFF_PX) + 1
    near = cv2.dilate(found.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    dark = grey(rgb)
    depth = dark[beside].mean() - dark[found].mean()
    return bool(near[line].mean() >= ALONG and depth > GRAINS * dark[beside].std())
