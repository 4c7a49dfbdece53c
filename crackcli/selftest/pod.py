"""Probability of detection (POD) of cracks by width, from hits and misses.

The model is that of MIL-HDBK-1823A for hit/miss data: the log-odds of detection are linear in the
logarithm of the width,

    POD(w) = 1 / (1 + exp(-ln 9 - slope * ln(w / a90))),   slope > 0,

written here with its 90 % point a90 instead of an intercept. a90/95 is the upper bound of a90 with
95 % confidence, by the likelihood ratio: the largest a90 whose likelihood, at the best slope for
it, is below the maximum by no more than half the 90 % quantile of chi-square with one degree of
freedom (one-sided 95 %). The band of the curve belongs to the same region of a90 and slope, so that
its lower limit reaches 90 % at a90/95.

If all narrow cracks are missed and all wide ones found, the plain likelihood has no maximum. It is
therefore multiplied by the square root of the determinant of the information matrix (Firth 1993).
This keeps every estimate finite and removes the first-order bias of small samples.

The likelihood is evaluated on a grid of a90 and slope that is refined around its maximum: with two
parameters no solver is needed that could fail to converge.

Notation: N cracks; L different widths; A x S grid points; P points of the confidence region.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, chdtri

from crackcli.arrays import Float64

GRID = 121, 81  # points in a90 and slope
REFINEMENTS = 3  # of the grid
LOG_MARGIN = 4.0  # natural log of width; a90 is sought this far beyond the drawn widths
SLOPES = 0.2, 80.0  # per natural log of width; 80 rises from 10 to 90 % within 6 % of width
LOG_ODDS_90 = np.log(9.0)
DROP = float(chdtri(1, 0.10)) / 2  # of the log-likelihood, one-sided 95 %
CONTRADICTION = 0.05  # probability below which the hits contradict a90/95


@dataclass(frozen=True, eq=False)
class Pod:
    """A fitted POD curve.

    ``a50``, ``a90`` and ``a9095`` are widths in the unit of the input. They are nan above
    ``widest``, the widest crack drawn, where the curve is not supported by data. Below
    ``narrowest`` they are ``narrowest``. ``likely_log_a90`` and ``likely_slope`` (P) are the points
    of the confidence region.
    """

    slope: float
    log_a90: float
    log_a9095: float
    narrowest: float
    widest: float
    likely_log_a90: Float64
    likely_slope: Float64

    @property
    def a50(self) -> float:
        return self.within_data(self.log_a90 - LOG_ODDS_90 / self.slope)

    @property
    def a90(self) -> float:
        return self.within_data(self.log_a90)

    @property
    def a9095(self) -> float:
        return self.within_data(self.log_a9095)

    def within_data(self, log_width: float) -> float:
        """Return a width, limited to the range of drawn widths; nan above it."""
        if log_width > np.log(self.widest) + 1e-6:  # the grid of a90 has a finite spacing
            return float("nan")
        return float(np.exp(max(log_width, np.log(self.narrowest))))

    def curve(self, widths: ArrayLike) -> tuple[Float64, Float64, Float64]:
        """Return POD at widths (K), and its lower and upper limit (K), each of 95 % confidence."""
        x = np.log(np.asarray(widths, np.float64))
        best = probability(LOG_ODDS_90 + self.slope * (x - self.log_a90))
        odds = LOG_ODDS_90 + self.likely_slope * (x[:, None] - self.likely_log_a90)
        return best, probability(odds.min(axis=1)), probability(odds.max(axis=1))


def fit(widths: ArrayLike, found: ArrayLike) -> Pod:
    """Fit the POD curve of cracks of ``widths`` (N), above 0, that were ``found`` (N) or missed."""
    widths, found = np.asarray(widths, np.float64), np.asarray(found, bool)
    levels, which = np.unique(widths, return_inverse=True)
    x = np.log(levels)
    tried = np.bincount(which, minlength=len(x)).astype(np.float64)
    hits = np.bincount(which, found, len(x)).astype(np.float64)
    low, high = [x[0] - LOG_MARGIN, np.log(SLOPES[0])], [x[-1] + LOG_MARGIN, np.log(SLOPES[1])]
    for _ in range(REFINEMENTS):
        sides = [np.linspace(*ends) for ends in zip(low, high, GRID, strict=True)]
        a, log_slope = np.meshgrid(*sides, indexing="ij")
        value = log_likelihood(a, np.exp(log_slope), x, tried, hits)
        likely = value >= value.max() - DROP
        around = value >= value.max() - 1.5 * DROP
        for axis, side in enumerate(sides):  # to the likely points and one more on each side
            inside = np.flatnonzero(around.any(axis=1 - axis))
            low[axis] = side[max(0, inside[0] - 1)]
            high[axis] = side[min(len(side) - 1, inside[-1] + 1)]
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
    """Return the penalised log-likelihood (A, S) of ``hits`` (L) among ``tried`` (L).

    ``x`` (L) are the logarithms of the widths.
    """
    odds = LOG_ODDS_90 + slope[..., None] * (x - log_a90[..., None])  # (A, S, L)
    p = probability(odds)
    # log p = odds - log(1 + e^odds), log(1 - p) = -log(1 + e^odds)
    plain = odds @ hits - np.logaddexp(0, odds) @ tried
    weight = tried * p * (1 - p)
    off = x - x.mean()
    information = weight.sum(-1) * (weight @ off**2) - (weight @ off) ** 2
    penalised: Float64 = plain + 0.5 * np.log(np.maximum(information, 1e-300))
    return penalised


def probability(odds: Float64) -> Float64:
    """Return the probabilities of log-odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))), np.float64)


def find_contradiction(
    pod: Pod, widths: ArrayLike, found: ArrayLike
) -> tuple[float, int, int] | None:
    """Return a width from a90/95 on, and the hits and cracks of this width or wider, if there are
    too few hits for a POD of 90 %.

    Detection then does not rise with width as the model assumes, and a90/95 must not be claimed.
    Return None if there is no such width. It is a binomial test of each width, at the significance
    `CONTRADICTION` for all of them together (Bonferroni).
    """
    widths, found = np.asarray(widths, np.float64), np.asarray(found, bool)
    levels = np.unique(widths[widths >= pod.a9095])  # empty if it is nan
    for level in levels:
        wide = widths >= level
        tried, hits = int(wide.sum()), int(found[wide].sum())
        if bdtr(hits, tried, 0.9) < CONTRADICTION / len(levels):
            return float(level), hits, tried
    return None
