"""crackcli export: a checkpoint in, one ONNX graph of classifier and explanation out."""

from pathlib import Path
from typing import Annotated

import typer

from crackcli.cli import options
from crackcli.cli.progress import say_log


def export(
    model: options.Checkpoint,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the graph goes.", show_default=False)
    ],
    method: options.Method = "lrp",
    start: options.Start = "margin",
    weights_beside: Annotated[
        bool,
        typer.Option("--weights-beside", help="Leave the weights in MODEL, in the same folder."),
    ] = False,
    qgis: Annotated[
        bool,
        typer.Option("--qgis", help="One tile size, one output: for the QGIS plugin Deepness."),
    ] = False,
    gsd_mm: options.GsdMm = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write MODEL and its explanation as one plain ONNX graph, checked against torch.

    crackcli export model.safetensors -o model.onnx --method lrp
    """
    from crackcli.onnx_export import ExportTask
    from crackcli.onnx_export import export as write

    say_log(quiet=quiet)
    task = ExportTask(
        model=model,
        output=output,
        method=method or "lrp",
        start=start or "margin",
        weights_beside=weights_beside,
        qgis=qgis,
        gsd_mm=gsd_mm,
        overwrite=overwrite,
    )
    typer.echo(write(task))
