"""Which device computes: asked for by name, checked, and said aloud."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor

from crackcli.arrays import Float32, UInt8
from crackcli.errors import DeviceError, UsageError
from crackcli.registry import PRECISIONS, check


@dataclass(frozen=True)
class Device:
    """A torch device that was checked to work, and the arithmetic that pays on it."""

    name: str  # cpu or cuda
    bf16: bool  # whether bfloat16 matrix products are faster here than float32, and wanted
    tf32: bool = False  # whether float32 is multiplied with the digits of half precision

    @classmethod
    def find(cls, wanted: str, precision: str = "auto") -> "Device":
        """``wanted`` is auto, cpu or cuda; auto takes CUDA where a kernel really runs.

        ``precision`` is float32, bfloat16, or auto: bfloat16 where it is faster.
        """
        check(PRECISIONS, precision)
        if wanted not in ("auto", "cpu", "cuda"):
            raise UsageError(f"'{wanted}' is not known; choose one of: auto, cpu, cuda")
        if wanted != "cpu":
            reason = cuda_trouble()
            if reason is None:
                tf32 = precision != "float32"
                torch.backends.cuda.matmul.allow_tf32 = tf32
                torch.backends.cudnn.allow_tf32 = tf32
                faster = torch.cuda.is_bf16_supported(including_emulation=False)
                return cls("cuda", asked(precision, faster=faster), tf32)
            if wanted == "cuda":
                raise DeviceError(f"CUDA is not usable here ({reason}); use --device cpu")
        faster = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        return cls("cpu", asked(precision, faster=faster))

    @property
    def precision(self) -> str:
        """What the convolutions are really computed in."""
        return "bfloat16" if self.bf16 else "tf32" if self.tf32 else "float32"

    @property
    def torch(self) -> torch.device:
        return torch.device(self.name)

    def sent(self, array: NDArray) -> Tensor:
        """An array there.  It goes to a GPU from memory that it reads by itself."""
        values = torch.from_numpy(array)
        return values.pin_memory().to(self.torch, non_blocking=True) if self.far else values

    def fetched(self, values: Tensor) -> Float32:
        """What was computed there, here, in float32 and in the order of its axes."""
        values = values.float().contiguous()
        if not self.far:
            return values.numpy()
        here = torch.empty(values.shape, pin_memory=True)
        here.copy_(values, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return here.numpy()

    def scaled(self, images: UInt8) -> Tensor:
        """Images (B, H, W, 3) there, as a network takes them: (B, 3, H, W) float32 in [0, 1].
        What travels is uint8."""
        return self.sent(images).permute(0, 3, 1, 2).float() / 255

    @property
    def far(self) -> bool:
        """Whether arrays must be copied there and back."""
        return self.name == "cuda"

    def free_bytes(self) -> int | None:
        """What is free of a GPU's memory, to this process; None of a processor's."""
        if not self.far:
            return None
        kept = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0] + kept

    def tidy(self) -> None:
        """Give back what torch keeps of a GPU's memory for later."""
        if self.far:
            torch.cuda.empty_cache()

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision where it pays."""
        with torch.autocast(self.name, torch.bfloat16, enabled=self.bf16):
            yield


def asked(precision: str, *, faster: bool) -> bool:
    """Whether bfloat16 is used where it is ``faster`` or not."""
    return faster if precision == "auto" else precision == "bfloat16"


def cuda_trouble() -> str | None:
    """Why CUDA cannot be used, or None if a kernel runs."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        torch.ones(1, device="cuda").sum().item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None
