"""Uncertainties of a crack's widths cover by how much two photographs of it differ."""

import numpy as np
import pytest

from crackcli.cracks.widths import Samples
from crackcli.measuring.summary import (
    FOUND,
    FOUND_MAX,
    PHOTOGRAPH,
    MeasuredWidths,
    summarise_photometric,
)

COUNT = 200


def summary(widths, sigma=0.001):
    """Statistics of a straight crack with these widths, each known to ``sigma``."""
    steps = np.ones(COUNT)
    points = np.column_stack([np.arange(COUNT) + 0.5, np.full(COUNT, 50.0)])
    ends = np.full(COUNT, 100.0)
    samples = Samples(points, np.tile([0.0, 1.0], (COUNT, 1)), steps, [0, COUNT], ends, ends)
    known = np.full(COUNT, sigma)
    found = MeasuredWidths(np.broadcast_to(widths, COUNT).astype(float), known, known)
    return summarise_photometric(samples, found, np.full(COUNT, 5.0), 5 * COUNT, 5.0)


@pytest.mark.parametrize("width", [1.0, 4.0, 12.0])
def test_an_even_crack_is_known_to_a_fraction_of_its_width(width):
    found = summary(width)

    for name in ("mean", "median", "p95", "max"):
        assert getattr(found, f"{name}_sigma_px") == pytest.approx(PHOTOGRAPH * width, rel=0.02)


def test_an_uneven_crack_is_known_less_the_more_a_statistic_depends_on_what_is_found():
    widths = np.linspace(4, 8, COUNT)
    found = summary(widths)

    for name in ("mean", "median", "p95"):
        expected = np.hypot(PHOTOGRAPH * getattr(found, f"{name}_px"), FOUND[name] * widths.std())
        assert getattr(found, f"{name}_sigma_px") == pytest.approx(expected, rel=0.05)
    expected = np.hypot(PHOTOGRAPH * found.max_px, FOUND_MAX * (found.max_px - found.median_px))
    assert found.max_sigma_px == pytest.approx(expected, rel=0.05)
    assert found.mean_sigma_px < found.p95_sigma_px < found.max_sigma_px


def test_noise_alone_is_no_unevenness():
    noise = np.random.default_rng(0).normal(0, 0.3, COUNT)

    found = summary(4 + noise, sigma=0.3)

    assert found.mean_sigma_px < np.hypot(0.3, PHOTOGRAPH * 4) + 0.05


def test_the_profile_has_the_part_of_an_uncertainty_that_does_not_average_out():
    found = summary(4.0, sigma=0.2)

    assert found.profile.systematic_px == pytest.approx(np.full(COUNT, 0.2))
    assert found.profile.sigma_px == pytest.approx(np.full(COUNT, np.hypot(0.2, 0.2)))
