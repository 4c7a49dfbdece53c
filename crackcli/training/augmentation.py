"""Random changes of tiles that leave their label true."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from crackcli.arrays import UInt8


def to_tensor(image: UInt8) -> Tensor:
    """(rows, cols, 3) to (3, rows, cols), still uint8."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def as_rows(image: Tensor) -> UInt8:
    """(3, rows, cols) to (rows, cols, 3)."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def augmentation(tile_px: int) -> nn.Module:
    """Random changes that leave a thin crack visible and the label true."""
    return v2.Compose([places(tile_px), looks()])


def places(tile_px: int) -> nn.Module:
    """Random changes of where things are: flips, quarter turns, and scale.

    Scale stays within 0.75 and 1.25 (a shrunk tile gets a reflected rim).
    """
    scale = v2.RandomChoice(
        [
            nn.Identity(),
            v2.RandomResizedCrop(tile_px, scale=(0.64, 1.0), ratio=(0.9, 1.1), antialias=True),
            ShrinkInside(0.75),
        ],
        p=[0.5, 0.25, 0.25],
    )
    return v2.Compose([v2.RandomHorizontalFlip(), QuarterTurn(), scale])


def looks() -> nn.Module:
    """Random changes of light, colour and sharpness; blur stays below a pixel."""
    return v2.Compose(
        [
            Light(brightness=0.25, contrast=0.35, tint=0.12),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([RandomBlur(0.3, 1.0)], 0.2),
            v2.RandomApply([Jpeg(50, 95)], 0.2),
        ]
    )


class QuarterTurn(nn.Module):
    """A random number of 90-degree turns."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.rot90(image, int(torch.randint(4, ())), (-2, -1))


class Light(nn.Module):
    """Brightness, contrast about the mean, and the tint of light and white balance, each changed
    by a random share up to what is given: one table of 256 values for each channel."""

    def __init__(self, *, brightness: float, contrast: float, tint: float) -> None:
        super().__init__()
        self.spreads = torch.tensor([brightness, contrast, tint, tint, tint])

    def forward(self, image: Tensor) -> Tensor:
        brightness, contrast, *tint = (1 + self.spreads * (2 * torch.rand(5) - 1)).numpy()
        mean = brightness * float(image.float().mean())
        levels = brightness * np.arange(256) - mean
        levels = (mean + contrast * levels).clip(0, 255)
        tables = (np.outer(levels, tint)).clip(0, 255).astype(np.uint8)[None]
        return to_tensor(cv2.LUT(as_rows(image), tables))


class RandomBlur(nn.Module):
    """The picture after a Gaussian of a random sigma in pixels."""

    def __init__(self, least: float, most: float) -> None:
        super().__init__()
        self.least, self.most = least, most

    def forward(self, image: Tensor) -> Tensor:
        sigma = self.least + (self.most - self.least) * float(torch.rand(()))
        return to_tensor(cv2.GaussianBlur(as_rows(image), (5, 5), sigma))


class Jpeg(nn.Module):
    """The picture after JPEG compression of a random quality."""

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__()
        self.lowest, self.highest = lowest, highest

    def forward(self, image: Tensor) -> Tensor:
        quality = int(torch.randint(self.lowest, self.highest + 1, ()))
        _, file = cv2.imencode(".jpg", as_rows(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return to_tensor(cv2.imdecode(file, cv2.IMREAD_COLOR))  # both sides take RGB for BGR


class ShrinkInside(nn.Module):
    """The picture shrunk to between ``least`` and 1 of its size, its rim filled by reflection."""

    def __init__(self, least: float) -> None:
        super().__init__()
        self.least = least

    def forward(self, image: Tensor) -> Tensor:
        size = image.shape[-1]
        small = math.ceil(size * (self.least + (1 - self.least) * float(torch.rand(()))))
        rim = size - small
        left, top = (int(torch.randint(rim + 1, ())) for _ in range(2))
        shrunk = v2.functional.resize(image, [small, small], antialias=True)
        padding = [left, top, rim - left, rim - top]
        return v2.functional.pad(shrunk, padding, padding_mode="reflect")
