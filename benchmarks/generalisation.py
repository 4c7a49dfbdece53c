"""Measures a model on sources that it was not trained on: leave one source out.

    python benchmarks/generalisation.py DATA --folder models_loso --minutes 20
    python benchmarks/generalisation.py DATA --folder models_loso --sources walls --limit 24

DATA is a data pack with train/ and test/patches (crack/, no_crack/), manifest.csv, and
test/<source>/images and masks for sources with masks. For each source a network is trained from
scratch on all the others, by one short recipe, and evaluated on every patch of the source. A
network trained by the same recipe on all sources is evaluated on the test patches only, as it was
trained on the rest. Both are kept in FOLDER, and trained again only if the recipe changes.
``--zoom 0.5`` trains and evaluates at half the resolution, on tiles of half the side: a step takes
a quarter of the time, and fine cracks are lost.

FOLDER/<source>.worst.png shows the patches with the most confident errors of the first network:
false positives above, false negatives below.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from segmentation import labelled_photographs, scanned

from crackcli.datasets.folders import LABELS, LabelledImage, list_photographs, source_names, split
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.engines.device import Device
from crackcli.engines.opening import open_engine
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.networks.checkpoint import Checkpoint
from crackcli.rasters.writing.images import write_png
from crackcli.registry import check_choice
from crackcli.training.config import EVALUATIONS, TrainConfig
from crackcli.training.loop import train
from crackcli.training.patches import read_photograph, resize
from crackcli.training.validation import ClassifierValidation, validate

ALL = "all sources"
HELD_OUT = 0.05
RECIPE = (  # of TrainConfig
    "minutes", "epochs", "batch_size", "drawn", "evaluations", "seed", "arguments",
)  # fmt: skip
TILE_CELLS = 8  # of the default network, at zoom 1
COLUMNS, ROWS = 8, 2  # of a contact sheet, for each kind of error
SIDE_PX = 160


def trained(path: Path, found: Sequence[LabelledImage], given: argparse.Namespace) -> Path:
    """The checkpoint ``path``, trained on ``found`` unless it is there by the same recipe."""
    recipe = {name: getattr(given, name) for name in RECIPE}
    if path.exists():
        known = Checkpoint.read(path).history["config"]
        if all(known.get(name) == value for name, value in recipe.items()):
            return path
    print(f"training {path} on {len(found)} photographs", file=sys.stderr)
    config = TrainConfig(
        photographs=None,
        output=path,
        start_from=given.start_from,
        workers=given.workers,
        overwrite=True,
        **recipe,
    )
    train(config, data=split(found, HELD_OUT, given.seed))
    return path


def without(source: str, seen: Sequence[LabelledImage], given: argparse.Namespace) -> Path:
    """The checkpoint that is trained on all sources but one."""
    others = [item for item in seen if item.source != source]
    return trained(given.folder / f"without_{source}.safetensors", others, given)


def judged(
    model: Path, found: Sequence[LabelledImage], device: Device
) -> ClassifierValidation | None:
    """How a checkpoint fares on photographs of one source; None where there are none."""
    if not found:
        return None
    return validate(Checkpoint.read(model).build().to(device.torch), found, device)


def percents(judgement: ClassifierValidation | None) -> list[str]:
    """Accuracy, recall, specificity; accuracy is the mean of the other two where both exist."""
    if judgement is None:
        return ["-"] * 3
    (score,) = judgement.scores
    values = (score.accuracy, score.recall, score.specificity)
    return ["-" if value != value else f"{100 * value:.1f}" for value in values]


def seen_at(zoom: float, found: Sequence[LabelledImage], folder: Path) -> list[LabelledImage]:
    """The photographs at another resolution, in ``folder``."""
    if zoom == 1:
        return list(found)
    seen = []
    for item in found:
        path = (folder / LABELS[item.label] / item.path.name).with_suffix(".png")
        if not path.exists():
            image = read_photograph(item.path)
            rows, cols = (round(zoom * side) for side in image.shape[:2])
            write_png(path, resize(image, rows, cols))
        seen.append(replace(item, path=path))
    return seen


def mask_f1(model: Path, folder: Path, zoom: float, limit: int | None) -> str:
    """Refined F1 in percent at 0 and 2 px over the photographs of a set with masks."""
    if not folder.is_dir():
        return "-"
    scorer = ClassifierScorer(open_engine(model, "lrp", None, "torch"), gate=0.5)
    totals = [PixelScores(), PixelScores()]
    with tempfile.TemporaryDirectory() as name:
        for photograph, mask in labelled_photographs(folder)[:limit]:
            labelled = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 127
            marked = scanned(photograph, "refined", scorer, Path(name), (zoom,))
            totals = [
                t + compare(marked, labelled, px) for t, px in zip(totals, (0, 2), strict=True)
            ]
    return " / ".join(f"{100 * total.f1:.1f}" for total in totals)


def worst_errors(
    found: Sequence[LabelledImage], judgement: ClassifierValidation, path: Path
) -> None:
    """A contact sheet of the errors it was surest of, each with its margin."""
    order = sorted(zip(judgement.margins, found, strict=True), key=lambda pair: -abs(pair[0]))
    rows = []
    for label in (0, 1):
        wrong = [(m, item) for m, item in order if item.label == label and (m > 0) != (label == 1)]
        tiles = [thumbnail(item, margin) for margin, item in wrong[: COLUMNS * ROWS]]
        empty = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
        tiles += [empty] * (COLUMNS * ROWS - len(tiles))
        rows += [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])


def thumbnail(item: LabelledImage, margin: float) -> np.ndarray:
    """A patch, its margin written on it."""
    image = resize(read_photograph(item.path), SIDE_PX, SIDE_PX).copy()
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(
            image, f"{margin:+.1f}", (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness
        )
    return image


def main() -> None:
    """Train what is missing, judge, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="for models and sheets")
    parser.add_argument("--sources", nargs="+", help="to leave out; else each in turn")
    parser.add_argument("--minutes", type=float, default=20.0, help="of training for each model")
    parser.add_argument("--epochs", type=float, default=20.0)
    parser.add_argument("--batch-size", type=int, default=TrainConfig.batch_size)
    parser.add_argument("--drawn", type=float, default=0.25)
    parser.add_argument(
        "--start-from",
        type=Path,
        help="a checkpoint to start from, at zoom 1; it must not have seen the source that is left "
        "out, and models made from another one must not lie in FOLDER",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--zoom", type=float, default=1.0, choices=(0.5, 1.0))
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS, help="of each training")
    parser.add_argument("--limit", type=int, help="photographs with masks of each source")
    parser.add_argument("--workers", type=int, help="processes that read and draw tiles")
    parser.add_argument(
        "--only",
        metavar="SOURCE",
        help=f"train the model without it, or '{ALL}', and stop: a GPU trains several at once",
    )
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    if given.start_from and given.zoom != 1:
        parser.error("a network that is started from has its size: leave out --zoom")
    given.arguments = {}
    if given.start_from:
        given.arguments = Checkpoint.read(given.start_from).arguments
    elif given.zoom != 1:
        given.arguments = {"tile_cells": round(TILE_CELLS * given.zoom)}
    given.folder.mkdir(parents=True, exist_ok=True)
    device = Device.find("auto")
    table = given.data / "manifest.csv"
    seen, new = (
        seen_at(
            given.zoom, list_photographs(given.data / which, table), given.folder / which / "small"
        )
        for which in ("train", "test/patches")
    )
    named = given.sources or source_names(seen)
    for source in named:
        check_choice("--sources", source_names(seen), source)
    if given.only and given.only != ALL:
        without(check_choice("--only", source_names(seen), given.only), seen, given)
        return
    everything = trained(given.folder / "all.safetensors", seen, given)
    if given.only:
        return

    header = ["source", "trained on", "patches", "accuracy", "recall", "specificity", "F1 0/2 px"]
    rows = []
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for source in named:
        tested = [item for item in new if item.source == source]
        own = [item for item in seen if item.source == source] + tested
        model = without(source, seen, given)
        masks = given.data / "test" / source
        judgement = judged(model, own, device)
        worst_errors(own, judgement, given.folder / f"{source}.worst.png")
        for name, path, on, found in (
            ("the others", model, f"all {len(own)}", judgement),
            ("the others", model, f"test {len(tested)}", judged(model, tested, device)),
            (ALL, everything, f"test {len(tested)}", judged(everything, tested, device)),
        ):
            f1 = "" if on.startswith("all") else mask_f1(path, masks, given.zoom, given.limit)
            rows.append([source, name, on, *percents(found), f1])
            print("| " + " | ".join(rows[-1]) + " |", flush=True)
    if given.csv:
        with given.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
