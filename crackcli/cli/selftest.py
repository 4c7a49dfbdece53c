"""crackcli selftest: a photograph in, what width of crack is found on it out."""

import json
from pathlib import Path
from typing import Annotated

import typer

from crackcli.cli import options
from crackcli.cli.progress_bar import progress, say_log
from crackcli.errors import UsageError
from crackcli.registry import DEFAULT_GATE


def selftest(
    image: Annotated[
        Path,
        typer.Argument(help="The photograph or orthophoto to test on.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the result.", show_default=False)
    ],
    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan",
            help="Output folder of a finished scan of the image: it is not scanned again, and the "
            "options of that scan count.",
            show_default=False,
        ),
    ] = None,
    widths: Annotated[
        str, typer.Option(help="Widths of the cracks in pixels, separated by commas.")
    ] = "0.7,1,1.4,2,2.8,4,5.6,8",
    count: Annotated[int, typer.Option(min=1, help="Cracks that are drawn, of all widths.")] = 64,
    contrast: Annotated[
        float | None,
        typer.Option(
            help="How much darker than the surface they are, 0 to 1 \\[default: as the fainter "
            "cracks of the image, else 0.4].",
            show_default=False,
        ),
    ] = None,
    seed: options.Seed = 0,
    gsd_mm: options.GsdMm = None,
    model: options.Model = None,
    method: options.Method = None,
    start: options.Start = None,
    baseline: options.Baseline = None,
    masking: options.Recipe = "auto",
    threshold: options.Threshold = None,
    gate: options.Gate = DEFAULT_GATE,
    look: options.Look = 0.0,
    engine: options.EngineName = "auto",
    device: options.DeviceName = "auto",
    precision: options.Precision = "auto",
    zoom: options.Zoom = "1",
    megapixels: Annotated[
        float,
        typer.Option(
            min=1.0,
            help="Of a larger image only windows are tested, chosen by chance, of so many "
            "megapixels together.",
        ),
    ] = 30.0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Draw cracks of known width into the sound areas of IMAGE, find them again, and tell which
    width is found in 90 % of cases with 95 % confidence (a90/95 of non-destructive testing).

    pod.csv has a row for each crack, curve.csv the probability of detection by width, pod.png
    shows it, overlay.png shows the cracks themselves, selftest.json holds all, and the sentence
    that is said on stderr.  The image is not changed.  A test that was interrupted goes on where it
    stopped when the same command is given again.

        crackcli selftest wall.tif -o selftest
        crackcli selftest wall.jpg -o selftest --gsd-mm 0.2 --contrast 0.3 --zoom 1,2
        crackcli selftest wall.tif -o selftest --scan out
    """
    from crackcli.inference.options import ModelOptions
    from crackcli.masking.refinement import Masking
    from crackcli.rasters.resampled import parse_zooms
    from crackcli.selftest.run import SelftestTask
    from crackcli.selftest.write import write_selftest

    say_log(quiet=quiet)
    task = SelftestTask(
        source=image,
        output=output,
        scan=scan,
        widths_px=parse_widths(widths),
        count=count,
        contrast=contrast,
        seed=seed,
        gsd_mm=gsd_mm,
        model_options=ModelOptions(
            model=model,
            method=method,
            start=start,
            baseline=baseline,
            engine=engine,
            device=device,
            precision=precision,
            gate=gate,
            look=look,
        ),
        masking=Masking(recipe=masking, threshold=threshold),
        zooms=parse_zooms(zoom),
        most_mp=megapixels,
        overwrite=overwrite,
    )
    with progress("selftest", quiet=quiet) as report:
        summary = write_selftest(task, report)

    if as_json:
        files = [str(path) for path in summary.paths]
        typer.echo(json.dumps({"files": files} | summary.record, indent=2, default=str))
    else:
        for path in summary.paths:
            typer.echo(path)
    if not quiet:
        for words in (summary.sentence, *summary.notes):
            typer.echo(words, err=True)


def parse_widths(text: str) -> tuple[float, ...]:
    """Widths as they are typed: "1,2,4"."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"'{text}' are no widths; give numbers of pixels such as 1,2,4,8"
        ) from error
