"""The device that torch computes on: chosen by name, tried, and with its fastest arithmetic."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from crackcli.arrays import Float32, UInt8
from crackcli.engines.engine import DEVICES
from crackcli.errors import DeviceError
from crackcli.registry import PRECISIONS, check_choice


@dataclass(frozen=True)
class Device:
    """A torch device that works, and the arithmetic to use on it."""

    name: str  # cpu or cuda
    bf16: bool  # convolve in bfloat16
    tf32: bool = False  # multiply float32 with the digits of TF32

    @classmethod
    def find(cls, wanted: str, precision: str = "auto") -> "Device":
        """Return the device for ``wanted``: auto, cpu or cuda; auto takes CUDA if a kernel runs.

        ``precision`` is float32, bfloat16, or auto: bfloat16 where it is faster. Raises a
        `DeviceError` if CUDA is wanted and does not work.
        """
        check_choice("--precision", PRECISIONS, precision)
        check_choice("--device", DEVICES, wanted)
        if wanted != "cpu":
            problem = find_cuda_problem()
            if problem is None:
                tf32 = precision != "float32"
                torch.backends.cuda.matmul.allow_tf32 = tf32
                torch.backends.cudnn.allow_tf32 = tf32
                faster = torch.cuda.is_bf16_supported(including_emulation=False)
                return cls("cuda", choose_bf16(precision, faster=faster), tf32)
            if wanted == "cuda":
                raise DeviceError(f"--device cuda: CUDA is not usable here ({problem}); use cpu")
        faster = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        return cls("cpu", choose_bf16(precision, faster=faster))

    @property
    def precision(self) -> str:
        """The arithmetic of the convolutions: bfloat16, tf32 or float32."""
        return "bfloat16" if self.bf16 else "tf32" if self.tf32 else "float32"

    @property
    def torch(self) -> torch.device:
        return torch.device(self.name)

    def send(self, array: NDArray[Any]) -> Tensor:
        """Return an array as a tensor on the device; a GPU copies it from pinned memory."""
        values = torch.from_numpy(array)
        return values.pin_memory().to(self.torch, non_blocking=True) if self.is_gpu else values

    def fetch(self, values: Tensor) -> Float32:
        """Return a tensor of the device as a contiguous array."""
        values = values.float().contiguous()
        if self.is_gpu:
            pinned = torch.empty(values.shape, pin_memory=True)
            pinned.copy_(values, non_blocking=True)
            torch.cuda.current_stream().synchronize()
            values = pinned
        array: Float32 = values.numpy()
        return array

    def send_images(self, images: UInt8) -> Tensor:
        """Return images (B, H, W, 3) on the device as input of a network: (B, 3, H, W) float32 in
        [0, 1]. They are copied as uint8."""
        return self.send(images).permute(0, 3, 1, 2).float() / 255

    @property
    def is_gpu(self) -> bool:
        """Whether the device has memory of its own, so that arrays must be copied."""
        return self.name == "cuda"

    def free_bytes(self) -> int | None:
        """Return the memory of a GPU that is free for this process; None for a CPU."""
        if not self.is_gpu:
            return None
        cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0] + cached

    def release_cache(self) -> None:
        """Release the memory of a GPU that torch caches."""
        if self.is_gpu:
            torch.cuda.empty_cache()

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Compute in mixed precision inside the context, if the device uses bfloat16."""
        with torch.autocast(self.name, torch.bfloat16, enabled=self.bf16):
            yield


def choose_bf16(precision: str, *, faster: bool) -> bool:
    """Return True if ``precision`` is bfloat16, or if it is auto and bfloat16 is ``faster``."""
    return faster if precision == "auto" else precision == "bfloat16"


def find_cuda_problem() -> str | None:
    """Return why CUDA does not work, or None if a kernel runs."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        torch.ones(1, device="cuda").sum().item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None
