"""All tiles at once agree with tiles one by one; tiles below the gate do not count."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from crackcli.attribution.gradient import inputxgrad
from crackcli.attribution.lrp import lrp
from crackcli.networks.chain import Chain


@pytest.fixture
def local_chain():
    """Return a chain of 1 x 1 convolutions: a tile does not depend on pixels beyond its border, so
    that a tile cut out gives the same as a tile in place. Tiles of 16 px at steps of 4."""
    torch.manual_seed(8)
    chain = Chain(
        nn.Conv2d(3, 6, 1, padding=0),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 5, 4),
        nn.ReLU(),
        nn.Conv2d(5, 2, 1),
    )
    chain[0].padding = (0, 0)
    return chain.double().eval()


@pytest.fixture(autouse=True)
def _head_starts_at_the_wide_convolution(monkeypatch):
    """A chain finds its head by the padding of its convolutions; those of 1 x 1 have none."""
    monkeypatch.setattr(Chain, "head_start", 6)


@pytest.mark.parametrize("method", [lrp, inputxgrad])
def test_the_map_is_the_mean_of_the_maps_of_all_tiles_that_cover_a_pixel(local_chain, method):
    images = torch.rand(1, 3, 28, 24, dtype=torch.float64)
    attribution = method(local_chain).double()

    _, actual = attribution(images, torch.tensor(0.0))

    total, count = torch.zeros_like(actual), torch.zeros_like(actual)
    for row in range(0, 28 - 15, 4):
        for col in range(0, 24 - 15, 4):
            tile = (slice(None), slice(row, row + 16), slice(col, col + 16))
            window = (slice(None), *tile)
            total[tile] += attribution(images[window], torch.tensor(0.0))[1]
            count[tile] += 1
    torch.testing.assert_close(actual, total / count)


def test_a_tile_below_the_gate_does_not_change_the_map(local_chain):
    images = torch.rand(1, 3, 28, 28, dtype=torch.float64)
    attribution = lrp(local_chain).double()
    probability, _ = attribution(images, torch.tensor(0.0))
    gate = probability.median()

    seen, actual = attribution(images, gate)

    total, count = torch.zeros_like(actual), torch.zeros_like(actual)
    for row, col in torch.nonzero(probability[0] >= gate).tolist():
        tile = (slice(None), slice(4 * row, 4 * row + 16), slice(4 * col, 4 * col + 16))
        total[tile] += attribution(images[(slice(None), *tile)], torch.tensor(0.0))[1]
        count[tile] += 1
    torch.testing.assert_close(seen, probability)
    torch.testing.assert_close(actual, total / count.clamp(min=1))


def test_a_gate_above_every_probability_gives_an_empty_map(local_chain):
    _, maps = lrp(local_chain).double()(
        torch.rand(2, 3, 20, 24, dtype=torch.float64), torch.tensor(1.1)
    )

    assert not maps.any()
