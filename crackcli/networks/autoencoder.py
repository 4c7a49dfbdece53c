"""CAE11: VGG11's eight convolutions down to fifty numbers, and ten convolutions up from them.

Trained on crack-free tiles only, it can draw what sound surfaces are made of and nothing else, so
that where it draws badly there may be a crack.  Its widths are half of the study's (32 to 256
channels for 64 to 512, 64 units for 128 beside the latent ones), so that it is 14 MB in half
precision; the 50 latent numbers are the study's.

There is no batch norm in training either: it sets every tile by what others are in its batch, and
how bright a tile is and of what colour is the first that has to come through.

Sources: Forest et al. 2024; Hinton and Salakhutdinov 2006 (the idea).
"""

from collections.abc import Sequence

from torch import Tensor, nn

POOL = 0
DOWN = (32, POOL, 64, POOL, 128, 128, POOL, 256, 256, POOL, 256, 256, POOL)
UP = ((256, 256), (256, 128), (128, 64), (64, 32), (32, 3))  # after each doubling


class Autoencoder(nn.Module):
    """Images (B, 3, tile_px, tile_px) in [0, 1] to what it makes of them, of the same shape.

    The last activation is a ReLU: what comes out is not negative, and may be above 1.
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
        nn.init.constant_(last.bias, 0.5)  # mid-grey: below 0 a ReLU would learn nothing

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def convolution(channels: int, width: int) -> list[nn.Module]:
    """A 3 x 3 convolution of the same size and a ReLU."""
    conv = nn.Conv2d(channels, width, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(conv.bias)
    return [conv, nn.ReLU()]


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that begins with what comes in as large as it was, and nothing of its own:
    four of torch's own would begin with a tenth, beside biases that are the same for every tile."""
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
    """An untrained CAE11."""
    return Autoencoder(down, up, hidden, latent, tile_px)
