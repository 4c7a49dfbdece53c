"""Training learns, keeps the best, goes on after a kill, and says what is wrong with its input."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from crackcli.dataset import Photograph  # noqa: E402
from crackcli.device import Device  # noqa: E402
from crackcli.errors import ModelError, OutputError, UsageError  # noqa: E402
from crackcli.judging import is_bag, locate  # noqa: E402
from crackcli.networks import Checkpoint  # noqa: E402
from crackcli.training import TrainConfig, train  # noqa: E402
from crackcli.training_report import write_curve, write_scores  # noqa: E402

TINY = {"widths": [8, 0, 8, 0, 12, 12, 0, 12, 12, 0, 16, 16, 0], "hidden": 16, "tile_cells": 2}


def picture(rng, *, cracked, side=64):
    """Grey noise, with a dark line across if cracked."""
    image = rng.normal(150, 10, (side, side, 3))
    if cracked:
        row = int(rng.integers(side // 4, 3 * side // 4))
        cv2.line(image, (0, row), (side, side - row), (20, 20, 20), 5)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(11)
    for label in ("crack", "no_crack"):
        (folder / label).mkdir()
        for number in range(24):
            image = picture(rng, cracked=label == "crack")
            cv2.imwrite(str(folder / label / f"wall_{number}.png"), image)
    return folder


def config(photographs, output, **changes):
    given = {
        "photographs": photographs,
        "output": output,
        "epochs": 16,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "arguments": TINY,
        "device": "cpu",
        "held_out": 0.25,
    }
    return TrainConfig(**(given | changes))


@pytest.fixture(scope="module")
def trained(photographs, tmp_path_factory):
    return train(config(photographs, tmp_path_factory.mktemp("model") / "model.safetensors"))


def test_it_learns_to_tell_a_line_from_noise(trained):
    (score,) = trained.scores

    assert score.accuracy >= 0.9
    assert (trained.training, trained.held_out) == (36, 12)


def test_the_checkpoint_rebuilds_a_plain_network_alone(trained):
    checkpoint = Checkpoint.read(trained.output)

    chain = checkpoint.build()

    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in chain)
    assert checkpoint.classes == ("no_crack", "crack")
    assert checkpoint.history["config"]["epochs"] == 16
    assert "photographs" not in checkpoint.history["config"]  # paths stay at home


def test_the_run_s_folder_is_gone_when_it_is_done(trained):
    assert [path.name for path in trained.output.parent.iterdir()] == ["model.safetensors"]


def test_table_and_curve_are_written(trained, tmp_path):
    table = write_scores(trained.scores, tmp_path / "model.sources.csv").read_text()
    curve = write_curve(trained.curve, tmp_path / "model.curve.png")

    assert table.splitlines()[0] == "source,crack,no_crack,recall,specificity,accuracy"
    assert cv2.imread(str(curve)).shape[2] == 3


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_killed_run_goes_on_where_it_was_saved(photographs, tmp_path):
    output = tmp_path / "model.safetensors"
    seen = []

    def kill(progress):
        seen.append(progress.step)
        if progress.step == 20:
            raise Killed

    with pytest.raises(Killed):
        train(config(photographs, output), kill)
    assert not output.exists()
    steps = []
    train(config(photographs, output), lambda progress: steps.append(progress.step))

    assert 1 < steps[0] <= 20
    assert steps[-1] == 72  # 16 epochs of 36 photographs in steps of 8
    assert output.exists()


def test_a_warm_start_leaves_the_lower_convolutions_as_they_are(photographs, trained, tmp_path):
    result = train(
        config(photographs, tmp_path / "warm.safetensors", start_from=trained.output, epochs=1)
    )

    before = Checkpoint.read(trained.output).state
    after = Checkpoint.read(result.output).state
    same = [name for name in before if torch.equal(before[name], after[name])]
    assert sorted(same) == sorted(f"{i}.{w}" for i in (0, 3, 6, 8, 11) for w in ("weight", "bias"))


def test_of_a_large_cracked_photograph_the_surest_tile_is_taken(trained, tmp_path):
    rng = np.random.default_rng(12)
    image = picture(rng, cracked=False, side=192)
    image[96:160, 32:96] = picture(rng, cracked=True)
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), image)
    item = Photograph(path, 1, "large", "all")
    chain = Checkpoint.read(trained.output).build()

    assert is_bag(item, chain)
    windows = locate(chain, [item], Device.find("cpu"))

    row, col = windows[path]
    assert abs(row - 96) <= 32
    assert abs(col - 32) <= 32


def test_large_and_drawn_photographs_are_trained_on_as_tiles(trained, tmp_path):
    rng = np.random.default_rng(13)
    for label in ("crack", "no_crack"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):
            image = picture(rng, cracked=label == "crack", side=160)
            cv2.imwrite(str(tmp_path / "photos" / label / f"{number}.png"), image)
    output = tmp_path / "bags.safetensors"

    result = train(
        config(tmp_path / "photos", output, start_from=trained.output, epochs=2, drawn=0.5)
    )

    assert (result.training, result.held_out) == (6, 2)
    assert output.exists()


def test_an_existing_checkpoint_is_kept(photographs, trained):
    with pytest.raises(OutputError, match="exists; choose another output or add --overwrite"):
        train(config(photographs, trained.output))


def test_frozen_layers_need_a_warm_start(photographs, tmp_path):
    with pytest.raises(UsageError, match="--frozen needs --from"):
        train(config(photographs, tmp_path / "model.safetensors", frozen=2))


def test_a_file_that_is_no_checkpoint_is_named(photographs, tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_text("weights?")

    with pytest.raises(ModelError, match=r"other.safetensors is not a whole safetensors file"):
        train(config(photographs, tmp_path / "model.safetensors", start_from=path))


def test_the_checkpoint_tells_the_usual_margin_on_a_crack(trained):
    checkpoint = Checkpoint.read(trained.output)

    assert checkpoint.margin > 0
    assert checkpoint.margin != 1.0
