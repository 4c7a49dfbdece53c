"""A student in three stages gives what it gives at once, however a raster is cut."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import wall
from tiny import SMALL_STUDENT

torch = pytest.importorskip("torch")

from crackcli.engines.engine import DECODE_HALO_PX, ENCODE_HALO_PX
from crackcli.engines.torch import TorchEngine
from crackcli.errors import ModelError
from crackcli.inference import staged
from crackcli.inference.dense import DenseScorer
from crackcli.inference.opening import scorer_of
from crackcli.inference.staged import FeatureRows, StagedScorer
from crackcli.inference.views import View
from crackcli.networks import student
from crackcli.networks.checkpoint import Checkpoint
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.scan.dry_run.workload import CONTEXT_COST, DECODE_COST, ENCODE_COST, counts_of

SHAPES = [(32, 40), (205, 331), (530, 300)]
STRIDE_PX = 32


class CountingEngine(TorchEngine):
    """An engine that counts the pixels it encodes and decodes."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.encoded_px = self.decoded_px = self.context_px = 0

    def encode(self, images):
        self.encoded_px += images[..., 0].size
        return super().encode(images)

    def context(self, eighths):
        self.context_px += 64 * eighths[:, 0].size
        return super().context(eighths)

    def decode(self, images, halves, quarters, context):
        self.decoded_px += images[..., 0].size
        return super().decode(images, halves, quarters, context)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint whose P(crack) spreads over the whole range on `wall`."""
    torch.manual_seed(3)
    network = student.build(**SMALL_STUDENT).eval()
    with torch.inference_mode():
        logits = network.logits(torch.from_numpy(wall(320, 320)).permute(2, 0, 1)[None] / 255)
        scale = 2 / logits.std()
        network.last.weight *= scale
        network.last.bias -= network.last.bias + scale * (logits.median() - network.last.bias)
    path = tmp_path_factory.mktemp("model") / "student.safetensors"
    Checkpoint("student", SMALL_STUDENT, ("crack",), 64, network.state_dict()).save(path)
    return path


def engine_of(model: Path) -> CountingEngine:
    return CountingEngine(model, device="cpu", precision="float32")


def photograph(folder, rows, cols, nodata=None):
    """Write a photograph of a cracked wall; pixels of the slices ``nodata`` are transparent."""
    image = np.dstack([wall(rows, cols, cracks=2), np.full((rows, cols), 255, np.uint8)])
    if nodata is not None:
        image[nodata] = 0
    path = folder / "wall.png"
    cv2.imwrite(str(path), image if nodata is not None else image[..., :3])
    return path


def scored(path, scorer, core_px, first=0):
    """Return the strips of a raster from strip ``first`` on."""
    info = inspect(path)
    grid = scorer.grid(info.rows, info.cols, core_px)
    with Raster(info) as raster:
        return [scorer.score_strip(raster, grid, index) for index in range(first, len(grid))]


def relevance(strips):
    return np.concatenate([strip.relevance for strip in strips]).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_stages_give_what_the_network_gives_at_once(tmp_path, monkeypatch, model, shape):
    path, engine = photograph(tmp_path, *shape), engine_of(model)
    monkeypatch.setattr(staged, "EDGE_PX", 10_000)  # as far as blocks reflect
    monkeypatch.setattr(staged, "WINDOW_PX", 96)

    actual = relevance(scored(path, StagedScorer(engine), 128))
    expected = relevance(scored(path, DenseScorer(engine), 512))

    assert expected.max() - expected.min() > 0.2
    np.testing.assert_allclose(actual, expected, atol=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_two_grids_give_the_same_mask(tmp_path, model, shape):
    path, engine = photograph(tmp_path, *shape), engine_of(model)

    one, other = (relevance(scored(path, StagedScorer(engine), px)) > 0.5 for px in (64, 1024))

    assert (one & other).sum() >= 0.99 * (one | other).sum()


def test_every_pixel_is_encoded_once_but_for_halos(tmp_path, monkeypatch, model):
    path, engine = photograph(tmp_path, 530, 300), engine_of(model)
    monkeypatch.setattr(staged, "WINDOW_PX", 10_000)

    scored(path, StagedScorer(engine), 64)

    edge_px = 2 * min(staged.EDGE_PX, 320)
    strips, cols = -(-530 // 64) + 1, 320 + edge_px + 2 * ENCODE_HALO_PX
    assert engine.encoded_px <= (544 + edge_px + strips * 2 * ENCODE_HALO_PX) * cols
    assert engine.decoded_px <= (544 + strips * 2 * DECODE_HALO_PX) * (320 + 2 * DECODE_HALO_PX)


def test_a_scan_that_continues_gives_the_same_strips(tmp_path, model):
    path = photograph(tmp_path, 530, 300)

    whole = scored(path, StagedScorer(engine_of(model)), 128)
    rest = scored(path, StagedScorer(engine_of(model)), 128, first=2)

    for one, other in zip(whole[2:], rest, strict=True):
        np.testing.assert_allclose(one.relevance, other.relevance, atol=1e-2)


def test_another_raster_of_the_same_size_gets_features_of_its_own(tmp_path, model):
    (tmp_path / "other").mkdir()
    path, scorer = photograph(tmp_path, 205, 331), StagedScorer(engine_of(model))
    plain = tmp_path / "other" / "wall.png"
    cv2.imwrite(str(plain), np.full((205, 331, 3), 200, np.uint8))

    scored(path, scorer, 128)

    np.testing.assert_array_equal(
        relevance(scored(plain, scorer, 128)),
        relevance(scored(plain, StagedScorer(engine_of(model)), 128)),
    )


def test_nodata_scores_zero_and_is_not_computed(tmp_path, monkeypatch, model):
    monkeypatch.setattr(staged, "WINDOW_PX", 64)
    engine = engine_of(model)
    path = photograph(tmp_path, 960, 320, nodata=np.s_[320:])

    strips = scored(path, StagedScorer(engine), 64)

    assert [bool(strip.valid.any()) for strip in strips] == [True] * 5 + [False] * 10
    assert not relevance(strips)[320:].any()
    assert relevance(strips)[:320].any()
    assert engine.decoded_px <= 1.1 * 320 * 320 * (1 + 2 * DECODE_HALO_PX / 64) ** 2
    everything = (960 + 2 * staged.EDGE_PX) * (320 + 2 * staged.EDGE_PX)
    assert engine.encoded_px < 0.5 * everything * (1 + 2 * ENCODE_HALO_PX / 64) ** 2


def with_prescreen(engine, weights, bias):
    prescreen = {"weights": [float(value) for value in weights], "bias": float(bias)}
    engine.facts = replace(engine.facts, calibration={"prescreen": prescreen})
    return engine


@pytest.fixture
def screened(tmp_path, monkeypatch, model):
    """A photograph, and engines whose prescreen rules out a part of it, nothing, and all."""
    path, seen = photograph(tmp_path, 530, 300), []
    engine, compute = engine_of(model), TorchEngine.context

    def context(self, eighths):
        seen.append(compute(self, eighths))
        return seen[-1]

    with monkeypatch.context() as then:
        then.setattr(TorchEngine, "context", context)
        scored(path, StagedScorer(engine), 1024)
    values = seen[0][0][:, 8:-8, 8:-8]
    channel = values.std(axis=(1, 2)).argmax()
    weights = np.arange(len(values)) == channel
    typical = np.quantile(values[channel], 0.97)
    return path, *(with_prescreen(engine_of(model), weights, x) for x in (-typical, 1e9, -1e9))


def test_blocks_that_the_prescreen_rules_out_are_not_decoded(model, screened):
    path, some, every, none = screened

    everything = relevance(scored(path, StagedScorer(engine_of(model)), 128))
    ruled = relevance(scored(path, StagedScorer(some), 128))

    np.testing.assert_array_equal(relevance(scored(path, StagedScorer(every), 128)), everything)
    assert not relevance(scored(path, StagedScorer(none), 128)).any()
    assert none.decoded_px == 0
    assert 0 < some.decoded_px < every.decoded_px
    decoded = ruled > 0
    assert 0.02 < decoded.mean() < 0.9
    np.testing.assert_allclose(ruled[decoded], everything[decoded], atol=2e-3)


def test_scores_that_are_not_finite_are_an_error(tmp_path, monkeypatch, model):
    engine = engine_of(model)
    decode = engine.decode
    monkeypatch.setattr(engine, "decode", lambda *given: decode(*given) * np.nan)

    with pytest.raises(ModelError, match="not finite"):
        scored(photograph(tmp_path, 205, 331), StagedScorer(engine), 128)


def test_the_kind_of_an_engine_decides_on_its_scorer(model):
    engine = engine_of(model)

    assert engine.facts.kind == "stages"
    assert engine.student.encode_reach_px <= ENCODE_HALO_PX
    assert isinstance(scorer_of(engine, 0.5), StagedScorer)


def test_an_estimate_counts_what_the_stages_compute(tmp_path, model):
    path, engine = photograph(tmp_path, 205, 331), engine_of(model)
    scorer, info = StagedScorer(engine), inspect(path)
    view = View.of(info, 1.0, scorer, 128)

    scored(path, scorer, 128)
    counts = counts_of(scorer, info, view, range(len(view.grid)), cracked=False)

    expected = ENCODE_COST * engine.encoded_px + CONTEXT_COST * engine.context_px
    assert counts.load.maps_px == pytest.approx(expected + DECODE_COST * engine.decoded_px)


def test_an_estimate_knows_what_the_prescreen_rules_out(screened):
    path, some, every, _ = screened
    scorer, info = StagedScorer(some), inspect(path)
    view = View.of(info, 1.0, scorer, 128)

    sound, cracked = (
        counts_of(scorer, info, view, range(len(view.grid)), cracked=each).load.maps_px
        for each in (False, True)
    )

    scored(path, StagedScorer(every), 128)
    assert cracked - sound == pytest.approx(DECODE_COST * every.decoded_px)


def test_rows_of_features_move_down():
    rows = FeatureRows(2, 1, Window(0, -4, 0, 12))
    rows.advance(0, 8)
    rows.put(Window(0, -4, 8, 12), np.arange(24, dtype=np.float32).reshape(1, 4, 6))

    rows.advance(4, 12)
    rows.put(Window(8, -4, 4, 12), np.full((1, 2, 6), 7, np.float32))

    np.testing.assert_array_equal(rows.get(Window(6, 0, 6, 4))[0, 0], [[20, 21], [7, 7], [7, 7]])


def test_an_interrupted_strip_is_encoded_again(model, tmp_path, monkeypatch):
    path = photograph(tmp_path, 205, 331)
    scorer = StagedScorer(engine_of(model))
    wanted = relevance(scored(path, scorer, 512))
    scorer = StagedScorer(engine_of(model))

    def stopped(images):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scorer.engine, "encode", stopped)
        with pytest.raises(KeyboardInterrupt):
            scored(path, scorer, 512)

    np.testing.assert_array_equal(relevance(scored(path, scorer, 512)), wanted)
