"""sRGB encoding and linear light (IEC 61966-2-1).

With v the encoded value and L the linear light, both from 0 (black) to 1 (white):

    L = v / 12.92                         where v <= 0.04045
    L = ((v + 0.055) / 1.055) ** 2.4      elsewhere
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Float32

Real = TypeVar("Real", bound=np.floating[Any])

WHITE = 255.0
TABLE_STEPS = 16  # table entries per grey level


def to_linear(encoded: NDArray[Real]) -> NDArray[Real]:
    """Return the linear light of sRGB-encoded values, both 0 to 1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def to_srgb(light: NDArray[Real]) -> NDArray[Real]:
    """Return the sRGB-encoded values of linear light, both 0 to 1; the inverse of `to_linear`."""
    return np.where(light <= 0.04045 / 12.92, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


LEVELS = np.arange(TABLE_STEPS * 256 + 1) / (TABLE_STEPS * WHITE)
LINEAR = to_linear(LEVELS).astype(np.float32)


def blend(values: Float32, linear_fraction: float) -> Float32:
    """Return sRGB-encoded grey values, 0 to 255, as a mix of linear light and encoded values.

    The result is 0 to 1: ``linear_fraction`` * linear light + (1 - ``linear_fraction``) * encoded
    value. Values are rounded to 1/16 of a grey level.
    """
    at = (np.clip(values, 0, WHITE) * TABLE_STEPS + 0.5).astype(np.int16)
    table = (linear_fraction * LINEAR + (1 - linear_fraction) * LEVELS).astype(np.float32)
    return table[at]
