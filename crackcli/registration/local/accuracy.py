"""Accuracy of an alignment: how far matches lie from a field that did not see them.

The matches are cut into square blocks, and the blocks into folds. The field is fitted without a
fold, and the distances of its matches are residuals that also hold between matches and beside them.
A residual contains the error of the match itself, so sigma is rather too large than too small.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import KDTree

from crackcli.arrays import Bools, Float64
from crackcli.registration.local.smooth_field import Matches, fit_field

FOLDS = 5
BLOCK_KNOTS = 1.2  # side of a block in knots
MIN_MATCHES = 24  # in the other folds
REACH_KNOTS = 1.7  # sigma of the surroundings of a point whose residuals count for it
LEAST_NEAR = 6  # matches there
NEIGHBOURS = 64
FLOOR_PX = 0.03  # no alignment is known better
OUTLIER = 4.0  # times the typical residual; larger ones count as that
LOCAL_KNOTS = 0.6  # further from the nearest match than that, sigma grows


@dataclass(frozen=True, eq=False)
class Residuals:
    """Points (N, 2) of the earlier photograph and squared residuals (N,) per axis, in px of the
    earlier photograph; ``reach_px`` is the distance over which they are averaged."""

    points: Float64
    squares: Float64
    reach_px: float

    @cached_property
    def tree(self) -> KDTree:
        """Index of the points."""
        return KDTree(self.points)

    def sigma(self, points: Float64) -> Float64:
        """Return sigma per axis (N,) at points (N, 2); nan without matches near."""
        found = np.full(len(points), np.nan)
        known = np.isfinite(points).all(axis=1)
        count = min(NEIGHBOURS, len(self.points))
        if not known.any() or count < LEAST_NEAR:
            return found
        near = self.tree.query(points[known], k=count)
        distance, index = np.asarray(near[0]), np.asarray(near[1])
        weight = np.exp(-((distance / self.reach_px) ** 2) / 2)
        mean = (weight * self.squares[index]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
        enough = (distance < 2 * self.reach_px).sum(axis=1) >= LEAST_NEAR
        beyond = np.maximum(distance[:, 0] / self.reach_px - LOCAL_KNOTS / REACH_KNOTS, 0)
        sigma = np.hypot(np.sqrt(mean), FLOOR_PX) * np.sqrt(1 + (2 * beyond) ** 2)
        found[known] = np.where(enough, sigma, np.nan)
        return found


def held_out(
    matches: Matches, weight: Float64, shape: tuple[int, int], knot_px: float
) -> Residuals:
    """Return the residuals of matches under fields that did not see their surroundings.

    ``weight`` (N,) is what each match kept in the fit to all.
    """
    side = BLOCK_KNOTS * knot_px
    cells = np.floor(matches.points / side).astype(np.int64)
    fold = (2 * cells[:, 0] + cells[:, 1]) % FOLDS  # blocks of one fold never touch
    squares = np.full(len(matches), np.nan)
    for each in range(FOLDS):
        own = fold == each
        if own.any() and (~own).sum() >= MIN_MATCHES:
            field, _ = fit_field(matches.where(~own), shape, knot_px, weight[~own])
            part = matches.where(own)
            squares[own] = ((part.shift - field.at(part.points)) ** 2).sum(axis=1) / 2
    known: Bools = np.isfinite(squares)
    squares = squares[known]
    if len(squares):
        squares = np.minimum(squares, OUTLIER**2 * np.median(squares) / 0.693)
    return Residuals(matches.points[known], squares, REACH_KNOTS * knot_px)
