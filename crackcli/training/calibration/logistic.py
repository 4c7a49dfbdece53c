"""Logistic regression with weights, and coefficients that may have to be positive."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from crackcli.arrays import Bools, Float64, Floats


def fit_logistic(
    features: Float64, real: Float64, false: Float64, *, signed: bool = False
) -> Float64:
    """Return the intercept and the coefficients (1 + K), at least 0 unless ``signed``.

    ``features`` are (N, K); ``real`` and ``false`` (N) are the weights of the two outcomes in each
    row. They have the lowest log loss.
    """
    columns = np.column_stack([np.ones(len(features)), features])
    total = float(real.sum() + false.sum())

    def loss(coefficients: Float64) -> tuple[float, Float64]:
        margins = columns @ coefficients
        losses = real * np.logaddexp(0, -margins) + false * np.logaddexp(0, margins)
        slopes = (real + false) * probability(margins) - real
        return float(losses.sum()) / total, columns.T @ slopes / total

    start = np.concatenate([[0.0], np.ones(features.shape[1])])
    bounds = [(None, None)] + [(None if signed else 0.0, None)] * features.shape[1]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", tol=1e-12)
    return np.asarray(found.x, np.float64)


def probability(margins: Floats | float) -> Float64:
    """Return the logistic function of ``margins``."""
    return np.asarray(expit(margins), np.float64)


def smoothed_targets(real: Bools) -> Float64:
    """Return labels (N) of ``real`` (N) moved towards the middle, the more the fewer there are.

    Without this, a few examples that are all right would make a fit as steep as allowed. Source:
    Platt 1999.
    """
    targets = np.where(real, 1 - 1 / (real.sum() + 2), 1 / ((~real).sum() + 2))
    return np.asarray(targets, np.float64)
