"""Reliability of probabilities: predicted beside observed fractions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crackcli.arrays import Float64, Int64
from crackcli.training.calibration.logistic import probability

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The examples with a predicted probability from ``low`` to ``high``.

    Examples are photographs, pixels or cracks.

    count      their number
    predicted  their mean probability; nan if there are none
    observed   the fraction of them that are a crack or show one; nan if there are none
    """

    low: float
    high: float
    count: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """Calibration of probabilities: ``error`` is the expected calibration error (mean difference
    between predicted and observed fractions), ``loss`` the mean log loss."""

    bins: list[Bin]
    error: float
    loss: float

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Reliability":
        """Return the reliability with these facts, as `dataclasses.asdict` gives them."""
        return cls([Bin(**each) for each in facts["bins"]], facts["error"], facts["loss"])


def weighted_reliability(
    margins: Float64, real: Float64, false: Float64, counts: Int64 | None = None
) -> Reliability:
    """Compare predicted and observed fractions in ten equal bins of the probability.

    ``margins`` (N) are the logits of the probabilities; ``real`` and ``false`` (N) are the weights
    of the two outcomes of the examples in each row, ``counts`` (N) their number (default 1).
    """
    predictions = probability(margins)
    number = np.minimum((predictions * BINS).astype(int), BINS - 1)
    weight = np.bincount(number, real + false, BINS)
    known = np.where(weight > 0, weight, np.nan)
    predicted = np.bincount(number, (real + false) * predictions, BINS) / known
    observed = np.bincount(number, real, BINS) / known
    count = np.bincount(number, counts, BINS)
    bins = [
        Bin(i / BINS, (i + 1) / BINS, int(count[i]), float(predicted[i]), float(observed[i]))
        for i in range(BINS)
    ]
    losses = real * np.logaddexp(0, -margins) + false * np.logaddexp(0, margins)
    error = float(np.nansum(weight * np.abs(predicted - observed)) / weight.sum())
    return Reliability(bins, error, float(losses.sum() / weight.sum()))
