"""The later sample photograph, taken again from another place, is aligned with the earlier one."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely

from crackcli.rasters.photograph import read_photograph
from crackcli.rasters.reader import Raster, inspect
from crackcli.registration import align
from crackcli.synthesis.second_photograph import HARD, MEDIUM, in_other_light, random_viewpoint

SAMPLE = Path(__file__).parents[2] / "sample_data"


def lines_of(cracks):
    """The paths of cracks as polylines (N, 2), in px of pixel edges."""
    paths = [path["points"] for crack in cracks for path in crack["paths"]]
    return [np.array(points) + 0.5 for points in paths]


@pytest.mark.slow
@pytest.mark.parametrize("difficulty", [MEDIUM, HARD], ids=["medium", "hard"])
def test_the_residual_at_cracks_is_below_half_a_pixel(tmp_path, difficulty):
    rng = np.random.default_rng(7)
    later = read_photograph(SAMPLE / "wall_later.tif")
    viewpoint = random_viewpoint(rng, later.shape[:2], difficulty)
    path = tmp_path / "later.jpg"
    second = in_other_light(rng, viewpoint.photograph(later), difficulty)
    cv2.imwrite(str(path), second[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    truth = json.loads((SAMPLE / "truth.json").read_text())
    before, after = (lines_of(truth[name]) for name in ("wall", "wall_later"))
    carried = [viewpoint.to_second(line) for line in after]

    with Raster(inspect(SAMPLE / "wall.tif")) as one, Raster(inspect(path)) as other:
        alignment = align(
            one,
            other,
            cracks_before=[shapely.LineString(line) for line in before],
            cracks_after=[shapely.LineString(line) for line in carried],
        )

    points = np.concatenate(carried)
    seen = ((points > 0) & (points < viewpoint.shape[::-1])).all(axis=1)
    error = np.hypot(*(alignment.to_before(points[seen]) - np.concatenate(after)[seen]).T)
    error *= alignment.scale
    assert np.median(error) < 0.25
    assert np.quantile(error, 0.95) < 0.5
