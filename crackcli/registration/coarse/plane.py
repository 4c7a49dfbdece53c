"""The map between two photographs of a plane: a homography, found among matches of which most may
be wrong, and checks that it can be one of a wall.

Barath, D., Noskova, J., Ivashechkin, M., Matas, J. (2020). MAGSAC++, a fast, reliable and accurate
robust estimator. CVPR.
"""

import cv2
import numpy as np

from crackcli.arrays import Bools, Float64

MIN_MATCHES = 8
ITERATIONS, CONFIDENCE = 10_000, 0.9999
SCALES = 0.3, 3.3  # px of the later photograph for one of the earlier; 0.5 to 2 is documented
MAX_SQUEEZE = 2.5  # ratio of the scales along and across the tilt


def apply_homography(homography: Float64, points: Float64) -> Float64:
    """Return points (N, 2) mapped by a homography (3, 3); nan behind the camera."""
    mapped = points @ homography[:, :2].T + homography[:, 2]
    depth = np.where(mapped[:, 2:] > 0, mapped[:, 2:], np.nan)
    return np.asarray(mapped[:, :2] / depth)


def inverse(homography: Float64) -> Float64:
    """Return the homography (3, 3) in the other direction."""
    return np.asarray(np.linalg.inv(homography), np.float64)


def find_homography(before: Float64, after: Float64, reach_px: float) -> tuple[Float64, Bools]:
    """Return the homography (3, 3) from points ``before`` (N, 2) to ``after``, and its inliers.

    ``reach_px`` is the distance at which inliers end. Without a homography, all are outliers.
    """
    none = np.zeros(len(before), bool)
    if len(before) < MIN_MATCHES:
        return np.eye(3), none
    found, inliers = cv2.findHomography(
        before, after, cv2.USAC_MAGSAC, reach_px, maxIters=ITERATIONS, confidence=CONFIDENCE
    )
    if found is None or not np.isfinite(found).all() or abs(found[2, 2]) < 1e-12:
        return np.eye(3), none
    return np.asarray(found / found[2, 2], np.float64), np.asarray(inliers.ravel() > 0)


def local_linear(homography: Float64, point: Float64) -> Float64:
    """Return the derivative (2, 2) of a homography at a point (2,)."""
    mapped = homography @ np.append(point, 1.0)
    place = mapped[:2] / mapped[2]
    return np.asarray((homography[:2, :2] - np.outer(place, homography[2, :2])) / mapped[2])


def local_scale(homography: Float64, points: Float64) -> Float64:
    """Return px of the later photograph for one of the earlier at points (N, 2)."""
    areas = [np.linalg.det(local_linear(homography, point)) for point in points]
    return np.sqrt(np.abs(areas))


def is_plausible(homography: Float64, shape: tuple[int, int]) -> bool:
    """Return True if a homography neither mirrors nor squeezes a photograph of ``shape`` much."""
    rows, cols = shape
    corners = np.array([(0, 0), (cols, 0), (0, rows), (cols, rows), (cols / 2, rows / 2)])
    if np.isnan(apply_homography(homography, corners)).any():
        return False
    for corner in corners:
        linear = local_linear(homography, corner)
        high, low = np.linalg.svd(linear, compute_uv=False)
        within = SCALES[0] < low and high < SCALES[1] and high < MAX_SQUEEZE * low
        if np.linalg.det(linear) <= 0 or not within:
            return False
    return True


def overlap(homography: Float64, before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the common area of two photographs of these shapes as a fraction of the smaller one,
    both seen in the earlier photograph."""
    rows, cols = before
    own = np.array([(0, 0), (cols, 0), (cols, rows), (0, rows)], np.float32)
    high, wide = after
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float64)
    other = apply_homography(inverse(homography), corners)
    if np.isnan(other).any():
        return 0.0
    hull = cv2.convexHull(other.astype(np.float32))
    common, _ = cv2.intersectConvexConvex(own, hull)
    return float(common) / max(min(float(rows * cols), float(cv2.contourArea(hull))), 1.0)
