"""crackcli selftest: from a photograph to the crack width that is reliably found on it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging, tell
from crackcli.cli.progress_bar import show_progress
from crackcli.errors import UsageError
from crackcli.registry import DEFAULT_GATE


def selftest(
    image: Annotated[
        Path,
        typer.Argument(help="Photograph or orthophoto to test on.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Output folder.", show_default=False)
    ],
    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan",
            help="Output folder of a finished scan of IMAGE: it is used instead of a new scan, "
            "with its options.",
            show_default=False,
        ),
    ] = None,
    widths: Annotated[
        str, typer.Option(help="Widths of the cracks in pixels, separated by commas.")
    ] = "0.7,1,1.4,2,2.8,4,5.6,8",
    count: Annotated[
        int, typer.Option(min=1, help="Number of cracks to draw, all widths together.")
    ] = 64,
    contrast: Annotated[
        float | None,
        typer.Option(
            help="Contrast of the cracks to the surface, 0 to 1 \\[default: that of the fainter "
            "cracks of IMAGE, else 0.4].",
            show_default=False,
        ),
    ] = None,
    seed: options.Seed = 0,
    gsd_mm: options.GsdMm = None,
    page: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Which full-size page of IMAGE, from 1, if it is a TIFF with several.",
            show_default=False,
        ),
    ] = None,
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
            help="Largest area to test, in megapixels: of a larger image, random windows with this "
            "area in total.",
        ),
    ] = 30.0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Draw cracks of known width on crack-free areas of IMAGE, scan them, and print the width that
    is found in 90 % of cases with 95 % confidence (a90/95 of non-destructive testing).

    Writes pod.csv (a row per crack), curve.csv (probability of detection by width), pod.png (its
    chart), overlay.png (the drawn cracks and what was found) and selftest.json (all results, and
    the summary that is printed). IMAGE is not changed. To resume an interrupted test, give the same
    command again.

        crackcli selftest wall.tif -o selftest
        crackcli selftest wall.jpg -o selftest --gsd-mm 0.2 --contrast 0.3 --zoom 1,2
        crackcli selftest wall.tif -o selftest --scan out
    """
    from crackcli.inference.options import ModelOptions
    from crackcli.masking.refinement import Masking
    from crackcli.rasters.resampled import parse_zooms
    from crackcli.selftest.run import SelftestTask
    from crackcli.selftest.write import write_selftest

    configure_logging(quiet=quiet, verbose=verbose)
    task = SelftestTask(
        source=image,
        output=output,
        scan=scan,
        widths_px=parse_widths(widths),
        count=count,
        contrast=contrast,
        seed=seed,
        gsd_mm=gsd_mm,
        page=page,
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
        max_megapixels=megapixels,
        overwrite=overwrite,
    )
    with show_progress("selftest", quiet=quiet) as report:
        summary = write_selftest(task, report)

    if as_json:
        files = [str(path) for path in summary.paths]
        typer.echo(json.dumps({"files": files} | summary.record, indent=2, default=str))
    else:
        for path in summary.paths:
            typer.echo(path)
    if not quiet:
        for words in (summary.sentence, *summary.notes):
            tell(words)


def parse_widths(text: str) -> tuple[float, ...]:
    """Parse widths as typed after --widths: "1,2,4"."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--widths {text}: not numbers; give widths in pixels such as 1,2,4,8"
        ) from error
