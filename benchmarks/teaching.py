"""Measures what each source of teaching gives a student: a table of runs that leave one out.

    python benchmarks/teaching.py DATA PHOTOGRAPHS --folder runs --steps 400 --limit 45

DATA is a data pack with test/<set>/images and masks, and test/patches/no_crack. PHOTOGRAPHS is a
training folder (crack/, no_crack/, photographs.csv). Every run has the same steps, seed and
learning rate, and leaves out one of

drawn cracks   no twins
image labels   cracked photographs count only where they have pixel labels
LRP masks      no pixel labels by the explanation of the shipped classifier
facades        no photographs of sources that have no cracked ones
pretraining    the encoder starts from nothing
<a set>        no photographs of that source; judge the row by the column of the same name

A run that is there already is not trained again. Every threshold is that of the checkpoint.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from unittest import mock

import cv2
import numpy as np
from segmentation import labelled_photographs, scanned

from crackcli.datasets.folders import LabelledImage, list_photographs, split
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.finetuning.explained_labels import METHOD, label_photographs
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.training import weak_tiles
from crackcli.training.config import TrainConfig
from crackcli.training.loop import train
from crackcli.training.objectives import weak_segmentation

SETS = ("deepcrack", "masonry_dais", "cfd")
WITHOUT = ("nothing", "drawn cracks", "image labels", "LRP masks", "facades", "pretraining")
BATCH = 16
HELD_OUT = 0.04


def suitable(found: Sequence[LabelledImage], without: str) -> list[LabelledImage]:
    """The photographs of a run, with the pixel labels that it may use."""
    cracked = {item.source for item in found if item.label == 1}
    kept = {
        "image labels": lambda item: item.label == 0 or item.pixels is not None,
        "facades": lambda item: item.source in cracked,
    }.get(without, lambda item: item.source != without)
    items = [item for item in found if kept(item)]
    return [replace(item, pixels=None) for item in items] if without == "LRP masks" else items


def patches(without: str) -> ExitStack:
    """What makes the training of a run differ from that of all others."""
    changes = {
        "drawn cracks": [(weak_tiles, "CRACKED_TWINS", 0), (weak_tiles, "DISTRACTED_TWINS", 0)],
        "image labels": [
            (weak_tiles, "LABELLED", 1),
            (weak_segmentation, "IMAGE_LABELS", 0),
            (weak_segmentation, "FLOODED", 0),
        ],
        "pretraining": [(weak_segmentation, "find_imagenet_weights", lambda: None)],
    }
    stack = ExitStack()
    for module, name, value in changes.get(without, []):
        stack.enter_context(mock.patch.object(module, name, value))
    return stack


def trained(found: Sequence[LabelledImage], without: str, given: argparse.Namespace) -> Path:
    """The checkpoint of a run."""
    path = given.folder / f"{without.replace(' ', '_')}.{given.seed}.safetensors"
    if path.exists():
        return path
    training, held_out = split(suitable(found, without), HELD_OUT, given.seed)
    print(f"{path.name}: {len(training)} photographs", file=sys.stderr, flush=True)
    config = TrainConfig(
        photographs=None,
        output=path,
        network="student",
        epochs=given.steps * BATCH / len(training),
        batch_size=BATCH,
        evaluations=1,
        seed=given.seed,
        device=given.device,
    )
    with patches(without):
        train(config, data=(training, held_out))
    return path


def judged(model: Path, given: argparse.Namespace) -> list[str]:
    """The row of a checkpoint: F1 at 0 and 2 px of each set, and crack-free patches marked."""
    scorer = open_scorer(ModelOptions(model, device=given.device))
    cells = []
    with tempfile.TemporaryDirectory() as name:
        for which in SETS:
            totals = [PixelScores(), PixelScores()]
            pairs = labelled_photographs(given.data / "test" / which)[: given.limit]
            for photograph, mask in pairs:
                labelled = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 127
                marked = scanned(photograph, "refined", scorer, Path(name) / which)
                totals = [
                    total + compare(marked, labelled, tolerance)
                    for total, tolerance in zip(totals, (0, 2), strict=True)
                ]
            cells.append(" / ".join(f"{100 * total.f1:.1f}" for total in totals))
        marks = PixelScores()
        for photograph in sorted((given.data / "test/patches/no_crack").iterdir())[: given.limit]:
            marked = scanned(photograph, "refined", scorer, Path(name) / "none")
            marks += compare(marked, np.zeros_like(marked))
    return [*cells, f"{marks.marked_fraction:.2%}"]


def main() -> None:
    """Train, evaluate, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="checkpoints and pixel labels")
    parser.add_argument("--without", nargs="+", default=[*WITHOUT, *SETS])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--limit", type=int, help="photographs of each set")
    parser.add_argument("--labelled", type=int, help="cracked photographs to label; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    teacher = open_scorer(ModelOptions(method=METHOD, device=given.device))
    labels = given.folder / "labels" / teacher.engine.facts.model_sha256[:12]
    found = list_photographs(given.photographs)
    Random(0).shuffle(found)
    cracked = [item for item in found if item.label == 1]
    chosen = cracked[: given.labelled]
    others = [item for item in found if item.label == 0] + cracked[len(chosen) :]
    found = others + label_photographs(chosen, teacher, labels)
    print("| without | " + " | ".join(SETS) + " | crack-free marked |")
    print("|---" * (len(SETS) + 2) + "|")
    for without in given.without:
        print("|", " | ".join([without, *judged(trained(found, without, given), given)]), "|")


if __name__ == "__main__":
    main()
