"""Zennit as an engine agrees with our own rules, and all its other composites run."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("zennit")

from zennit.composites import COMPOSITES

from crackcli.engines.torch import TorchEngine
from crackcli.engines.zennit import NAMES, ZennitEngine
from crackcli.errors import ModelError, UsageError
from crackcli.networks import autoencoder, vgg11
from crackcli.networks.checkpoint import Checkpoint

TINY = {"widths": [4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 16, 16, 0], "hidden": 16, "tile_cells": 2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(9)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    chain = vgg11.build(**TINY)
    Checkpoint("vgg11", TINY, ("no_crack", "crack"), chain.tile_px, chain.state_dict()).save(path)
    return path


@pytest.fixture
def images():
    return np.random.default_rng(10).integers(0, 256, (2, 96, 128, 3), dtype=np.uint8)


@pytest.mark.parametrize("start", ["both", "margin"])
@pytest.mark.parametrize("method", NAMES)
def test_it_agrees_with_our_own_rules(checkpoint, images, method, start):
    ours = TorchEngine(checkpoint, method, start, "cpu")
    gate = float(np.median(ours.explain(images, 0.0).probability))

    actual = ZennitEngine(checkpoint, method, start, "cpu").explain(images, gate)

    expected = ours.explain(images, gate)
    np.testing.assert_allclose(actual.probability, expected.probability, atol=1e-6)
    scale = np.abs(expected.maps).max()
    np.testing.assert_allclose(actual.maps / scale, expected.maps / scale, atol=2e-3)


@pytest.mark.parametrize("method", COMPOSITES)
def test_every_composite_gives_a_map(checkpoint, images, method):
    maps = ZennitEngine(checkpoint, method, device="cpu").explain(images, 0.0).maps

    assert maps.shape == (2, 96, 128)
    assert np.isfinite(maps).all()
    assert maps.std() > 0


def test_other_methods_baselines_and_networks_are_refused(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="--method deeplift: unknown; choose one of: beta_smooth"):
        ZennitEngine(checkpoint, "deeplift", device="cpu")
    with pytest.raises(
        UsageError, match="--baseline black: Zennit's composites have none; leave it out"
    ):
        ZennitEngine(checkpoint, device="cpu", baseline="black")
    network = autoencoder.build()
    other = tmp_path / "cae.safetensors"
    Checkpoint("autoencoder", {}, ("no_crack",), network.tile_px, network.state_dict()).save(other)
    with pytest.raises(ModelError, match="which is no classifier"):
        ZennitEngine(other, device="cpu")
