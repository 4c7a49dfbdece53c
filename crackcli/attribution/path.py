"""Integrated gradients and GradientShap: gradients met on the way from a reference to the image.

    A = (x - x') * sum_k w_k  d f(x' + a_k (x - x')) / dx            integrated gradients
    A = mean_s (x + n_s - x'_s) * d f(x'_s + a_s (x + n_s - x'_s)) / dx      GradientShap

with x the image, x' a reference, a_k and w_k the nodes and weights of Gauss and Legendre on [0, 1],
and in a sample s: a_s drawn evenly from [0, 1], x'_s one of the references, n_s Gaussian noise.
Integrated gradients share out f(x) - f(x'), GradientShap does on the average.

Sources: Sundararajan et al. 2017 (integrated gradients); Lundberg and Lee 2017 (GradientShap, as
Captum has it: 4 samples, noise of 0.09 in the study); here the draws have a seed.
"""

import numpy as np
import torch
from torch import Tensor, nn

from crackcli.attribution.gradient import Transpose
from crackcli.attribution.passes import Passes, mirrored, needed
from crackcli.attribution.propagation import Start
from crackcli.networks.chain import Chain

NODES = 50
SAMPLES = 4
NOISE = 0.09  # standard deviation, of values in [0, 1]
SEED = 42


class Path(Passes):
    """Gradients at points between references and the image.

    For pass k: ``at`` (P) the share of the way, ``weights`` (P), ``which`` (P) the reference, and
    ``noise`` (P, 3, T, T), added to the image; none where it is empty.
    """

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
        rules = nn.ModuleList(map(Transpose, chain))
        super().__init__(chain, rules, Start(start), references, len(at))
        self.register_buffer("at", at, persistent=False)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("which", which, persistent=False)
        self.register_buffer("noise", noise, persistent=False)

    def ends(self, images: Tensor, number: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Where the way of a pass begins and how far it goes: (1 or B, 3, H, W) each."""
        number = number.view(1)
        begin = mirrored(self.references, self.which[number], place, images)
        if self.noise is not None:
            images = images + mirrored(self.noise, number, place, images)
        return begin, images - begin

    def points(self, images: Tensor, number: Tensor, place: Tensor) -> Tensor:
        begin, way = self.ends(images, number, place)
        return begin + self.at[number.view(1)].to(way.dtype) * way

    def weigh(self, images: Tensor, value: Tensor, number: Tensor, place: Tensor) -> Tensor:
        _, way = self.ends(images, number, place)
        return self.weights[number.view(1)].to(way.dtype) * way * value


def intgrad(
    chain: Chain, start: str = "margin", references: Tensor | None = None, nodes: int = NODES
) -> Path:
    """Integrated gradients, the mean over the references."""
    references = needed(references, chain.tile_px)
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
    """GradientShap: gradients at points drawn between noisy images and references."""
    references = needed(references, chain.tile_px)
    drawn = torch.Generator().manual_seed(seed)
    side = chain.tile_px
    return Path(
        chain,
        start,
        references,
        at=torch.rand(samples, generator=drawn),
        weights=torch.full((samples,), 1 / samples),
        which=torch.randint(len(references), (samples,), generator=drawn),
        # Half precision, in which a graph stores it, so that all engines add the same.
        noise=(NOISE * torch.randn(samples, 3, side, side, generator=drawn)).half().float(),
    )
