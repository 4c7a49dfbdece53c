"""The U-Net and the autoencoder: sizes, receptive fields, folded batch norm, checkpoints."""

import json

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file
from tiny import SMALL_AUTOENCODER

from crackcli.errors import ModelError
from crackcli.networks import autoencoder, unet
from crackcli.networks.chain import fold_batch_norm
from crackcli.networks.checkpoint import FORMAT, Checkpoint

SMALL_UNET = {"widths": ((4,), (6,), (6, 6), (8, 8), (8, 8))}


def test_folding_batch_norm_keeps_the_function_and_fits_a_plain_network():
    torch.manual_seed(4)
    network = unet.build(**SMALL_UNET, batch_norm=True).train()
    for _ in range(3):
        network(torch.rand(4, 3, 64, 64))  # moves the running statistics
    network.eval()
    images = torch.rand(2, 3, 64, 64)

    plain = unet.build(**SMALL_UNET)
    plain.load_state_dict(fold_batch_norm(network).state_dict())

    for parameter in network.parameters():
        assert parameter.isfinite().all()
    torch.testing.assert_close(plain.eval()(images), network(images), rtol=1e-4, atol=1e-5)
    assert len(network.state_dict()) > len(plain.state_dict())


def test_the_u_net_of_the_paper_has_its_widths():
    network = unet.build(widths=unet.PAPER_WIDTHS)

    ways_up = [
        (block[0].in_channels, block[0].out_channels, block[2].out_channels) for block in network.up
    ]

    assert ways_up[:3] == [(512, 512, 256), (768, 512, 256), (768, 512, 128)]
    assert ways_up[3:] == [(384, 256, 64), (192, 128, 32)]
    assert (network.last[0].in_channels, network.last[0].out_channels) == (96, 32)


@pytest.mark.parametrize("build", [unet.build, autoencoder.build])
def test_weights_in_half_precision_are_less_than_15_megabytes(build):
    state = build().state_dict()

    assert 2 * sum(value.numel() for value in state.values()) < 15e6


def test_the_receptive_field_of_a_u_net_is_at_most_reach_px():
    network = unet.build(**SMALL_UNET)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.05)  # so that no ReLU is zero
    reach = network.reach_px
    seen = []
    for row in (256, 271, 287):  # different positions in a cell
        image = torch.rand(1, 3, 544, 32, requires_grad=True)
        network.logits(image)[0, row].sum().backward()
        rows = torch.nonzero(image.grad[0].sum(dim=(0, 2))).flatten()
        seen += [row - int(rows.min()), int(rows.max()) - row]

    assert reach - 32 < max(seen) <= reach
    assert unet.build().reach_px == 184


def test_a_u_net_is_equivariant_to_shifts_by_whole_strides():
    torch.manual_seed(5)
    network = unet.build(**SMALL_UNET).eval()
    stride, reach = network.stride_px, network.reach_px
    image = torch.rand(1, 3, 512, 64)

    first = network(image)[0, reach : -reach - stride]
    moved = network(image.roll(stride, dims=2))[0, reach + stride : -reach]

    torch.testing.assert_close(moved, first)


def test_probabilities_are_between_zero_and_one_and_start_low():
    torch.manual_seed(6)
    images = torch.rand(2, 3, 64, 96)

    probability = unet.build(**SMALL_UNET).eval()(images)

    assert probability.shape == (2, 64, 96)
    assert probability.min() >= 0
    assert probability.max() <= 1
    assert probability.mean() < 0.2


def test_an_autoencoder_reconstructs_its_tile_from_fifty_numbers():
    network = autoencoder.build().eval()

    with torch.inference_mode():
        numbers = network.encoder(torch.rand(1, 3, 256, 256))
        reconstructed = network.decoder(numbers)

    assert numbers.shape == (1, 50)
    assert reconstructed.shape == (1, 3, 256, 256)
    assert reconstructed.min() >= 0
    assert (network.tile_px, network.stride_px) == (256, 32)


@pytest.mark.parametrize(
    ("name", "build", "arguments"),
    [("unet", unet.build, SMALL_UNET), ("autoencoder", autoencoder.build, SMALL_AUTOENCODER)],
)
def test_a_checkpoint_rebuilds_either_alone(tmp_path, name, build, arguments):
    network = build(**arguments).eval()
    path = tmp_path / "model.safetensors"
    Checkpoint(name, arguments, (), network.tile_px, network.state_dict()).save(path)

    checkpoint = Checkpoint.read(path)

    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(checkpoint.build()(images), network(images), rtol=0.02, atol=0.02)
    assert checkpoint.margin == 1.0


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    state = unet.build(**SMALL_UNET).state_dict()
    Checkpoint("autoencoder", SMALL_AUTOENCODER, (), 64, state).save(path)

    with pytest.raises(ModelError, match="do not fit network autoencoder"):
        Checkpoint.read(path).build()


ODD = {
    "a list": [],
    "a number": 7,
    "without classes": {"network": "unet"},
    "classes of a number": {"classes": 7},
    "a licence of a list": {"classes": [], "licence": [1]},
    "sources of a text": {"classes": [], "sources": "mine"},
    "an unknown key": {"classes": [], "later": 1},
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_metadata_is_a_model_error(tmp_path, kind):
    path = tmp_path / "model.safetensors"
    facts = {"format": FORMAT, "checkpoint": json.dumps(ODD[kind])}
    save_file({"weight": torch.zeros(1)}, path, facts)

    with pytest.raises(ModelError, match=r"model\.safetensors: written by another version of"):
        Checkpoint.read(path)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "\0"])
def test_metadata_that_is_no_json_is_a_model_error(tmp_path, content):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(1)}, path, {"format": FORMAT, "checkpoint": content})

    with pytest.raises(ModelError, match=r"model\.safetensors: written by another version of"):
        Checkpoint.read(path)
