"""Blur from the shape of profiles: correct whatever the contrast of a crack, else no estimate."""

import numpy as np
import pytest
from scipy.special import ndtr

from crackcli.measuring.contrast import ContrastProfiles
from crackcli.measuring.edges import Blur
from crackcli.measuring.profile_shapes import BLURS, combine_with_shapes, mean_stretches, misfit

OFFSETS = np.arange(-40, 41) * 0.5
VAGUE = Blur(0.8, 5.0)


def bars(width, blur, full_contrast=0.7, count=200, noise=0.0, seed=0):
    """Return the contrast (S, 81) of a crack whose place is known."""
    shape = ndtr((OFFSETS + width / 2) / blur) - ndtr((OFFSETS - width / 2) / blur)
    values = full_contrast * np.tile(shape, (count, 1))
    values += noise * np.random.default_rng(seed).normal(size=values.shape)
    return ContrastProfiles(
        values.astype(np.float32), np.full(count, max(noise, 0.01)), np.zeros(count), np.zeros(0)
    )


def misfit_of(contrast, width, line_offsets=None):
    """Return the misfit of each blur to the stretches of a crack, and their number."""
    count = len(contrast.values)
    approx_widths = np.full(count, width + 1.0)
    parts = mean_stretches(
        contrast, approx_widths, np.ones(count, bool), line_offsets or [0, count], 0.8, 1.0
    )
    return misfit(*parts, 0.5), len(parts[0])


@pytest.mark.parametrize("full_contrast", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(("width", "blur"), [(2.5, 0.6), (4.0, 0.9), (6.0, 1.5), (3.0, 1.0)])
def test_the_blur_is_estimated_whatever_the_contrast_of_a_wide_crack(width, blur, full_contrast):
    found = combine_with_shapes(
        VAGUE, *misfit_of(bars(width, blur, full_contrast, noise=0.03), width)
    )

    assert found.px == pytest.approx(blur, abs=max(2 * found.sigma, 0.05 * blur))
    assert found.sigma < 0.25 * blur


def test_a_hairline_only_excludes_larger_blurs():
    found, _ = misfit_of(bars(0.4, 1.0, noise=0.02), 0.4)

    assert found[np.abs(BLURS - 1.0).argmin()] < 4
    assert found[BLURS > 1.3].min() > 9


def test_a_known_blur_is_kept_without_stretches():
    blur = Blur(1.1, 0.1)

    found = combine_with_shapes(blur, np.zeros(len(BLURS)), 0)

    assert found.px == pytest.approx(1.1, abs=0.03)
    assert 0.1 <= found.sigma < 0.2


def test_one_stretch_that_fits_no_bar_does_not_outvote_the_others():
    good = misfit_of(bars(4.0, 0.8, count=400, noise=0.02), 4.0)[0]
    odd = bars(4.0, 2.4, count=40, noise=0.001)

    both = good + misfit_of(odd, 4.0)[0]

    assert BLURS[both.argmin()] == pytest.approx(0.8, rel=0.1)


def test_lines_that_are_mostly_unclear_have_no_stretches():
    contrast = bars(4.0, 0.8, count=100)
    clear = np.arange(100) % 3 == 0

    means, counted, noises = mean_stretches(contrast, np.full(100, 4.0), clear, [0, 100], 0.8, 5.0)

    assert means.shape == counted.shape == (0, len(OFFSETS))
    assert len(noises) == 0
    assert (misfit(means, counted, noises, 1.0) == 0).all()


def test_values_beyond_the_crack_do_not_count():
    contrast = bars(3.0, 0.7, noise=0.01)
    shaded = contrast.values + 0.3 * (np.abs(OFFSETS) > 7)
    other = ContrastProfiles(
        shaded.astype(np.float32), contrast.noise, contrast.asymmetry, contrast.residuals
    )

    assert misfit_of(other, 3.0)[0] == pytest.approx(misfit_of(contrast, 3.0)[0])
