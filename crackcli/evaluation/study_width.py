"""The largest crack width of a mask as the study estimates it, after Carrasco et al. 2021.

Of every component large enough:

1. central points: k-means on the pixels of its skeleton with k = 2, 3, ...; the first k whose two
   closest centres lie no closer than those of the k before is one too many;
2. at each point a window is cut out, an ellipse fitted to the contour of what it shows, and a
   profile sampled through the middle of the window along the ellipse's minor axis;
3. the width there is the length of the first run of samples above 0, in samples.

The widest place of the mask counts.  It is kept as the study uses it, for numbers that can be
compared with its own: a blurred edge counts in full, so it reads about 2 px too wide; a bar along
the axes has a contour of four vertices, too few for an ellipse, and reads 0.  The study's k-means
is random; this one is seeded.  `crackcli.cracks.widths` holds the measure of crackcli report.

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
LEAST_VERTICES = 5  # of a contour that an ellipse is fitted to
ATTEMPTS = 3  # of each k-means; the most compact counts
CRITERIA = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-3)


def components(mask: Bools) -> Iterator[Bools]:
    """The 8-connected components of at least `LEAST_PX` pixels, each as a mask of its own."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] >= LEAST_PX:
            yield labels == number


def largest_width(mask: Bools, seed: int = 0) -> int:
    """The largest width in whole pixels; 0 where nothing is marked, or nothing can be measured."""
    return max((component_width(component, seed) for component in components(mask)), default=0)


def component_width(component: Bools, seed: int) -> int:
    """The largest width of one component."""
    points = np.argwhere(skeletonize(component)).astype(np.float32)
    if len(points) < 2:
        return 0
    return max(width_at(component, centre) for centre in central_points(points, seed))


def central_points(points: Float32, seed: int) -> Float32:
    """Points (K, 2) spread along a skeleton (N, 2), as many as keep coming closer together."""
    closest, centres = np.inf, points[:1]
    for number in range(2, len(points) + 1):
        found = cluster(points, number, seed)
        apart = closest_pair(found)
        if apart >= closest:
            break
        closest, centres = apart, found
    return centres


def cluster(points: Float32, number: int, seed: int) -> Float32:
    """The centres (number, 2) of a k-means."""
    cv2.setRNGSeed(seed)
    _, _, centres = cv2.kmeans(points, number, None, CRITERIA, ATTEMPTS, cv2.KMEANS_PP_CENTERS)
    return centres


def closest_pair(centres: Float32) -> float:
    """The distance between the two centres that lie closest."""
    away = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    return float(away[np.triu_indices(len(centres), 1)].min())


def width_at(component: Bools, centre: Float32) -> int:
    """The width at a place (row, col), 0 where no ellipse can be fitted."""
    row, col = centre.astype(int)
    first_row, first_col = max(0, row - HALF_WINDOW_PX), max(0, col - HALF_WINDOW_PX)
    window = component[first_row : row + HALF_WINDOW_PX, first_col : col + HALF_WINDOW_PX].astype(
        np.uint8
    )
    contours, _ = cv2.findContours(window, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not contours or len(contours[0]) < LEAST_VERTICES:
        return 0
    _, _, angle_deg = cv2.fitEllipse(contours[0])  # between the columns and the minor axis
    return first_run(profile(window, np.deg2rad(angle_deg)))


def profile(window: UInt8, angle: float) -> Float32:
    """Samples about 1 px apart through the middle of a window, 0 beyond it."""
    rows, cols = window.shape
    along = np.linspace(-PROFILE_PX / 2, PROFILE_PX / 2, PROFILE_PX + 1)
    places = rows / 2 + along * np.sin(angle), cols / 2 + along * np.cos(angle)
    return map_coordinates(window.astype(np.float32), places, order=1, mode="constant")


def first_run(samples: Float32) -> int:
    """How many samples above 0 follow the first one."""
    marked = np.flatnonzero(samples > 0)
    if len(marked) == 0:
        return 0
    gaps = np.flatnonzero(np.diff(marked) > 1)
    return int(gaps[0]) + 1 if len(gaps) else len(marked)
