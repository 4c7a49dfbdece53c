"""The largest crack width of a mask by the estimator of Forest et al. 2024.

For every component that is large enough:

1. Find central points: k-means on the pixels of its skeleton with k = 2, 3, ..., until the two
   closest centres no longer come closer together.
2. At each central point cut out a window, fit an ellipse to the contour in it, and sample a profile
   through the middle of the window along the minor axis of the ellipse.
3. The width is the length of the first run of samples above 0, in samples.

The largest width of the mask counts. The estimator is kept as the paper uses it, so that numbers
can be compared. A blurred edge counts in full, so widths are about 2 px too large. A bar along
the axes has a contour of four vertices, too few for an ellipse, and gives 0. The paper's k-means
is random; this one is seeded. `crackcli.cracks.widths` has the estimator of crackcli report.

Source: Carrasco et al. 2021, Sensors 21(22), 7534; Forest et al. 2024.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from scipy.ndimage import map_coordinates
from skimage.morphology import skeletonize

from crackcli.arrays import Bools, Float32, UInt8

LEAST_PX = 50  # area of a component
HALF_WINDOW_PX = 20
PROFILE_PX = 40
LEAST_VERTICES = 5  # of a contour, to fit an ellipse
ATTEMPTS = 3  # of each k-means; the most compact one is used
CRITERIA = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-3)


def components(mask: Bools) -> Iterator[Bools]:
    """Yield each 8-connected component of at least `LEAST_PX` pixels as a mask (rows, cols)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] >= LEAST_PX:
            yield labels == number


def largest_width(mask: Bools, seed: int = 0) -> int:
    """Return the largest width in whole pixels; 0 if none can be measured."""
    return max((component_width(component, seed) for component in components(mask)), default=0)


def component_width(component: Bools, seed: int) -> int:
    """Return the largest width of one component in whole pixels."""
    skeleton: Bools = skeletonize(component)  # type: ignore[no-untyped-call]  # no types in skimage
    points = np.argwhere(skeleton).astype(np.float32)
    if len(points) < 2:
        return 0
    return max(width_at(component, centre) for centre in central_points(points, seed))


def central_points(points: Float32, seed: int) -> Float32:
    """Return K points (K, 2) spread along a skeleton (N, 2), the largest K whose closest pair is
    closer than that of K - 1."""
    closest, centres = np.inf, points[:1]
    for number in range(2, len(points) + 1):
        found = cluster(points, number, seed)
        apart = closest_pair(found)
        if apart >= closest:
            break
        closest, centres = apart, found
    return centres


def cluster(points: Float32, number: int, seed: int) -> Float32:
    """Return the centres (number, 2) of a k-means."""
    cv2.setRNGSeed(seed)
    labels = np.zeros(len(points), np.int32)  # not used as initial labels
    _, _, centres = cv2.kmeans(points, number, labels, CRITERIA, ATTEMPTS, cv2.KMEANS_PP_CENTERS)
    return centres.astype(np.float32, copy=False)


def closest_pair(centres: Float32) -> float:
    """Return the distance in px between the two closest centres."""
    away = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    return float(away[np.triu_indices(len(centres), 1)].min())


def width_at(component: Bools, centre: Float32) -> int:
    """Return the width at a point (row, col); 0 if no ellipse can be fitted."""
    row, col = centre.astype(int)
    first_row, first_col = max(0, row - HALF_WINDOW_PX), max(0, col - HALF_WINDOW_PX)
    window = component[first_row : row + HALF_WINDOW_PX, first_col : col + HALF_WINDOW_PX].astype(
        np.uint8
    )
    contours, _ = cv2.findContours(window, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not contours or len(contours[0]) < LEAST_VERTICES:
        return 0
    _, _, angle_deg = cv2.fitEllipse(contours[0])  # from the columns to the minor axis
    return first_run(profile(window, np.deg2rad(angle_deg)))


def profile(window: UInt8, angle: float) -> Float32:
    """Return samples about 1 px apart through the middle of a window, 0 outside it."""
    rows, cols = window.shape
    along = np.linspace(-PROFILE_PX / 2, PROFILE_PX / 2, PROFILE_PX + 1)
    places = rows / 2 + along * np.sin(angle), cols / 2 + along * np.cos(angle)
    samples = map_coordinates(window.astype(np.float32), places, order=1, mode="constant")
    return samples.astype(np.float32, copy=False)


def first_run(samples: Float32) -> int:
    """Return the length of the first run of samples above 0."""
    marked = np.flatnonzero(samples > 0)
    if len(marked) == 0:
        return 0
    gaps = np.flatnonzero(np.diff(marked) > 1)
    return int(gaps[0]) + 1 if len(gaps) else len(marked)
