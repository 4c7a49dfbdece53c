"""The training loop: it learns, keeps the best network, resumes, and names faults of its input."""

import cv2
import numpy as np
import pytest
from tiny import TINY, picture, write_photographs

torch = pytest.importorskip("torch")

from crackcli.datasets.folders import LabelledImage, list_photographs, split
from crackcli.engines.device import Device
from crackcli.errors import ModelError, OutputError, UsageError
from crackcli.networks import vgg11
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training.augmentation import to_tensor
from crackcli.training.calibration.photographs import fit_temperature
from crackcli.training.charts import write_curve, write_reliability, write_scores
from crackcli.training.config import TrainConfig
from crackcli.training.loop import Run, train
from crackcli.training.objective import ALL_SOURCES, PHOTOGRAPHS, Objective, with_total
from crackcli.training.objectives.classification import Classification
from crackcli.training.patches import read_photograph
from crackcli.training.regularisation import (
    frozen_layers,
)
from crackcli.training.validation import is_bag, locate_cracks, pooled_score, validate


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("photographs"))


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


def test_training_learns_to_distinguish_a_line_from_noise(trained):
    (score,) = trained.scores

    assert score.accuracy >= 0.9
    assert (trained.training, trained.held_out) == (36, 12)


def test_only_training_from_scratch_has_an_auxiliary_head(photographs, trained, tmp_path):
    device = Device.find("cpu")
    cold = config(photographs, tmp_path / "cold.safetensors")
    warm = config(photographs, tmp_path / "warm.safetensors", start_from=trained.output)

    runs = [Run(Classification(each, device), 36) for each in (cold, warm)]
    assert [len(run.objective.auxiliary) for run in runs] == [1, 0]
    before = runs[0].objective.auxiliary[0].weight.detach().clone()
    runs[0].advance(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), torch.tensor([0, 1]))
    runs[0].advance(torch.full((2, 3, 64, 64), 200, dtype=torch.uint8), torch.tensor([1, 1]))

    assert not torch.equal(runs[0].objective.auxiliary[0].weight, before)


def test_the_logits_of_an_untrained_network_are_small():
    chain = vgg11.build(batch_norm=True).train()

    logits = chain(torch.rand(4, 3, 256, 256))

    assert logits.abs().max() < 5


def test_a_new_head_survives_the_learning_rate_of_the_features():
    """Its 32,768 inputs are non-negative: without batch norm nine of ten units would die."""
    torch.manual_seed(0)
    pool = vgg11.POOL
    widths = (4, pool, 4, pool, 4, 4, pool, 8, 8, pool, 8, 512, pool)
    chain = vgg11.build(widths=widths, batch_norm=True).train()
    optimiser = torch.optim.AdamW(chain.parameters(), lr=Objective.peak_rate)
    labels = torch.arange(4) % 2

    for _ in range(8):
        images = torch.rand(4, 3, 256, 256)
        loss = torch.nn.functional.cross_entropy(chain(images)[:, :, 0, 0], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    hidden = [place for place, layer in enumerate(chain) if isinstance(layer, torch.nn.ReLU)][-2]
    fires = chain.trace(images)[hidden + 1].flatten(1) > 0
    assert fires.any(dim=0).float().mean() > 0.8


def test_training_from_scratch_needs_two_tiles_in_a_step(photographs, tmp_path):
    with pytest.raises(
        UsageError,
        match=r"--batch-size 1: .* needs 2 tiles or more in a step.*; raise --batch-size",
    ):
        train(config(photographs, tmp_path / "model.safetensors", batch_size=1))


def test_the_checkpoint_alone_rebuilds_a_network_without_batch_norm(trained):
    checkpoint = Checkpoint.read(trained.output)

    chain = checkpoint.build()

    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in chain)
    assert checkpoint.classes == ("no_crack", "crack")
    assert checkpoint.history["config"]["epochs"] == 16
    assert "photographs" not in checkpoint.history["config"]  # paths are left out


def test_the_folder_of_a_finished_run_is_removed(trained):
    assert [path.name for path in trained.output.parent.iterdir()] == ["model.safetensors"]


def test_table_and_curve_are_written(trained, tmp_path):
    table = write_scores(trained.scores, tmp_path / "model.sources.csv").read_text()
    curve = write_curve(trained.curve, tmp_path / "model.curve.png")

    assert table.splitlines()[0] == "source,crack,no_crack,recall,specificity,accuracy"
    assert cv2.imread(str(curve)).shape[2] == 3


def test_the_probabilities_of_the_checkpoint_are_calibrated(photographs, trained):
    chain = Checkpoint.read(trained.output).build()
    _, held_out = split(list_photographs(photographs), 0.25, 0)

    found = validate(chain, held_out, Device.find("cpu"))

    assert fit_temperature(found.margins, found.labels) == pytest.approx(1, abs=0.05)
    assert Checkpoint.read(trained.output).margin == pytest.approx(found.typical_margin, rel=0.05)


def test_a_reliability_diagram_is_written(trained, tmp_path):
    path = write_reliability(trained.reliability, tmp_path / "model.reliability.png")

    assert sum(each.count for each in trained.reliability[PHOTOGRAPHS].bins) == 12
    assert cv2.imread(str(path)).shape[2] == 3


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_killed_run_resumes_where_it_was_saved(photographs, tmp_path):
    output = tmp_path / "model.safetensors"

    def kill(state):
        if state.step == 20:
            raise Killed

    with pytest.raises(Killed):
        train(config(photographs, output), kill)
    assert not output.exists()
    steps = []
    train(config(photographs, output), lambda state: steps.append(state.step))

    assert 1 < steps[0] <= 20
    assert steps[-1] == 72  # 16 epochs of 36 photographs in steps of 8
    assert output.exists()


@pytest.mark.parametrize("lost", ["temperature", "second"])
def test_the_run_of_an_earlier_version_is_named(photographs, tmp_path, lost):
    output = tmp_path / "model.safetensors"

    def kill(state):
        if state.curve:
            raise Killed

    with pytest.raises(Killed):
        train(config(photographs, output), kill)
    folder = output.with_name("model.safetensors.run")
    state = torch.load(folder / "state.pt", weights_only=True)
    checkpoint = Checkpoint.read(folder / "best.safetensors")
    (state if lost == "second" else checkpoint.history).pop(lost)
    torch.save(state, folder / "state.pt")
    checkpoint.save(folder / "best.safetensors")

    with pytest.raises(
        ModelError, match=r"state\.pt: .*; remove .*\.safetensors\.run to start anew"
    ):
        train(config(photographs, output))


def test_a_run_that_is_never_validated_is_refused(photographs, tmp_path):
    with pytest.raises(UsageError, match=r"evaluations 0: .*; evaluate once or more"):
        config(photographs, tmp_path / "model.safetensors", evaluations=0)


def test_a_warm_start_leaves_the_first_convolutions_unchanged(photographs, trained, tmp_path):
    result = train(
        config(photographs, tmp_path / "warm.safetensors", start_from=trained.output, epochs=1)
    )

    before = Checkpoint.read(trained.output).state
    after = Checkpoint.read(result.output).state
    same = [name for name in before if torch.equal(before[name], after[name])]
    assert sorted(same) == sorted(f"{i}.{w}" for i in (0, 3, 6, 8, 11) for w in ("weight", "bias"))


def test_a_warm_start_is_blended_by_the_given_share(photographs, trained, tmp_path):
    def head_after(blend):
        output = tmp_path / f"{blend}.safetensors"
        train(config(photographs, output, start_from=trained.output, epochs=1, blend=blend))
        return Checkpoint.read(output).state["21.weight"]  # the head's first layer

    before = Checkpoint.read(trained.output).state["21.weight"]

    assert not torch.equal(head_after(0.0), before)
    torch.testing.assert_close(head_after(1.0), before)


def test_the_tile_with_the_highest_p_crack_of_a_large_photograph_is_located(trained, tmp_path):
    rng = np.random.default_rng(12)
    image = picture(rng, cracked=False, side=192)
    image[96:160, 32:96] = picture(rng, cracked=True)
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), image)
    item = LabelledImage(path, 1, "large", "all")
    chain = Checkpoint.read(trained.output).build()

    assert is_bag(item, chain)
    windows = locate_cracks(chain, [item], Device.find("cpu"))

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


def test_an_existing_checkpoint_is_not_overwritten(photographs, trained):
    with pytest.raises(
        OutputError, match="exists already; choose another output or add --overwrite"
    ):
        train(config(photographs, trained.output))


def test_layers_before_the_first_trainable_one_are_counted(trained):
    chain = Checkpoint.read(trained.output).build()
    for position in (0, 3, 6):
        chain[position].requires_grad_(False)

    assert frozen_layers(chain) == 8  # the fourth convolution
    assert frozen_layers(chain.requires_grad_(True)) == 0


def test_distillation_changes_the_result(photographs, trained, tmp_path):
    found = list_photographs(photographs)
    weights = []

    for keep in (0.0, 5.0):
        output = tmp_path / f"kept_{keep}.safetensors"
        given = {"start_from": trained.output, "epochs": 1, "keep": keep, "evaluations": 1}
        train(config(None, output, **given), data=(found, found[::6]))
        weights.append(Checkpoint.read(output).state["18.weight"])

    assert not torch.equal(*weights)


def test_photographs_may_be_passed_as_lists(photographs, trained, tmp_path):
    found = list_photographs(photographs)
    output = tmp_path / "lists.safetensors"

    result = train(config(None, output, epochs=1), data=(found[::2], found[1::4]))

    assert (result.training, result.held_out) == (24, 12)


def test_without_photographs_the_error_asks_for_a_folder(tmp_path):
    with pytest.raises(UsageError, match="no photographs to train on; give a folder with crack"):
        train(config(None, tmp_path / "model.safetensors"))


def test_a_warm_start_has_the_size_of_the_checkpoint_whatever_the_options(
    photographs, trained, tmp_path
):
    output = tmp_path / "model.safetensors"

    train(config(photographs, output, start_from=trained.output, arguments={}, epochs=1))

    checkpoint = Checkpoint.read(output)
    checkpoint.build()
    assert checkpoint.arguments == TINY


def test_with_too_few_cracks_the_margin_of_the_initial_checkpoint_is_kept(
    photographs, trained, tmp_path
):
    found = list_photographs(photographs)
    output = tmp_path / "model.safetensors"
    data = found, [item for item in found if item.label == 0]

    train(config(None, output, start_from=trained.output, epochs=1, calibrate=False), data=data)

    assert Checkpoint.read(output).margin == Checkpoint.read(trained.output).margin


def test_without_calibration_the_temperature_is_1(photographs, tmp_path):
    output = tmp_path / "plain.safetensors"

    train(config(photographs, output, epochs=1, calibrate=False))

    assert Checkpoint.read(output).history["temperature"] == 1.0


def test_frozen_layers_need_a_warm_start(photographs, tmp_path):
    with pytest.raises(
        UsageError, match=r"--frozen 2 needs --from: .*; give a checkpoint, or leave it out"
    ):
        train(config(photographs, tmp_path / "model.safetensors", frozen=2))


def test_a_file_that_is_not_a_checkpoint_is_named(photographs, tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_text("weights?")

    with pytest.raises(ModelError, match=r"other.safetensors: not a complete safetensors file"):
        train(config(photographs, tmp_path / "model.safetensors", start_from=path))


def test_the_checkpoint_stores_the_typical_margin_on_a_crack(trained):
    checkpoint = Checkpoint.read(trained.output)

    assert checkpoint.margin > 0
    assert checkpoint.margin != 1.0


def test_the_checkpoint_stores_crack_free_references(photographs, trained):
    references = Checkpoint.read(trained.output).references

    crack_free = [to_tensor(read_photograph(path)) for path in (photographs / "no_crack").iterdir()]
    assert references.shape == (6, 3, 64, 64)
    for photograph in references[1:]:
        assert any(torch.equal(photograph, tile) for tile in crack_free)
    assert references[0].float().std() < references[1].float().std() / 2  # a mean is smooth


def test_several_sources_get_a_row_of_all_photographs():
    walls, roads = [(1, True), (1, False), (0, True)], [(1, True), (1, True), (0, False), (0, True)]
    scores = [pooled_score("roads", roads), pooled_score("walls", walls)]

    *sources, total = with_total(scores, pooled_score(ALL_SOURCES, roads + walls))

    assert sources == scores
    assert (total.source, total.crack, total.no_crack) == ("all", 4, 3)
    assert (total.recall, total.specificity) == (3 / 4, 2 / 3)
    assert with_total(scores[:1], total) == scores[:1]
