"""Random changes of training tiles that leave their label true."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from crackcli.arrays import UInt8


def to_tensor(image: UInt8) -> Tensor:
    """Return an image (rows, cols, C) as a tensor (C, rows, cols), still uint8."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def to_image(tensor: Tensor) -> UInt8:
    """Return a uint8 tensor (C, rows, cols) as an image (rows, cols, C)."""
    return np.ascontiguousarray(tensor.permute(1, 2, 0).numpy())


def augmentation(tile_px: int) -> nn.Module:
    """Return the geometric and photometric changes of a tile; thin cracks stay visible."""
    changes: nn.Module = v2.Compose([geometric(tile_px), photometric()])
    return changes


def geometric(tile_px: int) -> nn.Module:
    """Return random flips, quarter turns, and scaling between 0.75 and 1.25.

    A tile that is scaled down gets a rim of reflected pixels.
    """
    scale = v2.RandomChoice(
        [
            nn.Identity(),
            v2.RandomResizedCrop(tile_px, scale=(0.64, 1.0), ratio=(0.9, 1.1), antialias=True),
            ShrinkInside(0.75),
        ],
        p=[0.5, 0.25, 0.25],
    )
    changes: nn.Module = v2.Compose([v2.RandomHorizontalFlip(), QuarterTurn(), scale])
    return changes


def photometric() -> nn.Module:
    """Return random changes of light, colour and sharpness; blur stays below a pixel."""
    changes: nn.Module = v2.Compose(
        [
            ColourJitter(brightness=0.25, contrast=0.35, tint=0.12),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([RandomBlur(0.3, 1.0)], 0.2),
            v2.RandomApply([Jpeg(50, 95)], 0.2),
        ]
    )
    return changes


def strong_photometric() -> nn.Module:
    """Return random changes of light, colour, sharpness and grain, stronger than `photometric`.

    For a network with ImageNet weights, which has to hold on cameras and light that it never saw.
    """
    changes: nn.Module = v2.Compose(
        [
            v2.RandomApply([ColourJitter(brightness=0.3, contrast=0.4, tint=0.12)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([RandomBlur(0.3, 1.2)], 0.3),
            v2.RandomApply([Noise(9)], 0.4),
            v2.RandomApply([Jpeg(45, 95)], 0.4),
        ]
    )
    return changes


def turned() -> nn.Module:
    """Return random flips and quarter turns."""
    changes: nn.Module = v2.Compose([v2.RandomHorizontalFlip(), QuarterTurn()])
    return changes


class QuarterTurn(nn.Module):
    """Rotates an image by a random multiple of 90 degrees."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.rot90(image, int(torch.randint(4, ())), (-2, -1))


class ColourJitter(nn.Module):
    """Changes brightness, contrast about the mean, and tint by one lookup table per channel.

    Each factor is drawn from 1 - x to 1 + x, where x is the argument. The tint has one factor for
    each channel and models the colour of the light and the white balance.
    """

    def __init__(self, *, brightness: float, contrast: float, tint: float) -> None:
        super().__init__()
        self.spreads = torch.tensor([brightness, contrast, tint, tint, tint])

    def forward(self, image: Tensor) -> Tensor:
        brightness, contrast, *tint = (1 + self.spreads * (2 * torch.rand(5) - 1)).numpy()
        mean = brightness * float(image.float().mean())
        levels = brightness * np.arange(256) - mean
        levels = (mean + contrast * levels).clip(0, 255)
        tables = (np.outer(levels, tint)).clip(0, 255).astype(np.uint8)[None]
        return to_tensor(np.asarray(cv2.LUT(to_image(image), tables), np.uint8))


class RandomBlur(nn.Module):
    """Blurs an image by a Gaussian with a random sigma, in pixels."""

    def __init__(self, min_sigma_px: float, max_sigma_px: float) -> None:
        super().__init__()
        self.min_sigma_px, self.max_sigma_px = min_sigma_px, max_sigma_px

    def forward(self, image: Tensor) -> Tensor:
        spread_px = self.max_sigma_px - self.min_sigma_px
        sigma_px = self.min_sigma_px + spread_px * float(torch.rand(()))
        blurred = cv2.GaussianBlur(to_image(image), (5, 5), sigma_px)
        return to_tensor(np.asarray(blurred, np.uint8))


class Jpeg(nn.Module):
    """Compresses an image as JPEG of a random quality (0 to 100), and decodes it."""

    def __init__(self, min_quality: int, max_quality: int) -> None:
        super().__init__()
        self.min_quality, self.max_quality = min_quality, max_quality

    def forward(self, image: Tensor) -> Tensor:
        quality = int(torch.randint(self.min_quality, self.max_quality + 1, ()))
        _, file = cv2.imencode(".jpg", to_image(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)  # encoder and decoder both take RGB for BGR
        return to_tensor(np.asarray(decoded, np.uint8))


class ShrinkInside(nn.Module):
    """Scales an image by a random factor from ``min_scale`` to 1 and pads it by reflection."""

    def __init__(self, min_scale: float) -> None:
        super().__init__()
        self.min_scale = min_scale

    def forward(self, image: Tensor) -> Tensor:
        size = image.shape[-1]
        small = math.ceil(size * (self.min_scale + (1 - self.min_scale) * float(torch.rand(()))))
        rim = size - small
        left, top = (int(torch.randint(rim + 1, ())) for _ in range(2))
        shrunk = v2.functional.resize(image, [small, small], antialias=True)
        padding = [left, top, rim - left, rim - top]
        padded: Tensor = v2.functional.pad(shrunk, padding, padding_mode="reflect")
        return padded


class Noise(nn.Module):
    """Adds Gaussian noise of a random sigma, in grey levels, to each pixel and channel."""

    def __init__(self, max_sigma: float) -> None:
        super().__init__()
        self.max_sigma = max_sigma

    def forward(self, image: Tensor) -> Tensor:
        sigma = self.max_sigma * float(torch.rand(()))
        noisy = image.float() + sigma * torch.randn(image.shape)
        return noisy.round().clip(0, 255).to(torch.uint8)
