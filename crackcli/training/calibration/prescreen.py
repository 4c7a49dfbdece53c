"""Fits the prescreen of a student: a linear function of its context that rules out blocks.

`Student.decode` takes two fifths of a student's time, and most of a wall shows no crack. Whether
some pixel of a cell of 8 px has P(crack) near the threshold can be told from the features of
`Student.context` there. They are fitted by logistic regression to what the network itself says of
photographs, so no label is used. The bias is then set so that hardly a marked pixel is lost.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from crackcli.arrays import UInt8
from crackcli.engines.context_prescreen import highest_near
from crackcli.engines.device import Device
from crackcli.networks.student import Student
from crackcli.training.calibration.logistic import fit_logistic
from crackcli.training.calibration.whole import cells_of

# Fraction of the cells with a pixel above the threshold that are ruled out: they mostly have single
# pixels just above it. With 0.08 no F1 of 60 training photographs with masks changed.
LOST = 0.03
NEAR = 0.5  # of the threshold; cells with a pixel of this P(crack) count as crack in the fit
OTHERS = 1500  # cells of a photograph that count as no crack in the fit, at most
LEAST = 100  # cells of either kind; fewer determine no prescreen


def fit_prescreen(
    network: Student, images: Iterable[UInt8], threshold: float, device: Device
) -> dict[str, Any] | None:
    """Return the prescreen of a network for JSON (see `ContextPrescreen`), fitted to its
    P(crack) of ``images``; None if they show too little that is crack, or nothing else."""
    chance = np.random.default_rng(0)
    maps = [cells_of(network, image, device) for image in images]
    crack, other = [], []
    for context, highest in maps:
        near = highest >= NEAR * threshold
        crack.append(context[:, near].T)
        rest = context[:, ~near].T
        other.append(rest[chance.permutation(len(rest))[:OTHERS]])
    real, false = np.concatenate(crack), np.concatenate(other)
    if min(len(real), len(false)) < LEAST:
        return None
    features = np.concatenate([real, false]).astype(np.float64)
    spread = features.std(axis=0) + 1e-6
    is_real = np.arange(len(features)) < len(real)
    weight = np.where(is_real, 1 / len(real), 1 / len(false))
    found = fit_logistic(features / spread, weight * is_real, weight * ~is_real, signed=True)
    weights = (found[1:] / spread).astype(np.float32)
    kept = [highest_near(weights, context)[highest >= threshold] for context, highest in maps]
    marked = np.concatenate(kept)
    if len(marked) < LEAST:
        return None
    bias = -float(np.quantile(marked, LOST, method="lower"))
    return {"weights": [float(f"{value:.6g}") for value in weights], "bias": round(bias, 5)}
