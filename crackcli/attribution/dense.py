"""Scores per pixel from networks that have them as output: peers of the attribution methods.

cae      squared error of the reconstruction r(x) by an autoencoder that was trained on crack-free
         surfaces only: sum_c (x_c - r(x)_c)^2, images (B, 3, T, T) of one tile to (B, T, T).
unet     P(crack) of each pixel by a network that was trained on pixel labels, the supervised upper
         bound: images (B, 3, H, W) to (B, H, W).
student  the same by a network that was trained on image labels and drawn cracks.

A fourth peer, the darkness of the image itself, needs neither network nor torch: see
`crackcli.engines.raw`.

Source: Forest et al. 2024, who compare cae, unet and the darkness.
"""

from torch import Tensor, nn

from crackcli.networks.autoencoder import Autoencoder
from crackcli.networks.student import Student
from crackcli.networks.unet import UNet


class Residual(nn.Module):
    """Images (B, 3, T, T) of one tile to the squared error (B, T, T) of their reconstruction,
    summed over the channels."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.network = autoencoder.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        rebuilt: Tensor = self.network(images)
        return (images - rebuilt).square().sum(dim=1)


class Probability(nn.Module):
    """Images (B, 3, H, W) to P(crack) (B, H, W) of each pixel."""

    def __init__(self, segmenter: UNet | Student) -> None:
        super().__init__()
        self.network = segmenter.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        probability: Tensor = self.network(images)
        return probability


def cae(network: Autoencoder, start: str = "", references: Tensor | None = None) -> Residual:
    """Return the residual of an autoencoder."""
    return Residual(network)


def unet(network: UNet, start: str = "", references: Tensor | None = None) -> Probability:
    """Return the probability map of a segmentation network."""
    return Probability(network)


def student(network: Student, start: str = "", references: Tensor | None = None) -> Probability:
    """Return the probability map of a student."""
    return Probability(network)
