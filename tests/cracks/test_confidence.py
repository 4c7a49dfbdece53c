"""The confidence of a crack is a probability that rises with P(crack) and with the length."""

import numpy as np
import pytest

from crackcli.cracks.confidence import ConfidenceModel

MODEL = ConfidenceModel(
    intercept=-4.0, probability=0.8, length=0.6, shortest_px=12.0, longest_px=300.0
)


def test_the_confidence_is_a_logistic_function_of_probability_and_length():
    odds = np.exp(-4.0 + 0.8 * np.log(0.7 / 0.3) + 0.6 * 6)

    assert MODEL.confidence(0.7, 64.0) == pytest.approx(odds / (1 + odds))


def test_the_confidence_is_between_0_and_1_and_rises():
    lengths = [1.0, 12.0, 50.0, 300.0, 1e6]
    table = [[MODEL.confidence(p, length) for length in lengths] for p in (0, 0.01, 0.3, 0.9, 1)]

    assert np.min(table) > 0
    assert np.max(table) < 1
    assert (np.diff(table, axis=0) > 0).all()
    assert (np.diff(table, axis=1) >= 0).all()


def test_lengths_outside_of_what_was_fitted_count_as_the_nearest():
    assert MODEL.confidence(0.5, 4000) == MODEL.confidence(0.5, 300)
    assert MODEL.confidence(0.5, 2) == MODEL.confidence(0.5, 12)
