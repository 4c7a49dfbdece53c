"""LRP agrees with dense algebra and with Zennit, and conserves relevance."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from crackcli.attribution.lrp import (
    AlphaBeta,
    Epsilon,
    Gamma,
    ZBox,
    ZPlus,
    alpha2_beta1,
    epsilon_plus,
    gamma_box,
    lrp,
)
from crackcli.errors import UsageError
from crackcli.networks import vgg11
from crackcli.registry import STARTS

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8}
EVERYTHING = torch.tensor(0.0)  # a gate that every tile reaches


@pytest.fixture
def tiny():
    torch.manual_seed(5)
    return vgg11.build(**TINY).double().eval()


def biased(chain):
    """Set small biases, so that their part in the denominators matters."""
    for name, parameter in chain.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, -0.05, 0.05)
    return chain


def shares(layer, x, kind):
    """Return the contribution of each input i to each output j, (J, I), and that of the bias (J,),
    as a rule weighs them: dense algebra on one image."""
    w = torch.autograd.functional.jacobian(layer, x[None]).reshape(-1, x.numel())
    b = layer(x[None]).flatten() - w @ x.flatten()
    x = x.flatten()
    if kind == "epsilon":
        return w * x, b
    if kind == "gamma":
        return (w + 0.25 * w.clamp(min=0)) * x, b + 0.25 * b.clamp(min=0)
    if kind == "zbox":
        return w * x - w.clamp(max=0), 0 * b  # low 0, high 1
    if kind == "alpha":
        return (w * x).clamp(min=0), b.clamp(min=0)
    return (w * x).clamp(max=0), b.clamp(max=0)


def by_hand(layer, x, relevance, kind):
    """Compute the textbook formula, sum_j R_j z_ij / sum_i z_ij: slow, and easy to verify."""
    if kind == "alpha-beta":
        return 2 * by_hand(layer, x, relevance, "alpha") - by_hand(layer, x, relevance, "beta")
    z, bias = shares(layer, x, kind)
    total = z.sum(dim=1) + bias
    total = total + torch.where(total < 0, -1e-6, 1e-6)
    return (z.T @ (relevance.flatten() / total)).reshape(x.shape)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (Epsilon, "epsilon"),
        (Gamma, "gamma"),
        (AlphaBeta, "alpha-beta"),
        (ZPlus, "alpha"),
        (ZBox, "zbox"),
    ],
)
def test_a_rule_agrees_with_dense_algebra(rule, kind):
    torch.manual_seed(6)
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    x = torch.rand(3, 6, 5, dtype=torch.float64)
    passed = layer(x[None])[0].detach() > 0  # relevance comes from outputs that a ReLU passed on
    relevance = torch.rand(4, 6, 5, dtype=torch.float64) * passed

    actual = rule(layer)(x[None], relevance[None])[0]

    expected = by_hand(layer, x, relevance, kind)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-9)


def test_relevance_is_conserved_without_biases(tiny):
    images = torch.rand(3, 3, 256, 256, dtype=torch.float64)

    _, maps = lrp(tiny, "both").double()(images, EVERYTHING)

    total = 3 * maps.sum(dim=(1, 2))  # a map is the mean of three channels
    torch.testing.assert_close(total, torch.full_like(total, 2.0), rtol=1e-3, atol=1e-4)


def test_the_relevance_of_the_margin_adds_up_to_the_margin(tiny):
    images = torch.rand(2, 3, 256, 256, dtype=torch.float64)

    _, maps = lrp(tiny, "margin").double()(images, EVERYTHING)

    logits = tiny(images)[:, :, 0, 0]
    margin = logits[:, 1] - logits[:, 0]
    torch.testing.assert_close(3 * maps.sum(dim=(1, 2)), margin, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("start", ["both", "crack"])
@pytest.mark.parametrize("method", [lrp, gamma_box, epsilon_plus, alpha2_beta1])
def test_a_composite_agrees_with_zennit(tiny, method, start):
    pytest.importorskip("zennit")
    from zennit.attribution import Gradient

    chain = biased(tiny)
    images = torch.rand(2, 3, 256, 256, dtype=torch.float64)
    weights = torch.tensor(STARTS[start], dtype=torch.float64).view(1, 2, 1, 1)

    _, actual = method(chain, start).double()(images, EVERYTHING)

    composite = zennit_composite(chain, method)
    plain = nn.Sequential(*chain).requires_grad_(True)
    with Gradient(plain, composite, attr_output=lambda out: weights.expand_as(out)) as attributor:
        _, relevance = attributor(images.clone().requires_grad_(True))
    torch.testing.assert_close(actual, relevance.mean(dim=1), rtol=1e-9, atol=1e-12)


def zennit_composite(chain, method):
    """Return Zennit's own rules, layer by layer.

    Our head is convolutions, which its composites would treat like all other convolutions.
    """
    from zennit import rules
    from zennit.core import Composite

    box, alpha_beta, gamma = rules.ZBox(0.0, 1.0), rules.AlphaBeta(2, 1), rules.Gamma(0.25)
    first, deeper = {
        lrp: ({0: box, 3: alpha_beta, 6: alpha_beta}, gamma),
        gamma_box: ({0: box}, gamma),
        epsilon_plus: ({}, rules.ZPlus()),
        alpha2_beta1: ({}, alpha_beta),
    }[method]
    by_module = {}
    for position, layer in enumerate(chain):
        if isinstance(layer, nn.Conv2d) and position >= chain.head_start:
            by_module[id(layer)] = rules.Epsilon(1e-6)
        elif isinstance(layer, nn.Conv2d):
            by_module[id(layer)] = first.get(position, deeper)
        elif isinstance(layer, nn.ReLU):
            by_module[id(layer)] = rules.Pass()
    return Composite(module_map=lambda ctx, name, module: by_module.get(id(module)))


def test_the_map_does_not_depend_on_the_batch(tiny):
    images = torch.rand(3, 3, 256, 288, dtype=torch.float64)
    method = lrp(tiny).double()

    together = method(images, EVERYTHING)[1]

    alone = torch.cat([method(image[None], EVERYTHING)[1] for image in images])
    torch.testing.assert_close(together, alone)


def test_an_unknown_target_is_answered_with_the_menu(tiny):
    with pytest.raises(
        UsageError, match="--start sound: unknown; choose one of: both, crack, margin"
    ):
        lrp(tiny, "sound")
