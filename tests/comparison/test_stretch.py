"""Changes along a common stretch: what comes, goes, opens and closes, and how well it is known."""

import cv2
import numpy as np
import pytest

from crackcli.comparison.evidence.samples import SameGrid, Samples
from crackcli.comparison.evidence.stretch import compare_stretch, longest_run, partners
from crackcli.comparison.evidence.visibility import Hidden

SHOWN = Hidden.SHOWN


class Similarity:
    """Alignment that turns, enlarges and moves; known to ``sigma`` everywhere."""

    def __init__(self, scale=1.0, angle=0.0, shift=(0.0, 0.0), sigma=0.1):
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        self.matrix, self.shift = np.array([[cos, -sin], [sin, cos]]), np.array(shift)
        self.sigma = sigma

    def to_after(self, points):
        return points @ self.matrix.T + self.shift

    def to_before(self, points):
        return (points - self.shift) @ np.linalg.inv(self.matrix).T

    def sigma_px(self, points):
        return np.full(len(points), self.sigma)

    def trusted(self, points):
        return np.ones(len(points), bool)


class Sheared(Similarity):
    """Alignment that stretches along x only."""

    def __init__(self, factor):
        super().__init__()
        self.matrix = np.diag([factor, 1.0])


def crack(first, last, width=4.0, row=50.0, sigma=0.2, systematic=0.05, owner=0):
    """Samples of a horizontal crack, 1 px apart, from ``first`` to ``last``."""
    x = np.arange(first, last) + 0.5
    count = len(x)
    return Samples(
        np.full(count, owner),
        np.full(count, owner),
        np.column_stack([x, np.full(count, row)]),
        np.ones(count),
        np.broadcast_to(np.asarray(width, float), count).copy(),
        np.full(count, sigma),
        np.full(count, systematic),
    )


def compared(before, after, hidden_before=SHOWN, hidden_after=SHOWN, alignment_px=0.0):
    hidden = [
        np.full(len(samples), reason, object)
        for samples, reason in ((before, hidden_before), (after, hidden_after))
    ]
    return compare_stretch(before, after, *hidden, 5.0, 5.0, alignment_px)


def test_a_crack_that_did_not_change_has_no_differences():
    found = compared(crack(10, 110), crack(10, 110))

    assert (found.common_px, found.tip_px) == (100, 0)
    for one in (found.length, found.width_mean, found.width_max, found.area):
        assert one.value == 0
        assert one.sigma > 0


def test_an_opening_counts_on_the_common_stretch_only():
    """The later scan found a wide part more, which says nothing about the change."""
    wide = np.concatenate([np.full(100, 4.5), np.full(60, 12.0)])

    found = compared(crack(10, 110), crack(10, 170, wide), hidden_after=Hidden.FAINT)

    assert found.common_px == 100
    assert found.width_mean.value == pytest.approx(0.5)
    assert found.length.value == 0


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_a_longer_crack_advanced_by_its_new_part(offset):
    found = compared(crack(10, 110), crack(10, 140, row=50 + offset))

    assert found.length.value == pytest.approx(30, abs=0.5)
    assert found.tip_px == pytest.approx(30, abs=0.5)
    assert compared(crack(10, 140), crack(10, 110)).length.value == pytest.approx(-30, abs=0.5)


@pytest.mark.parametrize("reason", [Hidden.OUTSIDE, Hidden.UNALIGNED, Hidden.FAINT])
def test_a_part_that_the_other_photograph_could_not_show_is_no_growth(reason):
    assert compared(crack(10, 110), crack(10, 140), hidden_after=reason).length.value == 0
    assert compared(crack(10, 140), crack(10, 110), hidden_before=reason).length.value == 0


def test_the_area_is_that_of_opening_and_new_length():
    found = compared(crack(0, 100, 2.0), crack(0, 120, 3.0))

    assert found.area.value == pytest.approx(100 * 1.0 + 20 * 3.0, abs=2)


def test_the_largest_width_is_a_running_mean_of_both_on_the_same_stretch():
    bump = np.full(100, 4.0)
    bump[40:60] = 6.0

    assert compared(crack(0, 100), crack(0, 100, bump)).width_max.value == pytest.approx(2.0)


@pytest.mark.parametrize("alignment_px", [0.0, 1.0])
def test_the_uncertainty_of_a_mean_covers_noise_common_errors_and_scale(alignment_px):
    """Simulated: errors of each sample, of each photograph, and of the scale of the alignment."""
    rng, count, values = np.random.default_rng(0), 80, []
    for _ in range(300):
        widths = []
        for _ in range(2):
            common = rng.normal(0, 0.05) + 4 * rng.normal(0, 0.03)
            noise = np.convolve(rng.normal(size=count + 9), np.ones(10) / np.sqrt(10), "valid")
            widths.append(4 + common + np.sqrt(0.2**2 - 0.05**2) * noise)
        scale = 1 + rng.normal(0, np.sqrt(2) * alignment_px / 64)
        found = compared(
            crack(0, count, widths[0]),
            crack(0, count, widths[1] * scale),
            alignment_px=alignment_px,
        )
        values.append(found.width_mean)

    spread = np.std([one.value for one in values])

    assert spread == pytest.approx(np.mean([one.sigma for one in values]), rel=0.15)


def test_without_a_common_stretch_there_is_no_difference_of_widths():
    unknown = crack(0, 100, np.nan)

    found = compared(unknown, crack(0, 100))

    assert (found.width_mean, found.width_max, found.area) == (None, None, None)
    assert found.length.value == 0


def test_parallel_cracks_beyond_the_tolerance_are_no_partners():
    own, other = crack(0, 100), crack(0, 100, row=56)

    assert (partners(own, other, 5.0) == -1).all()
    assert (partners(own, other, 6.5) == np.arange(100)).all()


def test_the_longest_run_is_unbroken():
    chosen = np.zeros(100, bool)
    chosen[[3, 4, 5, 50, 51, 52, 53]] = True

    assert longest_run(crack(0, 100), chosen) == 4


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2])
def test_widths_and_steps_are_carried_over_by_the_scale(angle):
    carried = crack(0, 60).carried(Similarity(1.7, angle, (30.0, -5.0)))

    np.testing.assert_allclose(carried.width, 1.7 * 4)
    np.testing.assert_allclose(carried.sigma, 1.7 * 0.2)
    np.testing.assert_allclose(carried.steps, 1.7)
    np.testing.assert_allclose(np.hypot(*np.diff(carried.points, axis=0).T), 1.7)


def test_a_map_that_stretches_a_crack_along_it_leaves_its_width():
    lying = crack(0, 60)
    standing = Samples(
        lying.owner,
        lying.run,
        lying.points[:, ::-1],
        *(getattr(lying, name) for name in ("steps", "width", "sigma", "systematic")),
    )

    np.testing.assert_allclose(lying.carried(Sheared(2.0)).width, 4.0)
    np.testing.assert_allclose(lying.carried(Sheared(2.0)).steps, 2.0)
    np.testing.assert_allclose(standing.carried(Sheared(2.0)).width, 8.0)


def test_a_width_under_a_homography_is_that_of_a_warped_crack():
    """Independent of the derivative: edges of the crack warped by OpenCV."""
    homography = np.array([[1.2, 0.1, 5.0], [-0.05, 0.9, 8.0], [2e-4, 1e-4, 1.0]])

    class Plane(SameGrid):
        def to_after(self, points):
            return cv2.perspectiveTransform(points[None], homography)[0]

    samples = crack(20, 80)
    carried = samples.carried(Plane())
    upper, lower = (
        Plane().to_after(samples.points + np.array([0.0, half])) for half in (-2.0, 2.0)
    )
    along = carried.directions
    across = np.column_stack([-along[:, 1], along[:, 0]])
    true = np.abs(np.einsum("sk,sk->s", upper - lower, across))

    np.testing.assert_allclose(carried.width, true, rtol=2e-3)
