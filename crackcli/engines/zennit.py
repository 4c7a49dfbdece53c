"""Score maps by Zennit, the library of rules for relevance propagation: a reference.

Any of its composites explains any `Chain`, also one with layers that this package has no rules
for.  Its hooks turn gradients into relevance layer by layer, so the way back may be cut in two
like our own: what arrives at the cells is relevance, and is handed on as the gradient there.

The head of a chain is convolutions, where Zennit's composites know linear layers; each gets the
rule that its composite has for a linear layer.
"""

from copy import deepcopy
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from zennit.composites import COMPOSITES
from zennit.core import Composite, Hook
from zennit.rules import AlphaBeta

from crackcli.arrays import Float32, UInt8
from crackcli.attribution.propagation import Start, crack_probability
from crackcli.engines.device import Device
from crackcli.engines.engine import EngineFacts, ScoreMaps
from crackcli.errors import ModelError, UsageError
from crackcli.files import sha256
from crackcli.networks.chain import Chain, unpadded
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import DEFAULT_START, check

STUDY = "lrp"  # the study's composite: Zennit's with rules of their own for two convolutions
NAMES = {  # of our methods among Zennit's composites
    STUDY: "epsilon_gamma_box",
    "lrp-gamma-box": "epsilon_gamma_box",
    "lrp-epsilon-plus": "epsilon_plus",
    "lrp-alpha2-beta1": "epsilon_alpha2_beta1",
}
BOXED = {"epsilon_gamma_box": {"low": 0.0, "high": 1.0}}  # composites that must know the range
MENU = {**NAMES, **dict.fromkeys(COMPOSITES, "")}
GRADIENTS = {"deconvnet", "guided_backprop", "beta_smooth"}  # not relevance: begin with weights


class ZennitEngine:
    """A checkpoint explained by a composite of Zennit; ``method`` is its name."""

    def __init__(
        self,
        model: Path,
        method: str | None = None,
        start: str | None = None,
        device: str = "auto",
        baseline: str | None = None,
        precision: str = "float32",
    ) -> None:
        if baseline is not None:
            raise UsageError("Zennit's composites have no baseline; leave --baseline out")
        method, start = method or STUDY, start or DEFAULT_START
        check(MENU, method)
        self.device = Device.find(device)
        checkpoint = Checkpoint.read(model)
        network = checkpoint.build()
        if not isinstance(network, Chain):
            raise ModelError(
                f"{model} is a {checkpoint.network}, which is no classifier; choose one"
            )
        self.chain = network.requires_grad_(False).to(self.device.torch)
        by_value = start == "margin" and method not in GRADIENTS
        self.start = Start(start, by_value=by_value).to(self.device.torch)
        # A copy, since hooks belong to layers, and layers without padding share theirs.
        self.inside = unpadded(deepcopy(self.chain[: self.chain.head_start]))
        features, head = self.chain[: self.chain.head_start], self.chain[self.chain.head_start :]
        composite_for(features, head, method).register(self.chain)
        composite_for(self.inside, head, method).register(self.inside)
        self.facts = EngineFacts(
            engine=f"zennit {version('zennit')}",
            device=self.device.name,
            model=model.name,
            model_sha256=sha256(model),
            network=checkpoint.network,
            method=method,
            start=start,
            tile_px=self.chain.tile_px,
            stride_px=self.chain.stride_px,
            reach_px=self.chain.reach_px,
            margin=checkpoint.margin,
        )

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        features = self.chain[: self.chain.head_start]
        probability, value = self.head(self.cells(features, images), gate)
        return ScoreMaps(self.carried(features, images, value), probability)

    def features(self, images: UInt8) -> Float32:
        return self.cells(self.inside, images)

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        seen = torch.from_numpy(cells).to(self.device.torch).requires_grad_(True)
        logits = self.chain[self.chain.head_start :](seen)
        probability = crack_probability(logits.detach())
        gated = (probability >= gate).to(seen.dtype)[:, None]
        (value,) = torch.autograd.grad(logits, seen, self.start(logits.detach()) * gated)
        side = self.chain.tile_cells
        tiles = F.conv_transpose2d(gated, torch.ones(1, 1, side, side).to(gated))
        return probability.cpu().numpy(), (value / tiles.clamp(min=1)).cpu().numpy()

    def back(self, images: UInt8, value: Float32) -> Float32:
        return self.carried(self.inside, images, value)

    def cells(self, features: nn.Module, images: UInt8) -> Float32:
        """The cells (B, C, F, G) that layers see in images."""
        with torch.no_grad():
            return features(self.device.scaled(images)).cpu().numpy()

    def carried(self, features: nn.Module, images: UInt8, value: Float32) -> Float32:
        """The maps (B, H, W) of images by the layers that saw their cells."""
        seen = self.device.scaled(images).requires_grad_(True)
        passed = torch.from_numpy(value).to(self.device.torch)
        (maps,) = torch.autograd.grad(features(seen), seen, passed)
        return maps.mean(dim=1).cpu().numpy()


def composite_for(features: nn.Module, head: nn.Module, method: str) -> Composite:
    """A composite of Zennit for the two parts of a chain: in its head the rules of linear layers,
    and for the method of the study alpha-beta in the second and third convolution."""
    name = NAMES.get(method, method)
    composite = COMPOSITES[name](**BOXED.get(name, {}))
    convolutions = [layer for layer in features if isinstance(layer, nn.Conv2d)]
    own = dict.fromkeys(convolutions[1:3], AlphaBeta(2, 1)) if method == STUDY else {}
    judging = set(head)
    linear = nn.Linear(1, 1)

    def rule(context: dict, name: str, layer: nn.Module) -> Hook | None:
        if layer in own:
            return own[layer]
        as_linear = layer in judging and isinstance(layer, nn.Conv2d)
        return composite.mapping(context, name, linear if as_linear else layer)

    return Composite(module_map=rule, canonizers=composite.canonizers)
