"""Drawn cracks as wide as the detection limit of their place are found by a scan.

benchmarks/promise.py checks the same on labelled photographs.
"""

import cv2
import numpy as np
import pytest

from crackcli.detectability.assessment import assess
from crackcli.detectability.block_quality import BLOCK_PX
from crackcli.detectability.limits import CONTRAST
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.rasters.reader import inspect
from crackcli.rasters.score_mask import CRACK, read_band
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.synthesis.cover import coverage
from crackcli.synthesis.random_cracks import CrackStyle, random_crack

SIDE = 2 * BLOCK_PX
NEAR_PX = 3
WIDTHS_PX = (2.0, 4.0, 7.0, 11.0)  # of the four cracks of a wall, one per block
KEPT = 0.9
TEXTURES = {  # deviation in levels, by sigma in px
    "smooth": {0.7: 2.0, 12.0: 6.0},
    "render": {0.7: 3.0, 1.5: 4.0, 5.0: 5.0},
    "asphalt": {0.7: 8.0, 1.5: 8.0},
}


def wall(rng, texture):
    """Return a wall (SIDE, SIDE) in levels."""
    grey = np.full((SIDE, SIDE), 150.0)
    for sigma, deviation in texture.items():
        grain = cv2.GaussianBlur(rng.normal(0, 1, grey.shape), (0, 0), sigma)
        grey += deviation * grain / grain.std()
    return grey


def cracked(rng, grey):
    """Return a photograph with a crack of each of `WIDTHS_PX`, and the paths of each."""
    paths = []
    for number, width_px in enumerate(WIDTHS_PX):
        angle = rng.uniform(0, np.pi)
        half = 0.37 * BLOCK_PX * np.array([np.cos(angle), np.sin(angle)])
        middle = (np.array([number % 2, number // 2]) + 0.5) * BLOCK_PX
        style = CrackStyle((width_px, width_px), roughness=0.6, closing=(0.1, 0.1))
        paths.append(random_crack(rng, middle - half, middle + half, style))
    cover = coverage([path for one in paths for path in one], grey.shape)
    image = grey * (1 - 1.25 * CONTRAST * cover)
    image = cv2.GaussianBlur(image, (0, 0), 0.8)[..., None] * np.array([0.95, 1.0, 1.03])
    image += rng.normal(0, 1.5, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), paths


@pytest.mark.parametrize(
    ("method", "texture"), [*(("student", name) for name in TEXTURES), ("lrp", "render")]
)
def test_cracks_as_wide_as_the_limit_are_found(method, texture, tmp_path):
    rng = np.random.default_rng(sorted(TEXTURES).index(texture))
    image, paths = cracked(rng, wall(rng, TEXTURES[texture]))
    photograph = tmp_path / "wall.png"
    cv2.imwrite(str(photograph), image)

    scorer = open_scorer(ModelOptions(method=method))
    marked = read_band(scan_raster(ScanTask(photograph, tmp_path / "out"), scorer).mask) == CRACK
    limits = assess(inspect(photograph), method).detection_px

    away = cv2.distanceTransform((~marked).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    promised, found = [], []
    for path in (path for one in paths for path in one):
        col, row = np.rint(path.points).astype(int).T
        promised.append(path.width_px >= limits[row // BLOCK_PX, col // BLOCK_PX])
        found.append(marked.any() & (away[row, col] <= path.width_px / 2 + NEAR_PX))
    promised, found = np.concatenate(promised), np.concatenate(found)
    assert promised.mean() > 0.5  # else little is tested
    assert found[promised].mean() >= KEPT
