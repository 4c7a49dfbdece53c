"""Two photographs of one wall are aligned, with the true map known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import shapely

from crackcli.rasters.reader import Raster, inspect
from crackcli.registration import NotAligned, align, identity, levels
from crackcli.synthesis.second_photograph import (
    MEDIUM,
    Opening,
    Viewpoint,
    in_other_light,
    random_viewpoint,
)
from crackcli.synthesis.surfaces import bricks, developed, lit, plaster

SHAPE = 480, 640


def drawn_wall(surface):
    return developed(lit(surface, 225.0, 48.0))


@pytest.fixture(scope="module")
def wall():
    """A photograph (rows, cols, 3) of a plastered wall."""
    return drawn_wall(plaster(np.random.default_rng(5), SHAPE))


def write(folder, name, image):
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def align_images(folder, before, after, **options):
    first, second = write(folder, "before", before), write(folder, "after", after)
    with Raster(inspect(first)) as one, Raster(inspect(second)) as other:
        return align(one, other, **options)


def grid_points(shape, step=16):
    y, x = np.mgrid[step : shape[0] : step, step : shape[1] : step] + 0.5
    return np.column_stack([x.ravel(), y.ravel()])


def compared(alignment, viewpoint, margin=8):
    """Points (N, 2) of the second photograph that both show, and the error (N, 2) of their place in
    the first one, in its px."""
    points = grid_points(viewpoint.shape)
    truth = viewpoint.to_first(points, opened=False)
    inside = ((truth > margin) & (truth < np.subtract(SHAPE[::-1], margin))).all(axis=1)
    points = points[inside]
    return points, alignment.to_before(points) - truth[inside]


def plain_view(homography, shape=SHAPE):
    """A viewpoint without lens and relief."""
    flat = np.zeros((2, -(-SHAPE[0] // 16) + 1, -(-SHAPE[1] // 16) + 1))
    return Viewpoint(shape, np.asarray(homography, float), 0.0, flat)


def about_middle(turn_deg, scale, shape):
    """The homography of a turn and a scale that keeps the middle in the middle of ``shape``."""
    c, s = scale * np.cos(np.deg2rad(turn_deg)), scale * np.sin(np.deg2rad(turn_deg))
    linear = np.array([[c, -s], [s, c]])
    shift = np.array(shape[::-1]) / 2 - linear @ np.array(SHAPE[::-1]) / 2
    return np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])


@pytest.fixture(scope="module")
def pair(wall):
    """A viewpoint and the second photograph, in other light."""
    rng = np.random.default_rng(1)
    viewpoint = random_viewpoint(rng, SHAPE, MEDIUM)
    return viewpoint, in_other_light(rng, viewpoint.photograph(wall), MEDIUM)


@pytest.fixture(scope="module")
def aligned(wall, pair, tmp_path_factory):
    return align_images(tmp_path_factory.mktemp("pair"), wall, pair[1])


def test_a_photograph_from_another_place_is_aligned_to_a_fraction_of_a_pixel(aligned, pair):
    error = np.hypot(*compared(aligned, pair[0])[1].T)

    assert np.median(error) < 0.15
    assert np.quantile(error, 0.95) < 0.5


def test_sigma_covers_the_errors_and_is_not_much_larger(aligned, pair):
    points, error = compared(aligned, pair[0])

    sigma = aligned.sigma_px(points)
    scaled = error * aligned.scale / sigma[:, None]
    assert 0.3 < np.sqrt(np.nanmean(scaled**2)) < 1.2
    assert np.isfinite(sigma).mean() > 0.95


def test_to_after_undoes_to_before(aligned, pair):
    points, _ = compared(aligned, pair[0])

    assert aligned.to_after(aligned.to_before(points)) == pytest.approx(points, abs=1e-3)


def test_only_what_both_photographs_show_is_trusted(aligned, pair):
    points = grid_points(pair[0].shape)
    truth = pair[0].to_first(points, opened=False)

    outside = ((truth < -2) | (truth > np.add(SHAPE[::-1], 2))).any(axis=1)
    well_inside = ((truth > 20) & (truth < np.subtract(SHAPE[::-1], 20))).all(axis=1)
    assert outside.any()
    assert not aligned.trusted(points[outside]).any()
    assert aligned.trusted(points[well_inside]).mean() > 0.9


def test_facts_and_map_state_the_residual(aligned, pair):
    facts = aligned.facts()
    image = aligned.residual_map()

    assert facts["residual_median_px"] < facts["residual_p95_px"] < 1
    assert facts["inliers"] >= 12
    assert facts["scale"] == pytest.approx(pair[0].homography[0, 0], rel=0.2)
    assert image.shape == (*pair[0].shape, 3)
    truth = pair[0].to_first(np.array([[1.0, 1.0], [pair[0].shape[1] / 2, 200.0]]))
    assert (image[1, 1] == 0).all() == bool((truth[0] < 0).any())
    assert image[200, pair[0].shape[1] // 2].any()


@pytest.mark.parametrize(("turn", "scale"), [(90, 1.0), (180, 1.0), (37, 0.5), (-5, 2.0)])
def test_a_photograph_may_be_turned_and_of_another_scale(wall, tmp_path, turn, scale):
    shape = {1.0: SHAPE[::-1] if turn == 90 else SHAPE, 0.5: (360, 360), 2.0: (960, 1280)}[scale]
    viewpoint = plain_view(about_middle(turn, scale, shape), shape)
    later = in_other_light(np.random.default_rng(2), viewpoint.photograph(wall), MEDIUM)

    alignment = align_images(tmp_path, wall, later)

    _, error = compared(alignment, viewpoint)
    assert alignment.scale == pytest.approx(scale, rel=0.01)
    assert np.median(np.hypot(*error.T)) * scale < 0.2


def test_the_field_does_not_absorb_the_opening_of_a_crack(wall, tmp_path):
    path = np.column_stack([np.linspace(250, 400, 400), np.linspace(60, 420, 400)])
    opening = Opening(path, 3.0, 2.0)
    viewpoint = replace(random_viewpoint(np.random.default_rng(4), SHAPE, MEDIUM), opening=opening)
    line = np.array([shapely.LineString(path)])
    later_line = np.array([shapely.LineString(viewpoint.to_second(path))])

    alignment = align_images(
        tmp_path, wall, viewpoint.photograph(wall), cracks_before=line, cracks_after=later_line
    )

    on_crack = path[120:280:8]
    _, across, _ = opening.sides(on_crack + 0.01)
    sides = [viewpoint.to_second(on_crack + sign * 5 * across) for sign in (-1, 1)]
    found = alignment.to_before(sides[1]) - alignment.to_before(sides[0])
    true = viewpoint.to_first(sides[1], opened=False) - viewpoint.to_first(sides[0], opened=False)
    absorbed = ((true - found) * across).sum(axis=1)
    assert abs(np.median(absorbed)) < 0.06 * opening.px


def test_a_start_that_is_off_is_corrected(wall, pair, tmp_path):
    viewpoint, later = pair
    off = viewpoint.homography @ np.array([[1, 0, 30], [0, 1, -20], [0, 0, 1]])

    alignment = align_images(tmp_path, wall, later, start=off)

    assert alignment.facts()["inliers"] == 0  # no search for features
    assert np.median(np.hypot(*compared(alignment, viewpoint)[1].T)) < 0.15


def test_windows_of_a_large_photograph_give_what_the_whole_gives(
    wall, pair, aligned, tmp_path, monkeypatch
):
    monkeypatch.setattr(levels, "HELD_PX", 100_000)

    by_windows = align_images(tmp_path, wall, pair[1])

    points, _ = compared(aligned, pair[0], margin=30)
    assert by_windows.to_before(points) == pytest.approx(aligned.to_before(points), abs=0.05)


def test_brickwork_is_not_aligned_one_brick_off(tmp_path):
    image = drawn_wall(bricks(np.random.default_rng(3), SHAPE))
    viewpoint = random_viewpoint(np.random.default_rng(6), SHAPE, MEDIUM)
    brick_off = viewpoint.homography @ np.array([[1, 0, 262], [0, 1, 0], [0, 0, 1]])

    alignment = align_images(tmp_path, image, viewpoint.photograph(image), start=brick_off)

    assert np.quantile(np.hypot(*compared(alignment, viewpoint)[1].T), 0.95) < 0.5


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_cloned_brickwork_is_refused(tmp_path, tilt):
    image = drawn_wall(bricks(np.random.default_rng(3), (600, 600)))
    cloned = np.tile(image[200:354, 200:331], (6, 10, 1))
    tilted = np.array([[1, 0, 0], [0, 1, 0], [tilt / 1000, tilt / 2000, 1]])
    before = cv2.warpPerspective(cloned, tilted, (640, 480))
    after = cv2.warpPerspective(np.roll(cloned, 131, axis=1), tilted, (640, 480))

    with pytest.raises(NotAligned, match="the wall repeats itself, and which repeat is which"):
        align_images(tmp_path, before, after)


def test_different_walls_are_refused(wall, tmp_path):
    other = drawn_wall(plaster(np.random.default_rng(6), SHAPE))

    with pytest.raises(NotAligned, match=r"after.png: cannot be aligned with before.png: they "):
        align_images(tmp_path, wall, other)


def test_a_mirrored_photograph_is_named_as_such(wall, tmp_path):
    with pytest.raises(NotAligned, match="one of them is mirrored; flip it and scan it again"):
        align_images(tmp_path, wall, wall[:, ::-1])


def test_a_blank_photograph_is_refused(wall, tmp_path):
    with pytest.raises(NotAligned, match=r"after.png: has too little texture to be aligned"):
        align_images(tmp_path, wall, np.full_like(wall, 128))


def test_maps_that_do_not_overlap_are_refused(wall, tmp_path):
    apart = np.array([[1, 0, 600], [0, 1, 0], [0, 0, 1]])

    with pytest.raises(NotAligned, match="by their maps they overlap by 6%, at least 30%"):
        align_images(tmp_path, wall, wall, start=apart)


def test_one_grid_is_aligned_as_it_is():
    alignment = identity(*SHAPE, sigma_px=0.4)
    points = np.array([[1.0, 2.0], [700.0, 5.0]])

    assert alignment.to_before(points) == pytest.approx(points)
    assert alignment.to_after(points) == pytest.approx(points)
    assert alignment.sigma_px(points) == pytest.approx([0.4, 0.4])
    assert alignment.trusted(points).tolist() == [True, False]
