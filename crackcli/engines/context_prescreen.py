"""The prescreen of a student: where its context tells that no pixel can be crack.

It is a linear function of the features of `Engine.context`, stored with the calibration of the
model and fitted by `crackcli.training.calibration.prescreen`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32

REACH_CELLS = 2  # a pixel may be crack up to as many cells from one that is suspect


@dataclass(frozen=True, eq=False)
class ContextPrescreen:
    """A cell is suspect where ``weights`` (C,) x context + ``bias`` >= 0."""

    weights: Float32
    bias: float

    @classmethod
    def of(cls, calibration: Mapping[str, Any] | None) -> "ContextPrescreen | None":
        """Return the prescreen of a calibration; None without one."""
        stored = (calibration or {}).get("prescreen")
        if stored is None:
            return None
        return cls(np.array(stored["weights"], np.float32), float(stored["bias"]))

    def may_be_crack(self, context: Float32) -> Bools:
        """Return the cells (h, w) in which a pixel may be crack, given their context (C, h, w)."""
        return np.asarray(highest_near(self.weights, context) + self.bias >= 0, np.bool_)


def highest_near(weights: Float32, context: Float32) -> Float32:
    """Return the highest weights x context (h, w) of all cells up to `REACH_CELLS` from each."""
    side = 2 * REACH_CELLS + 1
    near = cv2.dilate(np.tensordot(weights, context, 1), np.ones((side, side), np.uint8))
    return np.asarray(near, np.float32)
