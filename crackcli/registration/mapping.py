"""The map from the earlier to the later photograph: a homography after a smooth field."""

from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Float64
from crackcli.registration.coarse.plane import apply_homography, inverse, local_scale
from crackcli.registration.local.smooth_field import SmoothField

INVERSIONS = 12  # steps; each leaves a few percent, the slope of the field
ENOUGH_PX = 1e-4


@dataclass(frozen=True, eq=False)
class Mapping:
    """Takes a point x of the earlier photograph to ``homography`` (3, 3) of x + ``field`` at x.

    Without a field it is the homography alone. Points behind the camera become nan.
    """

    homography: Float64
    field: SmoothField | None = None

    def forward(self, points: Float64) -> Float64:
        """Return points (N, 2) of the earlier photograph in the later one."""
        if self.field is None:
            return apply_homography(self.homography, points)
        return apply_homography(self.homography, points + self.field.at(points))

    def backward(self, points: Float64) -> Float64:
        """Return points (N, 2) of the later photograph in the earlier one."""
        target = apply_homography(inverse(self.homography), points)
        if self.field is None:
            return target
        found = target
        for _ in range(INVERSIONS):
            last, found = found, target - self.field.at(found)
            if not np.nanmax(np.abs(found - last), initial=0) > ENOUGH_PX:
                break
        return found

    def scale(self, points: Float64) -> Float64:
        """Return px of the later photograph for one of the earlier (N,) at points (N, 2)."""
        return local_scale(self.homography, points)
