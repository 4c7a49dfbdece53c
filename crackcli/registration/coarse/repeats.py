"""Checks whether an alignment could as well be off by one repeat of a pattern, such as a brick."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from crackcli.arrays import Float32
from crackcli.rasters.grid import Window
from crackcli.registration.levels import Level
from crackcli.registration.local.dense import warp
from crackcli.registration.mapping import Mapping
from crackcli.registration.texture import normalised

HERE_PX = 2  # px of the level; a peak as near as that is the alignment itself
NEAR_PX = 8  # px of the level; textures are alike over that distance
MIN_COMMON = 0.3  # of the common area that still overlaps after a shift


@dataclass(frozen=True)
class Correlation:
    """Correlation of two aligned photographs as they are, the best one of all other shifts, and
    that shift (x, y) in px of the earlier photograph."""

    here: float
    elsewhere: float
    shift: tuple[float, float]


def correlate_shifts(before: Level, after: Level, mapping: Mapping) -> Correlation:
    """Correlate the textures of two aligned photographs at all shifts."""
    window = Window(0, 0, before.rows, before.cols)
    own, warped = before.read(window), warp(after, mapping, before, window)
    usable = own.usable & warped.usable
    a, b = normalised(own.values, usable), normalised(warped.values, usable)
    surface = correlations(a, b, usable.astype(np.float32))
    middle_row, middle_col = window.shape
    here = around(surface, middle_row, middle_col, HERE_PX).max()
    others = surface.copy()
    around(others, middle_row, middle_col, NEAR_PX)[:] = -1
    row, col = np.unravel_index(int(others.argmax()), others.shape)
    shift = (np.array([col - middle_col, row - middle_row]) * before.px).tolist()
    return Correlation(float(here), float(others.max()), (shift[0], shift[1]))


def around(surface: Float32, row: int, col: int, reach: int) -> Float32:
    """Return the view of a surface within ``reach`` of a place."""
    return surface[row - reach : row + reach + 1, col - reach : col + reach + 1]


def correlations(a: Float32, b: Float32, weight: Float32) -> Float32:
    """Return the correlation of ``a`` and a shifted ``b`` (rows, cols) at all shifts.

    The result (2 rows, 2 cols) has the shift 0 in the middle; shifts with little common area get 0.
    """
    shape = tuple(2 * side for side in a.shape)
    spectra = [fft.rfft2(part, shape) for part in (a, b, a * a, b * b, weight)]
    fa, fb, faa, fbb, fw = spectra

    def correlation(one: np.ndarray, other: np.ndarray) -> Float32:
        return np.asarray(fft.irfft2(one.conj() * other, shape), np.float32)

    energy = correlation(faa, fw) * correlation(fw, fbb)
    common = correlation(fw, fw) > MIN_COMMON * weight.sum()
    product = correlation(fa, fb) / np.sqrt(np.maximum(energy, 1e-3))
    return np.asarray(fft.fftshift(np.where(common, product, 0)), np.float32)
