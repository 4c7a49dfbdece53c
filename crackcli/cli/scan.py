"""crackcli scan: from photographs to crack scores and masks on their pixel grids."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging, tell
from crackcli.cli.progress_bar import show_progress
from crackcli.registry import DEFAULT_GATE

if TYPE_CHECKING:
    from crackcli.scan.dry_run.estimate import SurveyEstimate
    from crackcli.scan.inputs import Failure
    from crackcli.scan.survey import SurveyResult, SurveyTask

Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Polygons of areas to leave out: GeoJSON or GeoPackage (one of several layers: "
        "FILE|layername=NAME). A property scene restricts a polygon to one scene. May be repeated. "
        "A mask image STEM.exclude.png beside an image does the same for it.",
        metavar="FILE",
        show_default=False,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        help="Polygons of the only areas to look at, like --exclude. May be repeated.",
        metavar="FILE",
        show_default=False,
    ),
]
AreasIn = Annotated[
    str | None,
    typer.Option(
        "--areas-in",
        help="Coordinates of --exclude and --include. map: of the map of the image; px: pixels, x "
        "right, y down; mm: the same in millimetres \\[default: map, in the coordinate reference "
        "system of the file; px for an image without a map].",
        show_default=False,
    ),
]


def scan(
    sources: options.Sources,
    out: options.Output = Path("cracks"),
    model: options.Model = None,
    method: options.Method = None,
    start: options.Start = None,
    baseline: options.Baseline = None,
    masking: options.Recipe = "auto",
    threshold: options.Threshold = None,
    gate: options.Gate = DEFAULT_GATE,
    look: options.Look = 0.0,
    look_in: options.LookIn = "half",
    engine: options.EngineName = "auto",
    device: options.DeviceName = "auto",
    precision: options.Precision = "auto",
    core_px: options.CorePx = None,
    zoom: options.Zoom = "1",
    bands: options.Bands = None,
    marker_mm: options.MarkerMm = None,
    distance_m: options.DistanceM = None,
    exclude: Exclude = None,
    include: Include = None,
    areas_in: AreasIn = None,
    overwrite: options.Overwrite = False,
    no_recurse: options.NoRecurse = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Find cracks on SOURCES: images, or folders of images.

    Each image gets a folder, named after its subfolders and its file. It contains score.tif,
    mask.tif (1 crack or joint, 0 no crack, 255 nodata) and scene.json. Memory is bounded for images
    of any size. To resume an interrupted scan, give the same command again.

        crackcli scan wall.tif -o cracks
        crackcli scan survey/ -o cracks --method lrp --json
        crackcli scan hairlines.jpg -o cracks --zoom 1,2
        crackcli scan pier.jpg -o cracks --marker-mm 50
        crackcli scan facade.tif -o cracks --exclude windows.geojson
        crackcli scan survey/ -o cracks --dry-run
    """
    from crackcli.inference.options import ModelOptions
    from crackcli.masking.refinement import Masking
    from crackcli.rasters.bands import parse_bands
    from crackcli.rasters.resampled import parse_zooms
    from crackcli.scan.inputs import Failure
    from crackcli.scan.survey import SurveyTask, scan_survey
    from crackcli.scenes.areas.survey_areas import AreaOptions
    from crackcli.scenes.recorded_scale import Hints

    configure_logging(quiet=quiet, verbose=verbose)

    def print_failure(failure: Failure) -> None:
        tell(f"Error: {failure.message}")

    task = SurveyTask(
        sources=tuple(sources),
        output=out,
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
            look_in=look_in,
        ),
        masking=Masking(recipe=masking, threshold=threshold),
        core_px=core_px,
        zooms=parse_zooms(zoom),
        bands=parse_bands(bands) if bands else (),
        hints=Hints(marker_mm=marker_mm, distance_m=distance_m),
        areas=AreaOptions(tuple(exclude or ()), tuple(include or ()), areas_in),
        overwrite=overwrite,
        recurse=not no_recurse,
    )
    if dry_run:
        estimate(task, print_failure, quiet=quiet, as_json=as_json)
    with show_progress("scan", quiet=quiet) as report:
        result = scan_survey(task, report, on_failure=print_failure)

    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2, default=str))
    else:
        for scene in result.scenes:
            typer.echo(scene.mask)
    print_table(result, quiet=quiet)
    raise typer.Exit(result.exit_code)


def print_table(found: "SurveyResult | SurveyEstimate", *, quiet: bool) -> None:
    """Print on stderr how many inputs were scanned, skipped or failed, and why."""
    from crackcli.scan.final_table import lines

    if not quiet:
        for line in lines((one.status for one in found.scenes), found.skipped, found.failures):
            tell(line)


def estimate(
    task: "SurveyTask", on_failure: Callable[["Failure"], None], *, quiet: bool, as_json: bool
) -> NoReturn:
    """Print the estimated time, memory and disk of a scan, and exit."""
    from crackcli.scan.dry_run.estimate import estimate_survey
    from crackcli.scan.dry_run.text import lines

    with show_progress("estimate", quiet=quiet) as report:
        found = estimate_survey(task, report, on_failure=on_failure)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, default=str))
    elif found.scenes:
        wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in lines(found, wide):
            typer.echo(line)
    print_table(found, quiet=quiet)
    raise typer.Exit(found.exit_code)
