"""Coordinates of reports that do not store the transform of their scenes."""

import numpy as np
import pytest
import shapely
from affine import Affine

from crackcli.scenes.frames import earlier_transform, map_frame, to_pixels
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scene import Scene

GRID = Affine(0.5, 0, 100, 0, -0.5, 900)


@pytest.mark.parametrize(
    ("transform", "point"),
    [(GRID, (110.0, 885.0)), (Affine.identity(), (40.0, 140.0))],
    ids=["grid without a CRS", "photograph in mm"],
)
def test_an_earlier_report_leads_back_to_the_pixels(tmp_path, transform, point):
    scene = Scene(tmp_path, 100, 80, transform, None, SceneRecord({}))

    back = to_pixels(earlier_transform(scene, 2.0), np.array([shapely.Point(point)]))

    np.testing.assert_allclose(shapely.get_coordinates(back), [(20, 30)])


def test_a_grid_lies_where_it_does_today(tmp_path):
    scene = Scene(tmp_path, 100, 80, GRID, None, SceneRecord({}))

    assert earlier_transform(scene, 2.0) == map_frame(scene).transform
