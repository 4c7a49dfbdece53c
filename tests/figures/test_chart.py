"""Charts draw values at their positions, and texts fit."""

import numpy as np
import pytest

from crackcli.figures.chart import Axes, Canvas, round_ticks, text_px, wrap_text


def test_a_dot_lies_at_its_value():
    canvas = Canvas(200, 100)
    axes = Axes(canvas, 20, 10, 180, 90, (1.0, 100.0), (0.0, 1.0), log_x=True)

    axes.dots([10.0], [0.25], 3, (200, 0, 0))

    image = canvas.image()
    rows, cols = np.nonzero(image[..., 1] < 128)
    assert image.shape == (100, 200, 3)
    assert cols.mean() == pytest.approx(99.5, abs=0.6)  # half-way on the logarithmic axis
    assert rows.mean() == pytest.approx(69.5, abs=0.6)


def test_a_band_fills_the_area_between_two_curves():
    canvas = Canvas(100, 100)
    axes = Axes(canvas, 0, 0, 100, 100, (0.0, 1.0), (0.0, 1.0))

    axes.band([0.0, 1.0], [0.2, 0.2], [0.6, 0.6], (0, 0, 255))

    assert (canvas.image()[:, :, 0] == 0).mean() == pytest.approx(0.4, abs=0.02)


def test_text_beyond_the_edge_is_clipped():
    canvas = Canvas(60, 30)

    canvas.text((-10, 2), "width")
    canvas.text((55, 28), "width", upwards=True)

    assert canvas.image().min() < 128


def test_wrapped_lines_fit_and_keep_every_word():
    words = "Cracks of 1.6 px or wider are found in at least 90 % of cases"

    lines = wrap_text(words, 150)

    assert len(lines) > 1
    assert " ".join(lines) == words
    assert max(map(text_px, lines)) <= 150


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.31, 2.2), (-12.0, 40.0), (0.001, 0.009)])
def test_ticks_are_round_and_within_the_axis(low, high):
    ticks = round_ticks(low, high)

    assert 2 <= len(ticks) <= 12
    assert low - 1e-9 <= ticks[0] < ticks[-1] <= high + 1e-9
    step = ticks[1] - ticks[0]
    assert 10 ** (np.log10(step) % 1) == pytest.approx(
        min((1, 2, 5, 10), key=lambda nice: abs(nice - 10 ** (np.log10(step) % 1)))
    )
