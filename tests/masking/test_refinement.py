"""Refinement cuts a drawn crack at its true edges; recipe study follows Forest et al. 2024."""

import cv2
import numpy as np
import pytest

from crackcli.errors import UsageError
from crackcli.masking import refinement
from crackcli.masking.refinement import (
    Masking,
    close,
    isodata,
    refine,
    study_candidates,
    two_sided_contrast,
)
from crackcli.synthesis.cover import CrackPath, PaintStyle, coverage, paint

SIDE = 320
THRESHOLD = 0.01


def surface(seed=0):
    return np.random.default_rng(seed).normal(170, 3, (SIDE, SIDE)).astype(np.float32)


def with_line(grey, width_px, col=160.0, level=60.0, blur_px=0.7):
    """A vertical crack with soft edges; where it covers half of a pixel, the pixel is half dark."""
    x = np.arange(SIDE)
    cover = (width_px / 2 + 0.5 - np.abs(x - col)).clip(0, 1).clip(max=width_px)
    cover = cv2.GaussianBlur(np.tile(cover, (SIDE, 1)), (0, 0), blur_px).astype(np.float32)
    return grey * (1 - cover) + level * cover


def rgb(grey):
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def corridor(col=160, half_px=20, height=2 * THRESHOLD):
    """A score in a broad stripe, as an attribution gives."""
    q = np.zeros((SIDE, SIDE), np.float32)
    q[:, max(0, col - half_px) : col + half_px] = height
    return q


@pytest.mark.parametrize("width_px", [2, 3, 5, 9, 16, 24])
def test_a_crack_is_as_wide_as_it_was_drawn(width_px):
    col = 160.0 if width_px % 2 else 160.5  # its edges are pixel edges
    image = rgb(with_line(surface(), width_px, col))

    mask = refine(image, corridor(), THRESHOLD).weak

    measured = mask[20:-20].sum() / (SIDE - 40)
    assert measured == pytest.approx(width_px, abs=0.5)


def blob_around(path, sigma_px=15):
    """A score along a path, far wider than the crack itself."""
    trace = np.zeros((SIDE, SIDE), np.float32)
    cv2.polylines(trace, [np.rint(path.points).astype(np.int32)], False, 1.0)
    blob = cv2.GaussianBlur(trace, (0, 0), sigma_px)
    return blob * (3 * THRESHOLD / blob.max())


@pytest.mark.parametrize("angle_deg", [12, 27, 63, 110])  # edges on all parts of a pixel
@pytest.mark.parametrize(("width_px", "off_px"), [(2, 0.8), (4, 0.4), (8, 0.2), (15, 0.2)])
def test_a_drawn_crack_covers_the_area_that_was_painted(width_px, off_px, angle_deg):
    """``off_px`` is the tolerance of the width: blur makes hairlines wider."""
    angle = np.deg2rad(angle_deg)
    half = np.array([np.cos(angle), np.sin(angle)]) * 90
    middle = np.array([160.3, 159.8])
    path = CrackPath.of([middle - half, middle + half / 3, middle + half], width_px)
    look = PaintStyle(contrast=0.6, variation=0.0, rim=0.0)
    cover = coverage([path], (SIDE, SIDE))
    image = paint(rgb(surface()), cover, np.random.default_rng(3), look)

    mask = refine(image, blob_around(path), THRESHOLD).weak

    assert mask.sum() == pytest.approx(cover.sum(), abs=off_px * path.length_px)
    assert mask[cover < 0.05].sum() <= 0.05 * mask.sum()  # so it lies on the crack


def test_a_hairline_beside_a_wide_crack_is_outlined_by_its_own_contrast():
    grey = with_line(surface(), 14, col=100, level=30)
    image = rgb(with_line(grey, 2, col=220, level=135))
    q = np.maximum(corridor(100), corridor(220))

    mask = refine(image, q, THRESHOLD).weak

    assert mask[40:-40, 215:226].any(axis=1).mean() > 0.95
    assert mask[40:-40, 92:109].sum(axis=1).mean() == pytest.approx(14, abs=1)


def test_the_edge_of_a_shadow_is_no_crack():
    grey = surface()
    grey[:, 160:] *= 0.6
    grey = cv2.GaussianBlur(grey, (0, 0), 1.0)

    assert refine(rgb(grey), corridor(), THRESHOLD).weak.mean() < 0.002


def test_a_dark_line_without_score_is_no_crack():
    image = rgb(with_line(surface(), 5, col=60))

    assert not refine(image, corridor(220), THRESHOLD).weak[:, 40:80].any()


def test_a_tail_below_the_threshold_is_weak_wherever_its_crack_is_strong():
    """The strong pixels of a component may lie in another block."""
    image = rgb(with_line(surface(), 5))

    found = refine(image, corridor(height=0.9 * THRESHOLD), THRESHOLD)

    assert found.weak[:, 158:163].all(axis=1).mean() > 0.95
    assert not found.strong.any()


def test_strong_candidates_are_those_above_the_threshold():
    image = rgb(with_line(surface(), 5))
    q = corridor(height=0.8 * THRESHOLD)
    q[:100] *= 2

    found = refine(image, q, THRESHOLD)

    assert found.weak[150:].any()
    assert found.strong[:100].any()
    assert not found.strong[100:].any()


def test_light_lines_are_no_cracks():
    image = rgb(with_line(surface(), 5, level=240))

    assert refine(image, corridor(), THRESHOLD).weak.mean() < 0.002


def test_two_sided_contrast_is_that_of_a_line_and_zero_at_an_edge():
    line = np.full((SIDE, SIDE), 150, np.float32)
    line[:, 158:163] = 90
    edge = np.full((SIDE, SIDE), 150, np.float32)
    edge[:, 160:] = 90

    np.testing.assert_allclose(two_sided_contrast(line)[100, 158:163], 60)
    assert two_sided_contrast(line)[100, 100] == 0
    assert two_sided_contrast(edge).max() == 0


def test_the_corner_of_a_shadow_has_no_two_sided_contrast():
    corner = np.full((SIDE, SIDE), 150, np.float32)
    corner[160:, 160:] = 90  # most of what surrounds its tip is light

    assert two_sided_contrast(corner).max() == 0


def textbook_isodata(values):
    threshold = values.mean()
    while True:
        moved = (values[values < threshold].mean() + values[values >= threshold].mean()) / 2
        if abs(moved - threshold) < 1e-9:
            return moved
        threshold = moved


@pytest.mark.parametrize("seed", range(5))
def test_isodata_equals_the_textbook_algorithm(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.gamma(2, 0.03, 5000), rng.normal(0.7, 0.08, 400)]).clip(0, 1)
    levels = np.arange(1024) / 1023
    index = np.rint(values * 1023).astype(int)

    actual = isodata(np.bincount(index, minlength=1024), levels)

    assert actual == pytest.approx(textbook_isodata(levels[index]), abs=1e-5)


def test_isodata_of_an_empty_histogram_is_zero():
    assert isodata(np.zeros(8, np.int64), np.arange(8.0)) == 0


def test_isodata_lies_half_way_between_the_means():
    histogram = np.array([4, 1, 0, 1, 1, 5])  # of the values 0 to 5

    assert isodata(histogram, np.arange(6.0)) == pytest.approx((1 / 5 + 32 / 7) / 2, abs=1e-5)


def test_recipe_study_uses_the_score_alone():
    score = np.zeros((20, 30), np.float32)
    score[8:13, 5:25] = 0.6

    found = study_candidates(score, 0.5)

    np.testing.assert_array_equal(found.weak, score > 0.5)
    np.testing.assert_array_equal(found.strong, found.weak)


@pytest.mark.parametrize(("side_px", "closed_px", "open_px"), [(5, 4, 5), (25, 24, 25)])
def test_a_closing_fills_gaps_narrower_than_its_element(side_px, closed_px, open_px):
    mask = np.zeros((2, 101, 200), bool)
    for number, gap_px in enumerate((closed_px, open_px)):
        mask[number, 20:80, 40:80] = mask[number, 20:80, 80 + gap_px : 140] = True

    closed = [close(part, side_px) for part in mask]

    assert closed[0][50, 40:140].all()
    assert not closed[1][50, 80 : 80 + open_px].any()


def test_recipe_study_closes_gaps_narrower_than_its_element():
    score = np.zeros((40, 60), np.float32)
    score[20:29, 10:30] = score[20:29, 33:50] = 1  # bars with a gap of 3 px
    score[5:14, 10:20] = score[5:14, 30:40] = 1  # and with one of 10

    found = study_candidates(score, 0.5)

    assert found.weak[22:27, 30:33].all()
    assert not found.weak[5:14, 21:29].any()
    np.testing.assert_array_equal(found.weak, close(score > 0.5, 5))


@pytest.mark.parametrize(
    ("masking", "min_component_px"),
    [(Masking(), 40), (Masking("study"), 50), (Masking("study", min_area_px=7), 7)],
)
def test_small_components_are_left_out_by_recipe(masking, min_component_px):
    assert masking.min_component_px == min_component_px


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_must_be_finite_and_above_0(threshold):
    with pytest.raises(
        UsageError, match=r"--threshold \S+: must be a finite number above 0; leave it out"
    ):
        Masking(threshold=threshold)


def test_an_unknown_recipe_is_answered_with_the_menu():
    menu = "choose one of: auto, plain, refined, study"
    with pytest.raises(UsageError, match=f"--masking closing: unknown recipe; {menu}"):
        Masking("closing")


@pytest.mark.parametrize("sigma_px", [16, 32])
@pytest.mark.parametrize("shape", [(640, 576), (301, 403)])
def test_smoothing_at_a_quarter_of_the_resolution_is_a_gaussian_mean(sigma_px, shape):
    lines = np.zeros(shape, np.float32)
    lines[:, shape[1] // 2 : shape[1] // 2 + 3] = 200
    lines[shape[0] // 3] = 100

    exact = refinement.smooth(lines, sigma_px)

    np.testing.assert_allclose(
        refinement.smooth_widely(lines, sigma_px), exact, atol=0.03 * exact.max()
    )


def test_grey_is_the_mean_of_the_channels():
    rgb = np.random.default_rng(2).integers(0, 256, (37, 41, 3), dtype=np.uint8)

    np.testing.assert_array_equal(
        refinement.grey(rgb), rgb.astype(np.float32).mean(axis=2, dtype=np.float32)
    )
