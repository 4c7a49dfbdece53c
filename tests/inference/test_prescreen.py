"""The prescreen skips tiles that clearly show no crack, and no others."""

import json
from dataclasses import replace

import numpy as np
import pytest
from explaining import explained, write
from fakes import LocalEngine, wall

from crackcli.errors import DeviceError, InTheWay, OutOfMemory, UsageError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.prescreen import HalfResolutionPrescreen, Int8Prescreen
from crackcli.inference.views import View, score_view
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.scan.raster import ScanTask, scan_raster

THRESHOLD, GATE = 0.6, 0.9  # P(crack) of crack-free tiles is 0.47 with this engine


class Counting(LocalEngine):
    """An engine that counts its pixels, and those of the largest image of `back`."""

    def __init__(self):
        super().__init__()
        self.seen, self.largest = 0, 0

    def features(self, images):
        self.seen += images.size
        return super().features(images)

    def back(self, images, value):
        self.largest = max(self.largest, images.size)
        return super().back(images, value)


class Full(Counting):
    """A device that runs out of memory on images with more than ``most`` values."""

    most = 200 * 200 * 3

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.refused = {"features": [], "back": []}

    def features(self, images):
        self.take(images, "features")
        return super().features(images)

    def back(self, images, value):
        self.take(images, "back")
        return super().back(images, value)

    def take(self, images, stage):
        if images.size > self.most:
            self.refused[stage].append(images.size)
            raise self.error


def prescreened(path, engine, core_px, gate=GATE, threshold=THRESHOLD):
    """Relevance and P(crack) of a whole raster by a scorer with a prescreen."""
    info = inspect(path)
    scorer = ClassifierScorer(engine, gate, HalfResolutionPrescreen(LocalEngine(), threshold))
    grid = scorer.grid(info.rows, info.cols, core_px)
    with Raster(info) as raster:
        strips = [scorer.score_strip(raster, grid, index) for index in range(len(grid))]
    return (
        np.concatenate([strip.relevance for strip in strips]).astype(np.float64),
        np.concatenate([strip.probability for strip in strips]),
    )


@pytest.fixture
def cracked(tmp_path):
    image = wall(700, 900, cracks=0)
    image[60:200, 300:340] = 10
    return write(tmp_path / "cracked.tif", image)


def test_a_crack_scores_the_same_and_crack_free_tiles_are_skipped(cracked):
    engine, all_of_it = Counting(), Counting()

    relevance, tiles = prescreened(cracked, engine, 256)

    expected, expected_tiles, _ = explained(cracked, all_of_it, 256, GATE)
    assert expected.any()
    np.testing.assert_array_equal(relevance, expected)
    np.testing.assert_array_equal(tiles >= GATE, expected_tiles >= GATE)
    assert engine.seen < all_of_it.seen / 3


def test_the_result_does_not_depend_on_the_strips(cracked):
    small, tiles = prescreened(cracked, LocalEngine(), 64)
    large, same_tiles = prescreened(cracked, LocalEngine(), 1024)

    np.testing.assert_allclose(tiles, same_tiles, atol=1e-6)
    np.testing.assert_allclose(small, large, atol=1e-3 * large.max())


@pytest.mark.parametrize(
    ("prescreen", "cells"),  # rows below a strip: of its tiles; of those that are prescreened
    [(None, 3), (Int8Prescreen, 5), (HalfResolutionPrescreen, 10)],
)
def test_a_strip_reads_no_pixel_further_below_than_its_tiles_need(tmp_path, prescreen, cells):
    path = write(tmp_path / "wall.tif", wall(1536, 300, cracks=2))
    scorer = ClassifierScorer(LocalEngine(), GATE, prescreen and prescreen(Named(), THRESHOLD))
    grid = scorer.grid(1536, 300, 512)
    with Farthest(inspect(path)) as raster:
        for index, strip in enumerate(grid):
            scorer.score_strip(raster, grid, index)
            assert raster.end_row <= strip.window.end_row + 32 * cells + 32

    assert raster.end_row > 1536


class Named(LocalEngine):
    """An engine with the checksum of its file."""

    sha256 = "0" * 64


class Farthest(Raster):
    """A raster that records how far down it was read."""

    end_row = 0

    def read(self, window):
        self.end_row = max(self.end_row, window.end_row)
        return super().read(window)


@pytest.mark.parametrize("rows", [64, 300, 700])  # the last two are no multiples of a cell
@pytest.mark.parametrize("zoom", [0.5, 1.0])
@pytest.mark.parametrize("prescreen", [HalfResolutionPrescreen, Int8Prescreen])
def test_a_raster_of_one_strip_may_have_any_number_of_rows(tmp_path, rows, zoom, prescreen):
    image = wall(rows, 400, cracks=0)
    image[10:60, 100:140] = 10
    path = write(tmp_path / "wall.tif", image)
    info = inspect(path)
    scorer = ClassifierScorer(LocalEngine(), GATE, prescreen(Named(), THRESHOLD))
    view = View.of(info, zoom, scorer, 1024)
    assert len(view.grid) == 1

    with Raster(info) as raster:
        scores = score_view(scorer, raster, view, 0)
        expected = score_view(ClassifierScorer(LocalEngine(), GATE), raster, view, 0)

    np.testing.assert_array_equal(scores.relevance, expected.relevance)


def test_strips_in_any_order_get_the_same_scores(cracked):
    info = inspect(cracked)
    scorer = ClassifierScorer(
        LocalEngine(), GATE, HalfResolutionPrescreen(LocalEngine(), THRESHOLD)
    )
    grid = scorer.grid(info.rows, info.cols, 128)
    with Raster(info) as raster:
        for index in (4, 0, 3, 1):
            again = ClassifierScorer(
                LocalEngine(), GATE, HalfResolutionPrescreen(LocalEngine(), THRESHOLD)
            )
            one, other = (each.score_strip(raster, grid, index) for each in (scorer, again))
            np.testing.assert_array_equal(one.relevance, other.relevance)
            np.testing.assert_array_equal(one.probability, other.probability)


def test_half_resolution_takes_the_highest_p_crack_near_a_place(cracked):
    info = inspect(cracked)
    with Raster(info) as raster:
        first = HalfResolutionPrescreen(LocalEngine()).probability(
            raster, Window(0, 0, 20, 26), 256
        )

    assert first.shape == (20, 26)
    assert first[4, 10] == 1  # in the middle of the crack
    near = np.zeros(first.shape, bool)
    near[:12, 4:17] = True  # half a tile of the view, 64 px of the raster, and a step
    assert first[~near].max() < THRESHOLD


def test_a_prescreen_whose_threshold_is_not_below_the_gate_is_left_out(cracked):
    scorer = ClassifierScorer(
        LocalEngine(), THRESHOLD, HalfResolutionPrescreen(LocalEngine(), THRESHOLD)
    )

    assert scorer.prescreen is None


def test_a_scan_records_its_prescreen_and_is_repeated_without(cracked, tmp_path):
    prescreen = HalfResolutionPrescreen(LocalEngine(), THRESHOLD)
    task = ScanTask(cracked, tmp_path / "out", core_px=256)
    scan_raster(task, ClassifierScorer(LocalEngine(), GATE, prescreen))
    record = json.loads((tmp_path / "out/scene.json").read_text())

    without = ClassifierScorer(LocalEngine(), GATE)
    with pytest.raises(InTheWay, match="other options"):
        scan_raster(task, without)
    again = scan_raster(replace(task, overwrite=True), without)

    assert record["scored"]["look"] == THRESHOLD
    assert again.status == "done"
    assert json.loads((tmp_path / "out/scene.json").read_text())["scored"]["look"] is None


def test_the_threshold_of_the_prescreen_must_be_a_probability():
    with pytest.raises(UsageError, match=r"--look 1\.5: must be a probability; use 0 to 1"):
        ModelOptions(look=1.5)


@pytest.mark.parametrize("error", [OutOfMemory("full"), MemoryError("of numpy")])
def test_a_window_too_large_for_the_device_is_halved_and_none_as_large_is_tried_again(
    cracked, error
):
    engine, roomy = Full(error), Counting()

    relevance, tiles, _ = explained(cracked, engine, 1024, 0.0)

    expected, expected_tiles, _ = explained(cracked, roomy, 1024, 0.0)
    np.testing.assert_allclose(relevance, expected, atol=1e-3 * expected.max())
    np.testing.assert_array_equal(tiles, expected_tiles)
    assert roomy.largest > engine.most
    for refused in engine.refused.values():
        assert refused == sorted(set(refused), reverse=True) != []


def test_a_device_without_memory_for_a_single_tile_is_an_error(cracked):
    class Tiny(LocalEngine):
        def back(self, images, value):
            raise OutOfMemory("full")

    with pytest.raises(
        DeviceError, match=r"cpu: not enough free memory for a single tile; free some$"
    ):
        explained(cracked, Tiny(), 1024, 0.0)
