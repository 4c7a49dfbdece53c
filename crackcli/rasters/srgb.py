"""sRGB values and linear light (IEC 61966-2-1)."""

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Float32

# plain power of 2.2 differ, which are both in use, in the widths that they give
WHITE = 255.0
FINER = 16  # entries of the table for each grey level


def linear(encoded: NDArray) -> NDArray:
    """Linear light, 0 to 1, of encoded values from 0 to 1 (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encoded(light: NDArray) -> NDArray:
    """The inverse of `linear`."""
    return np.where(light <= 0.04045 / 12.92, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


LEVELS = np.arange(FINER * 256 + 1) / (FINER * WHITE)
LINEAR = linear(LEVELS).astype(np.float32)


def blend(values: Float32, share: float) -> Float32:
    """Encoded grey values, 0 to 255, as numbers from 0 to 1 with this share of linear light."""
    at = (np.clip(values, 0, WHITE) * FINER + 0.5).astype(np.int16)
    table = (share * LINEAR + (1 - share) * LEVELS).astype(np.float32)
    return table[at]
