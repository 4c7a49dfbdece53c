"""Compares photographs of one state: every change that is reported is an error.

    python benchmarks/repeatability.py DATA -o work
    python benchmarks/repeatability.py DATA -o work --copies 6 --only render concrete

Each place of the photographs in DATA/large (and of the sample wall) is photographed several times
from other positions, in other light, with other blur, noise and compression. The copies are
scanned and reported once, then compared two by two. Positions are carried over by the homography
that made the copies, so what is left is the repeatability of scan, report and comparison.

Printed for each place: pairs of cracks; how many mean widths of reports (whole cracks) and of the
comparison (common stretch) differ by more than 1.96 stated uncertainties; and how many cracks are
significantly changed, new or gone.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

SIDE_PX = 640  # of a copy
TILT_DEG, ROLL_DEG, ZOOM, SHIFT_PX = 6.0, 4.0, 0.06, 8.0  # largest differences of position
FOCAL = 1.2  # focal length over the side of a copy
PREFILTER = 0.45  # sigma of the low pass before downsampling, over the ratio of the pixels


@dataclass(frozen=True)
class Place:
    """A part of a photograph: its centre, and pixels of a copy per pixel of the photograph."""

    photograph: str
    centre: tuple[float, float]
    scale: float


PLACES = {
    "render_half": Place("wall_render_22.jpg", (2500, 1100), 0.45),
    "render_third": Place("wall_render_22.jpg", (1700, 1150), 0.39),
    "brick_half": Place("wall_render_brick_05.jpg", (1500, 1000), 0.5),
    "brick_third": Place("wall_render_brick_05.jpg", (1900, 1100), 0.4),
    "concrete_most": Place("concrete_toshimickey_c1.jpg", (2300, 1200), 0.7),
    "concrete_half": Place("concrete_toshimickey_c1.jpg", (2300, 1600), 0.4),
    "concrete_third": Place("concrete_toshimickey_c1.jpg", (2300, 1536), 0.29),
    "retaining_most": Place("retaining_wall_29.jpg", (950, 480), 0.8),
    "retaining_half": Place("retaining_wall_29.jpg", (798, 533), 0.56),
    "sample": Place("sample_data/wall.tif", (2000, 900), 0.6),
}


def camera(rng: np.random.Generator, place: Place) -> np.ndarray:
    """The homography (3, 3) from the photograph to a copy."""
    focal = FOCAL * SIDE_PX
    tilt, azimuth = np.radians(rng.uniform(0, TILT_DEG)), rng.uniform(0, 2 * np.pi)
    roll = np.radians(rng.uniform(-ROLL_DEG, ROLL_DEG))
    tilted, _ = cv2.Rodrigues(tilt * np.array([np.cos(azimuth), np.sin(azimuth), 0]))
    rolled, _ = cv2.Rodrigues(np.array([0, 0, roll]))
    turn = rolled @ tilted
    zoom = place.scale * np.exp(rng.uniform(-ZOOM, ZOOM))
    to_plane = np.diag([zoom, zoom, 1.0])
    to_plane[:2, 2] = -zoom * np.array(place.centre)
    seen = np.array([[*turn[0, :2], 0], [*turn[1, :2], 0], [*(turn[2, :2] / focal), 1]])
    middle = np.eye(3)
    middle[:2, 2] = SIDE_PX / 2 + rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
    return middle @ seen @ to_plane


def shoot(
    rng: np.random.Generator, photograph: np.ndarray, homography: np.ndarray, scale: float
) -> np.ndarray:
    """A copy: the photograph through the homography, in its own light, with blur, noise, JPEG."""
    if scale < 1:
        sigma = PREFILTER * np.sqrt(1 / scale**2 - 1)
        photograph = cv2.GaussianBlur(photograph, (0, 0), sigma)
    copy = cv2.warpPerspective(
        photograph,
        homography,
        (SIDE_PX, SIDE_PX),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float64)
    rows, cols = np.mgrid[:SIDE_PX, :SIDE_PX] / SIDE_PX - 0.5
    direction = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(-0.4, 0.4) * (cols * np.cos(direction) + rows * np.sin(direction))
    copy = 255 * (copy / 255).clip(0, 1) ** np.exp(rng.uniform(-0.15, 0.15))
    copy *= np.exp(slope + rng.uniform(-0.12, 0.05))[..., None]
    copy = cv2.GaussianBlur(copy, (0, 0), rng.uniform(0.3, 0.8))
    copy += rng.normal(0, rng.uniform(1.5, 3.0), copy.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 93))]
    _, coded = cv2.imencode(".jpg", copy.clip(0, 255).round().astype(np.uint8), quality)
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def make_copies(data: Path, out: Path, names: list[str], copies: int, seed: int) -> dict[str, list]:
    """Write the copies of every place as PNG; the homography of each by its name."""
    cameras: dict[str, list] = {}
    (out / "photographs").mkdir(parents=True, exist_ok=True)
    for name in names:
        place = PLACES[name]
        inside = Path(place.photograph).parent != Path()
        path = Path(place.photograph) if inside else data / "large" / place.photograph
        photograph = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photograph is None:
            sys.exit(f"{path}: cannot be read; run from the root of the repository")
        for number in range(copies):
            rng = np.random.default_rng([seed, number, *name.encode()])
            homography = camera(rng, place)
            copy = shoot(rng, photograph, homography, place.scale)
            cv2.imwrite(str(out / "photographs" / f"{name}_{number}.png"), copy)
            cameras[f"{name}_{number}"] = homography.tolist()
    (out / "cameras.json").write_text(json.dumps(cameras))
    return cameras


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[""], help="places whose name begins so")
    given = parser.parse_args()
    names = [name for name in PLACES if name.startswith(tuple(given.only))]
    make_copies(given.data, given.output, names, given.copies, given.seed)
    scans = given.output / "scans"
    crackcli = [sys.executable, "-m", "crackcli"]
    subprocess.run(
        [*crackcli, "scan", given.output / "photographs", "-o", scans, "--quiet"], check=True
    )
    subprocess.run([*crackcli, "report", scans, "--quiet"], check=True)


if __name__ == "__main__":
    main()
