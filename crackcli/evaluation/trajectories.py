"""The trajectories of the growth experiment: drawn from labelled photographs, kept as files.

`EXPERIMENTS` are the study's flat strokes and the harder drawn cracks, see
`crackcli.evaluation.growth`.  Both are made on sound photographs as patches of 256 px; the strokes
take the shape of labelled cracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import Bools, UInt8
from crackcli.datasets.pixel_labels import Labelled, LabelledSet
from crackcli.errors import InputError
from crackcli.evaluation.candidates import Masker
from crackcli.evaluation.growth import Growth, Trajectory, drawn, follow, strokes
from crackcli.evaluation.measures import MaskMeasures, measure
from crackcli.evaluation.study_protocol import PATCH_PX, STUDY_CRACK, resized_mask
from crackcli.rasters.crops import write_png

STROKES, DRAWN = "strokes", "drawn"
EXPERIMENTS = {STROKES: "flat strokes, the study's", DRAWN: "drawn cracks, 0.25 px a step"}
DRAWS = 100  # until a mask has a crack that is left on a patch


@dataclass(frozen=True)
class Written:
    """A trajectory as files: its S photographs, what is true of them, what the true pixels
    measure."""

    photographs: list[Path]
    true: list[MaskMeasures]
    of_pixels: list[MaskMeasures]


def write_trajectories(
    sets: Sequence[LabelledSet], number: int, seed: int, folder: Path
) -> dict[str, list[Written]]:
    """So many trajectories of each experiment; the same seed draws the same."""
    cracked = [item for each in sets for item in each.cracked]
    sound = [item for each in sets for item in each.sound]
    if not sound:
        raise InputError(
            "the growth experiment needs photographs without cracks; put some into a folder "
            "no_crack beside images and masks"
        )
    trajectories: dict[str, list[Written]] = {name: [] for name in EXPERIMENTS}
    for index in range(number):
        rng = np.random.default_rng([seed, index])
        surface = patch(sound[rng.integers(len(sound))].image())
        made = {STROKES: strokes(surface, *some_crack(cracked, rng)), DRAWN: drawn(surface, rng)}
        for name, trajectory in made.items():
            stem = folder / f"{name}_{index:04d}"
            trajectories[name].append(write(trajectory, stem))
    return trajectories


def patch(image: UInt8) -> UInt8:
    """A photograph as a patch of the study's size."""
    return cv2.resize(image, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)


def some_crack(cracked: Sequence[Labelled], rng: Generator) -> tuple[UInt8, Bools]:
    """A cracked photograph and its mask as patches."""
    for _ in range(DRAWS):
        item = cracked[rng.integers(len(cracked))]
        mask = resized_mask(item.values() == STUDY_CRACK, (PATCH_PX, PATCH_PX))
        if mask.any():
            return patch(item.image()), mask
    raise InputError(
        f"{cracked[0].photograph.parent} has no masks with pixels of value {STUDY_CRACK}"
    )


def write(trajectory: Trajectory, stem: Path) -> Written:
    paths = []
    for step, image in enumerate(trajectory.photographs):
        paths.append(stem.with_name(f"{stem.name}_{step}.png"))
        write_png(paths[-1], image)
    return Written(paths, trajectory.true, trajectory.of_pixels)


def followed(trajectories: Sequence[Written], marker: Masker, seed: int) -> Growth:
    """How well the masks of a marker follow the cracks."""
    found = [[measure(marker(path).mask, seed) for path in t.photographs] for t in trajectories]
    return follow(found, [t.true for t in trajectories])


def best(trajectories: Sequence[Written]) -> Growth:
    """How well the true pixels do: nobody's masks can be expected to do better."""
    return follow([t.of_pixels for t in trajectories], [t.true for t in trajectories])
