"""Segmentation learns from masks, reconstruction from crack-free tiles, in the training loop of the
classifier: both resume, keep the best network and name faults of their input."""

import csv
import json
import logging
from collections import Counter
from math import isnan

import cv2
import numpy as np
import pytest
from tiny import SMALL_AUTOENCODER, TINY, picture
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from crackcli.cli import app
from crackcli.datasets.folders import LabelledImage, list_photographs
from crackcli.datasets.pixel_scores import compare
from crackcli.engines.device import Device
from crackcli.errors import InputError, ModelError, UsageError
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training.charts import write_curve, write_scores
from crackcli.training.config import TrainConfig
from crackcli.training.loop import train
from crackcli.training.objective import PHOTOGRAPHS
from crackcli.training.objectives.reconstruction import split_tiles
from crackcli.training.objectives.segmentation import Segmentation, mask_loss, pooled_score
from crackcli.training.patches import MaskedPatches, mask_path, read_masked

UNET = {"network": "unet", "arguments": {"widths": [[8], [12], [16, 16]], "tile_px": 64}}
AUTOENCODER = {"network": "autoencoder", "arguments": SMALL_AUTOENCODER}
BOTH = pytest.mark.parametrize("of", [UNET, AUTOENCODER], ids=["unet", "autoencoder"])


def write_masked(folder, number=16, side=64):
    """Write dark lines on grey noise, and noise alone, with their masks."""
    rng = np.random.default_rng(21)
    for name in ("crack", "no_crack", "masks"):
        (folder / name).mkdir(parents=True)
    for label in ("crack", "no_crack"):
        for index in range(number):
            image = picture(rng, cracked=label == "crack", side=side)
            mask = np.where(image.max(axis=2) < 60, 255, 0).astype(np.uint8)
            cv2.imwrite(str(folder / label / f"wall_{label}{index}.png"), image)
            cv2.imwrite(str(folder / "masks" / f"wall_{label}{index}.png"), mask)
    return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_masked(tmp_path_factory.mktemp("masked"))


def config(photographs, output, of, **changes):
    given = {
        "photographs": photographs,
        "output": output,
        "epochs": 12,
        "batch_size": 4,
        "learning_rate": 5e-3,
        "device": "cpu",
        "held_out": 0.25,
    }
    return TrainConfig(**(given | of | changes))


@pytest.fixture(scope="module")
def unet(photographs, tmp_path_factory):
    return train(config(photographs, tmp_path_factory.mktemp("unet") / "unet.safetensors", UNET))


@pytest.fixture(scope="module")
def autoencoder(photographs, tmp_path_factory):
    output = tmp_path_factory.mktemp("autoencoder") / "autoencoder.safetensors"
    return train(config(photographs, output, AUTOENCODER))


def test_a_u_net_learns_which_pixels_are_crack(photographs, unet):
    (score,) = unet.scores

    assert score.f1 > 0.8
    assert score.false_share < 0.02
    assert (score.crack, score.no_crack) == (4, 4)
    assert (unet.training, unet.held_out, unet.reliability) == (24, 8, {})
    assert Checkpoint.read(unet.output).classes == ("crack",)


def test_an_autoencoder_learns_to_reproduce_crack_free_surfaces(photographs, autoencoder):
    (score,) = autoencoder.scores
    first = autoencoder.curve[0]["held_out_loss"]

    assert (autoencoder.training, autoencoder.held_out) == (12, 4)  # those without a crack
    assert score.mse == pytest.approx(min(point["held_out_loss"] for point in autoencoder.curve))
    assert score.mse < first / 2
    assert score.mse < 0.02


def test_an_autoencoder_reproduces_a_crack_worse_than_the_surface(photographs, autoencoder):
    network = Checkpoint.read(autoencoder.output).build()
    item = list_photographs(photographs)[-1]  # with a crack, not trained on
    image, mask = np.split(read_masked(item), [3], axis=2)
    tile = torch.from_numpy(image).permute(2, 0, 1)[None] / 255

    with torch.inference_mode():
        error = (network(tile) - tile).square().sum(dim=1)[0].numpy()

    assert item.label == 1
    assert error[mask[..., 0] > 0].mean() > 5 * error[mask[..., 0] == 0].mean()


@BOTH
def test_a_killed_run_resumes_where_it_was_saved(photographs, tmp_path, of):
    output = tmp_path / "model.safetensors"
    changes = {"epochs": 2, "evaluations": 3}

    def kill(state):
        if state.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config(photographs, output, of, **changes), kill)
    assert not output.exists()
    steps = []
    train(config(photographs, output, of, **changes), lambda state: steps.append(state.step))

    assert 1 < steps[0] <= 5
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_warm_start_trains_all_layers_and_blends_nothing(photographs, unet, tmp_path):
    output = tmp_path / "warm.safetensors"
    changes = {"start_from": unet.output, "epochs": 1, "evaluations": 1, "arguments": {}}

    train(config(photographs, output, UNET, **changes))

    before, after = Checkpoint.read(unet.output), Checkpoint.read(output)
    assert after.arguments == before.arguments
    assert before.state.keys() == after.state.keys()
    moved = [not torch.equal(before.state[name], after.state[name]) for name in before.state]
    assert all(moved)


def test_a_warm_start_from_another_network_is_refused(photographs, unet, tmp_path):
    asked = config(photographs, tmp_path / "a.safetensors", AUTOENCODER, start_from=unet.output)

    with pytest.raises(
        ModelError, match="is for --network unet, not autoencoder; start from another checkpoint"
    ):
        train(asked)


@BOTH
@pytest.mark.parametrize(("option", "value"), [("frozen", 2), ("blend", 0.1), ("drawn", 0.25)])
def test_options_of_the_classifier_are_refused(photographs, tmp_path, of, option, value):
    asked = config(photographs, tmp_path / "a.safetensors", of, **{option: value})

    with pytest.raises(
        UsageError, match=f"--{option} has no effect with --network {of['network']}"
    ):
        train(asked)


def test_photographs_without_a_mask_are_left_out_and_counted(photographs, tmp_path, caplog):
    write_masked(tmp_path / "p")
    for index in range(3):
        (tmp_path / "p" / "masks" / f"wall_no_crack{index}.png").unlink()

    with caplog.at_level(logging.INFO, logger="crackcli"):
        result = train(config(tmp_path / "p", tmp_path / "m.safetensors", UNET, epochs=0.5))

    assert result.training + result.held_out == 29
    assert "3 of 32 photographs have no mask, or no crack in it, and are left out" in caplog.text


def test_without_any_mask_the_error_names_their_place(tmp_path):
    write_masked(tmp_path / "p")
    (tmp_path / "p" / "masks").rename(tmp_path / "p" / "labels")

    with pytest.raises(InputError, match=r"masks such as .*/p/masks/wall_crack\d+\.png"):
        train(config(tmp_path / "p", tmp_path / "m.safetensors", UNET))


def test_too_few_masks_for_a_split_are_named(tmp_path):
    write_masked(tmp_path / "p")
    for index in range(1, 16):
        (tmp_path / "p" / "masks" / f"wall_crack{index}.png").unlink()

    with pytest.raises(InputError, match=r"no (held-out|training) ones are left"):
        train(config(tmp_path / "p", tmp_path / "m.safetensors", UNET))


def test_a_mask_of_another_size_is_named(photographs, tmp_path):
    write_masked(tmp_path / "p", number=2)
    path = tmp_path / "p" / "masks" / "wall_crack1.png"
    cv2.imwrite(str(path), np.zeros((64, 32), np.uint8))
    item = LabelledImage(tmp_path / "p" / "crack" / "wall_crack1.png", 1, "wall", "wall")

    assert mask_path(item) == path
    with pytest.raises(
        InputError, match=r"wall_crack1.png: 32 x 64 px, but its photograph has 64 x"
    ):
        read_masked(item)


def test_masks_of_class_numbers_are_read_by_the_value_of_crack(tmp_path):
    folder = tmp_path / "p"
    write_masked(folder, number=2)
    masks = sorted((folder / "masks").glob("wall_crack*.png"))
    cracks = []
    for path in masks:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cracks.append(mask > 127)
        mask = np.where(mask > 127, 2, 0).astype(np.uint8)
        mask[0] = 1  # another class
        cv2.imwrite(str(path), mask)
    found = [LabelledImage(folder / "crack" / path.name, 1, "wall", "wall") for path in masks]

    def suitable(**options):
        given = config(folder, tmp_path / "m.safetensors", UNET, **options)
        return Segmentation(given, Device.find("cpu")).suitable(found)

    with pytest.raises(InputError, match=r"its values are 0 .*, 2 .*--mask-crack 2"):
        suitable()
    for item, crack in zip(suitable(mask_crack="2"), cracks, strict=True):
        assert np.array_equal(read_masked(item)[1:, :, 3] > 127, crack[1:])


def test_a_crack_in_the_mask_of_a_crack_free_photograph_is_named(tmp_path):
    write_masked(tmp_path / "p", number=2)
    crack, none = (tmp_path / "p" / "masks" / f"wall_{name}1.png" for name in ("crack", "no_crack"))
    crack.replace(none)
    item = LabelledImage(tmp_path / "p" / "no_crack" / "wall_no_crack1.png", 0, "wall", "wall")

    with pytest.raises(InputError, match=r"shows a crack, but its photograph lies in 'no_crack'"):
        read_masked(item)


def write_one(folder, side, line):
    """Write a grey photograph with one black line of 8 px, and its mask."""
    for name in ("crack", "masks"):
        (folder / name).mkdir()
    image = np.full((side, side, 3), 140, np.uint8)
    mask = np.zeros((side, side), np.uint8)
    cv2.line(image, *line, (0, 0, 0), 8)
    cv2.line(mask, *line, 255, 8)
    cv2.imwrite(str(folder / "crack" / "one.png"), image)
    cv2.imwrite(str(folder / "masks" / "one.png"), mask)
    return LabelledImage(folder / "crack" / "one.png", 1, "one", "one")


def test_a_mask_is_augmented_with_its_photograph_and_keeps_its_values(tmp_path):
    torch.manual_seed(7)
    patches = MaskedPatches([write_one(tmp_path, 64, ((5, 10), (60, 30)))], 64, 32)
    positions = Counter()

    for _ in range(80):
        image, mask = patches[0]
        dark = image.float().mean(dim=0) < image.float().median() / 2
        assert (dark & mask).sum() > 0.75 * (dark | mask).sum()
        assert mask.dtype == torch.bool
        positions[int(torch.nonzero(mask)[0, 0])] += 1

    assert len(positions) > 8


def test_every_tile_of_a_large_cracked_photograph_shows_some_of_the_crack(tmp_path):
    torch.manual_seed(8)
    patches = MaskedPatches([write_one(tmp_path, 256, ((200, 190), (250, 192)))], 64, 32)

    shown = [int(patches[0][1].sum()) for _ in range(30)]

    assert np.mean(np.array(shown) > 0) > 0.9  # the rim of a tile may be cut off afterwards
    assert len(set(shown)) > 10


def test_the_loss_is_small_for_a_right_mask_and_large_for_a_missed_crack():
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[0, 10:13] = True
    right = torch.where(masks, 20.0, -20.0)
    missed = right.clone()
    missed[0] = -20.0
    missed.requires_grad_()

    loss = mask_loss(missed, masks)
    loss.backward()

    assert mask_loss(right, masks).item() == pytest.approx(0, abs=1e-3)
    assert loss.item() > 1
    assert (missed.grad[masks] < 0).all()  # cross-entropy has a gradient where Dice has none


def test_a_crack_free_tile_has_no_dice_loss_but_a_gradient():
    logits = torch.zeros(1, 8, 8, requires_grad=True)

    loss = mask_loss(logits, torch.zeros(1, 8, 8, dtype=torch.bool))
    loss.backward()

    assert loss.item() == pytest.approx(np.log(2))
    assert (logits.grad > 0).all()


def test_pixels_are_pooled_over_a_source_and_false_positives_counted():
    crack, none = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    crack[1] = True
    half = crack & (np.arange(4) < 2)
    false = none.copy()
    false[0, :2] = True

    score = pooled_score("wall", [(1, compare(half, crack)), (0, compare(false, none))])

    assert (score.precision, score.recall, score.f1) == (0.5, 0.5, 0.5)
    assert score.false_share == 2 / 16
    assert isnan(pooled_score("crack_free", [(0, compare(false, none))]).f1)
    assert pooled_score("crack_free", [(0, compare(none, none))]).texts()["F1"] == "-"


def test_tiles_do_not_overlap():
    image = torch.arange(3 * 5 * 7).reshape(3, 5, 7)

    tiles = split_tiles(image, 2)

    assert tiles.shape == (6, 3, 2, 2)
    assert torch.equal(tiles[4], image[:, 2:4, 2:4])


def test_table_and_curve_are_written(unet, autoencoder, tmp_path):
    for result, columns in (
        (unet, "source,crack,no_crack,precision,recall,f1,false_share"),
        (autoencoder, "source,no_crack,mse"),
    ):
        table = write_scores(result.scores, tmp_path / "sources.csv").read_text()
        curve = write_curve(result.curve, tmp_path / "curve.png")

        assert table.splitlines()[0] == columns
        assert cv2.imread(str(curve)).shape[2] == 3
        assert float(next(csv.DictReader(table.splitlines()))[columns.split(",")[-1]]) >= 0


def test_the_command_trains_a_u_net_and_prints_json(unet, photographs, tmp_path):
    output = tmp_path / "more.safetensors"
    asked = ["train", photographs, "-o", output, "--network", "unet", "--from", unet.output]
    asked += ["--epochs", "0.3", "--batch-size", "4", "--json", "--quiet", "--device", "cpu"]

    done = CliRunner().invoke(app, list(map(str, asked)))

    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert [path.rsplit("/")[-1] for path in printed["files"]] == [
        "more.safetensors",
        "more.sources.csv",
        "more.curve.png",
    ]
    assert printed["scores"][0]["f1"] > 0.5
    assert "calibration_error" not in printed
    assert "NaN" not in done.stdout


@pytest.mark.parametrize("option", ["--mine walls", "--drawn 0.3", "--blend 0.2", "--frozen 1"])
def test_the_command_refuses_options_of_the_classifier(photographs, tmp_path, option):
    asked = f"train {photographs} -o {tmp_path / 'm.safetensors'} --network unet {option}"

    done = CliRunner().invoke(app, asked.split())

    assert isinstance(done.exception, UsageError)
    assert f"{option.split()[0]} has no effect with --network unet" in str(done.exception)


def test_a_classifier_needs_no_masks(photographs, tmp_path):
    changes = {"network": "vgg11", "arguments": TINY, "epochs": 0.3}

    result = train(config(photographs, tmp_path / "m.safetensors", {}, **changes))

    assert result.training == 24
    assert list(result.reliability) == [PHOTOGRAPHS]
