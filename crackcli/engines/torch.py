"""Score maps by torch, from a checkpoint."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from crackcli.attribution import (
    CLASSIFIER,
    DEFAULT_METHOD,
    DEFAULT_START,
    DIRECT,
    chosen_baseline,
)
from crackcli.attribution.passes import Passes
from crackcli.attribution.propagation import Propagation
from crackcli.device import Device
from crackcli.engines import EngineFacts, Floats, Images, Place, ScoreMaps, ungated
from crackcli.errors import ModelError, OutOfMemory, UsageError
from crackcli.files import sha256
from crackcli.networks import Checkpoint
from crackcli.registry import METHODS, load

FULL_CPU = "can't allocate memory"  # in what torch says of a processor's memory


class TorchEngine:
    """A checkpoint explained by any method of the menu that its network is for."""

    def __init__(
        self,
        model: Path,
        method: str | None = None,
        start: str | None = None,
        device: str = "auto",
        baseline: str | None = None,
        precision: str = "float32",
    ) -> None:
        method = method or DEFAULT_METHOD
        start = "none" if method in DIRECT else start or DEFAULT_START
        found = Device.find(device, precision)
        checkpoint = Checkpoint.read(model)
        baseline = chosen_baseline(method, baseline)
        self.explainer = explainer_of(checkpoint, model, method, start, baseline)
        if not isinstance(self.explainer, Propagation):  # others divide by small differences
            if precision == "bfloat16":
                raise UsageError(f"method {method} is computed in float32; leave --precision out")
            found = replace(found, bf16=False)
        self.device = found
        self.explainer.to(self.device.torch)
        self.facts = EngineFacts(
            engine="torch",
            device=self.device.name,
            model=model.name,
            model_sha256=sha256(model),
            network=checkpoint.network,
            method=method,
            start=start,
            margin=checkpoint.margin,
            baseline=baseline,
            precision=self.device.precision,
            **shape_of(self.explainer),
        )

    def explain(self, images: Images, gate: float) -> ScoreMaps:
        if self.facts.direct:
            return ungated(self.maps(images))
        return self.whole(images, gate)

    @torch.inference_mode()
    def whole(self, images: Images, gate: float) -> ScoreMaps:
        """The classifier's method in one go."""
        probability, maps = self.explainer(self.device.scaled(images), torch.tensor(gate))
        return ScoreMaps(maps.cpu().numpy(), probability.cpu().numpy())

    @torch.inference_mode()
    def features(self, images: Images) -> Floats:
        with self.within_memory(), self.device.autocast():
            cells = self.explainer.features_inside(self.seen(images))
        return cells.float().cpu().numpy()

    @torch.inference_mode()
    def head(self, cells: Floats, gate: float) -> tuple[Floats, Floats]:
        with self.within_memory():
            probability, value = self.explainer.head(self.here(cells), torch.tensor(gate))
        return probability.cpu().numpy(), value.cpu().numpy()

    @torch.inference_mode()
    def back(self, images: Images, value: Floats) -> Floats:
        with self.within_memory(), self.device.autocast():
            maps = self.explainer.back_inside(self.seen(images), self.here(value))
        return maps.float().cpu().numpy()

    def seen(self, images: Images) -> Tensor:
        """Images there, laid out as convolutions are fastest."""
        return self.device.scaled(images).contiguous(memory_format=torch.channels_last)

    @contextlib.contextmanager
    def within_memory(self) -> Iterator[None]:
        """What torch says of a device that is full becomes an `OutOfMemory`."""
        try:
            yield
        except RuntimeError as error:
            told = str(error).lower()
            if not isinstance(error, torch.OutOfMemoryError) and FULL_CPU not in told:
                raise
            raise OutOfMemory(
                f"{self.facts.device} has not enough free memory for {self.facts.model}; free "
                "some, or use a smaller --core-px"
            ) from error

    @torch.inference_mode()
    def share(self, images: Images, gated: Floats, number: int, place: Place) -> Floats:
        with self.within_memory():
            share = self.explainer.share_of_core(
                self.device.scaled(images),
                self.here(gated)[:, None],
                torch.tensor(number, device=self.device.torch),
                torch.tensor(place, device=self.device.torch),
            )
        return share.cpu().numpy()

    @torch.inference_mode()
    def maps(self, images: Images) -> Floats:
        with self.within_memory():
            return self.explainer(self.device.scaled(images)).cpu().numpy()

    def here(self, values: Floats) -> Tensor:
        return torch.from_numpy(values).to(self.device.torch)


def explainer_of(
    checkpoint: Checkpoint, model: Path, method: str, start: str, baseline: str | None
) -> nn.Module:
    """A method of the menu on a checkpoint's network.

    Raises a `ModelError` where the method is for another network.
    """
    wanted = DIRECT.get(method, CLASSIFIER)
    if wanted is None:
        raise UsageError(f"method {method} needs no model; leave it out")
    if checkpoint.network != wanted:
        raise ModelError(
            f"{model} is a {checkpoint.network}, and method {method} needs a {wanted}; choose "
            "another method or another model"
        )
    references = None if baseline is None else references_of(checkpoint, baseline)
    return load(METHODS, method)(checkpoint.build(), start, references)


def references_of(checkpoint: Checkpoint, baseline: str) -> Tensor | None:
    """The images (N, 3, T, T) uint8 that a baseline stands for; None where there are none."""
    if baseline == "black":
        return torch.zeros(1, 3, checkpoint.tile_px, checkpoint.tile_px, dtype=torch.uint8)
    if checkpoint.references is None:
        return None
    return checkpoint.references[:1] if baseline == "mean" else checkpoint.references[1:]


def shape_of(explainer: nn.Module) -> dict:
    """What a scan must know of a method: its kind, passes, tile, stride and reach."""
    if isinstance(explainer, Passes):
        return sizes(explainer.chain) | {"kind": "passes", "passes": explainer.passes}
    if hasattr(explainer, "chain"):
        return sizes(explainer.chain) | {"kind": "propagation"}
    network = explainer.network
    if hasattr(network, "reach_px"):
        return sizes(network) | {"kind": "window"}
    return {
        "kind": "tiles",
        "tile_px": network.tile_px,
        "stride_px": network.tile_px // 2,
        "reach_px": network.tile_px // 2,
    }


def sizes(network: nn.Module) -> dict[str, int]:
    return {name: getattr(network, name) for name in ("tile_px", "stride_px", "reach_px")}
