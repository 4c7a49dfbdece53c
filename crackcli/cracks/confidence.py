"""Confidence of a crack: the fraction of such cracks that were real on held-out photographs.

*Such* cracks have the same mean P(crack) of their pixels and the same length. The confidence is a
logistic regression on both,

    logit(confidence) = intercept + probability logit(p) + length log2(length_px),

which `crackcli.training.calibration.marks` fits for one model; its checkpoint contains the
numbers. No coefficient is negative, so the confidence rises with P(crack) and with the length. Both
are limited to the range that was fitted: a longer crack counts as the longest of these.
"""

import math
from dataclasses import dataclass

P_RANGE = (1e-3, 1 - 1e-3)  # mean P(crack) is limited to this, so that its logit is finite


@dataclass(frozen=True)
class ConfidenceModel:
    """The coefficients of a logistic regression, and the range of lengths it was fitted on."""

    intercept: float
    probability: float  # for each unit of logit(p)
    length: float  # for each doubling of the length
    shortest_px: float
    longest_px: float

    def confidence(self, probability: float, length_px: float) -> float:
        """Return the confidence, 0 to 1, of a crack with this mean P(crack) and length."""
        p = min(max(probability, P_RANGE[0]), P_RANGE[1])
        length = min(max(length_px, self.shortest_px), self.longest_px)
        log_odds = (
            self.intercept
            + self.probability * math.log(p / (1 - p))
            + self.length * math.log2(length)
        )
        return 1 / (1 + math.exp(-log_odds))
