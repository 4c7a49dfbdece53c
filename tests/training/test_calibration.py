"""Calibration: a known temperature is recovered; predicted and observed fractions agree."""

import math

import numpy as np
import pytest

pytest.importorskip("torch")  # the package imports it

from crackcli.training.calibration.photographs import fit_temperature, log_loss, reliability


def drawn(temperature, count=20_000, seed=5):
    """Return margins scaled by ``temperature``, and labels drawn by the unscaled ones."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, count)
    labels = rng.random(count) < 1 / (1 + np.exp(-true))
    return temperature * true, labels.astype(int)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_of_scaled_margins_is_recovered(temperature):
    margins, labels = drawn(temperature)

    assert fit_temperature(margins, labels) == pytest.approx(temperature, rel=0.05)


def test_dividing_by_the_temperature_makes_predicted_and_observed_fractions_agree():
    margins, labels = drawn(3.0)

    before = reliability(margins, labels)
    after = reliability(margins / fit_temperature(margins, labels), labels)

    assert before.error > 0.05
    assert after.error < 0.015
    assert after.loss < before.loss


def test_each_class_has_half_the_weight_however_many_photographs_it_has():
    margins, labels = drawn(1.0)
    more_negatives = np.concatenate(
        [np.flatnonzero(labels == 0)] * 3 + [np.flatnonzero(labels == 1)]
    )

    once, thrice = (
        reliability(margins, labels),
        reliability(margins[more_negatives], labels[more_negatives]),
    )

    assert thrice.loss == pytest.approx(once.loss)
    assert thrice.error == pytest.approx(once.error)


def test_one_class_alone_gives_temperature_1():
    assert fit_temperature([1.0, 2.0, -3.0], [1, 1, 1]) == 1.0


def test_a_few_correctly_classified_photographs_do_not_make_it_confident():
    few = fit_temperature([4.0, 5.0, -4.0], [1, 1, 0])
    many = fit_temperature([4.0, 5.0, -4.0] * 100, [1, 1, 0] * 100)

    assert 4.0 / few < 2  # P(crack) of a crack stays below 0.9
    assert 4.0 / many > 4.5


def test_bins_without_photographs_have_nan_fractions():
    found = reliability([9.0, -9.0], [1, 0])

    assert [each.count for each in found.bins] == [1] + [0] * 8 + [1]
    assert math.isnan(found.bins[4].observed)
    assert (found.bins[0].observed, found.bins[9].observed) == (0.0, 1.0)
    assert found.error == pytest.approx(1 / (1 + math.exp(9)))


def test_photographs_of_one_class_have_the_full_weight():
    found = reliability([3.0, -1.0, 2.0], [1, 1, 1])

    assert found.loss == pytest.approx(np.logaddexp(0, [-3.0, 1.0, -2.0]).mean())
    assert found.error == pytest.approx(1 - (1 / (1 + np.exp([-3.0, 1.0, -2.0]))).mean())


def test_huge_margins_give_finite_losses():
    assert log_loss(np.array([1e6, -1e6]), np.array([True, False])) == 0.0
    assert math.isfinite(reliability([1e6, -1e6], [1, 0]).error)
