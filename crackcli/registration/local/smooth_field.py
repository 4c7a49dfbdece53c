"""A smooth field of displacements over a photograph: a cubic B-spline fitted to matches.

The spline has a knot every ``knot_px`` and a penalty on its second differences, so that it is
defined, and straight, where there are no matches. Matches that disagree with it lose their weight.

A crack that opens or slides moves the two sides apart. Near cracks the model of the matches
therefore has a second part: a displacement away from the nearest crack, and one along it, which
change sign on the crack and fade with the distance from it. It takes up the opening, so that the
smooth part, which alone is kept, does not.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates
from scipy.sparse.linalg import splu

from crackcli.arrays import Bools, Float64

DEGREE = 3
STIFFNESS = 1.0  # of the spline: weight of a second difference of 1 px, in 1/px^2
ROUNDS = 4  # of reweighting
OUTLIER = 3.0  # standard deviations at which a match has a quarter of its weight
RIDGE = 1e-6
OPENING_PX = 1.5  # typical opening, sigma of the prior
NEAR = 0.05  # of the opening left at a match; matches with less do not count for it
OPENING_KNOTS = 2  # the opening along cracks has a knot every so many knots


@dataclass(frozen=True, eq=False)
class Matches:
    """Places that were found again: ``points`` (N, 2) of the earlier photograph in px, their
    ``shift`` (N, 2), and its ``information`` (N, 2, 2), the inverse of its covariance.

    ``away`` (N, 2) is the unit vector away from the nearest crack, times how much of its opening is
    left there (0 far from cracks); ``nearest`` (N, 2) that point of the crack.
    """

    points: Float64
    shift: Float64
    information: Float64
    away: Float64
    nearest: Float64

    def __len__(self) -> int:
        return len(self.points)

    def where(self, kept: Bools) -> "Matches":
        """Return the matches with these flags (N,)."""
        return Matches(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class SmoothField:
    """Displacements in px: ``coefficients`` (2, rows, cols) of a cubic B-spline with knots every
    ``knot_px``; the first knot lies one interval outside the photograph."""

    knot_px: float
    coefficients: Float64

    def at(self, points: Float64) -> Float64:
        """Return the displacement (N, 2) at points (N, 2); any if a point is nan."""
        place = np.nan_to_num(points.T[::-1]) / self.knot_px + 1
        x, y = (
            map_coordinates(part, place, order=3, prefilter=False, mode="nearest")
            for part in self.coefficients
        )
        return np.column_stack([x, y])


def knots_of(shape: tuple[int, int], knot_px: float) -> tuple[int, int]:
    """Return the number of coefficients along rows and columns for a photograph of ``shape``."""
    rows, cols = (int(np.ceil(side / knot_px)) + 3 for side in shape)
    return rows, cols


def basis(points: Float64, shape: tuple[int, int], knot_px: float) -> sparse.csr_array:
    """Return the values (N, K) of the K B-splines at points (N, 2) inside the photograph."""
    parts = []
    for along, count in zip(points.T[::-1], knots_of(shape, knot_px), strict=True):
        knots = np.arange(-DEGREE, count + 1, dtype=float)
        inside = np.clip(along / knot_px, 0, count - DEGREE)
        parts.append(sparse.csr_array(BSpline.design_matrix(inside, knots, DEGREE)))
    rows, cols = parts
    n = np.arange(len(points))
    per = DEGREE + 1
    r, c = (part.indices.reshape(-1, per).astype(np.int64) for part in (rows, cols))
    values = rows.data.reshape(-1, per)[:, :, None] * cols.data.reshape(-1, per)[:, None, :]
    index = r[:, :, None] * cols.shape[1] + c[:, None, :]
    return sparse.csr_array(
        (values.ravel(), (np.repeat(n, per * per), index.ravel())),
        shape=(len(points), rows.shape[1] * cols.shape[1]),
    )


def bending(counts: tuple[int, int]) -> sparse.csr_array:
    """Return the penalty (K, K): the sum of squared second differences of the coefficients."""
    rows, cols = counts

    def differences(count: int, order: int) -> sparse.csr_array:
        return sparse.csr_array(np.diff(np.eye(count), order, axis=0))

    terms = [
        sparse.kron(differences(rows, 2), differences(cols, 0)),
        sparse.kron(differences(rows, 0), differences(cols, 2)),
        np.sqrt(2) * sparse.kron(differences(rows, 1), differences(cols, 1)),
    ]
    return sparse.csr_array(sum(term.T @ term for term in terms))


def fit_field(
    matches: Matches, shape: tuple[int, int], knot_px: float, weight: Float64 | None = None
) -> tuple[SmoothField, Float64]:
    """Fit a field to matches; return it with the weight (N,) that each match kept, 0 to 1.

    With a ``weight`` (N,) it is fitted once, by that.
    """
    counts = knots_of(shape, knot_px)
    total = counts[0] * counts[1]
    smooth = basis(matches.points, shape, knot_px)
    penalty = STIFFNESS * bending(counts) + RIDGE * sparse.eye_array(total)
    design = sparse.csr_array(sparse.block_diag([smooth, smooth]))
    regular = sparse.csc_array(sparse.block_diag([penalty, penalty]))
    near = np.hypot(*matches.away.T) > NEAR
    if near.any():
        opening = opening_modes(matches, near, shape, knot_px)
        prior = sparse.eye_array(opening.shape[1]) / OPENING_PX**2
        design = sparse.csr_array(sparse.hstack([design, opening]))
        regular = sparse.csc_array(sparse.block_diag([regular, prior]))
    root = np.linalg.cholesky(matches.information + 1e-9 * np.eye(2))
    xx, yx, yy = root[:, 0, 0], root[:, 1, 0], root[:, 1, 1]
    x, y = matches.shift.T
    observed = np.concatenate([xx * x + yx * y, yy * y])
    of_x, of_y = design[: len(matches)], design[len(matches) :]
    a, b, c = (sparse.diags_array(part) for part in (xx, yx, yy))
    whitened = sparse.csr_array(sparse.vstack([a @ of_x + b @ of_y, c @ of_y]))
    rounds = ROUNDS if weight is None else 1
    weight = np.ones(len(matches)) if weight is None else weight
    solution = np.zeros(design.shape[1])
    for _ in range(rounds):
        rows = sparse.diags_array(np.tile(weight, 2))
        normal = sparse.csc_array(whitened.T @ rows @ whitened + regular)
        solution = symmetric_solve(normal, whitened.T @ (rows @ observed))
        misfit = np.hypot(*(observed - whitened @ solution).reshape(2, -1))
        typical = 1.4826 * np.median(misfit) / np.sqrt(2) + 1e-9
        weight = 1 / (1 + (misfit / (OUTLIER * typical)) ** 2) ** 2
    return SmoothField(knot_px, solution[: 2 * total].reshape(2, *counts)), weight


def symmetric_solve(matrix: sparse.csc_array, right: Float64) -> Float64:
    """Return the solution of a symmetric positive definite system."""
    factors = splu(
        matrix,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return np.asarray(factors.solve(right), np.float64)


def opening_modes(
    matches: Matches, near: Bools, shape: tuple[int, int], knot_px: float
) -> sparse.csr_array:
    """Return the displacements (2N, 2K) of matches by cracks that open or slide by 1 px at K
    knots along them; ``near`` (N,) are the matches near a crack."""
    along = basis(matches.nearest, shape, OPENING_KNOTS * knot_px)
    along = sparse.csr_array(along[:, np.unique(along[near].indices)])
    x, y = (sparse.diags_array(np.where(near, part, 0)) for part in matches.away.T)
    opens = sparse.vstack([x @ along, y @ along])
    slides = sparse.vstack([-(y @ along), x @ along])
    return sparse.csr_array(sparse.hstack([opens, slides]))
