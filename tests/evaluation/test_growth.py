"""Cracks that grow by known amounts, and statistics that a perfect method passes."""

import math

import numpy as np
import pytest
from fakes import wall
from walls import polyline

from crackcli.evaluation.growth import (
    GROWTH_PX,
    STEPS,
    Growth,
    draw_growing_crack,
    follow,
    grow_stroke,
)
from crackcli.evaluation.measures import MaskMeasures, measure
from crackcli.evaluation.trajectories import DRAWN, STROKES, best_growth, write_trajectories

X = np.arange(20, 240, 6.0)
LINE = polyline((256, 256), list(zip(X, 128 + 14 * np.sin(X / 11), strict=True)), 5) > 0


@pytest.fixture(scope="module")
def surface():
    return wall(256, 256, cracks=0)


@pytest.fixture(scope="module")
def grown(surface):
    return draw_growing_crack(surface, np.random.default_rng(5))


def test_strokes_are_as_large_as_those_of_the_paper(surface):
    """Ranges over skeletons of 216 px, dilated by 5 px from step to step."""
    trajectory = grow_stroke(surface, wall(256, 256), LINE)

    first, *areas = (step.area_px for step in trajectory.true)
    ranges = [(1150, 1380), (2110, 2550), (3090, 3760), (4090, 4980)]
    for area, (low, high) in zip(areas, ranges, strict=True):
        assert low <= area * 216 / first <= high  # the paper's had 216 px


def test_strokes_grow_by_4_px_a_step_and_measure_about_2_px_too_wide(surface):
    straight = polyline((256, 256), [(20, 60), (236, 100)], 5) > 0

    _, *steps = grow_stroke(surface, wall(256, 256), straight).true

    for step, nominal in zip(steps, (5, 9, 13, 17), strict=True):
        assert nominal + 2 <= step.width_study_px <= nominal + 5


def test_strokes_have_the_darkest_colour_of_their_photograph_and_change_only_their_pixels(surface):
    cracked = wall(256, 256)
    trajectory = grow_stroke(surface, cracked, LINE)

    for image, step in zip(trajectory.photographs, trajectory.true, strict=True):
        changed = (image != surface).any(axis=2)
        assert changed.sum() == step.area_px
        assert (image[changed] == cracked.min(axis=(0, 1))).all()


def test_a_drawn_crack_grows_by_a_quarter_of_a_pixel_a_step(grown):
    widths = [step.width_ours_px for step in grown.true]

    assert len(widths) == STEPS
    np.testing.assert_allclose(np.diff(widths), GROWTH_PX)
    assert (np.diff([step.area_px for step in grown.true]) > 0).all()


def test_the_true_pixels_are_about_as_wide_as_the_drawn_crack(grown):
    for pixels, true in zip(grown.of_pixels, grown.true, strict=True):
        assert pixels.area_px == pytest.approx(true.area_px, rel=0.15)
        assert pixels.width_ours_px == pytest.approx(true.width_ours_px, abs=1.5)


def test_each_step_is_another_photograph_of_the_same_crack(grown, surface):
    first, second = (image.astype(int) for image in grown.photographs[:2])
    apart = np.abs(first - second).mean(axis=2)
    darker = (surface.astype(int) - first).mean(axis=2)

    assert (apart > 0).mean() > 0.8  # noise everywhere
    assert np.corrcoef(darker.ravel(), (surface - second).mean(axis=2).ravel())[0, 1] > 0.5


def test_the_same_seed_draws_the_same_crack(surface):
    one, other = (draw_growing_crack(surface, np.random.default_rng(7)) for _ in range(2))

    np.testing.assert_array_equal(one.photographs, other.photographs)


def steps(*areas):
    return [MaskMeasures(1, area, area / 10, area / 10) for area in areas]


def test_a_perfect_method_follows_perfectly():
    true = [steps(10, 20, 30, 40, 50), steps(5, 6, 9, 12, 14)]

    assert follow(true, true) == Growth(
        *(pytest.approx(value, abs=1e-9) for value in (1, 0, 1, 0, 1, 0))
    )


def test_slopes_and_correlation_of_a_method_that_measures_half():
    found = follow([steps(5, 10, 15, 20, 25)], [steps(10, 20, 30, 40, 50)])

    assert found.area_r == pytest.approx(1)
    assert found.area_slope_mape == pytest.approx(0.5)


def test_a_constant_measure_has_r_0_and_a_shrinking_one_a_negative_r():
    true = steps(10, 20, 30, 40, 50)

    still = follow([steps(7, 7, 7, 7, 7)], [true])
    backwards = follow([true[::-1]], [true])

    assert (still.area_r, still.area_slope_mape) == (0, pytest.approx(1))
    assert (backwards.area_r, backwards.area_slope_mape) == (pytest.approx(-1), pytest.approx(2))


def test_a_trajectory_without_true_growth_is_left_out():
    true = steps(10, 20, 30, 40, 50)

    assert follow([true, true], [true, steps(1, 1, 1, 1, 1)]).area_r == pytest.approx(1)
    assert math.isnan(follow([true], [steps(1, 1, 1, 1, 1)]).area_r)


def test_trajectories_are_files_and_the_true_masks_follow_the_strokes(labelled_sets, tmp_path):
    trajectories = write_trajectories(labelled_sets, 2, seed=0, folder=tmp_path)

    assert len(list(tmp_path.glob("*.png"))) == 2 * 2 * STEPS
    assert best_growth(trajectories[STROKES]).area_r == pytest.approx(1)
    assert best_growth(trajectories[STROKES]).width_ours_slope_mape == 0
    assert best_growth(trajectories[DRAWN]).area_r > 0.9

    empty = [[measure(np.zeros((256, 256), bool))] * STEPS] * 2
    true = [trajectory.true for trajectory in trajectories[STROKES]]
    assert follow(empty, true).area_slope_mape == pytest.approx(1)


@pytest.fixture
def labelled_sets(tmp_path_factory):
    import cv2

    from crackcli.datasets.pixel_labels import find_sets

    folder = tmp_path_factory.mktemp("labelled")
    for name in ("images", "masks", "no_crack"):
        (folder / name).mkdir()
    cv2.imwrite(str(folder / "images/a.png"), wall(128, 128))
    cv2.imwrite(str(folder / "masks/a.png"), 255 * polyline((128, 128), [(9, 30), (99, 60)], 5))
    cv2.imwrite(str(folder / "no_crack/b.png"), wall(128, 128, cracks=0))
    return find_sets(folder)


def test_growth_needs_crack_free_photographs(labelled_sets, tmp_path):
    from dataclasses import replace

    from crackcli.errors import InputError

    (each,) = labelled_sets
    with pytest.raises(InputError, match="--growth needs photographs without cracks"):
        write_trajectories([replace(each, photographs=each.photographs[:1])], 1, 0, tmp_path)


def test_measures_of_a_stroke_are_those_of_its_mask(surface):
    trajectory = grow_stroke(surface, wall(256, 256), LINE)

    assert trajectory.of_pixels == trajectory.true
    assert trajectory.true[2] == measure((trajectory.photographs[2] != surface).any(axis=2))
