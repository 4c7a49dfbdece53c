"""Implementations of both passes through a network on a GPU, which `gpu` compares."""

from collections.abc import Callable
from typing import Any

import torch
from speed_peers import Flops
from torch import Tensor

from crackcli.attribution.fused_lrp import Fused, Stage, Torch
from crackcli.attribution.propagation import Propagation
from crackcli.engines.torch import TorchEngine
from crackcli.shipped_models import shipped

Way = tuple[Callable[[], Any], str]  # makes an object with features and back; its precision


class Plain:
    """A method by functions of torch, as on a processor: autocast, tf32 or float32."""

    def __init__(self, method: Propagation, device: str, precision: str, *, last: bool) -> None:
        self.method, self.device, self.precision = method, device, precision
        self.layout = torch.channels_last if last else torch.contiguous_format

    def prepared(self, images: Tensor) -> Tensor:
        tf32 = self.precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        scaled = images.permute(0, 3, 1, 2).float() / 255
        return scaled.contiguous(memory_format=self.layout)

    def autocast(self) -> torch.autocast:
        half = self.precision == "bfloat16"
        return torch.autocast(self.device, torch.bfloat16, enabled=half)

    def features(self, images: Tensor) -> Tensor:
        with self.autocast():
            return self.method.window_features(self.prepared(images))

    def back(self, images: Tensor, value: Tensor) -> Tensor:
        with self.autocast():
            return self.method.window_back(self.prepared(images), value)


class Tried:
    """The same, with algorithms that cuDNN has tried for each shape instead of guessed."""

    def __init__(self, inner: Fused) -> None:
        self.inner = inner

    def features(self, images: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(benchmark=True):
            return self.inner.features(images)

    def back(self, images: Tensor, value: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(benchmark=True):
            return self.inner.back(images, value)


class ReluInside(Fused):
    """Bias and ReLU by cuDNN, in its convolution, but in the first layer."""

    def forward_stage(self, stage: Stage, x: Tensor, *, kept: bool) -> tuple[Tensor | None, Tensor]:
        if stage is self.stages[0]:
            return super().forward_stage(stage, x, kept=kept)
        bias = stage.bias.to(x.dtype)
        active = torch.cudnn_convolution_relu(x, stage.weight, bias, (1, 1), (0, 0), (1, 1), 1)
        if not stage.pooled:
            return active, active
        nothing = torch.zeros_like(stage.bias)
        return active, self.steps.activate(active, nothing, pooled=True, kept=False)[1]


class Compiled:
    """Functions of torch, put together by its compiler; for one shape."""

    def __init__(self, inner: Fused) -> None:
        self.features = torch.compile(inner.features, dynamic=False)
        self.back = torch.compile(inner.back, dynamic=False)


TUNED = {  # constants of the kernels' programs, and what else they might be
    "FIRST_FORWARD": ((32, 4), (128, 8)),
    "FIRST_DIVIDE": ((32, 4), (32, 8), (64, 8)),
    "PIXELS": (8, 32),
}


def ways(device: str) -> dict[str, Way]:
    """All of them, by name; the first is the engine's own on a GPU."""
    method = TorchEngine(shipped(".safetensors"), device=device).attribution
    plain = Fused.of(method)

    def quick(*, fuse_first: bool = True) -> Fused:
        from crackcli.attribution.triton_kernels import Kernels

        return Fused(plain.stages, Kernels(), fuse_first=fuse_first)

    def by_torch(precision: str, *, last: bool = True) -> Way:
        return (lambda: Plain(method, device, precision, last=last)), precision

    return {
        "kernels": (quick, "bfloat16"),
        "kernels, first layer by cuDNN": (lambda: quick(fuse_first=False), "bfloat16"),
        "step by step": (lambda: Fused(plain.stages, Torch()), "bfloat16"),
        "autocast": by_torch("bfloat16"),
        "kernels, ReLU in cuDNN": (lambda: ReluInside(plain.stages, quick().steps), "bfloat16"),
        "tf32": by_torch("tf32"),
        "kernels, cuDNN tries algorithms": (lambda: Tried(quick()), "bfloat16"),
        "autocast, channels first": by_torch("bfloat16", last=False),
        "float32": by_torch("float32"),
    }


class Needed:
    """FLOPs of the convolutions that a pass needs; in bfloat16 alpha-beta has one more."""

    def __init__(self) -> None:
        self.flops: dict[torch.dtype, Flops] = {}

    def of(self, stage: str, shape: tuple[int, ...], precision: str) -> int:
        """Of a window (1, H, W, 3)."""
        kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        if kind not in self.flops:
            method = TorchEngine(shipped(".safetensors"), device="cpu").attribution
            self.flops[kind] = Flops(method.to(kind))
        torch.set_default_dtype(kind)
        try:
            return self.flops[kind].one(stage, tuple(shape))
        finally:
            torch.set_default_dtype(torch.float32)


def compiled(device: str) -> Compiled:
    """What torch's compiler makes of it."""
    method = TorchEngine(shipped(".safetensors"), device=device).attribution
    return Compiled(Fused(Fused.of(method).stages, Torch()))
