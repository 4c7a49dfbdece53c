"""Joints: straight, even lines in company have a high likelihood, and others a low one.

Wandering, tapering and short lines are not joints. The likelihood depends neither on place nor on
strips.
"""

from dataclasses import replace
from time import process_time

import numpy as np
import pytest
import shapely
from walls import polyline, random_mask, trace_array

from crackcli.cracks.crack import Crack
from crackcli.cracks.joints import (
    JOINT_THRESHOLD,
    SPACING_TOLERANCE,
    WEIGHTS,
    Features,
    in_equal_spacing,
    joint_features,
    parallel_support,
    with_joint_likelihoods,
)
from crackcli.cracks.straight import MAX_POINTS, Piece, resample, straight_pieces
from crackcli.synthesis.cover import coverage
from crackcli.synthesis.random_cracks import CrackStyle, random_crack

SHAPE = (500, 500)


def likelihoods(mask, **options):
    return [
        crack.joint_likelihood for crack in with_joint_likelihoods(trace_array(mask, **options))
    ]


def drawn(*lines, width_px=4, shape=SHAPE):
    """Return a mask with several polylines."""
    return np.bitwise_or.reduce([polyline(shape, line, width_px) for line in lines])


def frame(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def stairs(steps, run, rise, at=(30.0, 30.0)):
    """Return a line that goes right and down by turns."""
    points = [at]
    for number in range(2 * steps):
        x, y = points[-1]
        points.append((x, y + rise) if number % 2 else (x + run, y))
    return points


def features(mask) -> Features:
    """Return the features of the one crack of a mask."""
    (found,) = joint_features(trace_array(mask))
    return found


@pytest.mark.parametrize("deg", [0, 17, 45, 90])
@pytest.mark.parametrize("width_px", [2, 5, 12])
def test_a_long_even_straight_line_is_likely_a_joint(deg, width_px):
    along = 200 * np.array([np.cos(np.radians(deg)), np.sin(np.radians(deg))])

    (likelihood,) = likelihoods(drawn([250 - along, 250 + along], width_px=width_px))

    assert likelihood >= JOINT_THRESHOLD


@pytest.mark.parametrize("seed", range(8))
def test_a_random_crack_is_not_likely_a_joint(seed):
    rng = np.random.default_rng(seed)
    style = CrackStyle((1.5, 6.0), roughness=0.5, branches=1)
    mask = coverage(random_crack(rng, (30, 60), (470, 400), style), SHAPE) > 0.5

    assert max(likelihoods(mask.astype(np.uint8))) < JOINT_THRESHOLD


@pytest.mark.parametrize(("length_px", "width_px"), [(50, 3), (100, 14)])
def test_the_likelihood_of_a_short_line_is_zero(length_px, width_px):
    mask = drawn([(100.0, 250.0), (100.0 + length_px, 250.0)], width_px=width_px)

    assert likelihoods(mask) == [0.0]


def test_a_frame_is_four_straight_pieces():
    (crack,) = trace_array(drawn(frame(50.0, 80.0, 400.0, 300.0)))

    pieces = sorted(straight_pieces(crack), key=lambda piece: piece.length)

    lengths = [piece.length for piece in pieces]
    assert lengths == pytest.approx([220, 220, 350, 350], abs=12)  # corners are rounded


def test_a_frame_is_likely_joints():
    assert likelihoods(drawn(frame(50.0, 80.0, 400.0, 300.0)))[0] >= JOINT_THRESHOLD


def test_short_spurs_do_not_hide_a_straight_line():
    spurs = [[(x, 250.0), (x + 4.0, 262.0)] for x in (90.0, 190.0, 300.0)]
    cable = [(20.0, 250.0), (480.0, 250.0)]

    found = features(drawn(cable, *spurs))

    assert found.straight > 0.85
    assert found.likelihood >= JOINT_THRESHOLD


def test_steps_along_bricks_are_recognised_and_corners_are_not():
    steps = features(drawn(stairs(4, 100.0, 70.0)))
    corner = features(drawn([(50.0, 50.0), (300.0, 50.0), (300.0, 300.0)]))

    assert steps.straight > 0.8
    assert steps.stepped > 0.9
    assert steps.likelihood < JOINT_THRESHOLD
    assert corner.stepped == 0


def test_ends_that_taper_make_a_joint_unlikely():
    x = np.arange(500)
    half = np.clip(np.minimum(x - 50, 450 - x) / 20, 0, 5)
    mask = (np.abs(np.arange(500)[:, None] - 250) < half).astype(np.uint8)
    even = drawn([(50.0, 250.0), (450.0, 250.0)], width_px=9)

    assert features(mask).taper > 0.4 > 0.1 > features(even).taper
    assert features(mask).likelihood < features(even).likelihood


def test_parallel_and_perpendicular_lines_are_companions_and_others_are_not():
    line = [(100.0, 250.0), (400.0, 250.0)]
    beside = [
        [(100.0, 290.0), (400.0, 290.0)],  # parallel
        [(430.0, 100.0), (430.0, 400.0)],  # perpendicular
        [(100.0, 280.0), (400.0, 400.0)],  # askew
    ]
    alone, parallel, square, askew = (
        joint_features(trace_array(drawn(line, *other)))[0].companions
        for other in ([], *([one] for one in beside))
    )

    assert alone == askew == 0
    assert parallel == pytest.approx(0.5, abs=0.05)
    assert 0.4 < square < 0.55


def test_a_continuation_is_no_companion():
    mask = drawn([(20.0, 250.0), (230.0, 250.0)], [(260.0, 250.0), (480.0, 250.0)])

    assert [one.companions for one in joint_features(trace_array(mask))] == [0, 0]


def test_companions_at_equal_spacing_count_twice():
    def companions_at(*rows):
        lines = [[(100.0, row), (400.0, row)] for row in rows]
        return np.mean([f.companions for f in joint_features(trace_array(drawn(*lines)))])

    even, uneven = companions_at(100.0, 200.0, 300.0), companions_at(100.0, 230.0, 300.0)

    assert even == pytest.approx(1 - 0.5**4, abs=0.02)
    assert uneven == pytest.approx(1 - 0.5**2, abs=0.02)


def test_a_line_that_is_fainter_than_the_scene_is_more_likely_a_joint():
    mask = drawn([(50.0, 100.0), (450.0, 100.0)], [(50.0, 200.0), (250.0, 330.0), (450.0, 310.0)])
    score = np.full(SHAPE, 160, np.uint8)
    score[:150] = 40

    faint, _ = joint_features(trace_array(mask, score=score))
    equal, _ = joint_features(trace_array(mask))

    assert faint.faint > 0.5
    assert equal.faint == pytest.approx(0, abs=1e-6)
    assert faint.likelihood > equal.likelihood


def test_likelihoods_do_not_depend_on_strips_or_place():
    mask = drawn(
        [(60.0, 10.0), (60.0, 490.0)],
        [(130.0, 10.0), (130.0, 490.0)],
        [(160.0, 20.0), (190.0, 120.0), (170.0, 200.0), (200.0, 480.0)],
    )
    mask[:, 260:] |= random_mask(3, SHAPE)[:, 260:]
    moved = np.pad(mask, ((37, 20), (53, 20)))  # and what touched the edge does so no longer

    expected = likelihoods(mask)

    assert sum(0 < likelihood < 1 for likelihood in expected) >= 3
    assert likelihoods(mask, strip_rows=64) == expected
    # A width at the very border of an end counts to either side: rounding decides.
    np.testing.assert_allclose(likelihoods(moved), likelihoods(np.pad(mask, 20)), atol=1e-4)


def test_a_crack_that_meets_a_joint_makes_the_component_no_joint():
    joint = [(5.0, 100.0), (995.0, 100.0)]
    wanders = [(400.0 + 16 * np.sin(n), 100.0 + 22.0 * n) for n in range(11)]
    beside = [(5.0, 380.0), (995.0, 380.0)]
    both = drawn(joint, wanders, beside, shape=(400, 1000))
    stub = drawn(joint, wanders[:2], beside, shape=(400, 1000))

    (meets, _), (bare, _) = joint_features(trace_array(both)), joint_features(trace_array(stub))

    assert (meets.loose, bare.loose) == (1, 0)
    assert replace(meets, loose=0).likelihood > JOINT_THRESHOLD > meets.likelihood
    assert bare.likelihood > JOINT_THRESHOLD


def test_two_thousand_parallels_take_less_than_three_seconds():
    ends = np.array([[(0.0, 6.0 * n), (3000.0, 6.0 * n)] for n in range(2000)])
    pieces = [Piece(two, 3.0) for two in ends]
    begin = process_time()

    shares = parallel_support(pieces, np.arange(2000))

    assert process_time() - begin < 3  # 1 s; what grows with the cube takes minutes
    assert shares.min() > 0.99


def test_equal_spacings_agree_with_a_search_over_all_pairs():
    offsets = np.random.default_rng(4).uniform(-300, 300, 60)

    pairs = [
        any(
            abs(other - wanted * one) <= SPACING_TOLERANCE * abs(one)
            for other in offsets
            for wanted in (-1, 2, 0.5)
        )
        for one in offsets
    ]

    assert in_equal_spacing(offsets).tolist() == pairs
    assert 0 < sum(pairs) < 60


def test_a_net_of_many_branches_is_resampled_by_few_even_points():
    rng = np.random.default_rng(5)
    begins = rng.uniform(0, 5000, (20_000, 2))
    (crack,) = trace_array(drawn(frame(50.0, 80.0, 400.0, 300.0)))
    lines = list(np.stack([begins, begins + np.array([3.0, 4.0])], axis=1))
    net = replace(crack, centreline=lines, length_px=100_000.0)

    points, lengths = resample(net)
    few, small = resample(crack)

    assert len(points) == len(lengths) == MAX_POINTS
    assert lengths.sum() == pytest.approx(100_000)
    on = shapely.multilinestrings([shapely.linestrings(line) for line in lines])
    assert shapely.distance(shapely.points(points), on).max() < 1e-6
    assert small.sum() == pytest.approx(crack.length_px)
    assert len(few) <= MAX_POINTS


def test_every_feature_has_a_weight_and_no_weight_is_unused():
    assert WEIGHTS.keys() == Features.__annotations__.keys()


def test_a_scene_without_cracks_has_no_likelihoods():
    assert with_joint_likelihoods([]) == []
    assert Crack.__dataclass_fields__["joint_likelihood"].default is None
