"""crackcli learn: from a reviewed report to a model that is fine-tuned to its surface."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging
from crackcli.cli.progress_bar import show_progress

if TYPE_CHECKING:
    from crackcli.finetuning.learning import LearnResult


def learn(
    out: options.Out,
    reviewed: Annotated[
        Path,
        typer.Option(
            help="cracks.gpkg of the report, with accepted or rejected in its column 'review', or "
            "review.json of its page.",
            show_default=False,
        ),
    ],
    output: options.NewCheckpoint,
    start_from: options.LearnFrom = None,
    photographs: Annotated[
        Path | None,
        typer.Option(
            help="Folder with photographs of other surfaces in crack/ and no_crack/, added to the "
            "training.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(min=0.01, help="Training time; predictions before and after come on top."),
    ] = 5.0,
    seed: options.Seed = 0,
    device: options.DeviceName = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Fine-tune a model on cracks of a report in OUT that were accepted or rejected in QGIS.

    Open cracks.gpkg, write accepted or rejected into the column review of the layer cracks, save.
    Accepted cracks are positive examples, rejected ones negative. Crack-free tiles of the same
    photographs are negative examples too, so that they stay free of false positives. A crack that
    you draw in the layer cracks, with accepted in its column review, is a positive example.

    The model is that of the scan: a classifier (vgg11), or a student, which also learns from the
    pixels of the accepted cracks. A student keeps its weights if the new ones are not better on the
    patches that are held out.

    A CSV beside the new model lists P(crack) before and after, crack by crack. If there are enough
    reviewed cracks, some are held out; the CSV marks them.

        crackcli learn out --reviewed out/cracks.gpkg -o mine.safetensors
        crackcli learn out --reviewed review.json -o mine.safetensors
    """
    from crackcli.finetuning.learning import LearnTask
    from crackcli.finetuning.learning import learn as run
    from crackcli.shipped_models import require_model

    configure_logging(quiet=quiet, verbose=verbose)
    require_model("--from", start_from)
    task = LearnTask(
        out=out,
        reviewed=reviewed,
        output=output,
        start_from=start_from,
        photographs=photographs,
        minutes=minutes,
        seed=seed,
        device=device,
        overwrite=overwrite,
    )
    with show_progress("learn", quiet=quiet) as report:
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


def facts(learned: "LearnResult") -> dict[str, Any]:
    """Return the result for --json."""
    from crackcli.finetuning.learning import summarise

    return {
        "files": [str(learned.output), str(learned.table)],
        "training": learned.training.training,
        "held_out": learned.training.held_out,
        "summary": {
            whole.wish: {
                "before": whole.before,
                "after": whole.after,
                "of": whole.of,
                "held_out_before": held.before,
                "held_out_after": held.after,
                "of_held_out": held.of,
            }
            for whole, held in summarise(learned.changes)
        },
        "changes": [asdict(change) for change in learned.changes],
    }


def show(learned: "LearnResult") -> None:
    """Print the table of changes to stderr."""
    from rich.console import Console
    from rich.table import Table

    from crackcli.finetuning.learning import summarise

    table = Table(title="changes on the reviewed scenes")
    table.add_column("cracks of the report")
    for name in ("before", "after", "held out: before", "after"):
        table.add_column(name, justify="right")
    for pair in summarise(learned.changes):
        counts = [(count, one.of) for one in pair for count in (one.before, one.after)]
        table.add_row(pair[0].wish, *(f"{count}/{of}" if of else "-" for count, of in counts))
    Console(stderr=True).print(table)
