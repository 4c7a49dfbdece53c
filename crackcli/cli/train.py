"""crackcli train: labelled photographs in, a checkpoint out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crackcli.cli import options
from crackcli.cli.progress_bar import progress, say_log
from crackcli.errors import UsageError
from crackcli.registry import CLASSIFIER, check

AUGMENT = {"drawn": "", "plain": ""}
DRAWN = 0.25  # share of drawn photographs

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
            help="Folder of photographs without cracks, of any size: what the model of --from "
            "takes for cracks there is trained on.  May be given more than once.",
            show_default=False,
        ),
    ] = None,
    frozen: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Convolutions left as they are \\[default: 5 with --from, else 0].",
            show_default=False,
        ),
    ] = None,
    blend: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="With --from: share of its weights in the result; what it knew stays known.",
        ),
    ] = 0.5,
    epochs: Annotated[float, typer.Option(min=0.01, help="Passes over the photographs.")] = 20,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="End the schedule at this time.", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Tiles in a step.")] = 16,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Peak \\[default: 1e-3, autoencoder 3e-4; with --from 4e-5, unet 2e-4, "
            "autoencoder 1e-4].",
            show_default=False,
        ),
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help="drawn: cracks, and what is no crack, are drawn onto crack-free photographs; "
            "plain: only light, colour, sharpness, turns and scale are changed."
        ),
    ] = "drawn",
    drawn: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of drawn photographs \\[default: 0.25].",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of photographs to judge by.")
    ] = 0.15,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="CSV with columns path, photo, source \\[default: photographs.csv in the "
            "folder, else file names].",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            help="vgg11: a classifier, which learns from the folders alone; unet: from masks/; "
            "autoencoder: from no_crack/ alone."
        ),
    ] = CLASSIFIER,
    seed: options.Seed = 0,
    device: options.DeviceName = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that read and draw tiles \\[default: 0 on a CPU, up to 8 with a GPU].",
            show_default=False,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a network on PHOTOGRAPHS: one bit each, by the folders crack/ and no_crack/.

    Beside the checkpoint stand how it fares on each source (CSV), its learning curve and, for a
    classifier, the reliability of its probabilities (PNG).
    A run that was stopped goes on where it was last saved when the same command is given again.

    Two other networks of the study stand for comparison.  A unet learns from labelled pixels:
    PHOTOGRAPHS/masks/NAME.png is the mask of NAME in crack/ or no_crack/, 255 where there is
    crack, else 0; photographs without one are left out.  An autoencoder learns what no_crack/
    looks like.

    With --mine, the tiles that the model of --from gets wrong on photographs without cracks are
    taken into no_crack, from a folder beside the output.  These photographs alone are enough:
    without PHOTOGRAPHS, cracks are drawn onto them.

        crackcli train photos/ -o mine.safetensors --from shipped
        crackcli train --mine my_sound_walls/ -o mine.safetensors --from shipped
        crackcli train photos/ -o unet.safetensors --network unet
    """
    from crackcli.training.charts import write_curve, write_reliability, write_scores
    from crackcli.training.loop import TrainConfig
    from crackcli.training.loop import train as run

    say_log(quiet=quiet)
    if mine and network != CLASSIFIER:
        raise UsageError(f"--mine says nothing to --network {network}; leave it out")
    config = TrainConfig(
        photographs=photographs,
        output=output,
        table=table,
        network=network,
        start_from=options.resolve(start_from),
        frozen=frozen,
        blend=blend,
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        drawn=share_drawn(network, augment, drawn),
        held_out=held_out,
        seed=seed,
        device=device,
        workers=workers,
        overwrite=overwrite,
    )
    with progress("train", quiet=quiet) as report:
        if mine:
            from crackcli.finetuning.hard_negatives import train_mined

            result, walls = train_mined(config, mine, report)
        else:
            result, walls = run(config, lambda at: report(at.fraction, at.summary)), []

    paths = [
        output,
        write_scores(result.scores, output.with_suffix(".sources.csv")),
        write_curve(result.curve, output.with_suffix(".curve.png")),
    ]
    if result.reliability is not None:
        paths.append(write_reliability(result.reliability, output.with_suffix(".reliability.png")))
    if not quiet:
        show(result.scores)
        if walls:
            show_walls(walls)
    if as_json:
        typer.echo(json.dumps(facts(result, walls, paths), indent=2))
    else:
        for path in paths:
            typer.echo(path)


def share_drawn(network: str, augment: str, drawn: float | None) -> float:
    """The share of drawn photographs; without a wish only a classifier gets some."""
    if check(AUGMENT, augment) == "plain":
        return 0.0
    if drawn is None:
        return DRAWN if network == CLASSIFIER else 0.0
    return drawn


def facts(result: "TrainResult", walls: list["NegativePhotograph"], paths: list[Path]) -> dict:
    """The result for --json."""
    facts = {
        "files": [str(path) for path in paths],
        "training": result.training,
        "held_out": result.held_out,
        "scores": [
            {name: None if value != value else value for name, value in score.row().items()}
            for score in result.scores
        ],
    }
    if result.reliability is not None:
        facts |= {
            "calibration_error": result.reliability.error,
            "mined": [asdict(wall) | {"path": str(wall.path)} for wall in walls],
        }
    return facts


def show(scores: list["Score"]) -> None:
    """The table of sources on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="photographs held out")
    for name in scores[0].texts():
        table.add_column(name, justify="left" if name == "source" else "right")
    for score in scores:
        table.add_row(*score.texts().values())
    Console(stderr=True).print(table)


def show_walls(walls: list["NegativePhotograph"]) -> None:
    """The false alarms on mined photographs on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="photographs without cracks: share of tiles in which one is seen")
    for name in ("photograph", "tile positions", "tiles trained on", "before", "after"):
        table.add_column(name, justify="left" if name == "photograph" else "right")
    for wall in walls:
        shares = (f"{seen / max(wall.positions, 1):.1%}" for seen in (wall.before, wall.after))
        table.add_row(wall.name, str(wall.positions), str(wall.mined), *shares)
    Console(stderr=True).print(table)
