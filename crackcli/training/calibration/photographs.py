"""Temperature scaling: calibrates P(crack), so that it matches the observed fraction of cracks.

The margin m = logit(crack) - logit(no crack) ranks tiles well, but sigmoid(m) is over- or
underconfident. One number mends this: the temperature T for which sigmoid(m / T) has the lowest
log loss on held-out photographs. Training divides the weights of the last layer by T. The
checkpoint and the exported network thus return calibrated probabilities and no user needs T. A
temperature moves no tile across P(crack) = 0.5.

A photograph larger than one tile has the highest margin of its tiles. Both classes get the same
total weight, as the fraction of cracked photographs in use is unknown. If a few photographs are all
classified correctly, the log loss alone would make T as small as allowed. Platt's targets prevent
this: labels are smoothed, the more the fewer photographs there are.

Sources: Guo et al. 2017, On calibration of modern neural networks; Platt 1999, Probabilistic
outputs for support vector machines.
"""

from collections.abc import Sequence

import numpy as np

from crackcli.arrays import Bools, Float64
from crackcli.training.calibration.logistic import smoothed_targets
from crackcli.training.calibration.reliability import Reliability, weighted_reliability

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0  # beyond these the photographs determine none


def class_weights(labels: Bools) -> Float64:
    """Return weights (N), of sum 1, that give both classes of ``labels`` (N) the same total."""
    cracked = max(1, int(labels.sum()))
    weights = np.where(labels, 1 / cracked, 1 / max(1, len(labels) - cracked))
    return np.asarray(weights / weights.sum(), np.float64)


def log_loss(margins: Float64, labels: Bools, targets: Float64 | None = None) -> float:
    """Return the mean of -log P(label) over photographs (N), each class weighted by half.

    ``targets`` (N) are smoothed labels in [0, 1]; without them the labels are the targets.
    """
    wanted = labels if targets is None else targets
    loss = wanted * np.logaddexp(0, -margins) + (1 - wanted) * np.logaddexp(0, margins)
    return float((class_weights(labels) * loss).sum())


def fit_temperature(margins: Sequence[float], labels: Sequence[int]) -> float:
    """Return the temperature at which ``margins`` (N) have the lowest log loss for ``labels`` (N).

    Return 1 if only one class is present. The log loss is convex in 1 / T, so that a golden-section
    search over log T finds its minimum.
    """
    m, cracked = np.asarray(margins, float), np.asarray(labels) == 1
    if cracked.all() or not cracked.any():
        return 1.0
    targets = smoothed_targets(cracked)

    def loss_at(log_temperature: float) -> float:
        return log_loss(m / np.exp(log_temperature), cracked, targets)

    golden = (5**0.5 - 1) / 2
    low, high = np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss_at(left) < loss_at(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def reliability(margins: Sequence[float], labels: Sequence[int]) -> Reliability:
    """Compare predicted and observed fractions; both classes have the same total weight."""
    m, cracked = np.asarray(margins, float), np.asarray(labels) == 1
    weights = class_weights(cracked)
    return weighted_reliability(m, weights * cracked, weights * ~cracked)
