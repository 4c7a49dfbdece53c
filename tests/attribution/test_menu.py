"""Laws of every method of the menu that attributes the decisions of a classifier."""

import pytest

torch = pytest.importorskip("torch")

from crackcli.networks import vgg11
from crackcli.registry import METHODS, STARTS, load

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8, "tile_cells": 2}
EVERYTHING = torch.tensor(0.0)  # a gate that every tile reaches
MENU = sorted(name for name, row in METHODS.items() if not row.direct)


@pytest.fixture(scope="module")
def explained():
    """Return a function from a method's name and images to maps (B, H, W)."""
    torch.manual_seed(3)
    chain = vgg11.build(**TINY).double().eval()
    references = torch.rand(2, 3, 64, 64, dtype=torch.float64)

    def explain(method, images, gate=EVERYTHING, start="margin"):
        return load("--method", METHODS, method)(chain, start, references).double()(images, gate)[1]

    return explain


@pytest.fixture
def images():
    torch.manual_seed(4)
    return torch.rand(3, 3, 96, 64, dtype=torch.float64)


@pytest.mark.parametrize("method", MENU)
def test_images_of_a_batch_do_not_affect_each_other(explained, images, method):
    together = explained(method, images)

    alone = [explained(method, image[None]) for image in images]
    assert together.abs().max() > 0
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("method", MENU)
def test_a_gate_above_every_probability_gives_an_empty_map(explained, images, method):
    assert not explained(method, images, torch.tensor(1.1)).any()


@pytest.mark.parametrize("method", [name for name in MENU if not name.startswith("lrp")])
def test_the_map_of_the_margin_is_that_of_one_logit_less_the_other(explained, images, method):
    """Multipliers are linear in the target; relevance is not."""
    margin, crack, both = (explained(method, images, start=start) for start in STARTS)

    torch.testing.assert_close(margin, 2 * crack - both)
