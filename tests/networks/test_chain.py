"""A chain slides over images, knows its receptive field, and can fold its batch norm."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from crackcli.errors import ModelError
from crackcli.networks import vgg11
from crackcli.networks.chain import Chain, fold_batch_norm, with_temperature

TINY = {"widths": (4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 8, 8, 0), "hidden": 8}


@pytest.fixture
def tiny():
    torch.manual_seed(1)
    return vgg11.build(**TINY).eval()


def test_vgg11_128_has_the_size_and_layer_positions_of_the_paper():
    chain = vgg11.build()

    convolutions = [i for i, layer in enumerate(chain) if isinstance(layer, nn.Conv2d)]

    assert sum(p.numel() for p in chain.parameters()) == 13_431_682
    assert convolutions[:8] == [0, 3, 6, 8, 11, 13, 16, 18]
    assert (chain.head_start, chain.stride_px, chain.tile_px, chain.classes) == (21, 32, 256, 2)


def test_one_tile_gives_one_position_and_a_larger_image_one_per_stride(tiny):
    assert tiny(torch.rand(1, 3, 256, 256)).shape == (1, 2, 1, 1)
    assert tiny(torch.rand(2, 3, 256 + 32, 256 + 96)).shape == (2, 2, 2, 4)


def test_the_trace_begins_with_the_images_and_ends_with_the_logits(tiny):
    images = torch.rand(1, 3, 256, 288)

    values = tiny.trace(images)

    assert len(values) == len(tiny) + 1
    assert values[0] is images
    torch.testing.assert_close(values[-1], tiny(images))


def test_the_receptive_field_of_a_cell_has_radius_reach_px():
    """Average pooling instead of max pooling gives every pixel of the field a gradient."""
    chain = vgg11.build(**TINY)
    features = nn.Sequential(
        *(nn.AvgPool2d(2) if isinstance(layer, nn.MaxPool2d) else layer for layer in chain[:21])
    )
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.1)
    image = torch.ones(1, 3, 320, 320, requires_grad=True)

    features(image)[0, 0, 5, 5].backward()

    seen = torch.nonzero(image.grad[0].sum(dim=(0, 2))).flatten()
    assert 5 * 32 - seen.min() == chain.reach_px
    assert seen.max() - (6 * 32 - 1) == chain.reach_px


def test_folding_batch_norm_keeps_the_function():
    torch.manual_seed(2)
    chain = vgg11.build(**TINY, batch_norm=True)
    chain.train()
    for _ in range(3):
        chain(torch.rand(4, 3, 256, 256))  # moves the running statistics
    chain.eval()
    images = torch.rand(2, 3, 256, 256)

    folded = fold_batch_norm(chain)

    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded)
    torch.testing.assert_close(folded(images), chain(images), rtol=1e-4, atol=1e-5)


def test_a_network_without_a_head_is_an_error():
    with pytest.raises(ModelError, match="no unpadded convolution"):
        _ = Chain(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()).head_start


def test_a_temperature_divides_the_logits_of_a_copy(tiny):
    images = torch.rand(1, 3, 256, 288)
    logits = tiny(images)

    calibrated = with_temperature(tiny, 2.5)

    torch.testing.assert_close(calibrated(images), logits / 2.5)
    torch.testing.assert_close(tiny(images), logits)
