"""Score maps by Zennit, a library of relevance propagation rules: the reference for our own rules.

Any of its composites explains any `Chain`, also one with layers that this package has no rules
for. Its hooks turn gradients into relevance layer by layer. So the backward pass can be cut in
two like our own: the result at the cells is relevance, and it is the upstream gradient of the
second part.

Zennit's composites have rules for linear layers; the head of a chain is made of convolutions.
Each of these gets the rule that its composite has for a linear layer.

Source: Anders et al. 2021.
"""

from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from zennit.composites import COMPOSITES
from zennit.core import Composite, Hook
from zennit.rules import AlphaBeta

from crackcli.arrays import Float32, UInt8
from crackcli.attribution.propagation import Target, crack_probability
from crackcli.engines.device import Device
from crackcli.engines.engine import EngineFacts, ScoreMaps
from crackcli.errors import ModelError, UsageError
from crackcli.files import sha256
from crackcli.networks.chain import Chain, unpadded
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import DEFAULT_START, check_choice
from crackcli.shipped_models import licence_of

STUDY = "lrp"  # composite of Forest et al. 2024: Zennit's, with other rules for two convolutions
NAMES = {  # our methods, and Zennit's name of their composite
    STUDY: "epsilon_gamma_box",
    "lrp-gamma-box": "epsilon_gamma_box",
    "lrp-epsilon-plus": "epsilon_plus",
    "lrp-alpha2-beta1": "epsilon_alpha2_beta1",
}
BOXED = {"epsilon_gamma_box": {"low": 0.0, "high": 1.0}}  # composites that need the input range
MENU = {**NAMES, **dict.fromkeys(COMPOSITES, "")}
GRADIENTS = {"deconvnet", "guided_backprop", "beta_smooth"}  # no relevance: start with the weights


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
            raise UsageError(f"--baseline {baseline}: Zennit's composites have none; leave it out")
        method, start = method or STUDY, start or DEFAULT_START
        check_choice("--method", MENU, method)
        self.device = Device.find(device)
        checkpoint = Checkpoint.read(model)
        network = checkpoint.build()
        if not isinstance(network, Chain):
            raise ModelError(
                f"{model}: is a {checkpoint.network}, which is no classifier; choose one"
            )
        self.chain = network.requires_grad_(False).to(self.device.torch)
        by_value = start == "margin" and method not in GRADIENTS
        self.target = Target(start, by_value=by_value).to(self.device.torch)
        # A copy, since hooks belong to layers, and layers without padding share theirs.
        self.window_layers = unpadded(deepcopy(self.chain.features))
        features, head = self.chain.features, self.chain.head
        composite_for(features, head, method).register(self.chain)
        composite_for(self.window_layers, head, method).register(self.window_layers)
        self.window_cells: dict[str, int] = {}
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
            licence=licence_of(model, checkpoint.licence),
        )

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        features = self.chain.features
        probability, value = self.head(self.cells(features, images), gate)
        return ScoreMaps(self.propagate(features, images, value), probability)

    def features(self, images: UInt8) -> Float32:
        return self.cells(self.window_layers, images)

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        x = torch.from_numpy(cells).to(self.device.torch).requires_grad_(True)
        logits = self.chain.head(x)
        probability = crack_probability(logits.detach())
        gated = (probability >= gate).to(x.dtype)[:, None]
        (value,) = torch.autograd.grad(logits, x, self.target(logits.detach()) * gated)
        side = self.chain.tile_cells
        tiles = F.conv_transpose2d(gated, torch.ones(1, 1, side, side).to(gated))
        return self.device.fetch(probability), self.device.fetch(value / tiles.clamp(min=1))

    def back(self, images: UInt8, value: Float32) -> Float32:
        return self.propagate(self.window_layers, images, value)

    def cells(self, features: Chain, images: UInt8) -> Float32:
        """Compute the cells (B, C, F, G) of images by layers ``features``."""
        with torch.no_grad():
            return self.device.fetch(features(self.device.send_images(images)))

    def propagate(self, features: Chain, images: UInt8, value: Float32) -> Float32:
        """Propagate ``value`` at the cells back through layers ``features``: maps (B, H, W)."""
        x = self.device.send_images(images).requires_grad_(True)
        upstream = torch.from_numpy(value).to(self.device.torch)
        (maps,) = torch.autograd.grad(features(x), x, upstream)
        return self.device.fetch(maps.mean(dim=1))


def composite_for(features: Chain, head: Chain, method: str) -> Composite:
    """Return a composite of Zennit for the two parts of a chain.

    In the head it has the rules of linear layers; for `STUDY` it has alpha-beta in the second and
    third convolution.
    """
    name = NAMES.get(method, method)
    composite = COMPOSITES[name](**BOXED.get(name, {}))
    convolutions = [layer for layer in features if isinstance(layer, nn.Conv2d)]
    own = dict.fromkeys(convolutions[1:3], AlphaBeta(2, 1)) if method == STUDY else {}
    head_layers = set(head)
    linear = nn.Linear(1, 1)

    def rule(context: dict[str, Any], name: str, layer: nn.Module) -> Hook | None:
        if layer in own:
            return own[layer]
        as_linear = layer in head_layers and isinstance(layer, nn.Conv2d)
        return composite.mapping(context, name, linear if as_linear else layer)

    return Composite(module_map=rule, canonizers=composite.canonizers)
