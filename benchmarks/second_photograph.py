"""Shared by benchmarks of comparison: a photograph of a photograph, from another place in other
light, and the alignment that is known from how it was made."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from crackcli.comparison.campaign import Campaign, Report
from crackcli.comparison.change import Change, CompareTask, decided
from crackcli.comparison.changes import compare
from crackcli.comparison.evidence.significance import critical_p
from crackcli.registration.coarse.plane import apply_homography
from crackcli.scenes.scene import finished_scenes

TILT_DEG, ROLL_DEG, ZOOM, SHIFT_PX = 6.0, 4.0, 0.06, 8.0  # largest differences of position
FOCAL = 1.2  # focal length over the side of a photograph
PREFILTER = 0.45  # sigma of the low pass before downsampling, over the ratio of the pixels
SIGMA_PX = 0.2  # that is stated of the known alignment
HALF_PX = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # pixel centres to pixel edges


class Plane:
    """The alignment of two photographs by a known homography (3, 3) of pixel edges."""

    def __init__(self, homography: np.ndarray, side_px: int) -> None:
        self.forth, self.side_px = homography, side_px
        self.back = np.linalg.inv(homography)

    def to_after(self, points: np.ndarray) -> np.ndarray:
        return apply_homography(self.forth, points)

    def to_before(self, points: np.ndarray) -> np.ndarray:
        return apply_homography(self.back, points)

    def sigma_px(self, points: np.ndarray) -> np.ndarray:
        return np.full(len(points), SIGMA_PX)

    def trusted(self, points: np.ndarray) -> np.ndarray:
        both = np.hstack([points, self.to_before(points)])
        return ((both >= 0) & (both <= self.side_px)).all(axis=1)


def camera(
    rng: np.random.Generator, centre: tuple[float, float], scale: float, side_px: int
) -> np.ndarray:
    """The homography (3, 3) of pixel centres from a source to a photograph of a place in it."""
    tilt, azimuth = np.radians(rng.uniform(0, TILT_DEG)), rng.uniform(0, 2 * np.pi)
    roll = np.radians(rng.uniform(-ROLL_DEG, ROLL_DEG))
    tilted, _ = cv2.Rodrigues(tilt * np.array([np.cos(azimuth), np.sin(azimuth), 0]))
    rolled, _ = cv2.Rodrigues(np.array([0, 0, roll]))
    turn = rolled @ tilted
    zoom = scale * np.exp(rng.uniform(-ZOOM, ZOOM))
    to_plane = np.diag([zoom, zoom, 1.0])
    to_plane[:2, 2] = -zoom * np.array(centre)
    seen = np.array([[*turn[0, :2], 0], [*turn[1, :2], 0], [*(turn[2, :2] / FOCAL / side_px), 1]])
    middle = np.eye(3)
    middle[:2, 2] = side_px / 2 + rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
    return middle @ seen @ to_plane


def shoot(
    rng: np.random.Generator,
    source: np.ndarray,
    homography: np.ndarray,
    scale: float,
    side_px: int,
) -> np.ndarray:
    """The source (rows, cols, 3) seen through a homography, in its own light, with blur, noise and
    JPEG compression."""
    if scale < 1:
        source = cv2.GaussianBlur(source, (0, 0), PREFILTER * np.sqrt(1 / scale**2 - 1))
    seen = cv2.warpPerspective(
        source,
        homography,
        (side_px, side_px),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float64)
    rows, cols = np.mgrid[:side_px, :side_px] / side_px - 0.5
    direction = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(-0.4, 0.4) * (cols * np.cos(direction) + rows * np.sin(direction))
    seen = 255 * (seen / 255).clip(0, 1) ** np.exp(rng.uniform(-0.15, 0.15))
    seen *= np.exp(slope + rng.uniform(-0.12, 0.05))[..., None]
    seen = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.3, 0.8))
    seen += rng.normal(0, rng.uniform(1.5, 3.0), seen.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 93))]
    _, coded = cv2.imencode(".jpg", seen.clip(0, 255).round().astype(np.uint8), quality)
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def campaigns(folder: Path) -> dict[str, Campaign]:
    """The campaigns of a report, by the names of their scenes."""
    report = Report.read(folder)
    return {scene.name: report.campaign(scene) for scene in finished_scenes(folder)}


def changes(
    before: Campaign, after: Campaign, cameras: dict[str, np.ndarray], side_px: int
) -> tuple[list[Change], float]:
    """The decided changes of cracks between two photographs of one source, and the p-value up to
    which they are significant."""
    forth, back = (cameras[one.scene.name] for one in (after, before))
    homography = HALF_PX @ forth @ np.linalg.inv(back) @ np.linalg.inv(HALF_PX)
    task = CompareTask(Path(), Path(), Path())
    found = compare(before, after, Plane(homography, side_px), task)
    cracks = [change for change in found if not change.joint]
    critical = critical_p(p for change in cracks for p in change.tests.values())
    return [decided(change, critical) for change in cracks], critical


def round_of(names: list[str]) -> Iterator[tuple[str, str]]:
    """Each name with the next, and the last with the first."""
    yield from pairwise([*names, names[0]])
