"""Hard-negative mining: false positives of a model are found, stored and unlearnt."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from fakes import LocalEngine, wall
from tiny import SHALLOW, picture, train_shallow, write_photographs

pytest.importorskip("torch")

from crackcli.datasets.folders import photo_of
from crackcli.errors import InputError, OutputError, UsageError
from crackcli.finetuning.hard_negatives import mine, train_mined
from crackcli.training import TrainConfig

SPOTS = [(70, 40), (70, 400), (300, 220)]  # (row, col) of dark spots that give a false positive


class Unused(LocalEngine):
    def features(self, images):
        raise AssertionError("classified again")


@pytest.fixture
def walls(tmp_path):
    """Write a photograph with three dark spots, and one with none."""
    folder = tmp_path / "walls"
    folder.mkdir()
    spotted = wall(400, 500, cracks=0)
    for row, col in SPOTS:
        spotted[row : row + 20, col : col + 20] = 0
    cv2.imwrite(str(folder / "spotted.png"), spotted)
    cv2.imwrite(str(folder / "clean.png"), wall(200, 200, cracks=0) // 2 + 127)
    return folder


def test_false_positives_are_taken_and_as_many_true_negatives(walls, tmp_path):
    mined = mine([walls], LocalEngine(), tmp_path / "mined", seed=0)

    image = cv2.imread(str(walls / "spotted.png"))
    tiles = [cv2.imread(str(item.path)) for item in mined.found]
    black = [(tile == 0).all(axis=2).sum() for tile in tiles]
    spots = sum(count > 100 for count in black)
    assert spots >= len(SPOTS)
    assert len(tiles) - spots >= min(spots, 12)
    assert all(tile.shape == (64, 64, 3) for tile in tiles)
    assert {item.photo for item in mined.found} == {"spotted"}
    assert {photo_of(item.path) for item in mined.found} == {"spotted"}
    row, col = (int(n) for n in mined.found[0].path.stem.split("_r")[1].split("c"))
    np.testing.assert_array_equal(tiles[0], image[row : row + 64, col : col + 64])
    clean, spotted = mined.photographs
    assert (clean.before, clean.mined) == (0, 0)
    assert 0 < spotted.before < spotted.positions


def test_tiles_of_an_earlier_run_are_reused_unless_the_photograph_changed(walls, tmp_path):
    first = mine([walls], LocalEngine(), tmp_path / "mined", seed=0)

    again = mine([walls], Unused(), tmp_path / "mined", seed=0)
    cv2.imwrite(str(walls / "clean.png"), wall(210, 200))
    with pytest.raises(AssertionError, match="classified again"):
        mine([walls], Unused(), tmp_path / "mined", seed=0)

    assert again == first


def test_tiles_of_another_model_or_seed_are_removed(walls, tmp_path):
    mine([walls], LocalEngine(), tmp_path / "mined", seed=0)
    stray = tmp_path / "mined" / "no_crack" / "stray_r0c0.png"
    stray.touch()

    mine([walls], LocalEngine(), tmp_path / "mined", seed=1)

    assert not stray.exists()


def test_a_folder_with_other_files_is_left_alone(walls, tmp_path):
    (tmp_path / "mined").mkdir()
    (tmp_path / "mined" / "letter.txt").write_text("dear")

    with pytest.raises(
        OutputError, match="mined: was not written by --mine; remove it, or choose another"
    ):
        mine([walls], LocalEngine(), tmp_path / "mined", seed=0)

    assert (tmp_path / "mined" / "letter.txt").exists()


def test_an_unreadable_photograph_is_named_and_the_others_are_mined(walls, tmp_path, caplog):
    (walls / "broken.jpg").write_text("no picture")

    mined = mine([walls], LocalEngine(), tmp_path / "mined", seed=0)

    assert len(mined.photographs) == 2
    assert "broken.jpg: not a readable image" in caplog.text


@pytest.fixture(scope="module")
def knows_lines(tmp_path_factory):
    """Return photographs, and a model that distinguishes dark lines from noise."""
    folder = tmp_path_factory.mktemp("tiny")
    photographs = write_photographs(folder / "photographs")
    return photographs, train_shallow(photographs, folder / "tiny.safetensors")


def fooling(folder):
    """Write a photograph with wide green bars that such a model takes for cracks."""
    rng = np.random.default_rng(3)
    folder.mkdir()
    image = picture(rng, cracked=False, side=640)
    for row in range(40, 640, 150):
        image[row : row + 12, :400] = (30, 90, 30)
    cv2.imwrite(str(folder / "bars.png"), image)
    return folder


def config(output, start_from, **changes):
    given = {
        "photographs": None,
        "output": output,
        "start_from": start_from,
        "epochs": 24,
        "batch_size": 8,
        "learning_rate": 4e-3,
        "arguments": SHALLOW,
        "device": "cpu",
        "drawn": 0.25,
        "frozen": 2,
        "blend": 0.0,
        "evaluations": 2,
    }
    return TrainConfig(**(given | changes))


def test_crack_free_photographs_alone_are_enough_to_unlearn_their_false_positives(
    knows_lines, tmp_path
):
    _, model = knows_lines
    folder = fooling(tmp_path / "walls")

    result, (bars,) = train_mined(config(tmp_path / "mine.safetensors", model), [folder])

    assert result.output.exists()
    assert bars.before > 50
    assert bars.after < 0.8 * bars.before
    mined = tmp_path / "mine.mined"
    assert len(list((mined / "crack").iterdir())) >= len(list((mined / "no_crack").iterdir()))


def test_mined_tiles_are_added_to_the_photographs(knows_lines, tmp_path):
    photographs, model = knows_lines
    folder = fooling(tmp_path / "walls")
    output = tmp_path / "mine.safetensors"

    result, (bars,) = train_mined(config(output, model, photographs=photographs), [folder])

    assert result.training + result.held_out == 48 + bars.mined
    assert not (tmp_path / "mine.mined" / "crack").exists()


def test_without_false_positives_training_needs_other_photographs(knows_lines, tmp_path, caplog):
    photographs, model = knows_lines
    (tmp_path / "walls").mkdir()
    noise = picture(np.random.default_rng(5), cracked=False, side=200)
    cv2.imwrite(str(tmp_path / "walls" / "noise.png"), noise)
    output = tmp_path / "mine.safetensors"

    with pytest.raises(
        InputError, match=r"--mine: tiny\.safetensors finds no crack in these photographs"
    ):
        train_mined(config(output, model), [tmp_path / "walls"])
    assert not output.exists()
    with caplog.at_level("INFO", logger="crackcli"):
        train_mined(config(output, model, photographs=photographs, epochs=1), [tmp_path / "walls"])

    assert "training without them" in caplog.text
    assert output.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o m.safetensors", "no photographs to train on; give a folder with crack and no_crack"),
        ("--mine walls -o m.safetensors", "--mine needs --from"),
    ],
)
def test_the_command_names_what_is_missing(tmp_path, arguments, message):
    program = [sys.executable, "-m", "crackcli", "train", *arguments.split()]

    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_mining_needs_a_model(tmp_path):
    with pytest.raises(UsageError, match="--mine needs --from"):
        train_mined(config(tmp_path / "mine.safetensors", None), [tmp_path])
