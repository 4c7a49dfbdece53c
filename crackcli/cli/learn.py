"""crackcli learn: a reviewed report in, a model that knows that wall better out."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crackcli.cli import options
from crackcli.cli.progress_bar import progress, say_log

if TYPE_CHECKING:
    from crackcli.finetuning.learning import LearnResult


def learn(
    out: options.Out,
    reviewed: Annotated[
        Path,
        typer.Option(
            help="The report's cracks.gpkg, with accepted or rejected in its column 'review'.",
            show_default=False,
        ),
    ],
    output: options.NewCheckpoint,
    start_from: options.LearnFrom = None,
    photographs: Annotated[
        Path | None,
        typer.Option(
            help="Folder with crack/ and no_crack/ of other walls, to be trained on too.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0.01, help="How long to train; looking at the wall comes on top.")
    ] = 5.0,
    seed: options.Seed = 0,
    device: options.DeviceName = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Learn from corrections: cracks of a report in OUT that were accepted or rejected in QGIS.

    Open cracks.gpkg, write accepted or rejected into the column review of the layer cracks, save.
    Accepted cracks are trained on as cracks, rejected ones as none, and sound tiles of the same
    photographs so that they stay sound.  What changed is told crack by crack in a CSV beside the
    new model; some reviewed cracks are held out where there are enough, and marked in it.

        crackcli learn out --reviewed out/cracks.gpkg -o mine.safetensors
    """
    from crackcli.finetuning.learning import LearnTask
    from crackcli.finetuning.learning import learn as run

    say_log(quiet=quiet)
    task = LearnTask(
        out=out,
        reviewed=reviewed,
        output=output,
        start_from=options.resolve(start_from),
        photographs=photographs,
        minutes=minutes,
        seed=seed,
        device=device,
        overwrite=overwrite,
    )
    with progress("learn", quiet=quiet) as report:
        learned = run(task, report)

    if not quiet:
        show(learned)
    if as_json:
        typer.echo(json.dumps(facts(learned), indent=2))
    else:
        typer.echo(learned.output)
        typer.echo(learned.table)
    if not quiet:
        again = ["crackcli", "scan", *map(str, learned.sources), "-o", f"{out}_again"]
        typer.echo(f"{shlex.join([*again, '--model', str(output)])}", err=True)


def facts(learned: "LearnResult") -> dict:
    """The result for --json."""
    from crackcli.finetuning.learning import summarise

    return {
        "files": [str(learned.output), str(learned.table)],
        "training": learned.training.training,
        "held_out": learned.training.held_out,
        "summary": {
            words: {"cracks": so, "of": of, "held_out": out, "of_held_out": of_out}
            for words, so, of, out, of_out in summarise(learned.changes)
        },
        "changes": [asdict(change) for change in learned.changes],
    }


def show(learned: "LearnResult") -> None:
    """What changed, on stderr."""
    from rich.console import Console
    from rich.table import Table

    from crackcli.finetuning.learning import summarise

    table = Table(title="what changed on this wall")
    table.add_column("cracks of the report")
    table.add_column("all", justify="right")
    table.add_column("held out", justify="right")
    for words, so, of, out, of_out in summarise(learned.changes):
        table.add_row(words, f"{so}/{of}", f"{out}/{of_out}" if of_out else "-")
    Console(stderr=True).print(table)
