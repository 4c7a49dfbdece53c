"""What methods compare with: crack-free, of all sources, the same by the same seed."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from crackcli.datasets.folders import LabelledImage
from crackcli.training.references import choose_references


@pytest.fixture
def found(tmp_path):
    """Grey levels tell: 40 and more is crack-free of source a, 140 of b; 255 has a crack."""
    photographs = []
    for number in range(24):
        source, label, level = [("a", 0, 40), ("a", 0, 60), ("b", 0, 140), ("b", 1, 255)][
            number % 4
        ]
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((64, 64, 3), level + number // 4 * (label == 0), np.uint8))
        photographs.append(LabelledImage(path, label, str(number), source))
    return photographs


def test_the_first_is_the_mean_and_the_others_are_crack_free_photographs_of_all_sources(found):
    references = choose_references(found, 64, 32, seed=3)

    levels = references.float().mean(dim=(1, 2, 3)).tolist()
    sound = [cv2.imread(str(item.path)).mean() for item in found if item.label == 0]
    assert references.shape == (6, 3, 64, 64)
    assert references.dtype == torch.uint8
    assert levels[0] == pytest.approx(np.mean(sound), abs=0.5)
    assert set(levels[1:]) <= set(sound)
    assert len(set(levels[1:])) == 5
    assert 2 <= sum(level > 100 for level in levels[1:]) <= 3  # one source as often as the other


def test_a_seed_chooses_the_same_and_another_one_others(found):
    first, same, other = (choose_references(found, 64, 32, seed) for seed in (3, 3, 4))

    assert torch.equal(first, same)
    assert torch.equal(first[0], other[0])
    assert not torch.equal(first, other)


def test_of_a_large_photograph_the_middle_is_taken_and_few_are_enough(tmp_path):
    image = np.full((192, 256, 3), 200, np.uint8)
    image[64:128, 96:160] = 90
    cv2.imwrite(str(tmp_path / "wall.png"), image)

    references = choose_references([LabelledImage(tmp_path / "wall.png", 0, "p", "a")], 64, 32, 0)

    assert (references == 90).all()
    assert len(references) == 2


def test_without_crack_free_photographs_there_are_none(found):
    assert choose_references([item for item in found if item.label], 64, 32, 0) is None
