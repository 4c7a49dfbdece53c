"""Score maps by torch, from a checkpoint."""

from pathlib import Path

import torch
from torch import Tensor

from crackcli.attribution import DEFAULT_METHOD, DEFAULT_START
from crackcli.device import Device
from crackcli.engines import EngineFacts, Floats, Images, ScoreMaps
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
            reach_px=chain.reach_px,
            margin=checkpoint.margin,
        )

    def explain(self, images: Images, gate: float) -> ScoreMaps:
        probability, value = self.head(self.features(images), gate)
        return ScoreMaps(self.back(images, value), probability)

    @torch.inference_mode()
    def features(self, images: Images) -> Floats:
        return self.explainer.features(self.scaled(images)).cpu().numpy()

    @torch.inference_mode()
    def head(self, cells: Floats, gate: float) -> tuple[Floats, Floats]:
        probability, value = self.explainer.head(self.here(cells), torch.tensor(gate))
        return probability.cpu().numpy(), value.cpu().numpy()

    @torch.inference_mode()
    def back(self, images: Images, value: Floats) -> Floats:
        return self.explainer.back(self.scaled(images), self.here(value)).cpu().numpy()

    def here(self, values: Floats | Images) -> Tensor:
        return torch.from_numpy(values).to(self.device.torch)

    def scaled(self, images: Images) -> Tensor:
        """Images as the network takes them: float32 in [0, 1], channels first."""
        return self.here(images).permute(0, 3, 1, 2).float() / 255
