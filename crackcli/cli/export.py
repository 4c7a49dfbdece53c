"""crackcli export: a checkpoint in, one ONNX graph of classifier and explanation out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from crackcli.cli import options
from crackcli.cli.progress_bar import say_log
from crackcli.registry import DEFAULT_METHOD, DEFAULT_START


def export(
    model: options.Checkpoint,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the graph goes.", show_default=False)
    ],
    method: options.GraphMethod = DEFAULT_METHOD,
    start: options.GraphStart = DEFAULT_START,
    baseline: options.Baseline = None,
    weights_beside: Annotated[
        bool,
        typer.Option("--weights-beside", help="Leave the weights in MODEL, in the same folder."),
    ] = False,
    qgis: Annotated[
        bool,
        typer.Option("--qgis", help="One tile size, one output: for the QGIS plugin Deepness."),
    ] = False,
    gsd_mm: options.GraphGsdMm = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Write MODEL and its explanation as one plain ONNX graph, checked against torch.

    The base installation scans with it, to the same masks, and other programs run it: it has no
    operators of its own.  It is compared with torch on fresh images before it is put into place; a
    graph for QGIS, which scan does not take, before it is cut down to one tile.

        crackcli export model.safetensors -o model.onnx
        crackcli export model.safetensors -o qgis.onnx --qgis --gsd-mm 0.5
    """
    from crackcli.export.onnx_file import ExportTask
    from crackcli.export.onnx_file import export as write

    say_log(quiet=quiet)
    task = ExportTask(
        model=model,
        output=output,
        method=method,
        start=start,
        baseline=baseline,
        weights_beside=weights_beside,
        qgis=qgis,
        gsd_mm=gsd_mm,
        overwrite=overwrite,
    )
    path = write(task)
    if as_json:
        typer.echo(json.dumps(asdict(task) | {"output": path}, indent=2, default=str))
    else:
        typer.echo(path)
