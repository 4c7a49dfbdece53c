"""Calibrated probabilities: of the photographs with P(crack) near p, a share p shall have a crack.

A network's margin m = logit(crack) - logit(no crack) orders tiles well and is too sure or too
timid as a probability.  On photographs that it was not trained on, one number mends that: the
temperature T for which sigmoid(m / T) tells the labels best.  T is then divided out of the last
layer's weights, so that whoever runs the network, as a checkpoint or exported, gets calibrated
probabilities and no one has to know of T.  A temperature moves no tile across 0.5.

A photograph larger than one tile is judged by its surest.  Photographs count as if half of them
were cracked: what share of a wall is cracked is not known here.  A few photographs that are all
told rightly would ask for endless sureness; so labels count as little less than certain, the less
the fewer they are (Platt's targets).

Sources: Guo et al. 2017, On calibration of modern neural networks; Platt 1999, Probabilistic
outputs for support vector machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Bools, Float64

LOWEST, HIGHEST = 0.05, 20.0  # temperatures; beyond these the photographs told nothing
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Photographs with P(crack) from ``low`` to ``high``: how many, their mean P(crack), and the
    share of them that is cracked; both nan where there are none."""

    low: float
    high: float
    photographs: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be trusted: ``error`` is the mean difference of predicted and
    observed shares (expected calibration error), ``loss`` the mean log loss."""

    bins: list[Bin]
    error: float
    loss: float


def even_weights(labels: Bools) -> Float64:
    """Weights (N) that give each class that is there the same share of the total of 1."""
    cracked = max(1, int(labels.sum()))
    weights = np.where(labels, 1 / cracked, 1 / max(1, len(labels) - cracked))
    return weights / weights.sum()


def log_loss(margins: Float64, labels: Bools, targets: Float64 | None = None) -> float:
    """Mean of -log P(label), each class half; ``targets`` (N) may stand for the labels."""
    wanted = labels if targets is None else targets
    loss = wanted * np.logaddexp(0, -margins) + (1 - wanted) * np.logaddexp(0, margins)
    return float((even_weights(labels) * loss).sum())


def temperature_of(margins: Sequence[float], labels: Sequence[int]) -> float:
    """The temperature by which margins (N) are to be divided to tell ``labels`` (N) best.

    1 where only one class is there.  The log loss has one minimum in 1 / T; golden-section search
    over log T finds it.
    """
    m, cracked = np.asarray(margins, float), np.asarray(labels) == 1
    if cracked.all() or not cracked.any():
        return 1.0
    targets = np.where(cracked, 1 - 1 / (cracked.sum() + 2), 1 / ((~cracked).sum() + 2))

    def loss_at(log_temperature: float) -> float:
        return log_loss(m / np.exp(log_temperature), cracked, targets)

    golden = (5**0.5 - 1) / 2
    low, high = np.log(LOWEST), np.log(HIGHEST)
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss_at(left) < loss_at(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def reliability(margins: Sequence[float], labels: Sequence[int]) -> Reliability:
    """Predicted against observed in ten equal bins of P(crack), each class half."""
    m, cracked = np.asarray(margins, float), np.asarray(labels) == 1
    weights = even_weights(cracked)
    probability = 1 / (1 + np.exp(-m.clip(-700, 700)))
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    share = np.bincount(number, weights, BINS)
    known = np.where(share > 0, share, np.nan)
    predicted = np.bincount(number, weights * probability, BINS) / known
    observed = np.bincount(number, weights * cracked, BINS) / known
    count = np.bincount(number, minlength=BINS)
    bins = [
        Bin(i / BINS, (i + 1) / BINS, int(count[i]), float(predicted[i]), float(observed[i]))
        for i in range(BINS)
    ]
    error = float(np.nansum(share * np.abs(predicted - observed)))
    return Reliability(bins, error, log_loss(m, cracked))
