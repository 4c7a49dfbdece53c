"""The result of an alignment: where a point of one photograph lies in the other, and how well that
is known."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from crackcli.arrays import Bools, Float64, UInt8
from crackcli.registration.local.accuracy import Residuals
from crackcli.registration.mapping import Mapping

TRUSTED_PX = 1.0  # sigma in px of the later photograph beyond which a place is not trusted
MAP_SIDE_PX = 1200  # longer side of the residual map


@dataclass(frozen=True, eq=False)
class Alignment:
    """The map between an earlier and a later photograph of one wall.

    Points are (x, y) in px from the upper left corner of the photograph, as those of a report's
    lines: the middle of the first pixel is (0.5, 0.5). ``before`` and ``after`` are the shapes
    (rows, cols). ``residuals`` is None where both have one grid by definition; ``sigma_known_px``
    is then the sigma of all points. ``inliers`` counts the features that agree with the plane.
    """

    mapping: Mapping
    before: tuple[int, int]
    after: tuple[int, int]
    residuals: Residuals | None = None
    sigma_known_px: float = 0.0
    inliers: int = 0
    overlap: float = 1.0
    notes: dict[str, Any] = field(default_factory=dict)

    def to_after(self, points: Float64) -> Float64:
        """Return points (N, 2) of the earlier photograph in the later one, also outside it."""
        return self.mapping.forward(np.asarray(points, np.float64))

    def to_before(self, points: Float64) -> Float64:
        """Return points (N, 2) of the later photograph in the earlier one, also outside it."""
        return self.mapping.backward(np.asarray(points, np.float64))

    def sigma_px(self, points: Float64) -> Float64:
        """Return the standard deviation per axis (N,) of the alignment at points (N, 2) of the
        later photograph, in its px; nan where nothing is known about it."""
        if self.residuals is None:
            return np.full(len(points), self.sigma_known_px)
        earlier = self.to_before(points)
        known = np.isfinite(earlier).all(axis=1)
        sigma = self.residuals.sigma(earlier)
        sigma[known] *= self.mapping.scale(earlier[known])
        return sigma

    def trusted(self, points: Float64) -> Bools:
        """Return the points (N, 2) of the later photograph that both photographs show and whose
        place in the earlier one is known to `TRUSTED_PX`."""
        points = np.asarray(points, np.float64)
        inside = within(points, self.after) & within(self.to_before(points), self.before)
        sigma = self.sigma_px(points)
        return np.asarray(inside & (np.nan_to_num(sigma, nan=np.inf) <= self.limit_px))

    @property
    def limit_px(self) -> float:
        """The largest sigma that is trusted, in px of the later photograph."""
        return TRUSTED_PX

    @property
    def scale(self) -> float:
        """Px of the later photograph for one of the earlier, in the middle."""
        rows, cols = self.before
        return float(self.mapping.scale(np.array([[cols / 2, rows / 2]]))[0])

    def residual_px(self, share: float) -> float | None:
        """Return the quantile ``share`` of the residual (distance, in px of the later photograph);
        None if it is unknown."""
        if self.residuals is None:
            return self.sigma_known_px
        distances = np.sqrt(2 * self.residuals.squares)
        return (
            round(float(np.quantile(distances, share) * self.scale), 3) if len(distances) else None
        )

    def facts(self) -> dict[str, Any]:
        """Return figures of the alignment for a record; lengths are in px of the later one."""
        return {
            "inliers": self.inliers,
            "matches": 0 if self.residuals is None else len(self.residuals.points),
            "residual_median_px": self.residual_px(0.5),
            "residual_p95_px": self.residual_px(0.95),
            "overlap": round(self.overlap, 3),
            "scale": round(self.scale, 4),
            **self.notes,
        }

    def residual_map(self) -> UInt8:
        """Return the residual over the later photograph as an RGB image (rows, cols, 3).

        Blue is 0 px, red `TRUSTED_PX` and more; black is outside the earlier photograph, grey is
        not trusted.
        """
        rows, cols = self.after
        reduction = max(1.0, max(rows, cols) / MAP_SIDE_PX)
        step = 8  # px of the image between points that are computed
        size = round(cols / reduction), round(rows / reduction)
        x, y = (np.arange(0, side + step, step) * reduction for side in size)
        grid = np.stack(np.meshgrid(x, y), axis=-1)
        points = grid.reshape(-1, 2)
        sigma = self.sigma_px(points)
        inside = within(self.to_before(points), self.before)
        level = np.nan_to_num(np.sqrt(2) * sigma / TRUSTED_PX, nan=1.0).clip(0, 1)
        colours = cv2.applyColorMap(np.rint(255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)
        colours = colours.reshape(-1, 3)[:, ::-1].copy()
        colours[~(sigma <= self.limit_px)] = 128
        colours[~inside] = 0
        image = colours.reshape(*grid.shape[:2], 3)
        whole = cv2.resize(
            image, (image.shape[1] * step, image.shape[0] * step), interpolation=cv2.INTER_NEAREST
        )
        half = step // 2
        return np.asarray(whole[half : half + size[1], half : half + size[0]], np.uint8)


def within(points: Float64, shape: tuple[int, int]) -> Bools:
    """Return the points (N, 2) inside a photograph of ``shape``."""
    rows, cols = shape
    return np.asarray(((points >= 0) & (points <= (cols, rows))).all(axis=1))


def identity(rows: int, cols: int, sigma_px: float = 0.0) -> Alignment:
    """Return the alignment of two photographs on one grid, known to ``sigma_px`` per axis."""
    shape = rows, cols
    return Alignment(Mapping(np.eye(3)), shape, shape, sigma_known_px=sigma_px)
