"""Probability of detection (POD) of cracks by their width, from hits and misses.

The model is that of MIL-HDBK-1823A for hit/miss data: the log-odds of being found are a straight
line over the logarithm of the width,

    POD(w) = 1 / (1 + exp(-ln 9 - slope * ln(w / a90))),   slope > 0,

written here by its 90 % point a90 instead of an intercept.  a90/95 is the upper bound of a90 with
95 % confidence, by the likelihood ratio: the largest a90 for which the likelihood, at the best
slope for it, is not worse than the best by more than half the 90 % quantile of chi-square with one
degree of freedom, one-sided 95 %.  The band of the curve is of the same region of a90 and slope, so
its lower limit meets 90 % at a90/95.

Where all narrow cracks are missed and all wide ones found, the plain likelihood has no maximum.  It
is therefore multiplied by the root of the determinant of the information matrix (Firth 1993), which
keeps every estimate finite, and leaves the bias of the first order out of few data as well.

The likelihood is evaluated on a grid of a90 and slope, which is cut finer around what is likely:
two parameters need no solver that may fail.

Notation: N cracks; L widths that differ; A by S points of the grid.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, chdtri

from crackcli.arrays import Float64

POINTS = 121, 81  # of the grid: a90 and slope
ZOOMS = 3  # times that the grid is cut finer
BEYOND = 4.0  # of the log of a width: how far beyond the widths that were drawn a90 is sought
SLOPES = 0.2, 80.0  # per natural log of the width; 80 rises from 10 to 90 % within 6 %
ODDS_90 = np.log(9.0)
DROP = float(chdtri(1, 0.10)) / 2  # of the log-likelihood, one-sided 95 %
UNFIT = 0.05  # probability below which what was found contradicts a90/95


@dataclass(frozen=True, eq=False)
class Pod:
    """A fitted curve.  ``a50``, ``a90`` and ``a9095`` are widths in the unit that was given, nan
    where they lie above ``widest``, the widest crack drawn: there the curve says nothing; those
    below ``narrowest`` are given as ``narrowest``.  ``likely_log_a90`` and ``likely_slope`` (P,)
    are the points of the confidence region."""

    slope: float
    log_a90: float
    log_a9095: float
    narrowest: float
    widest: float
    likely_log_a90: Float64
    likely_slope: Float64

    @property
    def a50(self) -> float:
        return self.within(self.log_a90 - ODDS_90 / self.slope)

    @property
    def a90(self) -> float:
        return self.within(self.log_a90)

    @property
    def a9095(self) -> float:
        return self.within(self.log_a9095)

    def within(self, log_width: float) -> float:
        """A width as far as cracks were drawn that wide."""
        # a hair above, for the grid of a90 is not infinitely fine
        if log_width > np.log(self.widest) + 1e-6:
            return float("nan")
        return float(np.exp(max(log_width, np.log(self.narrowest))))

    def curve(self, widths: ArrayLike) -> tuple[Float64, Float64, Float64]:
        """POD at widths (K,), and its lower and upper limit (K,), each with 95 % confidence."""
        x = np.log(np.asarray(widths, np.float64))
        best = probability(ODDS_90 + self.slope * (x - self.log_a90))
        odds = ODDS_90 + self.likely_slope * (x[:, None] - self.likely_log_a90)
        return best, probability(odds.min(axis=1)), probability(odds.max(axis=1))


def fit(widths: ArrayLike, found: ArrayLike) -> Pod:
    """The curve for cracks of ``widths`` (N,), above 0, that were ``found`` (N,) or not."""
    widths, found = np.asarray(widths, np.float64), np.asarray(found, bool)
    levels, which = np.unique(widths, return_inverse=True)
    x = np.log(levels)
    tried = np.bincount(which, minlength=len(x)).astype(np.float64)
    hits = np.bincount(which, found, len(x))
    low, high = [x[0] - BEYOND, np.log(SLOPES[0])], [x[-1] + BEYOND, np.log(SLOPES[1])]
    for _ in range(ZOOMS):
        sides = [np.linspace(*ends) for ends in zip(low, high, POINTS, strict=True)]
        a, log_slope = np.meshgrid(*sides, indexing="ij")
        value = log_likelihood(a, np.exp(log_slope), x, tried, hits)
        likely = value >= value.max() - DROP
        around = value >= value.max() - 1.5 * DROP
        for axis, side in enumerate(sides):  # to what is likely, and one step more on each side
            seen = np.flatnonzero(around.any(axis=1 - axis))
            low[axis] = side[max(0, seen[0] - 1)]
            high[axis] = side[min(len(side) - 1, seen[-1] + 1)]
    best = np.unravel_index(value.argmax(), value.shape)
    return Pod(
        slope=float(np.exp(log_slope[best])),
        log_a90=float(a[best]),
        log_a9095=float(a[likely].max()),
        narrowest=float(levels[0]),
        widest=float(levels[-1]),
        likely_log_a90=a[likely],
        likely_slope=np.exp(log_slope[likely]),
    )


def log_likelihood(
    log_a90: Float64, slope: Float64, x: Float64, tried: Float64, hits: Float64
) -> Float64:
    """The penalised log-likelihood (A, S) of ``hits`` (L,) among ``tried`` (L,) at the logarithms
    of widths ``x`` (L,)."""
    odds = ODDS_90 + slope[..., None] * (x - log_a90[..., None])  # (A, S, L)
    p = probability(odds)
    # log p = odds - log(1 + e^odds), log(1 - p) = -log(1 + e^odds)
    plain = odds @ hits - np.logaddexp(0, odds) @ tried
    weight = tried * p * (1 - p)
    off = x - x.mean()
    information = weight.sum(-1) * (weight @ off**2) - (weight @ off) ** 2
    return plain + 0.5 * np.log(np.maximum(information, 1e-300))


def probability(odds: Float64) -> Float64:
    """Probabilities of log-odds."""
    return 1 / (1 + np.exp(-np.clip(odds, -700, 700)))


def contradicted(pod: Pod, widths: ArrayLike, found: ArrayLike) -> tuple[float, int, int] | None:
    """A width, a90/95 or more, and how many of how many cracks as wide or wider were found, if
    these are too few for 90 %: detection does not rise as the curve does, and a90/95 must not be
    trusted.  Else None.  Each width is asked, at `UNFIT` for all of them together."""
    widths, found = np.asarray(widths, np.float64), np.asarray(found, bool)
    levels = np.unique(widths[widths >= pod.a9095])  # none where it is nan
    for level in levels:
        wide = widths >= level
        tried, hits = int(wide.sum()), int(found[wide].sum())
        if bdtr(hits, tried, 0.9) < UNFIT / len(levels):
            return float(level), hits, tried
    return None
