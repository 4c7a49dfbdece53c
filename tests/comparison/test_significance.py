"""Significance over many cracks: false discoveries are rare, and limits say the same as tests."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from crackcli.comparison.evidence.significance import (
    critical_p,
    detection_limit,
    missed,
    null_scale,
    p_value,
)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_tests_are_significant_as_by_scipy(seed):
    rng = np.random.default_rng(seed)
    p = np.concatenate([rng.uniform(size=60), rng.uniform(0, 0.003, size=seed * 5)])

    critical = critical_p(p)

    assert (p <= critical).tolist() == (false_discovery_control(p) <= 0.05).tolist()


def test_without_changes_one_comparison_of_twenty_finds_one():
    rng = np.random.default_rng(1)
    draws = [np.array([p_value(d, 0.3) for d in rng.normal(0, 0.3, 100)]) for _ in range(1000)]

    found = np.mean([(p <= critical_p(p)).any() for p in draws])

    assert found == pytest.approx(0.05, abs=0.015)


def test_a_change_is_significant_beyond_its_detection_limit():
    sigmas, changes = np.linspace(0.1, 1, 40), np.linspace(-2, 2, 40)
    p = [p_value(*one) for one in zip(changes, sigmas, strict=True)]
    critical = critical_p(p)

    beyond = [
        abs(change) >= detection_limit(sigma, critical)
        for change, sigma in zip(changes, sigmas, strict=True)
    ]

    assert beyond == [one <= critical for one in p]
    assert 0 < sum(beyond) < 40


def test_a_single_test_has_the_limit_of_95_per_cent():
    assert detection_limit(1.0, critical_p([0.5])) == pytest.approx(1.96, abs=0.001)


def test_a_crack_at_the_detection_limit_is_missed_without_a_trace_once_in_a_hundred():
    assert missed(2.0, 2.0) == pytest.approx(0.01)
    assert missed(8.0, 2.0) < 0.001
    assert missed(1.0, 2.0) > 0.03


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
def test_uncertainties_follow_how_well_many_cracks_repeat(spread):
    ratios = np.random.default_rng(2).normal(0, spread, 2000)
    ratios[:300] += 20  # those that did change

    assert null_scale(ratios) == pytest.approx(min(1, spread), rel=0.25)


def test_few_cracks_say_little_about_the_uncertainties():
    assert null_scale(np.zeros(0)) == 1
    assert null_scale(np.array([0.1])) > 0.9
    assert null_scale(np.array([9.0])) == 1
