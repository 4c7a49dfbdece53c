"""crackcli evaluate: labelled photographs in, tables of methods out."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crackcli.cli import options
from crackcli.cli.progress_bar import progress, say_log
from crackcli.registry import check

LOG_COLUMNS = 120  # of a table where there is no terminal

if TYPE_CHECKING:
    from crackcli.evaluation.tabular import Table


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder with images/ and masks/ (and no_crack/), or a folder of such folders.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the result.", show_default=False)
    ],
    methods: Annotated[
        str, typer.Option(help="Methods by name, separated by commas, or all.")
    ] = "all",
    protocol: Annotated[
        str,
        typer.Option(
            help="study: a photograph is one tile, thresholded and closed, cracked ones only; "
            "ours: scanned and refined, sound ones too; or both."
        ),
    ] = "both",
    tolerance_px: Annotated[
        int,
        typer.Option(
            "--tolerance-px", min=0, help="In our protocol: how far off a pixel may lie, beside 0."
        ),
    ] = 2,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            help="Model file; may be given more than once: seeds of one network are averaged, "
            "other networks serve the methods that need them \\[default: the shipped ones].",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help=f"What is explained: {options.START_MENU} \\[default: margin; by the study's "
            "protocol both for lrp, crack for the others].",
            show_default=False,
        ),
    ] = None,
    engine: options.EngineName = "auto",
    device: options.DeviceName = "auto",
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many photographs of a folder.", show_default=False),
    ] = None,
    growth: Annotated[
        bool, typer.Option("--growth", help="The growth experiment too: table 3.")
    ] = False,
    trajectories: Annotated[int, typer.Option(min=1, help="Of each growth experiment.")] = 100,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Judge methods by the labelled photographs in DATA: table1.csv (pixels), table2.csv (count,
    area, largest width), evaluation.md with the study's numbers beside them, contact.png.

    A mask has the name of its photograph; photographs in no_crack/, or whose mask is empty, are
    sound.  With --growth, cracks that grow are drawn onto the sound ones: how well does each method
    follow?  A method that lacks a model or a package is left out by name, unless it was asked for.

        crackcli evaluate test/ -o evaluation
        crackcli evaluate test/walls -o evaluation --methods lrp,deeplift --protocol study
        crackcli evaluate test/ -o evaluation -m seed0.onnx -m seed1.onnx -m seed2.onnx --growth
    """
    from crackcli.evaluation.candidates import ALL, MethodChoice
    from crackcli.evaluation.evaluate import PROTOCOLS, EvaluateTask
    from crackcli.evaluation.write import write_evaluation

    say_log(quiet=quiet)
    names = tuple(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
    choice = MethodChoice(
        methods=ALL if not names or "all" in names else names,
        models=tuple(model or ()),
        start=start,
        engine=engine,
        device=device,
    )
    task = EvaluateTask(
        data=data,
        output=output,
        choice=choice,
        protocols=PROTOCOLS[check(PROTOCOLS, protocol)],
        tolerance_px=tolerance_px,
        limit=limit,
        growth=growth,
        trajectories=trajectories,
        seed=seed,
        overwrite=overwrite,
    )
    with progress("evaluate", quiet=quiet) as report:
        summary = write_evaluation(task, report)

    if not quiet:
        for table in summary.tables:
            show(table)
    if as_json:
        record = task.output / "evaluation.json"
        files = [str(path) for path in summary.paths]
        found = json.loads(record.read_text(encoding="utf-8"))
        typer.echo(json.dumps({"files": files} | found, indent=2))
    else:
        for path in summary.paths:
            typer.echo(path)


def show(table: "Table") -> None:
    """A table on stderr; of several sets all together, the last ones."""
    from dataclasses import replace

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable

    last = table.rows[-1].get("set")
    table = replace(
        table,
        title=f"{table.title}: {last}" if last else table.title,
        columns=tuple(column for column in table.columns if column.name != "set"),
        rows=[row for row in table.rows if row.get("set") == last],
    )
    drawn = RichTable(title=table.title, box=SIMPLE_HEAD)
    for column in table.shown:
        words = column.decimals is None
        drawn.add_column(column.title, justify="left" if words else "right", no_wrap=words)
    for cells in table.texts():
        drawn.add_row(*cells)
    width = None if sys.stderr.isatty() else LOG_COLUMNS
    Console(stderr=True, width=width).print(drawn)
