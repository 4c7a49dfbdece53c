"""Two photographs of one wall are aligned, with the true map known."""

import cv2
import numpy as np
import pytest

from crackcli.rasters.reader import Raster, inspect
from crackcli.registration import align
from crackcli.synthesis.second_photograph import (
    MEDIUM,
    in_other_light,
    random_viewpoint,
)
from crackcli.synthesis.surfaces import developed, lit, plaster

SHAPE = 480, 640


@pytest.fixture(scope="module")
def wall():
    """A photograph (rows, cols, 3) of a plastered wall."""
    surface = plaster(np.random.default_rng(5), SHAPE)
    return developed(lit(surface, 225.0, 48.0))


def write(folder, name, image):
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def align_files(before, after, **options):
    with Raster(inspect(before)) as first, Raster(inspect(after)) as second:
        return align(first, second, **options)


def grid_points(shape, step=16):
    y, x = np.mgrid[step : shape[0] : step, step : shape[1] : step] + 0.5
    return np.column_stack([x.ravel(), y.ravel()])


def errors_px(alignment, viewpoint):
    """The error (N,) of the alignment in px of the first photograph where both show the wall."""
    points = grid_points(viewpoint.shape)
    truth = viewpoint.to_first(points, opened=False)
    inside = ((truth > 8) & (truth < (SHAPE[1] - 8, SHAPE[0] - 8))).all(axis=1)
    return np.hypot(*(alignment.to_before(points[inside]) - truth[inside]).T)


def test_a_photograph_from_another_place_is_aligned_to_a_fraction_of_a_pixel(wall, tmp_path):
    rng = np.random.default_rng(1)
    viewpoint = random_viewpoint(rng, SHAPE, MEDIUM)
    later = in_other_light(rng, viewpoint.photograph(wall), MEDIUM)

    alignment = align_files(write(tmp_path, "a", wall), write(tmp_path, "b", later))

    error = errors_px(alignment, viewpoint)
    assert np.median(error) < 0.15
    assert np.quantile(error, 0.95) < 0.5
