"""Score maps without an explanation: what the explanations of a classifier are held against.

cae    how badly an autoencoder that knows sound surfaces only rebuilds a tile.
unet   P(crack) of each pixel by a network trained on pixel labels: the oracle.

The third of them, the picture itself, needs neither network nor torch: `crackcli.engines.raw`.

Source: Forest et al. 2024, who compare the same three.
"""

from torch import Tensor, nn


class Residual(nn.Module):
    """Images (B, 3, T, T) of one tile to the squared error (B, T, T) of their reconstruction,
    summed over the channels."""

    def __init__(self, autoencoder: nn.Module) -> None:
        super().__init__()
        self.network = autoencoder.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.network(images)).square().sum(dim=1)


class Probability(nn.Module):
    """Images (B, 3, H, W) to P(crack) (B, H, W) of each pixel."""

    def __init__(self, segmenter: nn.Module) -> None:
        super().__init__()
        self.network = segmenter.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


def cae(network: nn.Module, start: str = "", references: Tensor | None = None) -> Residual:
    """The residual of an autoencoder."""
    return Residual(network)


def unet(network: nn.Module, start: str = "", references: Tensor | None = None) -> Probability:
    """The probability of a segmentation network."""
    return Probability(network)
