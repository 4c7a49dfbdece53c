"""Cracks in joints lie in the joints of a drawn or photographed wall, and go up in steps."""

import numpy as np
import pytest

from crackcli.synthesis import joint_cracks, twins
from crackcli.synthesis.brushes import luma, ramp, random_width, value_noise
from crackcli.synthesis.cover import coverage
from crackcli.synthesis.distractors import DISTRACTORS, masonry
from crackcli.synthesis.joint_cracks import (
    WeakJoints,
    cheapest_way,
    find_joints,
    joint_crack,
    lay_joints,
)
from crackcli.synthesis.twins import FORMWORK, KINDS, cracked_twin, noise_along

SHAPE = (192, 192)
COURSE_PX, STONE_PX, JOINT_PX = 24, 48, 4


def bond(shape=SHAPE):
    """The distance in px of each pixel from the middle of the nearest joint of a running bond."""
    y, x = np.indices(shape)
    course = y // COURSE_PX
    to_bed = COURSE_PX / 2 - abs(y % COURSE_PX - COURSE_PX / 2)
    along = (x + course % 2 * STONE_PX // 2) % STONE_PX
    return np.minimum(to_bed, STONE_PX / 2 - abs(along - STONE_PX / 2)).astype(np.float32)


def photograph(contrast, seed=0, shape=SHAPE):
    """A photograph of a running bond whose joints differ from the stones by ``contrast``."""
    rng = np.random.default_rng(seed)
    grey = 130 + contrast * ramp(bond(shape), JOINT_PX / 2 + 0.5, JOINT_PX / 2 - 0.5)
    grey = grey + 6 * value_noise(rng, shape, 30) + rng.normal(0, 6, shape)
    return np.repeat(grey[..., None], 3, axis=2).clip(0, 255).astype(np.float32)


def weak_joints():
    return WeakJoints(ramp(bond(), JOINT_PX / 2 + 1, 0), JOINT_PX)


def strong_stones(monkeypatch):
    """No crack goes through a stone, and all are stepped."""
    monkeypatch.setattr(joint_cracks, "chance", lambda rng, probability: False)
    monkeypatch.setattr(joint_cracks, "COURSES", {"steps": 1.0})


@pytest.mark.parametrize("seed", range(8))
def test_a_crack_lies_in_the_joints(seed, monkeypatch):
    strong_stones(monkeypatch)

    cover = coverage(joint_crack(np.random.default_rng(seed), weak_joints(), 2.0), SHAPE)

    assert cover.sum() > 50
    assert cover[bond() <= JOINT_PX / 2 + 1].sum() > 0.9 * cover.sum()


@pytest.mark.parametrize("seed", range(8))
def test_a_crack_goes_up_in_steps(seed, monkeypatch):
    strong_stones(monkeypatch)

    way = cheapest_way(np.random.default_rng(seed), weak_joints())

    ahead = np.abs(way[6:] - way[:-6])  # over about half a course
    straight = ahead.min(axis=1) < 0.3 * ahead.max(axis=1)
    across = ahead[:, 0] > ahead[:, 1]
    assert straight.mean() > 0.5
    assert (across & straight).sum() >= 8  # along beds
    assert (~across & straight).sum() >= 4  # along heads


def test_some_cracks_go_through_stones_and_some_follow_one_bed():
    ways = [cheapest_way(np.random.default_rng(seed), weak_joints()) for seed in range(40)]

    away = [bond()[tuple(np.rint(way).astype(int).T[::-1])].max() for way in ways]
    rises = np.array([np.ptp(way[:, 1]) for way in ways])
    assert 0 < np.mean(np.array(away) > 8) < 0.6
    assert 0 < np.mean(rises < COURSE_PX) < 0.5


@pytest.mark.parametrize("contrast", [-60, -25, 40])
def test_the_joints_of_a_photograph_are_found(contrast):
    joints = find_joints(photograph(contrast))

    assert joints is not None
    assert 2 <= joints.wide_px <= 8
    mortar, stone = bond() <= 1, bond() > 6
    assert joints.inside[mortar].mean() > 0.6
    assert joints.inside[stone].mean() < 0.2


def test_the_joints_of_a_large_photograph_are_found():
    joints = find_joints(np.kron(photograph(-60), np.ones((4, 4, 1), np.float32)))

    assert joints is not None
    assert joints.inside.shape == (768, 768)
    assert 8 <= joints.wide_px <= 32


@pytest.mark.parametrize("seed", range(5))
def test_a_photograph_without_joints_shows_none(seed):
    assert find_joints(photograph(0, seed)) is None


@pytest.mark.parametrize("seed", range(6))
def test_a_crack_follows_the_dark_joints_of_a_photograph(seed, monkeypatch):
    strong_stones(monkeypatch)
    joints = find_joints(photograph(-40, seed))

    cover = coverage(joint_crack(np.random.default_rng(seed), joints, 1.5), SHAPE)

    assert cover[bond() <= JOINT_PX / 2 + 1.5].sum() > 0.8 * cover.sum()


def test_laid_masonry_has_its_joints_where_it_says():
    picture = photograph(0)

    wall, joints = lay_joints(np.random.default_rng(3), picture)

    changed = np.abs(luma(wall) - luma(picture))
    assert changed[joints.inside > 0.7].mean() > 2 * changed[joints.inside == 0].mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(192, 192), (96, 150), (400, 310)])
def test_every_kind_of_crack_is_darker_than_its_photograph(kind, shape):
    before = photograph(30, shape=shape).astype(np.uint8)

    after, cover = cracked_twin(before, np.random.default_rng(5), kind=kind)
    again, _ = cracked_twin(before, np.random.default_rng(5), kind=kind)

    assert after.shape == before.shape
    assert cover.shape == shape
    assert cover.sum() > 20
    beside = (cover == 0) & (np.abs(luma(after).astype(int) - luma(before)) < 12)
    assert luma(after)[cover > 0.5].mean() < luma(after)[beside].mean() - 8
    np.testing.assert_array_equal(after, again)


def test_the_other_joints_of_a_wall_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(twins, "DISTRACTED", 0.0)
    before = photograph(40).astype(np.uint8)

    after, cover = cracked_twin(before, np.random.default_rng(2), kind="joints")

    far = cover == 0
    assert np.median(np.abs(luma(after) - luma(before))[far]) < 1
    assert (np.abs(luma(after) - luma(before))[cover > 0.3] > 5).mean() > 0.7


@pytest.mark.parametrize("seed", range(6))
def test_hairlines_are_thin(seed, monkeypatch):
    monkeypatch.setattr(twins, "DISTRACTED", 0.0)
    usual = twins.visible_crack
    widths = []

    def noted(rng, ground, width_px, camera, attempt):
        widths.append(width_px)
        return usual(rng, ground, width_px, camera, attempt)

    monkeypatch.setattr(twins, "visible_crack", noted)

    cracked_twin(photograph(0, seed).astype(np.uint8), np.random.default_rng(seed), kind="hairline")

    assert widths
    assert all(0.5 <= width_px <= 2.0 for width_px in widths)


def test_the_formwork_beside_hairlines_is_drawn_by_distractors():
    assert set(FORMWORK) <= set(DISTRACTORS)


def test_widths_reach_from_hairlines_to_wide_cracks():
    rng = np.random.default_rng(0)
    widths = np.array([random_width(rng) for _ in range(4000)])

    assert widths.min() >= 0.5
    assert widths.max() <= 20
    shares = np.histogram(widths, [0.5, 1, 2, 4, 8, 20.01])[0] / len(widths)
    assert (shares > 0.1).all()


def test_the_noise_along_a_joint_leaves_the_stones_out():
    path = joint_crack(np.random.default_rng(1), weak_joints(), 2.0)
    smooth = np.full(SHAPE, 120, np.float32)
    stones = smooth + np.where(bond() > JOINT_PX, 80, 0).astype(np.float32)

    beside, alone = (noise_along(each, path, 0.8).mean() for each in (stones, smooth))

    assert beside < 4 * alone


def test_a_time_stamp_has_one_colour_and_lies_at_the_top_or_bottom():
    before = np.full((200, 260, 3), 120, np.float32)
    for seed in range(12):
        after = DISTRACTORS["time_stamp"].draw(np.random.default_rng(seed), before)

        rows = np.nonzero((np.abs(after - before).max(axis=2) > 30).any(axis=1))[0]
        assert len(rows)
        assert rows.max() < 100 or rows.min() >= 100
        assert len(rows) < 80


def test_raked_joints_are_dark(monkeypatch):
    picture = photograph(0)
    contrasts = []
    for seed in range(30):
        wall, joints = masonry.lay_masonry(np.random.default_rng(seed), picture)
        within = joints.away_px < 0.3 * joints.wide_px
        contrasts.append(luma(wall)[within].mean() / luma(wall)[~within].mean())

    assert min(contrasts) < 0.5  # of the stones
    assert max(contrasts) > 1.1
