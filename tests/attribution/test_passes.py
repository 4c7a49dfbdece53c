"""Laws of all methods of several passes: windows, and the place of references."""

import pytest

torch = pytest.importorskip("torch")

from crackcli.attribution.deeplift import deeplift, deepliftshap
from crackcli.attribution.passes import reflect
from crackcli.attribution.path import gradientshap, intgrad
from crackcli.networks import vgg11

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8, "tile_cells": 2}
EVERYTHING = torch.tensor(0.0)  # a gate that every tile reaches
ALL = [deeplift, deepliftshap, gradientshap, lambda *given: intgrad(*given, nodes=3)]


@pytest.fixture
def chain():
    torch.manual_seed(3)
    return vgg11.build(**TINY).double().eval()


@pytest.fixture
def references():
    return torch.rand(2, 3, 64, 64, dtype=torch.float64)


@pytest.mark.parametrize("method", ALL)
def test_a_window_gives_the_same_as_the_whole_raster(chain, references, method):
    attribution = method(chain, "margin", references).double()
    raster = torch.rand(1, 3, 14 * 32, 15 * 32, dtype=torch.float64)
    probability, _ = attribution.head(attribution.features(raster), EVERYTHING)
    gated = (torch.rand_like(probability) < 0.5).double()[:, None]  # tiles, whatever their P(crack)
    number = torch.tensor(1)

    whole = attribution.pass_map(raster, gated, number, torch.tensor((0, 0)))
    row, col, side = 1, 3, 11  # of the window, in cells
    pixels = (..., slice(32 * row, 32 * (row + side)), slice(32 * col, 32 * (col + side)))
    reach = attribution.reach
    tiles = side - 2 * reach - 1
    own = gated[..., row + reach :, col + reach :][..., :tiles, :tiles]
    core = attribution.window_pass_map(
        raster[pixels], own, number, torch.tensor((32 * row, 32 * col))
    )

    inner = 2 * reach * 32
    rim = 32 + inner  # of the window: not in the map, or dependent on its edges
    actual = core[:, inner:-inner, inner:-inner]
    expected = whole[pixels][:, rim:-rim, rim:-rim]
    assert expected.abs().max() > 0
    torch.testing.assert_close(actual, expected)


def test_a_reference_is_tiled_by_reflection():
    tile = torch.rand(2, 3, 4, 4)
    images = torch.zeros(1, 3, 16, 12)

    seen = reflect(tile, torch.tensor(1), torch.tensor((-4, 2)), images)[0]

    there_and_back = torch.cat((tile[1], tile[1].flip(1)), dim=1)
    there_and_back = torch.cat((there_and_back, there_and_back.flip(2)), dim=2)
    expected = there_and_back.repeat(1, 3, 3)[:, 4:20, 2:14]  # row -4 is row 4 of the period 8
    torch.testing.assert_close(seen, expected)
