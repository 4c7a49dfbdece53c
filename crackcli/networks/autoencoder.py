"""CAE11: VGG11's eight convolutions down to 50 latent numbers, and ten convolutions up from them.

Trained on crack-free tiles only, it reconstructs intact surfaces and nothing else: a large
reconstruction error indicates a crack. Its widths are half of those of Forest et al. 2024 (32 to
256 channels instead of 64 to 512; 64 hidden units instead of 128), so that it has 14 MB in half
precision. The 50 latent numbers are those of the paper.

It is trained without batch norm, which makes a tile depend on the other tiles of its batch: the
brightness and colour of a tile are the first things it has to reconstruct.

Sources: Forest et al. 2024; Hinton and Salakhutdinov 2006 (the idea).
"""

from collections.abc import Sequence

from torch import Tensor, nn

POOL = 0
DOWN = (32, POOL, 64, POOL, 128, 128, POOL, 256, 256, POOL, 256, 256, POOL)
UP = ((256, 256), (256, 128), (128, 64), (64, 32), (32, 3))  # after each upsampling by 2


class Autoencoder(nn.Module):
    """Images (B, 3, tile_px, tile_px) in [0, 1] to reconstructions of the same shape.

    The last activation is a ReLU: values are not negative and may exceed 1.
    """

    def __init__(
        self,
        down: Sequence[int],
        up: Sequence[Sequence[int]],
        hidden: int,
        latent: int,
        tile_px: int,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in down:
            if width == POOL:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += convolution(channels, width)
                channels = width
        self.tile_px = tile_px
        self.stride_px = 2 ** list(down).count(POOL)
        cells = tile_px // self.stride_px
        self.encoder = nn.Sequential(
            *layers,
            nn.Flatten(),
            linear(channels * cells**2, hidden),
            linear(hidden, latent),
        )
        layers = [
            linear(latent, hidden),
            linear(hidden, channels * cells**2),
            nn.Unflatten(1, (channels, cells, cells)),
        ]
        for widths in up:
            layers.append(nn.Upsample(scale_factor=2))
            for width in widths:
                layers += convolution(channels, width)
                channels = width
        self.decoder = nn.Sequential(*layers)
        last = [layer for layer in layers if isinstance(layer, nn.Conv2d)][-1]
        if last.bias is not None:
            nn.init.constant_(last.bias, 0.5)  # mid-grey: below 0 the ReLU has no gradient

    def forward(self, images: Tensor) -> Tensor:
        reconstructed: Tensor = self.decoder(self.encoder(images))
        return reconstructed


def convolution(channels: int, width: int) -> list[nn.Module]:
    """Return a padded 3 x 3 convolution and a ReLU."""
    conv = nn.Conv2d(channels, width, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return [conv, nn.ReLU()]


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer that keeps the variance of its inputs, with a bias of zero.

    With torch's defaults, four of them shrink their inputs to a tenth, beside biases that are the
    same for every tile.
    """
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


def build(
    *,
    down: Sequence[int] = DOWN,
    up: Sequence[Sequence[int]] = UP,
    hidden: int = 64,
    latent: int = 50,
    tile_px: int = 256,
) -> Autoencoder:
    """Return an untrained CAE11."""
    return Autoencoder(down, up, hidden, latent, tile_px)
