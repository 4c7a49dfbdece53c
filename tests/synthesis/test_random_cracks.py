"""Random cracks have the given width, and painting changes only the pixels at a crack."""

import numpy as np
import pytest

from crackcli.synthesis.cover import CHANGED_WITHIN_PX, CrackPath, PaintStyle, coverage, paint
from crackcli.synthesis.random_cracks import CrackStyle, random_crack

SHAPE = (160, 200)  # rows, cols
PLAIN = PaintStyle(contrast=0.6, variation=0.0, rim=0.0)


@pytest.fixture
def photograph():
    """A reddish surface with grain."""
    rng = np.random.default_rng(5)
    return np.clip(rng.normal((170, 140, 120), 4, (*SHAPE, 3)), 0, 255).astype(np.uint8)


def straight(angle_deg, width_px, middle=(100.3, 79.8), length_px=110):
    """A straight crack through ``middle``, of three points."""
    angle = np.deg2rad(angle_deg)
    half = np.array([np.cos(angle), np.sin(angle)]) * length_px / 2
    return CrackPath.of([middle - half, middle + half / 3, middle + half], width_px)


def width_across(cover, angle_deg):
    """Widths from sums over columns or rows, those that cross the crack at the larger angle."""
    angle = np.deg2rad(angle_deg)
    if abs(np.cos(angle)) >= abs(np.sin(angle)):
        return cover[:, 80:120].sum(axis=0) * abs(np.cos(angle))
    return cover[60:100].sum(axis=1) * abs(np.sin(angle))


def covered_by_hand(path, shape, finer=16):
    """Coverage as the fraction of sub-pixels closer to the path than half its width."""
    cover = np.zeros(shape)
    offsets = (np.arange(finer) + 0.5) / finer - 0.5
    for row, col in np.ndindex(shape):
        y, x = np.meshgrid(row + offsets, col + offsets, indexing="ij")
        inside = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by), wa, wb in zip(
            path.points, path.points[1:], path.width_px, path.width_px[1:], strict=False
        ):
            dx, dy = bx - ax, by - ay
            share = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx**2 + dy**2), 0, 1)
            distance = np.hypot(x - ax - share * dx, y - ay - share * dy)
            inside |= distance < (wa + (wb - wa) * share) / 2
        cover[row, col] = inside.mean()
    return cover


@pytest.mark.parametrize("angle_deg", [0, 12, 33, 45, 60, 90, 137])
@pytest.mark.parametrize("width_px", [0.5, 1, 2.7, 8, 20])
def test_a_crack_measures_its_width_at_any_angle(angle_deg, width_px):
    cover = coverage([straight(angle_deg, width_px)], SHAPE)

    np.testing.assert_allclose(width_across(cover, angle_deg), width_px, atol=0.03)


def test_the_coverage_of_a_bent_crack_of_changing_width_agrees_with_sub_pixels():
    path = CrackPath.of([[4, 5], [14, 8], [20, 18], [31, 20]], [2.0, 4.0, 3.0, 6.0])

    actual = coverage([path], (28, 40))

    expected = covered_by_hand(path, (28, 40))
    assert np.abs(actual - expected).mean() < 0.005
    assert actual.sum() == pytest.approx(expected.sum(), rel=0.02)


def test_ragged_edges_do_not_change_the_width():
    path = straight(0, 6.0)
    way = np.linspace(0, path.along_px[-1], 56)
    waving = path.sampled(way)
    waving = CrackPath(waving.points, waving.width_px, np.sin(way / 6))

    cover = coverage([waving], SHAPE)

    np.testing.assert_allclose(width_across(cover, 0), 6.0, atol=0.1)
    assert np.ptp(cover[:, 60:140].argmax(axis=0)) >= 1  # the edge does move


@pytest.mark.parametrize("seed", range(5))
def test_coverage_is_from_0_to_1_and_sums_to_the_area(seed):
    style = CrackStyle((1.0, 6.0), branches=0, gaps=1)
    paths = random_crack(np.random.default_rng(seed), (20, 20), (180, 130), style)

    cover = coverage(paths, SHAPE)

    assert cover.dtype == np.float32
    assert cover.shape == SHAPE
    assert cover.min() >= 0
    assert cover.max() <= 1
    assert cover.sum() == pytest.approx(paths[0].area_px, rel=0.05)


def test_parts_outside_the_image_are_left_out():
    inside = coverage([straight(33, 5)], SHAPE)
    shifted = coverage([straight(33, 5, middle=(40.3, 79.8))], SHAPE)

    np.testing.assert_allclose(shifted[:, :140], inside[:, 60:], atol=1e-5)


def test_overlapping_paths_count_once():
    once = coverage([straight(20, 4)], SHAPE)
    twice = coverage([straight(20, 4), straight(20, 4)], SHAPE)

    np.testing.assert_array_equal(once, twice)


def test_the_same_seed_gives_the_same_crack():
    def draw(seed):
        rng = np.random.default_rng(seed)
        return coverage(random_crack(rng, (10, 10), (180, 150), CrackStyle(branches=2)), SHAPE)

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


def test_a_random_crack_has_the_given_ends_and_largest_width():
    paths = random_crack(np.random.default_rng(3), (10, 20), (190, 140), CrackStyle((2, 9)))

    (stem,) = paths
    np.testing.assert_allclose(stem.points[[0, -1]], [(10, 20), (190, 140)])
    assert stem.width_px.max() == pytest.approx(9)
    assert stem.width_px[[0, -1]].max() == 0  # closed at both tips


def test_branches_start_on_their_stem_and_are_narrower():
    rng = np.random.default_rng(8)
    stem, *branches = random_crack(rng, (0, 0), (900, 500), CrackStyle((3, 8), branches=4))

    assert len(branches) >= 4
    for branch in branches:
        assert branch.width_px.max() < stem.width_px.max()
    roots = [branch.points[0] for branch in branches]
    away = [min(np.linalg.norm(stem.points - root, axis=1)) for root in roots]
    assert sorted(away)[3] < 2  # others are branches of branches


def test_a_gap_interrupts_a_crack_and_is_not_part_of_its_length():
    whole, broken = (
        random_crack(np.random.default_rng(2), (0, 50), (190, 50), CrackStyle(gaps=gaps))[0]
        for gaps in (0, 1)
    )

    assert (broken.width_px[5:-5] == 0).any()
    assert broken.length_px < whole.length_px - 3


def test_a_crack_along_joints_is_stepped():
    beds = [np.array([[x, y] for x in range(0, 201, 20)], float) for y in range(0, 161, 20)]
    heads = [
        np.array([[x, y], [x, y + 20]], float)
        for y in range(0, 160, 20)
        for x in range(20 * (y // 20 % 2), 201, 40)
    ]
    rng = np.random.default_rng(0)

    (stem,) = random_crack(rng, (2, 3), (198, 158), CrackStyle(roughness=0.1), beds + heads)

    to_joint = np.abs(stem.points / 20 - np.rint(stem.points / 20)).min(axis=1) * 20
    assert to_joint.max() < 2
    assert stem.length_px > 300  # 200 across and 160 down, corners rounded; 253 straight


def test_joints_that_do_not_meet_raise_an_error():
    joints = [np.array([[0, 0], [20, 0]], float), np.array([[100, 90], [140, 90]], float)]

    with pytest.raises(ValueError, match="not connected"):
        random_crack(np.random.default_rng(0), (0, 0), (140, 90), joints=joints)


def test_a_path_is_widened_by_exactly_the_given_amount():
    stem = random_crack(np.random.default_rng(4), (0, 0), (400, 90), CrackStyle((2, 6)))[0]

    wider, shorter = stem.widened(1.5), stem.shortened(0.5, taper_px=30)

    assert wider.width_px.max() == pytest.approx(stem.width_px.max() + 1.5)
    np.testing.assert_allclose(wider.width_px[[0, -1]], 0)
    assert shorter.along_px[-1] == pytest.approx(stem.along_px[-1] / 2)
    assert shorter.width_px[-1] == 0


def test_paint_changes_nothing_away_from_the_crack(photograph):
    cover = np.zeros(SHAPE, np.float32)
    cover[75:85, 40:160] = 1
    far = np.ones(SHAPE, bool)
    reach = CHANGED_WITHIN_PX + 3
    far[75 - reach : 85 + reach, 40 - reach : 160 + reach] = False

    painted = paint(photograph, cover, np.random.default_rng(0), PaintStyle(blur_px=1.0))

    np.testing.assert_array_equal(painted[far], photograph[far])
    assert (painted[cover == 1] < photograph[cover == 1]).mean() > 0.99


def test_paint_without_coverage_returns_the_photograph(photograph):
    painted = paint(photograph, np.zeros(SHAPE, np.float32), np.random.default_rng(0))

    np.testing.assert_array_equal(painted, photograph)


@pytest.mark.parametrize("contrast", [0.3, 0.6, 0.8])
def test_paint_reaches_the_contrast_where_the_crack_fills_the_pixel(photograph, contrast):
    cover = coverage([straight(0, 14)], SHAPE)
    look = PaintStyle(contrast=contrast, variation=0.0, rim=0.0)

    painted = paint(photograph, cover, np.random.default_rng(0), look)

    bottom, surroundings = painted[77:83, 70:130].mean(), photograph.mean()
    assert 1 - bottom / surroundings == pytest.approx(contrast, abs=0.02)


def test_a_painted_hairline_is_fainter_by_its_coverage_of_the_pixel(photograph):
    cover = coverage([straight(0, 0.5, middle=(100, 80))], SHAPE)

    painted = paint(photograph, cover, np.random.default_rng(0), PLAIN)

    missing = (photograph.astype(float) - painted)[70:90, 70:130].mean(axis=(1, 2)).sum()
    assert missing / photograph.mean() == pytest.approx(0.5 * PLAIN.contrast, abs=0.05)


def test_paint_keeps_the_tint_of_the_surface(photograph):
    cover = coverage([straight(0, 14)], SHAPE)

    painted = paint(photograph, cover, np.random.default_rng(0), PLAIN)

    red, green, blue = painted[77:83, 70:130].mean(axis=(0, 1))
    assert red > green > blue


def test_the_same_seed_gives_the_same_painting_and_the_input_is_kept(photograph):
    before, cover = photograph.copy(), coverage([straight(40, 7)], SHAPE)

    one, other = (paint(photograph, cover, np.random.default_rng(9)) for _ in range(2))

    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(photograph, before)
