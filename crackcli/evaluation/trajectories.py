"""The trajectories of the growth experiments: made from labelled photographs, written as files.

`EXPERIMENTS` are the flat strokes of Forest et al. 2024 and the harder drawn cracks, see
`crackcli.evaluation.growth`. Both are drawn onto crack-free photographs, as patches of 256 px; the
strokes have the shapes of labelled cracks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import Bools, UInt8
from crackcli.datasets.pixel_labels import LabelledPhotograph, LabelledSet
from crackcli.errors import InputError
from crackcli.evaluation.growth import Growth, Trajectory, draw_growing_crack, follow, grow_stroke
from crackcli.evaluation.measures import MaskMeasures
from crackcli.evaluation.study_protocol import PATCH_PX, STUDY_CRACK, resize_mask
from crackcli.rasters.writing.images import write_png

STROKES, DRAWN = "strokes", "drawn"
EXPERIMENTS = {STROKES: "flat strokes, the paper's", DRAWN: "drawn cracks, 0.25 px a step"}
ATTEMPTS = 100  # to find a mask that still has a crack when it is resized to a patch


@dataclass(frozen=True)
class WrittenTrajectory:
    """A trajectory on disk: S photographs, and the measures as in `Trajectory`."""

    photographs: list[Path]
    true: list[MaskMeasures]
    of_pixels: list[MaskMeasures]


def write_trajectories(
    sets: Sequence[LabelledSet], number: int, seed: int, folder: Path
) -> dict[str, list[WrittenTrajectory]]:
    """Write ``number`` trajectories of each experiment; the same seed gives the same files."""
    cracked = [item for each in sets for item in each.cracked]
    crack_free = [item for each in sets for item in each.crack_free]
    if not crack_free:
        raise InputError(
            "--growth needs photographs without cracks; put some into a folder no_crack beside "
            "images and masks"
        )
    trajectories: dict[str, list[WrittenTrajectory]] = {name: [] for name in EXPERIMENTS}
    for index in range(number):
        rng = np.random.default_rng([seed, index])
        surface = resize_to_patch(crack_free[int(rng.integers(len(crack_free)))].image())
        made = {
            STROKES: grow_stroke(surface, *random_crack_patch(cracked, rng)),
            DRAWN: draw_growing_crack(surface, rng),
        }
        for name, trajectory in made.items():
            stem = folder / f"{name}_{index:04d}"
            trajectories[name].append(write_trajectory(trajectory, stem))
    return trajectories


def resize_to_patch(image: UInt8) -> UInt8:
    """Resize a photograph (rows, cols, 3) to a patch of the paper's size."""
    patch = cv2.resize(image, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)
    return patch.astype(np.uint8, copy=False)


def random_crack_patch(
    cracked: Sequence[LabelledPhotograph], rng: Generator
) -> tuple[UInt8, Bools]:
    """Return a random cracked photograph and its crack pixels, both as patches."""
    for _ in range(ATTEMPTS):
        item = cracked[int(rng.integers(len(cracked)))]
        mask = resize_mask(item.label_values() == STUDY_CRACK, (PATCH_PX, PATCH_PX))
        if mask.any():
            return resize_to_patch(item.image()), mask
    raise InputError(
        f"{cracked[0].photograph.parent}: no mask has pixels of value {STUDY_CRACK}; --growth "
        "needs cracks that are labelled so"
    )


def write_trajectory(trajectory: Trajectory, stem: Path) -> WrittenTrajectory:
    """Write the photographs of a trajectory as ``stem`` plus the step."""
    paths = []
    for step, image in enumerate(trajectory.photographs):
        paths.append(stem.with_name(f"{stem.name}_{step}.png"))
        write_png(paths[-1], image)
    return WrittenTrajectory(paths, trajectory.true, trajectory.of_pixels)


def best_growth(trajectories: Sequence[WrittenTrajectory]) -> Growth:
    """Return how well the true pixels follow the cracks: an upper bound for any mask."""
    return follow([t.of_pixels for t in trajectories], [t.true for t in trajectories])
