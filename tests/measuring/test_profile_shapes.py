"""Shapes of profiles tell the blur, whatever depth a crack has, and where they cannot, nothing."""

import numpy as np
import pytest
from scipy.special import ndtr

from crackcli.measuring.contrast import Darkness
from crackcli.measuring.edges import Blur
from crackcli.measuring.profile_shapes import BLURS, against, stretches, with_shapes

OFFSETS = np.arange(-40, 41) * 0.5
VAGUE = Blur(0.8, 5.0)


def bars(width, blur, depth=0.7, count=200, noise=0.0, seed=0):
    """The darkness (S, 81) of a crack, of which it is known where it is."""
    shape = ndtr((OFFSETS + width / 2) / blur) - ndtr((OFFSETS - width / 2) / blur)
    values = depth * np.tile(shape, (count, 1))
    values += noise * np.random.default_rng(seed).normal(size=values.shape)
    return Darkness(
        values.astype(np.float32), np.full(count, max(noise, 0.01)), np.zeros(count), np.zeros(0)
    )


def told(dark, width, begins=None):
    """What the stretches of a crack say against each blur, and how many there are."""
    count = len(dark.values)
    about = np.full(count, width + 1.0)
    parts = stretches(dark, about, np.ones(count, bool), begins or [0, count], 0.8, 1.0)
    return against(*parts, 0.5), len(parts[0])


@pytest.mark.parametrize("depth", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(("width", "blur"), [(2.5, 0.6), (4.0, 0.9), (6.0, 1.5), (3.0, 1.0)])
def test_a_crack_that_is_wide_beside_the_blur_tells_it_whatever_its_depth(width, blur, depth):
    found = with_shapes(VAGUE, *told(bars(width, blur, depth, noise=0.03), width))

    assert found.px == pytest.approx(blur, abs=max(2 * found.sigma, 0.05 * blur))
    assert found.sigma < 0.25 * blur


def test_a_hairline_tells_no_more_than_that_the_blur_is_not_larger_than_what_is_seen():
    found, _ = told(bars(0.4, 1.0, noise=0.02), 0.4)

    assert found[np.abs(BLURS - 1.0).argmin()] < 4
    assert found[BLURS > 1.3].min() > 9


def test_what_is_known_otherwise_stays_where_shapes_say_nothing():
    blur = Blur(1.1, 0.1)

    found = with_shapes(blur, np.zeros(len(BLURS)), 0)

    assert found.px == pytest.approx(1.1, abs=0.03)
    assert 0.1 <= found.sigma < 0.2


def test_one_stretch_that_is_no_bar_does_not_outvote_the_others():
    good = told(bars(4.0, 0.8, count=400, noise=0.02), 4.0)[0]
    odd = bars(4.0, 2.4, count=40, noise=0.001)

    both = good + told(odd, 4.0)[0]

    assert BLURS[both.argmin()] == pytest.approx(0.8, rel=0.1)


def test_lines_that_are_mostly_unclear_have_no_stretches():
    dark = bars(4.0, 0.8, count=100)
    clear = np.arange(100) % 3 == 0

    means, counted, noises = stretches(dark, np.full(100, 4.0), clear, [0, 100], 0.8, 5.0)

    assert means.shape == counted.shape == (0, len(OFFSETS))
    assert len(noises) == 0
    assert (against(means, counted, noises, 1.0) == 0).all()


def test_what_lies_beyond_the_crack_does_not_count():
    dark = bars(3.0, 0.7, noise=0.01)
    shaded = dark.values + 0.3 * (np.abs(OFFSETS) > 7)
    other = Darkness(shaded.astype(np.float32), dark.noise, dark.sides, dark.bands)

    assert told(other, 3.0)[0] == pytest.approx(told(dark, 3.0)[0])
