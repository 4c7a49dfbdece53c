"""Windows give the same as whole images; in bfloat16 up to a few percent."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from crackcli.attribution.gradient import gradient, inputxgrad
from crackcli.attribution.lrp import alpha2_beta1, epsilon_plus, gamma_box, lrp
from crackcli.engines.torch import TorchEngine
from crackcli.networks import vgg11
from crackcli.networks.chain import unpadded
from crackcli.shipped_models import shipped

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8}
CELLS, PIXELS = np.s_[:, :, 2:-2, 2:-2], np.s_[:, 5:-5, 5:-5]  # 59 of the 64 px


@pytest.fixture
def tiny():
    torch.manual_seed(5)
    return vgg11.build(**TINY).double().eval()


@pytest.mark.parametrize(
    "method", [lrp, gamma_box, epsilon_plus, alpha2_beta1, gradient, inputxgrad]
)
def test_a_window_gets_all_that_its_cells_contribute_wherever_it_is_cut(tiny, method):
    attribution = method(tiny).double()
    images = torch.rand(2, 3, 224, 256, dtype=torch.float64)
    cells = attribution.features(images)
    value = torch.zeros_like(cells)
    value[CELLS] = torch.rand_like(value[CELLS]) * (cells[CELLS] > 0)

    window = images[:, :, 5:-5, 5:-5]

    torch.testing.assert_close(attribution.window_features(window), cells[CELLS])
    whole = attribution.back(images, value)
    torch.testing.assert_close(attribution.window_back(window, value[CELLS]), whole[PIXELS])
    beyond = whole.clone()
    beyond[PIXELS] = 0
    assert not beyond.any()  # nothing goes beyond the window


def test_unpadded_layers_share_their_weights_and_do_not_change_the_originals(tiny):
    features = tiny.features

    inside = unpadded(features)

    assert inside[0].weight is features[0].weight
    assert features[0].padding == (1, 1)
    assert inside[0].padding == (0, 0)


def test_a_cell_of_zero_passes_nothing_on(tiny):
    attribution = lrp(tiny).double()
    window = torch.rand(1, 3, 182, 182, dtype=torch.float64)
    dead = attribution.window_features(window) == 0
    assert dead.any()

    assert not attribution.window_back(window, 1e-9 * dead).any()


@pytest.fixture(scope="module")
def both():
    """Engines of the shipped model in both precisions, and a window with a dark line."""
    image = np.random.default_rng(4).normal(190, 6, (246, 246, 3)).clip(0, 255).astype(np.uint8)
    image[:, 120:125] = 60
    model = shipped(".safetensors")
    engines = [TorchEngine(model, device="cpu", precision=name) for name in ("float32", "bfloat16")]
    return engines, image[None]


def test_bfloat16_gives_the_map_of_float32_up_to_a_few_percent(both):
    (full, half), image = both
    cells = full.features(image)
    value = np.random.default_rng(5).random(cells.shape, np.float32) * (cells > 0)

    expected, actual = full.back(image, value), half.back(image, value)

    assert actual.dtype == np.float32
    assert 0 < np.linalg.norm(half.features(image) - cells) < 0.02 * np.linalg.norm(cells)
    assert 0 < np.linalg.norm(actual - expected) < 0.05 * np.linalg.norm(expected)


def test_the_facts_of_an_engine_contain_its_precision(both):
    assert [engine.facts.precision for engine in both[0]] == ["float32", "bfloat16"]
