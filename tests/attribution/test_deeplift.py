"""DeepLift adds up, pools included, and agrees with Captum without pools, where Captum is exact."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from crackcli.attribution.deeplift import deeplift, deepliftshap, secant
from crackcli.errors import ModelError, UnsupportedLayer
from crackcli.networks import vgg11
from crackcli.networks.chain import Chain

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8}
BRIGHTNESS = torch.tensor((0.1, 0.4, 0.7)).view(3, 1, 1, 1)  # of images that differ in their logits
EVERYTHING = torch.tensor(0.0)  # a gate that every tile reaches


@pytest.fixture
def chain():
    torch.manual_seed(3)
    return vgg11.build(**TINY).double().eval()


def margin(chain, images):
    logits = chain(images)[:, :, 0, 0]
    return logits[:, 1] - logits[:, 0]


def test_a_map_adds_up_to_the_difference_from_the_reference(chain):
    images = torch.rand(3, 3, 256, 256, dtype=torch.float64) * BRIGHTNESS
    reference = torch.rand(1, 3, 256, 256, dtype=torch.float64)

    _, maps = deeplift(chain, "margin", reference).double()(images, EVERYTHING)

    expected = margin(chain, images) - margin(chain, reference)
    assert expected.abs().min() > 1e-3
    torch.testing.assert_close(3 * maps.sum(dim=(1, 2)), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning")
def test_without_pools_it_agrees_with_captum():
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(4)
    chain = Chain(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 8, 16),
        nn.ReLU(),
        nn.Conv2d(8, 2, 1),
    ).double()
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    reference = torch.rand(1, 3, 16, 16, dtype=torch.float64)

    _, actual = deeplift(chain, "crack", reference).double()(images, EVERYTHING)

    flat = nn.Sequential(*chain, nn.Flatten())
    expected = captum.DeepLift(flat).attribute(
        images.requires_grad_(True), reference.expand_as(images), target=1
    )
    torch.testing.assert_close(actual, expected.detach().mean(dim=1))


def test_deepliftshap_is_the_mean_over_the_references(chain):
    images = torch.rand(1, 3, 256, 256, dtype=torch.float64)
    references = torch.rand(3, 3, 256, 256, dtype=torch.float64)

    _, actual = deepliftshap(chain, "margin", references).double()(images, EVERYTHING)

    each = [deeplift(chain, "margin", r[None]).double()(images, EVERYTHING)[1] for r in references]
    torch.testing.assert_close(actual, torch.stack(each).mean(dim=0))


def test_the_slopes_of_a_pool_are_exact_and_at_most_one():
    torch.manual_seed(5)
    pool = nn.MaxPool2d(2)
    x, r = torch.randn(2, 1, 4, 64, 64, dtype=torch.float64)
    x[:, :, ::4] = r[:, :, ::4]  # some are equal to the reference
    x[:, 1] = x[:, 1].round()  # and some are equal to their neighbours

    slopes = secant(pool, torch.ones(1, 4, 32, 32, dtype=torch.float64), x, r)

    assert slopes.min() >= 0
    assert slopes.max() <= 1 + 1e-12
    rises = nn.functional.avg_pool2d(slopes * (x - r), 2) * 4
    torch.testing.assert_close(rises, pool(x) - pool(r))


def test_with_the_image_as_reference_multipliers_are_the_gradient(chain):
    images = torch.rand(1, 3, 256, 256, dtype=torch.float64)
    method = deeplift(chain, "margin", images).double()

    value = method.value_of(
        method.features(torch.cat((images, images))), torch.ones(1, 1, 1, 1).double()
    )
    inputs = chain.features.trace(torch.cat((images, images)))[:-1]
    actual = method.propagate(value, inputs, 0)

    images.requires_grad_(True)
    (expected,) = torch.autograd.grad(margin(chain, images).sum(), images)
    torch.testing.assert_close(actual, expected)


def test_an_unknown_layer_and_missing_references_are_named(chain):
    with pytest.raises(UnsupportedLayer, match="Softplus"):
        secant(nn.Softplus(), *torch.rand(3, 1, 2, 4, 4))
    with pytest.raises(ModelError, match="--baseline black"):
        deeplift(chain)
    with pytest.raises(ModelError, match="not 256 px"):
        deeplift(chain, "margin", torch.rand(1, 3, 64, 64))
