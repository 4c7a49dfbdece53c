"""Probability of detection: a known curve is recovered, its bound has the stated confidence, and no
width beyond the drawn ones is claimed."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize, minimize_scalar

from crackcli.selftest.pod import DROP, LOG_ODDS_90, find_contradiction, fit

LEVELS = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)


def simulated(rng, a90, slope, each=8):
    widths = np.repeat(LEVELS, each)
    chance = 1 / (1 + np.exp(-LOG_ODDS_90 - slope * np.log(widths / a90)))
    return widths, rng.random(len(widths)) < chance


def test_a_known_curve_is_recovered_from_many_cracks():
    pod = fit(*simulated(np.random.default_rng(0), a90=3.0, slope=3.0, each=2000))

    assert pod.a90 == pytest.approx(3.0, rel=0.03)
    assert pod.slope == pytest.approx(3.0, rel=0.05)
    assert pod.a50 == pytest.approx(3.0 * 9 ** (-1 / 3.0), rel=0.03)
    assert pod.a90 < pod.a9095 < 1.05 * pod.a90


@pytest.mark.parametrize(("a90", "slope"), [(3.0, 3.0), (2.0, 6.0)])
def test_the_bound_lies_above_the_true_a90_in_95_percent_of_tests(a90, slope):
    rng = np.random.default_rng(1)
    bounds = [fit(*simulated(rng, a90, slope)).log_a9095 for _ in range(80)]

    covered = np.mean(np.array(bounds) >= np.log(a90))

    assert covered >= 0.90  # 2 deviations of 80 draws below 95 %
    assert np.median(bounds) < np.log(2 * a90)  # and it is not too high


def witness(widths, found):
    """Return a90 and a90/95 by solvers, from the penalised likelihood in intercept and slope."""
    x = np.log(widths)

    def loss(a, b):
        odds = a + b * x
        p = 1 / (1 + np.exp(-odds))
        design = np.column_stack([np.ones_like(x), x])
        information = design.T @ (design * (p * (1 - p))[:, None])
        plain = -np.where(found, np.logaddexp(0, -odds), np.logaddexp(0, odds)).sum()
        return -plain - 0.5 * np.log(max(np.linalg.det(information), 1e-300))

    best = minimize(lambda v: loss(*v), [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-8})

    def worse(log_a90):
        profile = minimize_scalar(
            lambda b: loss(LOG_ODDS_90 - b * log_a90, b), bounds=(0.2, 80), method="bounded"
        )
        return profile.fun - best.fun - DROP

    log_a90 = (LOG_ODDS_90 - best.x[0]) / best.x[1]
    return np.exp(log_a90), np.exp(brentq(worse, log_a90, log_a90 + 3))


@pytest.mark.parametrize("seed", range(3))
def test_general_solvers_give_the_same_a90_and_bound(seed):
    widths, found = simulated(np.random.default_rng(seed), a90=2.2, slope=4.0)

    pod = fit(widths, found)

    a90, bound = witness(widths, found)
    assert pod.a90 == pytest.approx(a90, rel=0.02)
    assert pod.a9095 == pytest.approx(bound, rel=0.02)


def test_complete_separation_gives_a_finite_curve_between_the_widths():
    widths = np.repeat(LEVELS, 8)

    pod = fit(widths, widths > 1.9)

    assert 1.4 < pod.a50 < 2.0
    assert 1.4 < pod.a90 < pod.a9095 < 2.8
    assert np.isfinite(pod.slope)


def test_no_width_is_claimed_if_nothing_is_found():
    widths = np.repeat(LEVELS, 8)

    pod = fit(widths, np.zeros(len(widths), bool))

    assert np.isnan([pod.a50, pod.a90, pod.a9095]).all()


def test_many_cracks_that_are_all_found_are_a_proof_and_a_few_are_not():
    few, many = np.repeat((2.0, 4.0), 6), np.repeat((2.0, 4.0), 40)

    assert np.isnan(fit(few, few > 0).a9095)
    assert fit(many, many > 0).a9095 <= 4.0  # 29 of 29 is the rule of thumb
    assert fit(many, many > 0).a90 == 2.0  # no narrower than the narrowest


def test_the_fit_does_not_depend_on_the_unit_of_width():
    widths, found = simulated(np.random.default_rng(7), a90=2.0, slope=4.0)

    px, mm = fit(widths, found), fit(0.2 * widths, found)

    assert mm.a90 == pytest.approx(0.2 * px.a90, rel=1e-6)
    assert mm.a9095 == pytest.approx(0.2 * px.a9095, rel=1e-6)


def test_the_lower_limit_meets_90_percent_at_a90_95_and_the_curve_rises():
    pod = fit(*simulated(np.random.default_rng(3), a90=2.0, slope=4.0))

    best, lower, upper = pod.curve(np.geomspace(0.7, 8, 50))
    assert (lower <= best).all()
    assert (best <= upper).all()
    assert (np.diff(best) > 0).all()
    assert (np.diff(lower) >= 0).all()
    assert pod.curve([pod.a9095])[1][0] == pytest.approx(0.9, abs=0.01)
    assert pod.curve([pod.a90])[0][0] == pytest.approx(0.9, abs=1e-9)


def test_wide_cracks_that_are_missed_contradict_the_curve():
    widths = np.repeat((0.25, 1.0, 4.0), (24, 300, 30))
    found = widths > 0.5
    assert find_contradiction(fit(widths, found), widths, found) is None

    found[-10:] = False  # a third of the widest

    assert fit(widths, found).a9095 < 1
    assert find_contradiction(fit(widths, found), widths, found) == (4.0, 20, 30)
