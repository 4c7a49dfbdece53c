"""Score maps by torch, from a checkpoint."""

import contextlib
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from crackcli.arrays import Float32, UInt8
from crackcli.attribution.dense import Probability, Residual
from crackcli.attribution.fused_lrp import Fused
from crackcli.attribution.passes import Passes
from crackcli.attribution.propagation import ClassifierMethod, Propagation
from crackcli.engines.device import Device
from crackcli.engines.engine import (
    ENCODE_HALO_PX,
    EngineFacts,
    Place,
    ScoreMaps,
    ungated,
)
from crackcli.errors import ModelError, OutOfMemory, UsageError
from crackcli.files import sha256
from crackcli.networks.checkpoint import Checkpoint
from crackcli.networks.student import Student
from crackcli.registry import (
    DEFAULT_METHOD,
    DEFAULT_START,
    METHODS,
    NETWORK_METHODS,
    find_baseline,
    find_method,
    load,
)
from crackcli.shipped_models import licence_of

log = logging.getLogger(__name__)

AttributionModule = Propagation | Passes | Residual | Probability
Kind = TypeVar("Kind", ClassifierMethod, Propagation, Passes, Probability)

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "alloc_failed")  # of torch and CUDA
BYTES = {"features": 560, "back": 1850}  # of GPU memory per pixel of a window, in float32
FUSED_BYTES = {"features": 250, "back": 650}  # in bfloat16, by `crackcli.attribution.fused_lrp`
USED = 0.5  # fraction of a GPU's free memory for the largest window
# Largest window in cells, halo included. In larger ones the halo saves little more, and the
# activations (1024 px a cell, 64 channels) come near the 2**31 values that GPU kernels can index.
MAX_CELLS = 16384
REASON_LENGTH = 200  # characters of a compiler's message
TRIED = (3, 4)  # cells of the window on which kernels are tried
TOLERANCE = 0.25  # of the norm; kernels and torch may break near ties of a pool differently


class TorchEngine:
    """A checkpoint, and any method of the menu for its network."""

    def __init__(
        self,
        model: Path,
        method: str | None = None,
        start: str | None = None,
        device: str = "auto",
        baseline: str | None = None,
        precision: str = "float32",
    ) -> None:
        found = Device.find(device, precision)
        checkpoint = Checkpoint.read(model)
        method = method or NETWORK_METHODS.get(checkpoint.network, DEFAULT_METHOD)
        start = "none" if find_method(method).direct else start or DEFAULT_START
        baseline = find_baseline(method, baseline)
        self.attribution = build_attribution(checkpoint, model, method, start, baseline)
        if not isinstance(self.attribution, Propagation):  # others divide by small differences
            if precision == "bfloat16":
                raise UsageError(
                    f"--precision bfloat16: method {method} computes in float32; leave it out"
                )
            found = replace(found, bf16=False)
        self.device = found
        self.attribution.to(self.device.torch)
        self.fused = find_fused(self.attribution, found)
        self.window_cells = largest_windows(found, self.attribution, fused=self.fused is not None)
        extent = extent_of(self.attribution, found)
        self.facts = EngineFacts(
            engine="torch",
            device=self.device.name,
            model=model.name,
            model_sha256=sha256(model),
            network=checkpoint.network,
            method=method,
            start=start,
            tile_px=extent.tile_px,
            stride_px=extent.stride_px,
            reach_px=extent.reach_px,
            margin=checkpoint.margin,
            kind=extent.kind,
            passes=self.attribution.passes if isinstance(self.attribution, Passes) else 1,
            baseline=baseline,
            precision=self.device.precision,
            licence=licence_of(model, checkpoint.licence),
            calibration=checkpoint.calibration,
        )

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        if self.facts.direct:
            return ungated(self.maps(images))
        return self.explain_tiles(images, gate)

    @torch.inference_mode()
    def explain_tiles(self, images: UInt8, gate: float) -> ScoreMaps:
        """Compute maps and P(crack) by a method of the classifier."""
        probability, maps = self.attribution(self.device.send_images(images), torch.tensor(gate))
        return ScoreMaps(self.device.fetch(maps), self.device.fetch(probability))

    @torch.inference_mode()
    def features(self, images: UInt8) -> Float32:
        with self.memory_errors():
            if self.fused is not None:
                return self.device.fetch(self.fused.features(self.device.send(images)))
            method = self.expect(ClassifierMethod)
            with self.device.autocast():
                cells = method.window_features(self.send_windows(images))
            return self.device.fetch(cells)

    @torch.inference_mode()
    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        with self.memory_errors():
            probability, value = self.classify(self.device.send(cells), torch.tensor(gate))
            return self.device.fetch(probability), self.device.fetch(value)

    def classify(self, cells: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the head; without a tile above the gate, skip its backward pass: it is 0."""
        if isinstance(self.attribution, Passes):
            return self.attribution.head(cells, gate)
        method = self.expect(Propagation)
        probability, traced = method.classify(cells)
        if not (gated := probability >= gate).any():
            return probability, torch.zeros_like(cells)
        return probability, method.value_of(gated, traced)

    @torch.inference_mode()
    def back(self, images: UInt8, value: Float32) -> Float32:
        with self.memory_errors():
            if self.fused is not None:
                maps = self.fused.back(self.device.send(images), self.device.send(value))
                return self.device.fetch(maps)
            method = self.expect(Propagation)
            with self.device.autocast():
                maps = method.window_back(self.send_windows(images), self.device.send(value))
            return self.device.fetch(maps)

    @torch.inference_mode()
    def pass_map(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        with self.memory_errors():
            maps = self.expect(Passes).window_pass_map(
                self.device.send_images(images),
                self.device.send(gated)[:, None],
                torch.tensor(number, device=self.device.torch),
                torch.tensor(place, device=self.device.torch),
            )
            return self.device.fetch(maps)

    @torch.inference_mode()
    def maps(self, images: UInt8) -> Float32:
        with self.memory_errors():
            return self.device.fetch(self.attribution(self.device.send_images(images)))

    @torch.inference_mode()
    def encode(self, images: UInt8) -> tuple[Float32, Float32, Float32]:
        with self.memory_errors():
            maps = self.student.encode(self.send_windows(images))
            halves, quarters, eighths = (self.device.fetch(x) for x in maps)
            return halves, quarters, eighths

    @torch.inference_mode()
    def context(self, eighths: Float32) -> Float32:
        with self.memory_errors():
            return self.device.fetch(self.student.context(self.device.send(eighths)))

    @torch.inference_mode()
    def decode(
        self, images: UInt8, halves: Float32, quarters: Float32, context: Float32
    ) -> Float32:
        with self.memory_errors():
            given = (self.device.send(x) for x in (halves, quarters, context))
            return self.device.fetch(self.student.decode(self.send_windows(images), *given))

    @property
    def student(self) -> Student:
        """The network of a method that is computed in stages."""
        network = self.expect(Probability).network
        assert isinstance(network, Student)  # as its kind tells
        return network

    def expect(self, kind: type[Kind]) -> Kind:
        """Return the attribution as one of a ``kind``; a `TypeError` if a part of another kind of
        method was called."""
        if not isinstance(self.attribution, kind):
            raise TypeError(f"{self.facts.method} is of kind {self.facts.kind}; see `Engine`")
        return self.attribution

    def send_windows(self, images: UInt8) -> Tensor:
        """Return images on the device, in the memory layout of the fastest convolutions."""
        return self.device.send_images(images).contiguous(memory_format=torch.channels_last)

    @contextlib.contextmanager
    def memory_errors(self) -> Iterator[None]:
        """Turn torch's errors about memory into an `OutOfMemory`, and free what was computed."""
        try:
            yield
        except RuntimeError as error:
            message = str(error).lower()
            full = any(words in message for words in OUT_OF_MEMORY)
            if not isinstance(error, torch.OutOfMemoryError) and not full:
                raise
            traceback.clear_frames(error.__traceback__)  # they hold what was computed so far
            self.device.release_cache()
            raise OutOfMemory(
                f"{self.facts.model}: {self.facts.device} has not enough free memory; free some, "
                "or use a smaller --core-px"
            ) from error


def find_fused(attribution: AttributionModule, device: Device) -> Fused | None:
    """Return the fused form of LRP for a GPU in bfloat16; None elsewhere and for other rules.

    Its kernels are compiled on first use, which takes seconds, and are tried on a window of noise.
    If they do not compile, or differ from the functions of torch, the latter replace them.
    """
    plain = Fused.of(attribution) if device.is_gpu and device.bf16 else None
    if plain is None or not isinstance(attribution, Propagation):
        return None
    for fuse_first in (True, False):
        try:
            from crackcli.attribution.triton_kernels import Kernels

            quick = Fused(plain.stages, Kernels(), fuse_first=fuse_first)
            chain = attribution.chain
            cells, maps = differences(quick, plain, chain.reach_px, chain.stride_px)
            if cells <= TOLERANCE and maps <= TOLERANCE:  # False for NaN
                return quick
            reason = f"cells differ by {cells:.2f}, maps by {maps:.2f}"
        except Exception as error:  # of a compiler, of a driver, or that there is none
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:REASON_LENGTH]
        kernels = "GPU kernels of the first layer" if fuse_first else "GPU kernels"
        log.warning("%s not used, slower (%s)", kernels, reason)
        device.release_cache()
    return plain


@torch.inference_mode()
def differences(one: Fused, other: Fused, reach_px: int, stride_px: int) -> tuple[float, float]:
    """Return how much cells and maps of noise differ, as fractions of their norms."""
    device = one.stages[0].weight.device
    generator = torch.Generator(device).manual_seed(0)
    shape = (1, 2 * reach_px + TRIED[0] * stride_px, 2 * reach_px + TRIED[1] * stride_px, 3)
    images = torch.randint(256, shape, dtype=torch.uint8, device=device, generator=generator)
    cells = other.features(images)
    value = torch.rand(cells.shape, device=device, generator=generator)
    pairs = (one.features(images), cells), (one.back(images, value), other.back(images, value))
    of_cells, of_maps = (float((a - b).float().norm() / b.float().norm()) for a, b in pairs)
    return of_cells, of_maps


def largest_windows(
    device: Device, attribution: AttributionModule, *, fused: bool
) -> dict[str, int]:
    """Return the cells, halo included, of the largest windows that suit a GPU's free memory.

    The keys are features and back; the result is empty for a CPU, where the defaults suit.
    """
    free = device.free_bytes()
    if free is None or not isinstance(attribution, Propagation):
        return {}
    taken = FUSED_BYTES if fused else BYTES
    pixels = attribution.chain.stride_px**2
    return {
        stage: int(min(MAX_CELLS, max(1, USED * free / (of_pixel * pixels))))
        for stage, of_pixel in taken.items()
    }


def build_attribution(
    checkpoint: Checkpoint, model: Path, method: str, start: str, baseline: str | None
) -> AttributionModule:
    """Build a method of the menu for a checkpoint's network.

    Raises a `ModelError` if the method is for another network.
    """
    wanted = find_method(method).network
    if wanted is None:
        raise UsageError(f"--model {model}: method {method} needs no model; leave it out")
    if checkpoint.network != wanted:
        raise ModelError(
            f"{model}: is a {checkpoint.network}, and method {method} needs a {wanted}; choose "
            "another method or another model"
        )
    references = None if baseline is None else find_references(checkpoint, baseline)
    attribution: AttributionModule = load("--method", METHODS, method)(
        checkpoint.build(), start, references
    )
    return attribution


def find_references(checkpoint: Checkpoint, baseline: str) -> Tensor | None:
    """Return the images (N, 3, T, T) uint8 of a baseline; None if the checkpoint has none."""
    if baseline == "black":
        return torch.zeros(1, 3, checkpoint.tile_px, checkpoint.tile_px, dtype=torch.uint8)
    if checkpoint.references is None:
        return None
    return checkpoint.references[:1] if baseline == "mean" else checkpoint.references[1:]


class Extent(NamedTuple):
    """The fields of `EngineFacts` that describe what a pixel or cell of a map depends on."""

    kind: str
    tile_px: int
    stride_px: int
    reach_px: int


def extent_of(attribution: AttributionModule, device: Device) -> Extent:
    """Return the extent of a method on a device."""
    if isinstance(attribution, ClassifierMethod):
        chain, kind = (
            attribution.chain,
            "passes" if isinstance(attribution, Passes) else "propagation",
        )
        return Extent(kind, chain.tile_px, chain.stride_px, chain.reach_px)
    if isinstance(attribution, Probability):
        network = attribution.network
        kind = kind_of(network, device)
        return Extent(kind, network.tile_px, network.stride_px, network.reach_px)
    tile_px = attribution.network.tile_px
    return Extent("tiles", tile_px, tile_px // 2, tile_px // 2)


def kind_of(network: nn.Module, device: Device) -> str:
    """Return how a network that gives P(crack) of pixels is run; see `Engine`.

    A GPU has the memory to compute a student at once, and copying its features would take longer.
    """
    staged = isinstance(network, Student) and network.encode_reach_px <= ENCODE_HALO_PX
    return "stages" if staged and not device.is_gpu else "window"
