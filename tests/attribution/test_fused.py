"""Fused LRP agrees with LRP; kernels agree with functions of torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from crackcli.attribution.fused_lrp import Fused, Torch
from crackcli.attribution.gradient import gradient, inputxgrad
from crackcli.attribution.lrp import (
    STABILISER,
    alpha2_beta1,
    epsilon_plus,
    gamma_box,
    lrp,
)
from crackcli.networks import vgg11

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8}
COMPOSITES = [lrp, gamma_box, epsilon_plus, alpha2_beta1]


def tiny(first=4):
    """Return a network with biases, so that their part in the denominators matters."""
    torch.manual_seed(5)
    chain = vgg11.build(**TINY | {"widths": (first, *TINY["widths"][1:])}).eval()
    for name, parameter in chain.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, -0.05, 0.05)
    return chain


def window():
    return torch.randint(256, (2, 182, 214, 3), dtype=torch.uint8)


def apart(actual, expected):
    return float((actual.float() - expected.float()).norm() / expected.float().norm())


@pytest.mark.parametrize("method", COMPOSITES)
@torch.inference_mode()
def test_fused_lrp_gives_the_cells_and_maps_of_lrp(method):
    attribution, images = method(tiny()), window()
    scaled = images.permute(0, 3, 1, 2).float() / 255
    fused = Fused.of(attribution, torch.float32)

    cells = fused.features(images)

    torch.testing.assert_close(cells, attribution.window_features(scaled))
    value = torch.rand(cells.shape)
    expected = attribution.window_back(scaled, value)
    assert expected.abs().max() > 0
    assert apart(fused.back(images, value), expected) < 1e-5


@pytest.mark.parametrize("method", [gradient, inputxgrad])
def test_methods_with_other_rules_have_no_fused_form(method):
    assert Fused.of(method(tiny())) is None


def test_layers_of_another_kind_have_no_fused_form():
    chain = tiny()
    chain[3].dilation = (2, 2)

    assert Fused.of(lrp(chain)) is None


@pytest.mark.parametrize("both", [False, True])
def test_bfloat16_is_divided_in_float32(both):
    """Rounding the denominator's sum to bfloat16 would lose a small bias beside a large product."""
    torch.manual_seed(1)
    channels, half = 8, torch.bfloat16
    relevance = torch.rand(1, channels, 4, 6).to(half)
    product = 100 * torch.rand(1, channels, 4, 6).to(half)
    bias = 0.1 * torch.rand(channels)
    if both:
        product, bias = torch.cat((product, -product), 1), torch.cat((bias, -bias))

    quotient = Torch().divide_relevance(
        relevance, relevance, None, product, bias, multiply_input=False
    )

    z = product.double() + bias.double().view(1, -1, 1, 1)
    exact = relevance.double() / (z[:, :channels] + STABILISER)
    if both:
        exact = torch.cat((2 * exact, exact), 1)
    torch.testing.assert_close(quotient.double(), exact, rtol=2**-8, atol=0)


KERNELS = """
import torch
from test_fused import COMPOSITES, apart, tiny, window
from crackcli.attribution import triton_kernels as kernels
from crackcli.attribution.fused_lrp import Fused

kernels.FIRST_FORWARD = kernels.FIRST_DIVIDE = (512, 4)
kernels.PIXELS, kernels.FLAT, kernels.SUM_PIXELS = 512, 8192, 4096  # fewer programs, each larger
torch.manual_seed(0)  # of one image in 16, a near tie of a pool would be broken differently
images = window()[:1, :150, :150]
with torch.inference_mode():
    for method, first in ((COMPOSITES[0], 4), (COMPOSITES[0], 16), (COMPOSITES[3], 4)):
        plain = Fused.of(method(tiny(first)), torch.float32)
        quick = Fused(plain.stages, kernels.Kernels())
        assert (quick.first_steps is not None) == (first == 16)  # the first layer needs 16 channels
        cells = plain.features(images)
        value = torch.rand(cells.shape)
        print(apart(quick.features(images), cells))
        print(apart(quick.back(images, value), plain.back(images, value)))
"""


def test_kernels_agree_with_functions_of_torch():
    """Run by Triton's interpreter, which needs no GPU."""
    pytest.importorskip("triton")
    here = Path(__file__).parent
    search = os.pathsep.join([str(here.parents[1]), str(here)])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": search}

    done = subprocess.run(
        [sys.executable, "-c", KERNELS], capture_output=True, text=True, env=environment
    )

    assert done.returncode == 0, done.stderr
    differences = [float(line) for line in done.stdout.split()]
    assert len(differences) == 6
    assert max(differences) < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("first", [4, 16])
@pytest.mark.parametrize("method", COMPOSITES)
@torch.inference_mode()
def test_kernels_on_a_gpu_agree_with_the_cpu(method, first):
    pytest.importorskip("triton")
    from crackcli.attribution.triton_kernels import Kernels

    attribution, images = method(tiny(first)), window()
    expected = Fused.of(attribution, torch.float32)
    cells = expected.features(images)
    value = torch.rand(cells.shape)
    maps = expected.back(images, value)
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        there = Fused(Fused.of(attribution.cuda(), torch.float32).stages, Kernels())
        assert apart(there.features(images.cuda()).cpu(), cells) < 1e-4
        assert apart(there.back(images.cuda(), value.cuda()).cpu(), maps) < 1e-2
    finally:
        torch.backends.cudnn.allow_tf32 = tf32
