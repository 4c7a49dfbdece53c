"""Probabilities mean what they say: a known temperature is found, and reliability is measured."""

import math

import numpy as np
import pytest

from crackcli.training.calibration import log_loss, reliability, temperature_of


def drawn(temperature, count=20_000, seed=5):
    """Margins that are ``temperature`` times too large, and labels drawn by the true ones."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, count)
    labels = rng.random(count) < 1 / (1 + np.exp(-true))
    return temperature * true, labels.astype(int)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_margins_is_found(temperature):
    margins, labels = drawn(temperature)

    assert temperature_of(margins, labels) == pytest.approx(temperature, rel=0.05)


def test_dividing_by_it_makes_predicted_and_observed_shares_agree():
    margins, labels = drawn(3.0)

    before = reliability(margins, labels)
    after = reliability(margins / temperature_of(margins, labels), labels)

    assert before.error > 0.05
    assert after.error < 0.015
    assert after.loss < before.loss


def test_each_class_counts_half_however_many_photographs_it_has():
    margins, labels = drawn(1.0)
    many_sound = np.concatenate([np.flatnonzero(labels == 0)] * 3 + [np.flatnonzero(labels == 1)])

    once, thrice = (
        reliability(margins, labels),
        reliability(margins[many_sound], labels[many_sound]),
    )

    assert thrice.loss == pytest.approx(once.loss)
    assert thrice.error == pytest.approx(once.error)


def test_one_class_alone_tells_no_temperature():
    assert temperature_of([1.0, 2.0, -3.0], [1, 1, 1]) == 1.0


def test_a_few_photographs_told_rightly_do_not_make_it_sure():
    few = temperature_of([4.0, 5.0, -4.0], [1, 1, 0])
    many = temperature_of([4.0, 5.0, -4.0] * 100, [1, 1, 0] * 100)

    assert 4.0 / few < 2  # P(crack) of a crack stays below 0.9
    assert 4.0 / many > 4.5


def test_bins_without_photographs_say_so():
    found = reliability([9.0, -9.0], [1, 0])

    assert [part.photographs for part in found.bins] == [1] + [0] * 8 + [1]
    assert math.isnan(found.bins[4].observed)
    assert (found.bins[0].observed, found.bins[9].observed) == (0.0, 1.0)
    assert found.error == pytest.approx(1 / (1 + math.exp(9)))


def test_photographs_of_one_class_count_in_full():
    found = reliability([3.0, -1.0, 2.0], [1, 1, 1])

    assert found.loss == pytest.approx(np.logaddexp(0, [-3.0, 1.0, -2.0]).mean())
    assert found.error == pytest.approx(1 - (1 / (1 + np.exp([-3.0, 1.0, -2.0]))).mean())


def test_endless_margins_stay_finite():
    assert log_loss(np.array([1e6, -1e6]), np.array([True, False])) == 0.0
    assert math.isfinite(reliability([1e6, -1e6], [1, 0]).error)
