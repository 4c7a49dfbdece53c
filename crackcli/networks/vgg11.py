"""VGG11-128: VGG11's eight convolutions and a classifier head of 128, 128 and 2 units.

The head is written as convolutions, so the network is one flat `Chain` (see there). The positions
of the convolutions are those of torchvision's VGG11 (0, 3, 6, 8, 11, 13, 16, 18).

Sources: Simonyan and Zisserman 2015 (VGG); Forest et al. 2024 (the narrow head).
"""

from torch import nn

from crackcli.networks.chain import Chain

POOL = 0
WIDTHS = (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)


def build(
    *,
    widths: tuple[int, ...] = WIDTHS,
    hidden: int = 128,
    tile_cells: int = 8,
    dropout: float = 0.5,
    batch_norm: bool = False,
) -> Chain:
    """Return an untrained VGG11-128; ``batch_norm`` adds one after each convolution but the last.

    The head needs batch norm most. None of its 32,768 inputs is negative, so one step of Adam
    moves all products of a unit in the same direction. Without it, at a learning rate that suits
    the features, the head has only dead units after a dozen steps.
    """
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        if width == POOL:
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
        channels = width
    for width, kernel in ((hidden, tile_cells), (hidden, 1)):
        layers.append(nn.Conv2d(channels, width, kernel))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers += [nn.ReLU(), nn.Dropout(dropout)]
        channels = width
    layers.append(nn.Conv2d(channels, 2, 1))
    chain = Chain(*layers)
    for position, layer in enumerate(chain):
        if isinstance(layer, nn.Conv2d):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if position < chain.head_start:  # in the head, it would start the logits near 30
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return chain
