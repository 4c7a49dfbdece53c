"""Windows give of their cells what the whole has there, in bfloat16 but for a few percent."""

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
SEEN, PASSED = np.s_[:, :, 2:-2, 2:-2], np.s_[:, 5:-5, 5:-5]  # 64 px, of which 59 count


@pytest.fixture
def tiny():
    torch.manual_seed(5)
    return vgg11.build(**TINY).double().eval()


@pytest.mark.parametrize(
    "method", [lrp, gamma_box, epsilon_plus, alpha2_beta1, gradient, inputxgrad]
)
def test_a_window_gets_what_its_cells_bring_wherever_it_was_cut(tiny, method):
    explainer = method(tiny).double()
    images = torch.rand(2, 3, 224, 256, dtype=torch.float64)
    cells = explainer.features(images)
    value = torch.zeros_like(cells)
    value[SEEN] = torch.rand_like(value[SEEN]) * (cells[SEEN] > 0)

    window = images[:, :, 5:-5, 5:-5]

    torch.testing.assert_close(explainer.features_inside(window), cells[SEEN])
    whole = explainer.back(images, value)
    torch.testing.assert_close(explainer.back_inside(window, value[SEEN]), whole[PASSED])
    beyond = whole.clone()
    beyond[PASSED] = 0
    assert not beyond.any()  # nothing is passed on further than the window


def test_unpadded_layers_share_their_weights_and_leave_the_others_as_they_were(tiny):
    features = tiny[: tiny.head_start]

    inside = unpadded(features)

    assert inside[0].weight is features[0].weight
    assert features[0].padding == (1, 1)
    assert inside[0].padding == (0, 0)


def test_what_a_cell_of_zero_would_pass_on_is_left_out(tiny):
    explainer = lrp(tiny).double()
    window = torch.rand(1, 3, 182, 182, dtype=torch.float64)
    dead = explainer.features_inside(window) == 0
    assert dead.any()

    assert not explainer.back_inside(window, 1e-9 * dead).any()


@pytest.fixture(scope="module")
def both():
    """The shipped model by either precision, and a window on a wall with a dark line."""
    image = np.random.default_rng(4).normal(190, 6, (246, 246, 3)).clip(0, 255).astype(np.uint8)
    image[:, 120:125] = 60
    model = shipped(".safetensors")
    engines = [TorchEngine(model, device="cpu", precision=name) for name in ("float32", "bfloat16")]
    return engines, image[None]


def test_bfloat16_gives_the_map_of_float32_but_for_a_few_percent(both):
    (full, half), image = both
    cells = full.features(image)
    value = np.random.default_rng(5).random(cells.shape, np.float32) * (cells > 0)

    expected, actual = full.back(image, value), half.back(image, value)

    assert actual.dtype == np.float32
    assert 0 < np.linalg.norm(half.features(image) - cells) < 0.02 * np.linalg.norm(cells)
    assert 0 < np.linalg.norm(actual - expected) < 0.05 * np.linalg.norm(expected)


def test_an_engine_tells_its_precision(both):
    assert [engine.facts.precision for engine in both[0]] == ["float32", "bfloat16"]
