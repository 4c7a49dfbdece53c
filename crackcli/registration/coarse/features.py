"""Points of one photograph found again in another, by SIFT features.

Most matches between two photographs of a wall are wrong: bricks, aggregate and pores look alike.
So matches vote, first for the turn and the scale between the photographs and then for the shift,
and only those that agree with the winner are kept.

Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
Arandjelovic, R., Zisserman, A. (2012). Three things everyone should know to improve object
retrieval. CVPR. (square roots of descriptors)
"""

from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64
from crackcli.rasters.grid import Window
from crackcli.registration.levels import Level
from crackcli.registration.texture import normalised

CONTRAST = 0.01  # of a SIFT feature; walls have little of it
CHUNK = 2048  # features compared at once
GREY, GAIN = 128, 40  # texture as 8-bit grey values
TURN_BIN, TURN_REACH = 5.0, 15.0  # degrees
SCALE_BIN, SCALE_REACH = 0.1, 0.35  # octaves
MAX_OCTAVES = 2.0
SHIFT_REACH = 0.12  # of the diagonal of the later photograph


@dataclass(frozen=True)
class Search:
    """How features are searched for: longer side of the photographs in px, number of features, and
    ``ratio``: largest quotient of the distances to the nearest and the second descriptor."""

    side_px: int
    features: int
    ratio: float


@dataclass(frozen=True, eq=False)
class Features:
    """Points (N, 2) in pixels of the photograph, sizes (N,) in the same, angles (N,) in degrees and
    descriptors (N, 128) of unit length."""

    points: Float64
    sizes: Float64
    angles: Float64
    descriptors: Float32

    def __len__(self) -> int:
        return len(self.points)


def find_features(level: Level, limit: int, *, mirrored: bool = False) -> Features:
    """Return up to ``limit`` features of a level, none on cracks or nodata.

    With ``mirrored``, return those of its mirror image.
    """
    grey = level.read(Window(0, 0, level.rows, level.cols))
    texture = np.rint(GREY + GAIN * normalised(grey.values, grey.usable)).astype(np.uint8)
    mask = grey.usable.astype(np.uint8)
    if mirrored:
        texture, mask = (np.ascontiguousarray(part[:, ::-1]) for part in (texture, mask))
    sift = cv2.SIFT.create(limit, 3, CONTRAST)
    found, descriptors = sift.detectAndCompute(texture, mask)
    if not found:
        none = np.zeros(0)
        return Features(np.zeros((0, 2)), none, none, np.zeros((0, 128), np.float32))
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    points = np.array([each.pt for each in found]) + 0.5  # from centres to edges of pixels
    return Features(
        points * level.px,
        np.array([each.size for each in found]) * level.px.mean(),
        np.array([each.angle for each in found]),
        np.asarray(roots, np.float32),
    )


def match_features(before: Features, after: Features, ratio: float) -> tuple[Int64, Int64]:
    """Return the indices of features that are each other's nearest and pass the ratio test."""
    if len(before) < 2 or len(after) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    nearest, quotient = np.empty(len(before), np.int64), np.empty(len(before))
    best = np.full(len(after), -np.inf, np.float32)
    back = np.zeros(len(after), np.int64)
    for first in range(0, len(before), CHUNK):
        similar = before.descriptors[first : first + CHUNK] @ after.descriptors.T
        rows = np.arange(len(similar))
        own = similar.argmax(axis=1)
        highest = similar.max(axis=0)
        better = highest > best
        best[better] = highest[better]
        back[better] = similar.argmax(axis=0)[better] + first
        top = similar[rows, own]
        similar[rows, own] = -np.inf
        distances = 2 - 2 * np.stack([top, similar.max(axis=1)])  # squared; lengths are 1
        nearest[first : first + len(rows)] = own
        quotient[first : first + len(rows)] = np.sqrt(
            np.maximum(distances[0], 1e-12) / np.maximum(distances[1], 1e-12)
        )
    mutual = back[nearest] == np.arange(len(before))
    kept = np.flatnonzero(mutual & (quotient < ratio))
    kept = kept[np.argsort(quotient[kept], kind="stable")]
    return kept, nearest[kept]


def vote(before: Features, after: Features, pairs: tuple[Int64, Int64], diagonal: float) -> Bools:
    """Return the matches (M,) that agree with the commonest turn, scale and shift.

    ``diagonal`` is that of the later photograph in px.
    """
    i, j = pairs
    if not len(i):
        return np.zeros(0, bool)
    turn = (after.angles[j] - before.angles[i] + 180) % 360 - 180
    octaves = np.log2(after.sizes[j] / before.sizes[i])
    turns = np.arange(-180, 180 + TURN_BIN, TURN_BIN)
    scales = np.arange(-MAX_OCTAVES, MAX_OCTAVES + SCALE_BIN, SCALE_BIN)
    counts, _, _ = np.histogram2d(turn, octaves, [turns, scales])
    around = np.pad(counts, ((3, 3), (0, 0)), mode="wrap").astype(np.float32)
    near = cv2.boxFilter(around, -1, (7, 7), normalize=False, borderType=cv2.BORDER_CONSTANT)[3:-3]
    row, col = np.unravel_index(int(near.argmax()), near.shape)
    common_turn, common_scale = turns[row] + TURN_BIN / 2, scales[col] + SCALE_BIN / 2
    agree = np.abs((turn - common_turn + 180) % 360 - 180) < TURN_REACH
    agree &= np.abs(octaves - common_scale) < SCALE_REACH
    if agree.any():
        angle, scale = np.deg2rad(common_turn), 2.0**common_scale
        rotation = scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        shift = after.points[j] - before.points[i] @ rotation.T
        agree &= near_the_crowd(shift, agree, SHIFT_REACH * diagonal)
    return np.asarray(agree)


def near_the_crowd(points: Float64, counted: Bools, reach: float) -> Bools:
    """Return the points (N, 2) within ``reach`` of the place with most ``counted`` points."""
    crowd = points[counted]
    cells = np.floor((crowd - crowd.min(axis=0)) / (reach / 2)).astype(np.int64)
    cells = cells.clip(0, 400)  # far outliers
    counts = np.zeros(cells.max(axis=0) + 1, np.float32)
    np.add.at(counts, tuple(cells.T), 1)
    near = cv2.boxFilter(counts, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    densest = np.unravel_index(int(near.argmax()), near.shape)
    middle = crowd.min(axis=0) + (np.array(densest) + 0.5) * (reach / 2)
    return np.asarray(np.hypot(*(points - middle).T) < reach)
