"""A student learns pixels from image labels and drawn cracks."""

import logging

import numpy as np
import pytest
from tiny import student_config, write_photographs

torch = pytest.importorskip("torch")

import torch.nn.functional as F

from crackcli.datasets.folders import LabelledImage, list_photographs
from crackcli.errors import UsageError
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training.calibration import marks
from crackcli.training.calibration.student import DRAWN_CRACKS
from crackcli.training.loop import train
from crackcli.training.objectives import weak_segmentation as weak
from crackcli.training.weak_tiles import UNKNOWN, WeakTiles, whole_photograph


def config(photographs, output, **changes):
    return student_config(photographs, output, **{"evaluations": 2} | changes)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("photographs") / "p", number=16)


@pytest.fixture(scope="module")
def trained(photographs, tmp_path_factory):
    return train(config(photographs, tmp_path_factory.mktemp("student") / "student.safetensors"))


def test_the_loss_of_known_pixels_is_weighted_entropy_and_dice():
    logits = torch.tensor([[[2.0, -1.0], [0.5, -3.0]]])
    cover = torch.tensor([[[1.0, 0.0], [0.5, 0.0]]])

    actual = weak.weak_loss(logits, cover)

    p = 1 / (1 + np.exp(-np.array([2.0, -1.0, 0.5, -3.0])))
    g = np.array([1.0, 0.0, 0.5, 0.0])
    entropy = -(1 + 4 * g) * (g * np.log(p) + (1 - g) * np.log(1 - p))
    dice = (2 * (p * g).sum() + 50) / (p.sum() + g.sum() + 50)
    assert actual.item() == pytest.approx(4 * entropy.mean() + 1 - dice, rel=1e-5)


def test_the_loss_of_an_image_label_is_about_its_highest_logits():
    logits = torch.full((2, 20, 20), -4.0)
    logits[:, 3, 4:6] = torch.tensor([1.0, 3.0])  # 0.5 % of 400 pixels are two
    cover = torch.stack([torch.full((20, 20), UNKNOWN), torch.zeros(20, 20)])

    actual = weak.weak_loss(logits, cover)
    alone = weak.weak_loss(logits[1:], cover[1:])

    pixels = alone - 0.5 * F.softplus(torch.tensor(2.0))  # crack-free: entropy and Dice
    labels = 0.5 * (F.softplus(torch.tensor(-2.0)) + F.softplus(torch.tensor(2.0))) / 2
    assert actual.item() == pytest.approx((pixels + labels).item(), rel=1e-5)


def test_a_cracked_tile_that_is_marked_all_over_is_penalised():
    cover = torch.full((1, 20, 20), UNKNOWN)

    flooded, thin = (
        weak.weak_loss(torch.full((1, 20, 20), logit), cover).item() for logit in (6.0, -2.0)
    )

    p = 1 / (1 + np.exp(-6.0))
    assert flooded == pytest.approx(0.5 * np.log1p(np.exp(-6.0)) + 0.3 * (p - 0.15), rel=1e-4)
    assert thin == pytest.approx(0.5 * np.log1p(np.exp(2.0)), rel=1e-5)  # 12 % of it: no penalty


def test_tiles_have_the_cover_of_drawn_cracks_and_nothing_for_cracked_photographs(photographs):
    torch.manual_seed(8)
    tiles = WeakTiles(list_photographs(photographs), 64, 32)
    of_crack = next(i for i, item in enumerate(tiles.found) if item.label == 1)
    crack_free = next(i for i, item in enumerate(tiles.found) if item.label == 0)

    drawn = {of_crack: [], crack_free: []}
    for index, kinds in drawn.items():
        for _ in range(24):
            tile, cover = tiles[index]
            assert (tile.shape, tile.dtype) == ((3, 64, 64), torch.uint8)
            assert (cover.shape, cover.dtype) == ((64, 64), torch.float32)
            unknown, shows = (cover == UNKNOWN).all().item(), (cover > 0).any().item()
            assert unknown or (cover >= 0).all()
            kinds.append("weak" if unknown else "cracked" if shows else "crack-free")

    assert set(drawn[of_crack]) == {"weak", "cracked"}
    assert set(drawn[crack_free]) == {"crack-free", "cracked"}


def test_a_drawn_crack_and_its_cover_are_turned_together(photographs):
    torch.manual_seed(9)
    tiles = WeakTiles(list_photographs(photographs), 64, 32)
    tiles.photometric = torch.nn.Identity()
    image = np.zeros((64, 64, 3), np.uint8)
    image[5:9, 10:50] = 200

    for _ in range(8):
        tile, cover = tiles.changed(image, image[..., 0] / np.float32(200))
        assert torch.equal(tile[0] == 200, cover == 1)


def test_a_whole_photograph_keeps_its_scale_and_has_sides_of_whole_strides(tmp_path):
    import cv2

    for name, shape in (("small", (40, 50)), ("usual", (100, 130)), ("large", (300, 900))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((*shape, 3), np.uint8))

    shapes = [
        whole_photograph(tmp_path / f"{name}.png", 64, 32).shape[:2]
        for name in ("small", "usual", "large")
    ]

    assert shapes == [(64, 64), (96, 128), (64, 256)]


def test_a_student_learns_which_pixels_are_crack(photographs, trained):
    (score,) = trained.scores

    assert (score.crack, score.no_crack) == (4, 4)
    assert score.accuracy > 0.8
    assert score.drawn_f1 > 0.2
    assert score.false_share < 0.02
    checkpoint = Checkpoint.read(trained.output)
    assert checkpoint.classes == ("crack",)
    assert checkpoint.history["encoder"] == "none"
    network = checkpoint.build()
    item = list_photographs(photographs)[-1]
    image = whole_photograph(item.path, 64, 32)
    with torch.inference_mode():
        p = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0].numpy()
    crack = image.max(axis=2) < 60
    assert item.label == 1
    assert p[crack].mean() > 5 * p[~crack].mean()


def test_a_trained_student_is_calibrated_by_drawn_cracks(trained):
    record = Checkpoint.read(trained.output).calibration

    assert record["measured_on"] == DRAWN_CRACKS
    assert record["photographs"] == 8  # four crack-free ones, with and without a drawn crack
    assert record["threshold"] in marks.THRESHOLDS
    assert record["scale"] > 0
    assert trained.reliability[marks.PIXELS].error < 0.05


def test_an_exported_student_keeps_its_threshold(trained, tmp_path):
    pytest.importorskip("onnx")
    from crackcli.export import ExportTask, export

    graph = export(ExportTask(trained.output, tmp_path / "student.onnx", "student"))

    facts = open_scorer(ModelOptions(graph, device="cpu")).engine.facts
    record = Checkpoint.read(trained.output).calibration
    assert facts.calibration == record
    assert facts.marked_from == record["threshold"]


def test_a_scan_marks_the_crack(photographs, trained):
    scorer = open_scorer(ModelOptions(trained.output, "student", device="cpu"))

    facts = scorer.engine.facts

    assert (facts.network, facts.kind, facts.direct) == ("student", "stages", True)
    assert (facts.stride_px, facts.reach_px) == (
        32,
        Checkpoint.read(trained.output).build().reach_px,
    )


def test_a_killed_run_resumes_where_it_was_saved(photographs, tmp_path):
    output = tmp_path / "student.safetensors"

    def kill(state):
        if state.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config(photographs, output, epochs=2, evaluations=3), kill)
    steps = []
    train(config(photographs, output, epochs=2, evaluations=3), lambda at: steps.append(at.step))

    assert 1 < steps[0] <= 3
    assert output.is_file()


def test_the_tile_of_a_large_photograph_is_where_the_network_sees_the_crack(tmp_path):
    import cv2

    (tmp_path / "crack").mkdir()
    image = np.full((256, 256, 3), 200, np.uint8)
    image[200:206, 130:250] = 20
    path = tmp_path / "crack" / "wall.png"
    cv2.imwrite(str(path), image)
    item = LabelledImage(path, 1, "wall", "wall")
    objective = weak.WeakSegmentation(
        config(tmp_path, tmp_path / "m.safetensors"), weak.Device.find("cpu")
    )
    tiles = objective.tile_dataset([item, LabelledImage(path, 0, "wall", "wall")])
    network = objective.network
    network.logits = lambda images: 20 * (0.5 - images.mean(dim=1))  # dark is crack

    objective.select_tiles(network)

    row, col = tiles.windows[path]
    assert 142 <= row <= 200
    assert 128 <= col <= 192


def test_a_pretrained_encoder_learns_more_slowly(photographs, tmp_path, monkeypatch):
    objective = weak.WeakSegmentation(
        config(photographs, tmp_path / "m.safetensors"), weak.Device.find("cpu")
    )
    parameters = list(objective.network.parameters())
    assert len(objective.parameter_groups(parameters)) == 1

    objective.pretrained = weak.IMAGENET
    encoder, decoder = objective.parameter_groups(parameters)

    assert encoder["scale"] == weak.ENCODER_RATE
    assert len(encoder["params"]) + len(decoder["params"]) == len(parameters)
    assert len(encoder["params"]) == len(list(objective.network.encoder.parameters()))


def test_without_imagenet_weights_a_warning_says_so(photographs, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(weak, "find_imagenet_weights", lambda: None)
    whole = config(photographs, tmp_path / "m.safetensors", arguments={})

    with caplog.at_level(logging.WARNING, logger="crackcli"):
        objective = weak.WeakSegmentation(whole, weak.Device.find("cpu"))

    assert objective.pretrained == "none"
    assert "the encoder starts from nothing" in caplog.text


@pytest.mark.parametrize(("option", "value"), [("frozen", 2), ("keep", 0.1), ("drawn", 0.25)])
def test_options_of_the_classifier_are_refused(photographs, tmp_path, option, value):
    asked = config(photographs, tmp_path / "a.safetensors", **{option: value})

    with pytest.raises(UsageError, match=f"--{option} has no effect with --network student"):
        train(asked)
