"""Calibrates P(crack) of a student by training photographs that it was not trained on.

    python models/calibrate.py models/student.safetensors DATA --photographs PHOTOGRAPHS

PHOTOGRAPHS is the folder that the student was trained on, and ``--held-out`` and ``--seed`` are
those of that training, so that the same photographs are held out. DATA/train/masks contains masks
of some of them. Used are whole photographs with a crack and a mask, and crack-free ones. Masks of
walls and crack500 are wider than their cracks; they determine the confidence of a crack only.

With ``--drawn`` no mask is used: cracks are drawn onto the held-out crack-free photographs, as
`crackcli train --network student` does at its end.

Writes the calibration, with a prescreen, into the checkpoint, draws ``<model>.reliability.png``
beside it, and prints tables. Export the graph again afterwards. See
`crackcli.training.calibration.marks` and `crackcli.training.calibration.prescreen`.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from crackcli.datasets.folders import (
    LabelledImage,
    list_photographs,
    merge_small_sources,
    split,
)
from crackcli.datasets.pixel_labels import CRACK_ABOVE, read_mask
from crackcli.engines.device import Device
from crackcli.networks.checkpoint import Checkpoint
from crackcli.networks.student import Student
from crackcli.training.calibration.marks import CalibrationPhotograph
from crackcli.training.calibration.reliability import Reliability
from crackcli.training.calibration.student import (
    DRAWN_CRACKS,
    calibrated_student,
    drawn_examples,
)
from crackcli.training.calibration.whole import logits_of
from crackcli.training.charts import write_reliability
from crackcli.training.patches import read_photograph

WIDE = {"walls", "crack500"}  # sources whose masks are wider than the cracks
CROP = "_crop"  # in the names of parts of other photographs
SMALLEST = 5  # photographs; smaller sources are counted together
MEASURED_ON = "masks of photographs that were held out of training, and crack-free ones"


def held_out(folder: Path, fraction: float, seed: int, masks: Path) -> list[LabelledImage]:
    """Return the held-out photographs that are crack-free, or have a mask."""
    _, found = split(list_photographs(folder), fraction, seed)
    return merge_small_sources(
        [
            item
            for item in found
            if CROP not in item.path.stem and (item.label == 0 or mask_of(item, masks).exists())
        ],
        SMALLEST,
    )


def mask_of(item: LabelledImage, masks: Path) -> Path:
    """Return the path of the mask of a photograph."""
    return masks / f"{item.path.stem}.png"


def examples(
    found: list[LabelledImage], masks: Path, network: Student
) -> Iterator[CalibrationPhotograph]:
    """Yield photographs with the logits of a network and their labels."""
    device = Device.find("cpu")
    for item in found:
        image = read_photograph(item.path)
        labelled = np.zeros(image.shape[:2], bool)
        if item.label == 1:
            labelled = read_mask(mask_of(item, masks)) > CRACK_ABOVE
        logits = logits_of(network, image, device)
        source = item.listed.name if item.listed else item.source  # small ones were merged
        exact = item.label == 0 or source not in WIDE
        yield CalibrationPhotograph(item.source, image, logits, labelled, exact)


def print_reliability(name: str, found: Reliability) -> None:
    """Print a table of predicted and observed fractions."""
    print(f"\n{name}: expected calibration error {found.error:.2%}, log loss {found.loss:.4f}")
    print(f"| predicted | {name} | mean predicted | observed |\n| --- | --- | --- | --- |")
    for each in found.bins:
        if each.count:
            print(
                f"| {each.low:.1f} to {each.high:.1f} | {each.count} | {each.predicted:.3f} "
                f"| {each.observed:.3f} |"
            )


def main() -> None:
    """Calibrate, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--photographs", type=Path, help="default: DATA/train")
    parser.add_argument("--held-out", type=float, default=0.06)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="default: the model itself")
    parser.add_argument("--drawn", action="store_true", help="by drawn cracks, without masks")
    given = parser.parse_args()
    masks = given.data / "train" / "masks"
    folder = given.photographs or given.data / "train"
    checkpoint = Checkpoint.read(given.model)
    found = held_out(folder, given.held_out, given.seed, masks)
    for (source, label), count in sorted(Counter((i.source, i.label) for i in found).items()):
        print(f"{source}: {count} photographs {'with' if label else 'without'} a crack")

    network, device = cast(Student, checkpoint.build()), Device.find("cpu")
    if given.drawn:
        crack_free = [item for item in found if item.label == 0]
        measured, by = drawn_examples(crack_free, network, device), DRAWN_CRACKS
    else:
        measured, by = list(examples(found, masks, network)), MEASURED_ON
    result = calibrated_student(checkpoint, measured, by, device)
    if result is checkpoint:
        sys.exit(f"{folder}: no held-out photograph that shows a crack and has a mask; use --drawn")
    output = given.output or given.model
    result.save(output)
    reliability = {
        name: Reliability.of(each) for name, each in result.history["reliability"].items()
    }
    write_reliability(reliability, output.with_suffix(".reliability.png"))
    print(f"\n{result.calibration}")
    for name, each in reliability.items():
        print_reliability(name, each)


if __name__ == "__main__":
    main()
