"""Score maps by torch, from a checkpoint."""

import contextlib
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from crackcli.arrays import Float32, UInt8
from crackcli.attribution.fused_lrp import Fused
from crackcli.attribution.passes import Passes
from crackcli.attribution.propagation import Propagation
from crackcli.engines.device import Device
from crackcli.engines.engine import EngineFacts, Place, ScoreMaps, ungated
from crackcli.errors import ModelError, OutOfMemory, UsageError
from crackcli.files import sha256
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import (
    DEFAULT_METHOD,
    DEFAULT_START,
    METHODS,
    find_baseline,
    find_method,
    load,
)

log = logging.getLogger(__name__)

FULL = ("can't allocate memory", "out of memory", "alloc_failed")  # in what torch and CUDA say
BYTES = {  # of a GPU, of a pixel of a window in float32: of cells, of maps
    "features": 560,
    "back": 1850,
}
FUSED_BYTES = {"features": 250, "back": 650}  # in bfloat16, by `crackcli.attribution.fused_lrp`
USED = 0.5  # share of a GPU's free memory that the largest window takes
MOST_CELLS = 16384  # of it: beyond, halos cost nothing and arrays have too many numbers for kernels
REASON_LENGTH = 200  # letters of what a compiler says
TRIED = (3, 4)  # cells of a window on which kernels are tried
ALIKE = 0.25  # of the norm: kernels and functions of torch, whose near ties of a pool may differ


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
        start = "none" if find_method(method).direct else start or DEFAULT_START
        found = Device.find(device, precision)
        checkpoint = Checkpoint.read(model)
        baseline = find_baseline(method, baseline)
        self.explainer = explainer_of(checkpoint, model, method, start, baseline)
        if not isinstance(self.explainer, Propagation):  # others divide by small differences
            if precision == "bfloat16":
                raise UsageError(f"method {method} is computed in float32; leave --precision out")
            found = replace(found, bf16=False)
        self.device = found
        self.explainer.to(self.device.torch)
        self.fused = fused_for(self.explainer, found)
        self.window_cells = most_cells(self.device, self.explainer, fused=self.fused is not None)
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

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        if self.facts.direct:
            return ungated(self.maps(images))
        return self.whole(images, gate)

    @torch.inference_mode()
    def whole(self, images: UInt8, gate: float) -> ScoreMaps:
        """The classifier's method in one go."""
        probability, maps = self.explainer(self.device.scaled(images), torch.tensor(gate))
        return ScoreMaps(self.device.fetched(maps), self.device.fetched(probability))

    @torch.inference_mode()
    def features(self, images: UInt8) -> Float32:
        with self.within_memory():
            if self.fused is not None:
                return self.device.fetched(self.fused.features(self.device.sent(images)))
            with self.device.autocast():
                cells = self.explainer.features_inside(self.seen(images))
            return self.device.fetched(cells)

    @torch.inference_mode()
    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        with self.within_memory():
            probability, value = self.judged(self.here(cells), torch.tensor(gate))
            return self.device.fetched(probability), self.device.fetched(value)

    def judged(self, cells: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """The head; where no tile is explained, cells pass on nothing, and nothing is computed."""
        if not isinstance(self.explainer, Propagation):
            return self.explainer.head(cells, gate)
        probability, traced = self.explainer.judged(cells)
        if not (gated := probability >= gate).any():
            return probability, torch.zeros_like(cells)
        return probability, self.explainer.passed(gated, traced)

    @torch.inference_mode()
    def back(self, images: UInt8, value: Float32) -> Float32:
        with self.within_memory():
            if self.fused is not None:
                maps = self.fused.back(self.device.sent(images), self.here(value))
                return self.device.fetched(maps)
            with self.device.autocast():
                maps = self.explainer.back_inside(self.seen(images), self.here(value))
            return self.device.fetched(maps)

    def seen(self, images: UInt8) -> Tensor:
        """Images there, laid out as convolutions are fastest."""
        return self.device.scaled(images).contiguous(memory_format=torch.channels_last)

    @contextlib.contextmanager
    def within_memory(self) -> Iterator[None]:
        """What torch says of a device that is full becomes an `OutOfMemory`."""
        try:
            yield
        except RuntimeError as error:
            told = str(error).lower()
            full = any(words in told for words in FULL)
            if not isinstance(error, torch.OutOfMemoryError) and not full:
                raise
            traceback.clear_frames(error.__traceback__)  # they hold what was computed so far
            self.device.tidy()
            raise OutOfMemory(
                f"{self.facts.device} has not enough free memory for {self.facts.model}; free "
                "some, or use a smaller --core-px"
            ) from error

    @torch.inference_mode()
    def share(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        with self.within_memory():
            share = self.explainer.share_of_core(
                self.device.scaled(images),
                self.here(gated)[:, None],
                torch.tensor(number, device=self.device.torch),
                torch.tensor(place, device=self.device.torch),
            )
            return self.device.fetched(share)

    @torch.inference_mode()
    def maps(self, images: UInt8) -> Float32:
        with self.within_memory():
            return self.device.fetched(self.explainer(self.device.scaled(images)))

    def here(self, values: Float32) -> Tensor:
        return self.device.sent(values)


def fused_for(explainer: nn.Module, device: Device) -> Fused | None:
    """What carries windows through in few passes over memory, on a GPU in bfloat16; None where
    that is not so, or where a method has other rules.

    Kernels are compiled on first use, which takes seconds, and are tried on a window of noise.
    Where they cannot be compiled, or give something else than functions of torch do, those are
    used.
    """
    plain = Fused.of(explainer) if device.far and device.bf16 else None
    if plain is None:
        return None
    for enters in (True, False):
        try:
            from crackcli.attribution.triton_kernels import Kernels

            quick = Fused(plain.stages, Kernels(), enters=enters)
            cells, maps = apart(quick, plain, explainer.chain.reach_px, explainer.chain.stride_px)
            if cells <= ALIKE and maps <= ALIKE:  # neither is where one of them is not a number
                return quick
            reason = f"cells differ by {cells:.2f}, maps by {maps:.2f}"
        except Exception as error:  # of a compiler, of a driver, or that there is none
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:REASON_LENGTH]
        kernels = "kernels of the first layer" if enters else "kernels of its own"
        log.warning("without %s, which is slower (%s)", kernels, reason)
        device.tidy()
    return plain


@torch.inference_mode()
def apart(one: Fused, other: Fused, reach_px: int, stride_px: int) -> tuple[float, float]:
    """How far cells and maps of noise differ, as a share of their norm."""
    device = one.stages[0].weight.device
    generator = torch.Generator(device).manual_seed(0)
    shape = (1, 2 * reach_px + TRIED[0] * stride_px, 2 * reach_px + TRIED[1] * stride_px, 3)
    images = torch.randint(*(0, 256, shape), dtype=torch.uint8, device=device, generator=generator)
    cells = other.features(images)
    value = torch.rand(cells.shape, device=device, generator=generator)
    pairs = (one.features(images), cells), (one.back(images, value), other.back(images, value))
    of_cells, of_maps = (float((a - b).float().norm() / b.float().norm()) for a, b in pairs)
    return of_cells, of_maps


def most_cells(device: Device, explainer: nn.Module, *, fused: bool) -> dict[str, int]:
    """Cells of the largest windows that suit a GPU's free memory, with their halos, by what is
    computed of them; empty where the usual ones do."""
    free = device.free_bytes()
    if free is None or not isinstance(explainer, Propagation):
        return {}
    taken = FUSED_BYTES if fused else BYTES
    pixels = explainer.chain.stride_px**2
    return {
        stage: int(min(MOST_CELLS, max(1, USED * free / (of_pixel * pixels))))
        for stage, of_pixel in taken.items()
    }


def explainer_of(
    checkpoint: Checkpoint, model: Path, method: str, start: str, baseline: str | None
) -> nn.Module:
    """A method of the menu on a checkpoint's network.

    Raises a `ModelError` where the method is for another network.
    """
    wanted = find_method(method).network
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
