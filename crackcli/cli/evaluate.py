"""crackcli evaluate: from labelled photographs to tables that compare methods."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging, literal
from crackcli.cli.progress_bar import show_progress
from crackcli.registry import check_choice

LOG_COLUMNS = 120  # width of a table without a terminal

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
        Path, typer.Option("--output", "-o", help="Output folder.", show_default=False)
    ],
    methods: Annotated[str, typer.Option(help="Methods, separated by commas, or all.")] = "all",
    protocol: Annotated[
        str,
        typer.Option(
            help="study: the protocol of Forest et al. 2024 (each cracked photograph is one tile, "
            "thresholded and closed); ours: scanned and refined, crack-free photographs too; or "
            "both."
        ),
    ] = "both",
    tolerance_px: Annotated[
        int,
        typer.Option(
            "--tolerance-px",
            min=0,
            help="Protocol ours: second tolerance for the position of a pixel, besides 0.",
        ),
    ] = 2,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            help="Name of a shipped model, or a file; may be repeated: seeds of one network are "
            "averaged, other networks are used by the methods that need them "
            "\\[default: the shipped models].",
            parser=options.parse_model,
            metavar="NAME|FILE",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help=f"Target of the attribution: {options.START_MENU} \\[default: margin; in protocol "
            "study both for lrp, crack for the others].",
            show_default=False,
        ),
    ] = None,
    engine: options.EngineName = "auto",
    device: options.DeviceName = "auto",
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of photographs per folder.", show_default=False),
    ] = None,
    mask_crack: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE",
            help="Values of the masks that are crack: numbers (2, or 1,3, or 128-255; of a palette "
            "those of its entries), colours ('#ff0000'), or classes of annotations \\[default: the "
            "larger one of masks of 0 and 1, or of 0 and 255; the only class, or crack].",
            show_default=False,
        ),
    ] = None,
    mask_ignore: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE",
            help="Values of the masks, as for --mask-crack, of pixels that do not count.",
            show_default=False,
        ),
    ] = None,
    growth: Annotated[
        bool, typer.Option("--growth", help="Also run the growth experiment: table 3.")
    ] = False,
    trajectories: Annotated[
        int, typer.Option(min=1, help="Number of growing cracks per growth experiment.")
    ] = 100,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Evaluate methods on the labelled photographs in DATA.

    Writes table1.csv (pixels), table2.csv (count, area, largest width), evaluation.md (with the
    numbers of Forest et al. 2024 beside them) and contact.png. A mask has the name of its
    photograph and is 255, or 1, for crack; for class numbers, palettes and colours, name the value
    of crack with --mask-crack. Without masks/, outlines of COCO, CVAT, labelme or YOLO are drawn
    as masks. Photographs in no_crack/, or with an empty mask, are crack-free.
    With --growth, growing cracks are drawn on the crack-free photographs, and table3.csv shows how
    well each method follows them. Methods without a model or package are skipped with a warning,
    unless they were asked for by name.

        crackcli evaluate test/ -o evaluation
        crackcli evaluate test/walls -o evaluation --methods lrp,deeplift --protocol study
        crackcli evaluate test/ -o evaluation -m seed0.onnx -m seed1.onnx -m seed2.onnx --growth
    """
    from crackcli.datasets.mask_values import MaskValues, parse_values
    from crackcli.evaluation.candidates import ALL, MethodChoice
    from crackcli.evaluation.evaluate import PROTOCOLS, EvaluateTask
    from crackcli.evaluation.write import write_evaluation
    from crackcli.shipped_models import require_model

    configure_logging(quiet=quiet, verbose=verbose)
    for file in model or []:
        require_model("--model", file)
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
        protocols=PROTOCOLS[check_choice("--protocol", PROTOCOLS, protocol)],
        tolerance_px=tolerance_px,
        limit=limit,
        mask_values=MaskValues(
            parse_values("--mask-crack", mask_crack) if mask_crack else None,
            parse_values("--mask-ignore", mask_ignore) if mask_ignore else None,
        ),
        growth=growth,
        trajectories=trajectories,
        seed=seed,
        overwrite=overwrite,
    )
    with show_progress("evaluate", quiet=quiet) as report:
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
    """Print a table to stderr; with several sets, only the rows of all sets together (the last)."""
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
        drawn.add_row(*map(literal, cells))
    width = None if sys.stderr.isatty() else LOG_COLUMNS
    Console(stderr=True, width=width).print(drawn)
