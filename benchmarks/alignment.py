"""Alignment of two photographs: residual and time, beside OpenCV's SIFT and RANSAC homography.

    PYTHONPATH=. python benchmarks/alignment.py DATA/large                     # ten minutes
    PYTHONPATH=. python benchmarks/alignment.py DATA/large --megapixels 10 --levels medium
    PYTHONPATH=. python benchmarks/alignment.py --pairs A.jpg B.jpg C.jpg D.jpg -o blinks

Takes photographs of walls, draws a crack on each, and photographs it again from another place, in
other light, with the crack wider; the true map is known (`crackcli.synthesis.second_photograph`).
Prints, for both methods, the median and the 95th percentile of the error in px of the later
photograph over what both show and the method trusts, the same within 30 px of the crack, the
fraction that is trusted, the root mean square of error / sigma per axis, and processor seconds of
one core. With ``--pairs``, aligns real photographs and writes each pair as one image.
"""

import argparse
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import shapely

from crackcli.arrays import Bools, Float64, UInt8
from crackcli.rasters.photograph import read_photograph
from crackcli.rasters.reader import Raster, inspect
from crackcli.registration import Alignment, NotAligned, align
from crackcli.synthesis.second_photograph import (
    EASY,
    HARD,
    MEDIUM,
    Opening,
    Viewpoint,
    in_other_light,
    random_viewpoint,
)

LEVELS = {"easy": EASY, "medium": MEDIUM, "hard": HARD}
WIDTH_PX, MOST_OPENING_PX = 3.0, 2.5
NEAR_PX = 30  # of the crack
MARGIN_PX = 10  # of the edges, where nothing is compared
STEP_PX = 16
RATIO, REACH_PX = 0.75, 3.0  # of SIFT and RANSAC, as in OpenCV's tutorial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="photographs of walls")
    parser.add_argument("--levels", nargs="+", default=list(LEVELS), choices=LEVELS)
    parser.add_argument("--megapixels", type=float, default=2.0, help="of the first photograph")
    parser.add_argument("--seeds", type=int, default=1, help="second photographs of each")
    parser.add_argument("--pairs", type=Path, nargs="+", default=[], help="A B A B ...")
    parser.add_argument("-o", "--output", type=Path, default=Path())
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.folder:
        simulate(options)
    for before, after in zip(options.pairs[::2], options.pairs[1::2], strict=True):
        overlay(before, after, options.output)


def simulate(options: argparse.Namespace) -> None:
    """Print the table of simulated pairs."""
    names = ("photograph", "level", "scale", "method", "error px", "at crack px", "trusted")
    print(f"| {' | '.join([*names, '/ sigma', 'seconds'])} |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    aligned: list[bool] = []
    for path in sorted(path for path in options.folder.iterdir() if path.is_file()):
        for level in options.levels:
            for seed in range(options.seeds):
                rng = np.random.default_rng([seed, len(aligned)])
                aligned.append(compare(path, level, rng, options.megapixels))
    print(f"{sum(aligned)} of {len(aligned)} pairs aligned; ", end="")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def compare(path: Path, level: str, rng: np.random.Generator, megapixels: float) -> bool:
    """Print the rows of one pair; return True if it was aligned."""
    difficulty = LEVELS[level]
    source = read_photograph(path)
    before = at_size(source, megapixels)
    crack = random_line(rng, before.shape[:2])
    opening = Opening(crack, WIDTH_PX, rng.uniform(0, MOST_OPENING_PX))
    viewpoint = random_viewpoint(rng, before.shape[:2], difficulty, opening)
    after = in_other_light(rng, viewpoint.photograph(source), difficulty)
    before = with_line(before, crack)
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("before.jpg", "after.jpg")]
        for place, image in zip(paths, (before, after), strict=True):
            cv2.imwrite(str(place), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        lines = [
            np.array([shapely.LineString(line)]) for line in (crack, viewpoint.to_second(crack))
        ]
        done = True
        for name in ("crackcli", "SIFT + RANSAC"):
            began = time.process_time()
            found = aligned_files(*paths, lines) if name == "crackcli" else plain(*paths)
            seconds = time.process_time() - began
            errors = "refused | | | |"
            if found is not None:
                errors = error_text(found, viewpoint, before.shape[:2])
            elif name == "crackcli":
                done = False
            scale = np.sqrt(np.linalg.det(viewpoint.homography[:2, :2]))
            row = f"| {path.stem} | {level} | {scale:.2f} | {name} | {errors} {seconds:.1f} |"
            print(row, flush=True)
    return done


class Plain:
    """A homography (3, 3) to the earlier photograph, which is trusted everywhere."""

    def __init__(self, homography: Float64) -> None:
        self.homography = homography

    def to_before(self, points: Float64) -> Float64:
        return np.asarray(cv2.perspectiveTransform(points[None], self.homography)[0])

    def trusted(self, points: Float64) -> Bools:
        return np.ones(len(points), bool)

    def sigma_px(self, points: Float64) -> Float64:
        return np.full(len(points), np.nan)


def aligned_files(before: Path, after: Path, lines: list[np.ndarray]) -> Alignment | None:
    """Return the alignment of crackcli, or None if it refuses."""
    with Raster(inspect(before)) as one, Raster(inspect(after)) as other:
        try:
            return align(one, other, cracks_before=lines[0], cracks_after=lines[1])
        except NotAligned as error:
            print(error)
            return None


def plain(before: Path, after: Path) -> Plain | None:
    """Return the map of OpenCV's SIFT features and a RANSAC homography, as in its tutorial."""
    sift = cv2.SIFT.create()
    found = [
        sift.detectAndCompute(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), None)
        for path in (after, before)
    ]
    index = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 5}, {"checks": 50})
    matches = index.knnMatch(found[0][1], found[1][1], k=2)
    good = [one for one, other in matches if one.distance < RATIO * other.distance]
    if len(good) < 4:
        return None
    source = np.array([found[0][0][each.queryIdx].pt for each in good]) + 0.5
    target = np.array([found[1][0][each.trainIdx].pt for each in good]) + 0.5
    homography, _ = cv2.findHomography(source, target, cv2.RANSAC, REACH_PX)
    return None if homography is None else Plain(homography)


def error_text(found: Alignment | Plain, viewpoint: Viewpoint, shape: tuple[int, int]) -> str:
    """Return the errors over the common area, and near the crack, as cells of a table."""
    rows, cols = viewpoint.shape
    y, x = np.mgrid[MARGIN_PX : rows - MARGIN_PX : STEP_PX, MARGIN_PX : cols - MARGIN_PX : STEP_PX]
    points = np.column_stack([x.ravel(), y.ravel()]) + 0.5
    truth = viewpoint.to_first(points, opened=False)
    far = np.subtract(shape[::-1], MARGIN_PX)
    both = ((truth > MARGIN_PX) & (truth < far)).all(axis=1)
    points, truth = points[both], truth[both]
    trusted = found.trusted(points)
    scale = np.sqrt(np.linalg.det(viewpoint.homography[:2, :2]))
    error = np.hypot(*(found.to_before(points) - truth).T) * scale
    assert viewpoint.opening is not None
    distance, _, _ = viewpoint.opening.sides(viewpoint.to_wall(points))
    parts = error[trusted], error[trusted & (distance < NEAR_PX)]
    texts = [f"{np.median(e):.2f}, {np.quantile(e, 0.95):.2f}" for e in parts]
    ratio = np.sqrt(np.mean((error[trusted] / found.sigma_px(points[trusted])) ** 2 / 2))
    return " | ".join([*texts, f"{trusted.mean():.2f}", f"{ratio:.2f} |"])


def at_size(image: UInt8, megapixels: float) -> UInt8:
    """Return an image reduced by a whole number to about ``megapixels``, or enlarged to it."""
    rows, cols = image.shape[:2]
    factor = np.sqrt(rows * cols / megapixels / 1e6)
    factor = max(1, round(factor)) if factor > 0.8 else factor
    size = round(cols / factor), round(rows / factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def random_line(rng: np.random.Generator, shape: tuple[int, int]) -> Float64:
    """Return a crooked line (N, 2) through the middle of a photograph, points about 1 px apart."""
    ends = np.array([[0.4, 0.2], [0.6, 0.8]]) * shape[::-1]
    count = int(np.hypot(*(ends[1] - ends[0])))
    walk = np.cumsum(rng.normal(0, 0.5, count))
    line = ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, count)[:, None]
    line[:, 0] += cv2.GaussianBlur(walk - np.linspace(0, walk[-1], count), (0, 0), 4).ravel()
    return np.asarray(line)


def with_line(image: UInt8, line: Float64) -> UInt8:
    """Return an image with a dark line of `WIDTH_PX`."""
    drawn = np.zeros(image.shape[:2], np.uint8)
    points = np.rint((line - 0.5) * 16).astype(np.int32)
    cv2.polylines(drawn, [points], False, 255, round(WIDTH_PX), cv2.LINE_AA, 4)
    return np.rint(image * (1 - 0.65 * drawn[..., None] / 255.0)).astype(np.uint8)


def overlay(before: Path, after: Path, folder: Path) -> None:
    """Align two real photographs; print the facts and write an image of both.

    Its red is the later photograph, its green and blue the earlier one: what fits is grey.
    """
    with Raster(inspect(before)) as one, Raster(inspect(after)) as other:
        began = time.process_time()
        try:
            found = align(one, other)
        except NotAligned as error:
            print(error)
            return
    print(f"{before.name}, {after.name}: {found.facts()}, {time.process_time() - began:.1f} s")
    images = [read_photograph(path) for path in (before, after)]
    folder.mkdir(parents=True, exist_ok=True)
    red, cyan = later_over(found, images[1]), cv2.cvtColor(images[0], cv2.COLOR_RGB2GRAY)
    name = f"{before.stem}_{after.stem}.png"
    cv2.imwrite(str(folder / name), np.dstack([cyan, cyan, red]))


def later_over(found: Alignment, later: UInt8) -> UInt8:
    """Return the grey values of the later photograph in place of the earlier one."""
    rows, cols = found.before
    y, x = np.mgrid[:rows, :cols] + 0.5
    places = found.to_after(np.column_stack([x.ravel(), y.ravel()])) - 0.5
    map_x, map_y = (part.reshape(rows, cols).astype(np.float32) for part in places.T)
    grey = cv2.cvtColor(later, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR), np.uint8)


if __name__ == "__main__":
    main()
