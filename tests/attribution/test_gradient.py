"""Gradient and input x gradient agree with autograd on one tile."""

import pytest

torch = pytest.importorskip("torch")

from crackcli.attribution.gradient import gradient, inputxgrad
from crackcli.networks import vgg11

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8}
WEIGHTS = {"margin": (-1.0, 1.0), "crack": (0.0, 1.0)}


@pytest.mark.parametrize("start", list(WEIGHTS))
def test_both_methods_agree_with_autograd(start):
    torch.manual_seed(7)
    chain = vgg11.build(**TINY).double().eval()
    images = torch.rand(2, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    weights = torch.tensor(WEIGHTS[start], dtype=torch.float64).view(1, 2, 1, 1)
    (expected,) = torch.autograd.grad((weights * chain(images)).sum(), images)

    everything = torch.tensor(0.0)
    plain = gradient(chain, start).double()(images.detach(), everything)[1]
    times = inputxgrad(chain, start).double()(images.detach(), everything)[1]

    torch.testing.assert_close(plain, expected.mean(dim=1))
    torch.testing.assert_close(times, (images * expected).detach().mean(dim=1))
