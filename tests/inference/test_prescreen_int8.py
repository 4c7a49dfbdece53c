"""A prescreen in int8 finds the same cracks, and skips tiles without any."""

from dataclasses import replace

import numpy as np
import pytest
from explaining import write
from fakes import wall

from crackcli.engines.onnx import Int8Engine
from crackcli.engines.opening import open_engine
from crackcli.errors import UsageError
from crackcli.files import sha256
from crackcli.inference import opening as opening_module
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.opening import open_scorer, scorer_of
from crackcli.inference.options import ModelOptions
from crackcli.inference.prescreen import INT8_THRESHOLD, Int8Prescreen
from crackcli.rasters.reader import Raster, inspect
from crackcli.scan.fingerprint import fingerprint
from crackcli.scan.survey import SurveyTask
from crackcli.shipped_models import shipped

GRAPH = shipped(".int8.onnx")


@pytest.fixture(scope="module")
def engine():
    return open_engine(method="lrp", engine="onnx", device="cpu")


class Counting:
    """An engine that counts the pixels whose cells it computes."""

    def __init__(self, engine):
        self.engine, self.facts, self.seen_px = engine, engine.facts, 0
        self.window_cells = engine.window_cells

    def features(self, images):
        self.seen_px += images[..., 0].size
        return self.engine.features(images)

    def head(self, cells, gate):
        return self.engine.head(cells, gate)

    def back(self, images, value):
        return self.engine.back(images, value)


@pytest.fixture(scope="module")
def half_cracked(tmp_path_factory):
    image = np.random.default_rng(2).normal(190, 6, (96, 768, 1)).clip(0, 255).astype(np.uint8)
    image = np.repeat(image, 3, axis=2)
    image[:, 60:66] = 50
    return write(tmp_path_factory.mktemp("wall") / "wall.tif", image)


def test_p_crack_in_int8_is_close_to_that_in_float32(engine):
    int8_engine = Int8Engine(engine, GRAPH)
    random, apart = np.random.default_rng(3), []
    for cracks in range(3):
        image = wall(374, 374, cracks=cracks) // 2 + random.integers(0, 90, (374, 374, 1), np.uint8)

        cells = int8_engine.features(image[None])

        expected = engine.features(image[None])
        assert cells.shape == expected.shape
        assert 0 < np.linalg.norm(cells - expected) < 0.2 * np.linalg.norm(expected)
        apart.append(int8_engine.head(cells, 2.0)[0] - engine.head(expected, 2.0)[0])
    assert np.abs(apart).max() < 0.1


def test_tiles_without_a_crack_in_int8_are_skipped(engine, half_cracked):
    plain, prescreening = Counting(engine), Counting(engine)
    info = inspect(half_cracked)
    found = []
    for each, look in (
        (plain, None),
        (prescreening, Int8Prescreen(Int8Engine(engine, GRAPH), INT8_THRESHOLD)),
    ):
        scorer = ClassifierScorer(each, 0.5, look)
        grid = scorer.grid(info.rows, info.cols, 512)
        with Raster(info) as raster:
            found.append(scorer.score_strip(raster, grid, 0))

    assert found[0].relevance.any()
    expected = found[0].relevance.astype(np.float32)
    np.testing.assert_allclose(found[1].relevance, expected, atol=2e-3 * np.abs(expected).max())
    np.testing.assert_allclose(found[1].probability, found[0].probability, atol=0.1)
    assert prescreening.seen_px < 0.8 * plain.seen_px


@pytest.mark.parametrize(
    ("vnni", "device", "used"), [(True, "cpu", True), (False, "cpu", False), (True, "cuda", False)]
)
def test_int8_is_used_on_processors_with_int8_instructions(engine, monkeypatch, vnni, device, used):
    monkeypatch.setattr(opening_module, "multiplies_int8", lambda: vnni)
    there = Counting(engine)
    there.facts = replace(engine.facts, device=device)

    scorer = scorer_of(there, 0.5, INT8_THRESHOLD, "int8")

    assert (scorer.prescreen is not None) == used
    assert scorer.prescreen is None or scorer.prescreen.threshold == INT8_THRESHOLD


def test_the_fingerprint_names_the_prescreen(engine, half_cracked, monkeypatch):
    monkeypatch.setattr(opening_module, "multiplies_int8", lambda: True)
    info = inspect(half_cracked)

    looks = [
        fingerprint(info, scorer_of(engine, 0.5, *look), 512, (1.0,))["look"]
        for look in ((), (0.1,), (0.35, "int8"))
    ]

    assert looks == [None, 0.1, ["int8", 0.35, sha256(GRAPH)]]


def test_int8_needs_the_shipped_model(tmp_path):
    with pytest.raises(
        UsageError, match="--look-in int8 needs the shipped model; leave --model or --look-in out"
    ):
        open_scorer(ModelOptions(tmp_path / "mine.onnx", look=0.3, look_in="int8"))


def test_an_unknown_prescreen_is_answered_with_the_menu(tmp_path):
    with pytest.raises(UsageError, match="unknown; choose one of: half, int8"):
        open_scorer(ModelOptions(look=0.3, look_in="quarter"))
    assert SurveyTask((tmp_path,), tmp_path).model_options.look_in == "half"


def test_look_in_without_look_is_an_error():
    with pytest.raises(UsageError, match=r"--look-in int8 needs --look; try --look 0\.35"):
        open_scorer(ModelOptions(look_in="int8"))
