"""The mask of a scene does not depend on how it is cut; components are those of the scene."""

import cv2
import numpy as np
import pytest
from walls import picture

from crackcli.masking import scene_mask as mask_scene
from crackcli.masking.refinement import (
    BOUNDS,
    REACH_PX,
    Masking,
    around,
    close,
    refine,
    smooth_score,
)
from crackcli.masking.runs import find_runs
from crackcli.masking.scene_mask import find_threshold, paint, painted, runs_of_cracks, write_mask
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.rasters.score_mask import read_band, read_tags
from crackcli.rasters.writing.cog import write_cog

THRESHOLD = 0.01
REFINED = Masking()
MARGIN = 4.0  # of the network: scores are twice those of one with a margin of 1
BIN = 1 / 1024  # tolerance of a threshold, as a fraction of the highest score


def wall(rows, cols, *cracks, seed=0):
    """A light grainy wall (rows, cols) with black ``cracks``: slices of rows and columns."""
    grey = np.random.default_rng(seed).normal(170, 3, (rows, cols))
    for crack in cracks:
        grey[crack] = 60
    return grey.clip(0, 255).astype(np.uint8)


class Given:
    """A photograph, its score raster and the mask made from both."""

    def __init__(self, folder, grey, score, valid=None, maker=("lrp", "margin")):
        folder.mkdir(exist_ok=True)
        photograph, self.score, self.mask = (folder / n for n in ("p.png", "score.tif", "mask.tif"))
        cv2.imwrite(str(photograph), grey)
        self.info = inspect(photograph)
        top = float(score.max()) or 1.0
        coded = np.rint(score * (254 / top)).astype(np.uint8)
        if valid is not None:
            coded[~valid] = 255
        tags = {"CRACKCLI_SCORE_TOP": repr(top)}
        tags |= {"CRACKCLI_METHOD": maker[0], "CRACKCLI_START": maker[1]}
        tags["CRACKCLI_MARGIN"] = repr(MARGIN)
        write_cog(self.score, [coded], self.info, tags, "average")

    def masked(self, masking=REFINED, threshold=THRESHOLD):
        """The mask as it is in the file."""
        found = write_mask(self.mask, self.score, self.info, masking, threshold)
        mask = read_band(self.mask, Window(0, 0, self.info.rows, self.info.cols))
        assert found == (mask == 1).sum()
        return mask


def score_around(*corridors, shape, height=2 * THRESHOLD):
    score = np.zeros(shape, np.float32)
    for corridor in corridors:
        score[corridor] = height
    return score


# Components: runs of a picture in which S is a strong candidate, # a weak one.


def runs_of(text, strip_rows):
    weak = picture(text.replace("S", "#"))
    strong = (picture(text.replace("#", ".").replace("S", "#")) * 254).astype(np.uint8)
    parts = range(0, len(weak), strip_rows)
    strips = ((weak[row : row + strip_rows], strong[row : row + strip_rows]) for row in parts)
    return find_runs(strips, *weak.shape)


HYSTERESIS = """
##..........##
..##......##..
....S###......
..............
.####....####.
.####....####.
............S.
"""


@pytest.mark.parametrize("strip_rows", [1, 2, 3, 7])
def test_a_component_is_kept_whole_if_it_is_strong_somewhere(strip_rows):
    kept = runs_of_cracks(runs_of(HYSTERESIS, strip_rows), min_area_px=1)

    expected = picture("""
##............
..##..........
....####......
..............
.........####.
.........####.
............#.
""")
    np.testing.assert_array_equal(paint(kept, Window(0, 0, 7, 14)), expected)


@pytest.mark.parametrize("strip_rows", [1, 2, 3, 7])
@pytest.mark.parametrize(("min_area_px", "kept_px"), [(8, 17), (9, 9), (10, 0)])
def test_the_area_of_a_component_is_that_in_the_whole_scene(strip_rows, min_area_px, kept_px):
    kept = runs_of_cracks(runs_of(HYSTERESIS, strip_rows), min_area_px)

    assert kept.length.sum() == kept_px  # of 8 px along the diagonal, 9 in the block


@pytest.mark.parametrize("rows", [1, 3, 20, 64])
def test_the_last_closing_of_recipe_study_leaves_no_seams(rows):
    mask = np.zeros((64, 90), np.uint8)
    mask[18:24, 30:60] = mask[33:39, 30:60] = 1  # 9 rows apart
    runs = find_runs([(mask, mask)], *mask.shape)

    parts = [
        painted(runs, Window(row, 0, rows, 90), Masking("study")) for row in range(0, 64, rows)
    ]

    np.testing.assert_array_equal(np.concatenate(parts)[:64], close(mask > 0, 25))
    assert np.concatenate(parts)[26:30, 42:48].all()


# Whole scenes.


@pytest.mark.parametrize("core_px", [64, 96])
@pytest.mark.parametrize("recipe", ["refined", "study"])
def test_a_mask_made_in_blocks_equals_one_made_at_once(tmp_path, monkeypatch, core_px, recipe):
    cracks = [np.s_[30:36, 10:250], np.s_[20:170, 128:131], np.s_[140:152, 20:110]]
    corridors = [np.s_[22:44, 8:252], np.s_[18:172, 118:141], np.s_[130:162, 18:112]]
    grey = wall(190, 260, *cracks)
    given = Given(tmp_path, grey, score_around(*corridors, shape=grey.shape))
    expected = given.masked(Masking(recipe))

    monkeypatch.setattr(mask_scene, "CORE_PX", core_px)
    actual = given.masked(Masking(recipe))

    assert (expected == 1).sum() > 2000
    np.testing.assert_array_equal(actual, expected)


def test_a_crack_across_blocks_and_strips_is_one_component(tmp_path, monkeypatch):
    monkeypatch.setattr(mask_scene, "CORE_PX", 64)
    crack = np.s_[60:68, 60:68]  # 16 px in each of four blocks
    given = Given(
        tmp_path, wall(128, 128, crack), score_around(np.s_[50:78, 50:78], shape=(128, 128))
    )

    kept = given.masked(Masking(min_area_px=50))
    dropped = given.masked(Masking(min_area_px=80))

    assert (kept == 1).sum() == pytest.approx(64, abs=6)  # rounded at its corners
    assert not dropped.any()


@pytest.mark.parametrize("core_px", [64, 1024])
def test_hysteresis_reaches_into_other_blocks(tmp_path, monkeypatch, core_px):
    monkeypatch.setattr(mask_scene, "CORE_PX", core_px)
    grey = wall(96, 224, np.s_[30:35, 10:210], np.s_[66:71, 10:210])
    score = score_around(np.s_[20:45, 8:212], np.s_[56:81, 8:212], shape=grey.shape)
    score *= 0.4  # both above half the threshold
    score[20:45, 8:60] = 2 * THRESHOLD  # the upper one above it, in one block

    mask = Given(tmp_path, grey, score).masked()

    assert mask[30:35, 15:205].all()
    assert not mask[50:].any()


def test_a_crack_free_image_is_neither_read_nor_masked(tmp_path, monkeypatch):
    monkeypatch.setattr(mask_scene, "CORE_PX", 64)
    seen = reads(monkeypatch)
    grey = wall(200, 260, np.s_[100:106, 20:240])  # without score

    mask = Given(tmp_path, grey, np.zeros(grey.shape, np.float32)).masked()

    assert not mask.any()
    assert seen == []


def test_only_blocks_with_a_score_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(mask_scene, "CORE_PX", 64)
    seen = reads(monkeypatch)
    grey = wall(256, 256, np.s_[20:26, 10:54])
    score = score_around(np.s_[10:36, 8:52], shape=grey.shape)
    score[200:, 200:] = 0.4 * THRESHOLD  # below half the threshold

    mask = Given(tmp_path, grey, score).masked()

    assert mask[20:26, 12:50].all()
    (window,) = seen
    assert (window.row, window.col) == (-160, -160)  # the first block and its halo


def reads(monkeypatch):
    """Record the windows of photographs that are read from now on."""
    seen = []
    read = Raster.read

    def noted(raster, window):
        seen.append(window)
        return read(raster, window)

    monkeypatch.setattr(Raster, "read", noted)
    return seen


@pytest.mark.parametrize("recipe", ["refined", "study"])
def test_nodata_stays_nodata_and_is_no_crack(tmp_path, recipe):
    grey = wall(120, 160, np.s_[50:58, 10:150])
    valid = np.ones(grey.shape, bool)
    valid[:, 70:90] = False
    given = Given(tmp_path, grey, score_around(np.s_[40:68, 8:152], shape=grey.shape), valid)

    mask = given.masked(Masking(recipe))

    np.testing.assert_array_equal(mask == 255, ~valid)
    assert (mask[50:58, 20:60] == 1).all()
    assert (mask[50:58, 100:140] == 1).all()


def test_a_scene_of_nodata_has_no_cracks(tmp_path):
    grey = wall(64, 80)
    given = Given(tmp_path, grey, np.zeros((64, 80), np.float32), np.zeros((64, 80), bool))

    mask = given.masked(threshold=find_threshold(given.score, Masking()))

    assert (mask == 255).all()


def test_the_tags_of_the_mask_hold_recipe_and_threshold(tmp_path):
    given = Given(tmp_path, wall(64, 80), np.zeros((64, 80), np.float32))

    given.masked(Masking("study"), threshold=0.0375)

    tags = read_tags(given.mask)
    assert (tags["CRACKCLI_RECIPE"], tags["CRACKCLI_THRESHOLD"]) == ("study", "0.0375")


# The threshold of a scene.


def two_levels(height):
    """A score of 0 except in a quarter of the scene, with one pixel that is higher still."""
    score = score_around(np.s_[:100, :100], shape=(200, 200), height=height)
    score[0, 0] = 1.1 * height
    return score


def test_the_threshold_lies_half_way_between_crack_and_background(tmp_path):
    given = Given(tmp_path, wall(200, 200), two_levels(0.8), maker=("gradient", "crack"))

    threshold = find_threshold(given.score, Masking())

    assert threshold == pytest.approx(0.4, abs=0.01)  # smoothing blurs the one edge


def test_recipe_study_halves_relevance_not_its_root(tmp_path):
    given = Given(tmp_path, wall(200, 200), two_levels(0.8), maker=("lrp", "both"))

    threshold = find_threshold(given.score, Masking("study"))

    assert threshold == pytest.approx(np.sqrt(0.8**2 / 2), abs=2 * 0.8 * BIN)


@pytest.mark.parametrize(
    ("half_way", "bounded"), [(0.2, 1.0), (1.3, 1.3), (50.0, None)], ids=["sound", "some", "much"]
)
def test_the_threshold_is_bounded_if_the_score_has_a_unit(tmp_path, half_way, bounded):
    low, high = (bound * MARGIN**0.5 for bound in BOUNDS["lrp", "margin"])
    given = Given(tmp_path, wall(200, 200), two_levels(2 * half_way * low))
    expected = high if bounded is None else bounded * low

    assert find_threshold(given.score, Masking()) == pytest.approx(expected, rel=0.05)


def test_a_crack_free_image_is_not_split_into_halves(tmp_path):
    low = BOUNDS["lrp", "margin"][0] * MARGIN**0.5
    noise = np.random.default_rng(1).uniform(0, 0.7 * low, (200, 200)).astype(np.float32)
    given = Given(tmp_path, wall(200, 200, np.s_[90:96, 20:180]), noise)

    mask = given.masked(threshold=find_threshold(given.score, Masking()))

    assert not mask.any()


def test_the_threshold_does_not_depend_on_the_blocks(tmp_path, monkeypatch):
    noise = np.random.default_rng(2).gamma(2, 0.003, (150, 210)).astype(np.float32)
    given = Given(tmp_path, wall(150, 210), noise, maker=("gradient", "crack"))
    expected = find_threshold(given.score, Masking())

    monkeypatch.setattr(mask_scene, "CORE_PX", 64)

    assert find_threshold(given.score, Masking()) == pytest.approx(expected, rel=1e-6)


def test_nodata_does_not_count_for_the_threshold(tmp_path):
    noise = np.random.default_rng(3).gamma(2, 0.1, (80, 100)).astype(np.float32)
    whole = Given(tmp_path / "whole", wall(80, 100), noise)
    wider = np.concatenate([noise, noise], axis=1)
    valid = np.arange(200) < np.full((80, 1), 100)
    with_hole = Given(tmp_path / "hole", wall(80, 200), wider, valid)

    thresholds = [find_threshold(given.score, Masking("study")) for given in (whole, with_hole)]

    assert thresholds[0] == thresholds[1]


@pytest.mark.parametrize("shape", [(900, 1003), (1344, 777)])
@pytest.mark.parametrize("place", [(450, 500), (300, 40), (850, 700)])
def test_refinement_does_not_depend_on_pixels_far_away(shape, place):
    rng = np.random.default_rng(place[0])
    rgb = rng.integers(0, 256, (*shape, 3), np.uint8)
    rgb[place[0] : place[0] + 4] //= 8
    q = np.zeros(shape, np.float32)
    q[place[0] - 30 : place[0] + 33, place[1] - 37 : place[1] + 41] = 2 * THRESHOLD
    pointed = q > THRESHOLD / 2

    part = around(pointed, REACH_PX)
    at = part.within(Window(0, 0, *shape))
    whole, cut = refine(rgb, q, THRESHOLD), refine(rgb[at], q[at], THRESHOLD, pointed[at])

    assert part.rows * part.cols < rgb[..., 0].size
    assert whole.weak.any()
    assert cut.weak.sum() == whole.weak.sum()
    np.testing.assert_array_equal(whole.weak[at], cut.weak)
    np.testing.assert_array_equal(whole.strong[at], cut.strong)


@pytest.mark.parametrize("shape", [(300, 203), (100, 1001), (40, 37)])
def test_smoothing_a_part_equals_smoothing_all(shape):
    rng = np.random.default_rng(0)
    score = np.zeros(shape, np.float32)
    score[11:30, 20:31] = rng.random((19, 11))

    np.testing.assert_array_equal(mask_scene.smoothed(score, 0.0), smooth_score(score))


@pytest.mark.parametrize("above", [0.2, 0.45, 1.0])
def test_a_smoothed_score_is_exact_wherever_it_exceeds_a_bound(above):
    score = np.random.default_rng(1).random((120, 203)).astype(np.float32)
    score[:, 90:] *= np.linspace(1, 0, 113, dtype=np.float32)
    whole = smooth_score(score)

    part = mask_scene.smoothed(score, above)

    np.testing.assert_array_equal(part > above, whole > above)
    np.testing.assert_array_equal(part[part > above], whole[whole > above])


def test_candidates_among_some_pixels_equal_those_among_all():
    rng = np.random.default_rng(2)
    rgb = rng.integers(0, 256, (500, 600, 3), np.uint8)
    q = np.full((500, 600), 2 * THRESHOLD, np.float32)
    pointed = np.zeros(q.shape, bool)
    pointed[200:260, 130:400] = True

    every, some = refine(rgb, q, THRESHOLD), refine(rgb, q, THRESHOLD, pointed)

    assert (every.weak & ~pointed).any()
    np.testing.assert_array_equal(some.weak, every.weak & pointed)


def test_only_promising_parts_of_the_corridor_are_refined():
    q = np.zeros((200, 300), np.float32)
    q[80:90, 60:120] = 0.7 * THRESHOLD  # nowhere above the threshold
    q[120:130, 60:120] = 0.7 * THRESHOLD
    q[125, 100] = 1.5 * THRESHOLD
    q[50:55, 250:300] = 0.7 * THRESHOLD  # continues outside

    chosen = mask_scene.promising(q, THRESHOLD)

    expected = np.zeros(q.shape, bool)
    expected[120:130, 60:120] = expected[50:55, 250:300] = True
    np.testing.assert_array_equal(chosen, expected)
    assert not mask_scene.promising(np.zeros_like(q), THRESHOLD).any()
