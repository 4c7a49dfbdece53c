"""Score maps by torch, from a checkpoint."""

from pathlib import Path

import torch

from crackcli.attribution import DEFAULT_METHOD, DEFAULT_START
from crackcli.attribution.propagation import crack_probability
from crackcli.device import Device
from crackcli.engines import EngineFacts, Images, ScoreMaps
from crackcli.files import sha256
from crackcli.networks import Checkpoint
from crackcli.registry import METHODS, load


class TorchEngine:
    """A checkpoint explained by any method of the menu."""

    def __init__(
        self,
        model: Path,
        method: str | None = None,
        start: str | None = None,
        device: str = "auto",
    ) -> None:
        method, start = method or DEFAULT_METHOD, start or DEFAULT_START
        self.device = Device.find(device)
        checkpoint = Checkpoint.read(model)
        chain = checkpoint.build()
        self.explainer = load(METHODS, method)(chain, start).to(self.device.torch)
        self.facts = EngineFacts(
            engine="torch",
            device=self.device.name,
            model=model.name,
            model_sha256=sha256(model),
            network=checkpoint.network,
            method=method,
            start=start,
            tile_px=chain.tile_px,
            stride_px=chain.stride_px,
        )

    @torch.inference_mode()
    def explain(self, images: Images, gate: float) -> ScoreMaps:
        batch = torch.from_numpy(images).to(self.device.torch).permute(0, 3, 1, 2).float() / 255
        *inputs, logits = self.explainer.chain.trace(batch)
        probability = crack_probability(logits)
        gated = (probability >= gate).to(batch.dtype)
        if gated.any():
            maps = self.explainer.back(inputs, logits, gated)
        else:
            maps = torch.zeros_like(batch[:, 0])
        return ScoreMaps(maps.cpu().numpy(), probability.cpu().numpy())
