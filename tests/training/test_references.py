"""Reference tiles of a checkpoint: crack-free, from all sources, reproducible by the seed."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from crackcli.datasets.folders import LabelledImage
from crackcli.training.patches import choose_references


@pytest.fixture
def found(tmp_path):
    """Uniform photographs: crack-free ones of source a (grey 40 to 65) and b (140 to 145), and ones
    with a crack (255)."""
    photographs = []
    for number in range(24):
        source, label, level = [("a", 0, 40), ("a", 0, 60), ("b", 0, 140), ("b", 1, 255)][
            number % 4
        ]
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((64, 64, 3), level + number // 4 * (label == 0), np.uint8))
        photographs.append(LabelledImage(path, label, str(number), source))
    return photographs


def test_the_first_reference_is_the_mean_and_the_others_are_crack_free_tiles_of_all_sources(found):
    references = choose_references(found, 64, 32, seed=3)

    levels = references.float().mean(dim=(1, 2, 3)).tolist()
    crack_free = [cv2.imread(str(item.path)).mean() for item in found if item.label == 0]
    assert references.shape == (6, 3, 64, 64)
    assert references.dtype == torch.uint8
    assert levels[0] == pytest.approx(np.mean(crack_free), abs=0.5)
    assert set(levels[1:]) <= set(crack_free)
    assert len(set(levels[1:])) == 5
    assert 2 <= sum(level > 100 for level in levels[1:]) <= 3  # both sources equally often


def test_the_same_seed_chooses_the_same_tiles_and_another_seed_others(found):
    first, same, other = (choose_references(found, 64, 32, seed) for seed in (3, 3, 4))

    assert torch.equal(first, same)
    assert torch.equal(first[0], other[0])
    assert not torch.equal(first, other)


def test_the_centre_tile_of_a_large_photograph_is_taken_and_one_photograph_is_enough(tmp_path):
    image = np.full((192, 256, 3), 200, np.uint8)
    image[::191, ::255] = 90  # the corners, so that grey is no border
    image[64:128, 96:160] = 90
    cv2.imwrite(str(tmp_path / "wall.png"), image)

    references = choose_references([LabelledImage(tmp_path / "wall.png", 0, "p", "a")], 64, 32, 0)

    assert (references == 90).all()
    assert len(references) == 2


def test_without_crack_free_photographs_there_are_no_references(found):
    assert choose_references([item for item in found if item.label], 64, 32, 0) is None
