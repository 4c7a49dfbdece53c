"""Adjoints agree with autograd; a layer without one is named in the error."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from crackcli.attribution.adjoint import adjoint
from crackcli.errors import UnsupportedLayer


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 5, 3, padding=1), (2, 3, 7, 9)),
        (nn.Conv2d(3, 5, 3), (2, 3, 7, 9)),
        (nn.Conv2d(4, 2, 8), (1, 4, 9, 11)),
        (nn.Conv2d(4, 3, 1), (2, 4, 5, 6)),
        (nn.ReLU(), (2, 3, 4, 5)),
        (nn.MaxPool2d(2), (2, 3, 6, 8)),
        (nn.Dropout(0.5).eval(), (2, 3, 4)),
    ],
    ids=["conv-padded", "conv", "conv-head", "conv-1x1", "relu", "max-pool", "dropout"],
)
def test_an_adjoint_agrees_with_autograd(layer, shape):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(3), requires_grad=True)
    layer = layer.double()
    y = layer(x)
    upstream = torch.randn(y.shape, dtype=torch.float64, generator=torch.manual_seed(4))

    actual = adjoint(layer, upstream, x)

    (expected,) = torch.autograd.grad(y, x, upstream)
    torch.testing.assert_close(actual, expected)


def test_ties_of_a_pool_share_equally():
    x = torch.tensor([[[[5.0, 5.0], [1.0, 5.0]]]])

    back = adjoint(nn.MaxPool2d(2), torch.tensor([[[[3.0]]]]), x)

    assert back.tolist() == [[[[1.0, 1.0], [0.0, 1.0]]]]


@pytest.mark.parametrize(
    "layer", [nn.GELU(), nn.Conv2d(2, 2, 3, stride=2), nn.MaxPool2d(3, 2)], ids=str
)
def test_a_layer_without_an_adjoint_is_named(layer):
    with pytest.raises(UnsupportedLayer, match=type(layer).__name__):
        adjoint(layer, torch.ones(1, 2, 3, 3), torch.ones(1, 2, 8, 8))
