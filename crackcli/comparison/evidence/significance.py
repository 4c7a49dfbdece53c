"""Which changes are significant: tests of single differences, and all of a comparison together.

A difference d with the standard uncertainty u has the p-value P(|N| > |d| / u) of a normal N: how
often two photographs of one state differ by as much. Of hundreds of cracks some always do, so the
procedure of Benjamini and Hochberg (1995) decides over all tests of a comparison at once: of the
changes that it calls significant, at most `RATE` are expected to be none. It finds the largest k
for which k p-values are at most k RATE / m, of m tests; those are significant.

The stated uncertainties are those of different cameras in different light. Two photographs of one
camera in one light repeat each other better, and as most cracks do not change, the differences
themselves show it: the uncertainties of widths and areas are multiplied by the robust spread of
d / u over the cracks of a scene if that is below 1 (an empirical null distribution; Efron 2004),
the less the fewer there are.

A crack that only one photograph shows has as its p-value the probability that the other scan
missed it: by the curve of detection of its width over the detection limit (nine of ten are found at
the limit; `crackcli.detectability.limits`), times the fraction of missed cracks of which that scan
shows no trace (`crackcli.comparison.evidence.visibility`).
"""

from collections.abc import Iterable

import numpy as np
from scipy.special import ndtr, ndtri

from crackcli.arrays import Float64

RATE = 0.05
FOUND_AT_LIMIT = 0.9
DETECTION_SLOPE = 2.5  # of the logistic curve over ln(width); that of the student
WITHOUT_TRACE = 0.1  # of cracks that one scan missed
PRIOR = 20  # cracks that the stated uncertainties count as, beside those compared
ROBUST = 1.4826  # standard deviation of normal values over their median absolute value


def null_scale(ratios: Float64) -> float:
    """Return the factor, 1 at most, of uncertainties, given differences over them (N,)."""
    if not len(ratios):
        return 1.0
    spread = ROBUST * float(np.median(np.abs(ratios)))
    return min(1.0, float(np.sqrt((PRIOR + len(ratios) * spread**2) / (PRIOR + len(ratios)))))


def p_value(difference: float, sigma: float) -> float:
    """Return how often a difference as large is seen without a change."""
    return float(2 * ndtr(-abs(difference) / sigma))


def missed(width_px: float, limit_px: float) -> float:
    """Return the probability that a scan misses a crack and shows no trace of it."""
    odds = FOUND_AT_LIMIT / (1 - FOUND_AT_LIMIT) * (width_px / limit_px) ** DETECTION_SLOPE
    return float(WITHOUT_TRACE / (1 + odds))


def critical_p(p_values: Iterable[float], rate: float = RATE) -> float:
    """Return the p-value up to which tests are significant together; at least that of a single
    one among as many."""
    ordered = np.sort(np.fromiter(p_values, np.float64))
    if not len(ordered):
        return rate
    limits = rate * np.arange(1, len(ordered) + 1) / len(ordered)
    below = np.flatnonzero(ordered <= limits)
    return float(limits[below[-1] if len(below) else 0])


def detection_limit(sigma: float, p: float) -> float:
    """Return the least difference that is significant at the p-value ``p``."""
    return float(-ndtri(p / 2) * sigma)
