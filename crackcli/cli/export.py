"""crackcli export: from a checkpoint to one ONNX graph of classifier and attribution."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging


def export(
    model: options.Checkpoint,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ONNX file to write.", show_default=False)
    ],
    method: options.GraphMethod = None,
    start: options.GraphStart = None,
    baseline: options.Baseline = None,
    weights_beside: Annotated[
        bool,
        typer.Option(
            "--weights-beside",
            help="Do not copy the weights: the graph reads them from MODEL, in the same folder.",
        ),
    ] = False,
    qgis: Annotated[
        bool,
        typer.Option(
            "--qgis", help="Fixed tile size and a single output, for the QGIS plugin Deepness."
        ),
    ] = False,
    gsd_mm: options.GraphGsdMm = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Write MODEL and a method as one plain ONNX graph, checked against torch.

    The base installation scans with the graph and gives the same masks. Other programs can run it
    too: it uses standard operators only. Before the file appears, its results are compared with
    those of torch on random images. A graph for QGIS is compared before it is reduced to one tile
    size; crackcli scan does not take it.

        crackcli export model.safetensors -o model.onnx
        crackcli export model.safetensors -o qgis.onnx --qgis --gsd-mm 0.5
    """
    from crackcli.export.onnx_file import ExportTask
    from crackcli.export.onnx_file import export as write

    configure_logging(quiet=quiet, verbose=verbose)
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
