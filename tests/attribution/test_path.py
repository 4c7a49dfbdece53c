"""Integrated gradients agree with Captum and are complete; GradientShap agrees with autograd."""

import pytest

torch = pytest.importorskip("torch")

from crackcli.attribution.path import SAMPLES, gradientshap, intgrad
from crackcli.networks import vgg11
from crackcli.registry import STARTS

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8}
EVERYTHING = torch.tensor(0.0)  # a gate that every tile reaches


@pytest.fixture
def chain():
    torch.manual_seed(3)
    return vgg11.build(**TINY).double().eval()


@pytest.fixture
def references():
    return torch.rand(2, 3, 256, 256, dtype=torch.float64)


@pytest.fixture
def images():
    return torch.rand(2, 3, 256, 256, dtype=torch.float64)


def explained(chain, start):
    """Return the attribution target: the weighted logits (B,) of images of one tile."""
    weights = torch.tensor(STARTS[start], dtype=torch.float64)
    return lambda images: chain(images)[:, :, 0, 0] @ weights


@pytest.mark.parametrize("start", ["margin", "crack"])
def test_integrated_gradients_agree_with_captum(chain, references, images, start):
    captum = pytest.importorskip("captum.attr")
    black = torch.zeros(1, 3, 256, 256, dtype=torch.float64)

    _, actual = intgrad(chain, start, black).double()(images, EVERYTHING)

    expected = captum.IntegratedGradients(explained(chain, start)).attribute(images, black)
    torch.testing.assert_close(actual, expected.mean(dim=1))


def test_integrated_gradients_add_up_to_the_difference_from_the_references(
    chain, references, images
):
    images = images[:1] * 0.2
    _, maps = intgrad(chain, "margin", references, nodes=60).double()(images, EVERYTHING)

    f = explained(chain, "margin")
    expected = f(images) - f(references).mean()
    torch.testing.assert_close(3 * maps.sum(dim=(1, 2)), expected, rtol=0.05, atol=0)


def test_gradientshap_is_the_mean_of_the_gradients_at_its_samples(chain, references, images):
    method = gradientshap(chain, "margin", references).double()

    _, actual = method(images, EVERYTHING)

    expected = torch.zeros_like(images)
    for sample in range(SAMPLES):
        reference = references[int(method.which[sample])]
        way = images + method.noise[sample] - reference
        point = (reference + method.at[sample] * way).requires_grad_(True)
        (gradient,) = torch.autograd.grad(explained(chain, "margin")(point).sum(), point)
        expected += way * gradient / SAMPLES
    torch.testing.assert_close(actual, expected.mean(dim=1))


def test_the_seed_decides_the_samples_of_gradientshap(chain, references):
    images = torch.rand(1, 3, 256, 256, dtype=torch.float64)

    maps = [gradientshap(chain, "margin", references, seed=s).double()(images, EVERYTHING)[1]
            for s in (1, 1, 2)]  # fmt: skip

    torch.testing.assert_close(maps[0], maps[1])
    assert not torch.allclose(maps[0], maps[2])


def test_the_samples_of_gradientshap_have_the_intended_distribution(chain, references):
    method = gradientshap(chain, "margin", references, samples=64).double()

    assert method.noise.std().item() == pytest.approx(0.09, rel=0.02)
    assert method.at.mean().item() == pytest.approx(0.5, abs=0.12)
    assert set(method.which.tolist()) == {0, 1}
