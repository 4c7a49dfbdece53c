"""Integrated gradients and GradientShap: gradients on the way from a reference to the image.

    A = (x - x') * sum_k w_k  d f(x' + a_k (x - x')) / dx            integrated gradients
    A = mean_s (x + n_s - x'_s) * d f(x'_s + a_s (x + n_s - x'_s)) / dx      GradientShap

with x the image (B, 3, H, W), x' a reference of the same shape, f the weighted logits of `Target`,
and a_k, w_k the nodes and weights of Gauss-Legendre quadrature on [0, 1]. In a sample s of
GradientShap: a_s is uniform on [0, 1], x'_s one of the references, n_s Gaussian noise. A is
averaged over the three channels. Integrated gradients add up to f(x) - f(x'); GradientShap does
so in expectation.

Sources: Sundararajan et al. 2017 (integrated gradients); Lundberg and Lee 2017 (GradientShap, in
the form of Captum: 4 samples, and noise of 0.09 in Forest et al. 2024). Here the samples have a
seed.
"""

import numpy as np
import torch
from torch import Tensor, nn

from crackcli.attribution.gradient import Adjoint
from crackcli.attribution.passes import Passes, check_references, reflect
from crackcli.attribution.propagation import Target
from crackcli.networks.chain import Chain

NODES = 50
SAMPLES = 4
NOISE = 0.09  # standard deviation, of values in [0, 1]
SEED = 42


class Path(Passes):
    """Weighted gradients at points between references and the image.

    For each of P passes: ``at`` (P) is the fraction of the way, ``weights`` (P) the weight,
    ``which`` (P) the number of the reference, and ``noise`` (P, 3, T, T) is added to the image;
    None adds nothing.
    """

    at: Tensor
    weights: Tensor
    which: Tensor
    noise: Tensor | None

    def __init__(
        self,
        chain: Chain,
        start: str,
        references: Tensor,
        at: Tensor,
        weights: Tensor,
        which: Tensor,
        noise: Tensor | None = None,
    ) -> None:
        rules = nn.ModuleList(map(Adjoint, chain))
        super().__init__(chain, rules, Target(start), references, len(at))
        self.register_buffer("at", at, persistent=False)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("which", which, persistent=False)
        self.register_buffer("noise", noise, persistent=False)

    def way(self, images: Tensor, number: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reference of a pass and the difference of the image from it: (1 or B, 3, H,
        W) each."""
        number = number.view(1)
        reference = reflect(self.references, self.which[number], place, images)
        if self.noise is not None:
            images = images + reflect(self.noise, number, place, images)
        return reference, images - reference

    def points(self, images: Tensor, number: Tensor, place: Tensor) -> Tensor:
        reference, difference = self.way(images, number, place)
        return reference + self.at[number.view(1)].to(difference.dtype) * difference

    def weigh(self, images: Tensor, value: Tensor, number: Tensor, place: Tensor) -> Tensor:
        _, difference = self.way(images, number, place)
        return self.weights[number.view(1)].to(difference.dtype) * difference * value


def intgrad(
    chain: Chain, start: str = "margin", references: Tensor | None = None, nodes: int = NODES
) -> Path:
    """Return integrated gradients for a classifier, the mean over the references."""
    references = check_references(references, chain.tile_px)
    at, weights = np.polynomial.legendre.leggauss(nodes)
    count = len(references)
    return Path(
        chain,
        start,
        references,
        at=torch.from_numpy((1 + at) / 2).repeat(count),
        weights=torch.from_numpy(weights / 2 / count).repeat(count),
        which=torch.arange(count).repeat_interleave(nodes),
    )


def gradientshap(
    chain: Chain,
    start: str = "margin",
    references: Tensor | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Path:
    """Return GradientShap for a classifier, with ``samples`` points between noisy images and
    references."""
    references = check_references(references, chain.tile_px)
    drawn = torch.Generator().manual_seed(seed)
    side = chain.tile_px
    return Path(
        chain,
        start,
        references,
        at=torch.rand(samples, generator=drawn),
        weights=torch.full((samples,), 1 / samples),
        which=torch.randint(len(references), (samples,), generator=drawn),
        # Half precision, as exported graphs store it: so all engines add the same noise.
        noise=(NOISE * torch.randn(samples, 3, side, side, generator=drawn)).half().float(),
    )
