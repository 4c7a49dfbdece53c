"""crackcli report: from the masks of a scan to tables and maps of cracks."""

import gc
import json
from typing import Annotated

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging, tell
from crackcli.cli.progress_bar import show_progress
from crackcli.errors import SomeInputsFailed
from crackcli.registry import FORMATS, MORE_FORMATS, check_choice

MoreFormats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help="Write this format too: xlsx (a workbook) or shp (shapefiles). May be repeated.",
        show_default=False,
    ),
]
Html = Annotated[
    bool,
    typer.Option(
        "--html", help="Write report/index.html too: photographs and cracks in a browser."
    ),
]
HtmlMaxMp = Annotated[
    float,
    typer.Option(
        "--html-max-mp", min=1, help="Show larger photographs at reduced size, in megapixels."
    ),
]
COLLECT = 100_000  # objects between garbage collections: a report makes millions, none in cycles


def report(
    out: options.Out,
    gsd_mm: options.GsdMm = None,
    gsd_sigma_mm: options.GsdSigmaMm = None,
    scale_source: options.ScaleSource = None,
    severity: options.Severity = None,
    min_length_px: options.MinLengthPx = 0.0,
    joint_likelihood: options.JointLikelihood = 0.5,
    tone: options.ToneName = None,
    asset_id: options.AssetId = None,
    campaign_id: options.CampaignId = None,
    photographs: options.PhotographsFolder = None,
    more_formats: MoreFormats = None,
    html: Html = False,
    html_max_mp: HtmlMaxMp = 1000.0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure the cracks of every scene in OUT: cracks.csv, .geojson and .gpkg, scenes.csv.

    Each scene also gets overview.png: the photograph with its cracks coloured by width.

    Open cracks.qgs in QGIS: it shows the photographs with their masks and cracks.

    --html writes report/index.html, which any browser opens from the folder, without a network: the
    photographs with their cracks to zoom into, a table, and a panel for each crack.

    Lengths and widths are in pixels. They are also in millimetres if the size of a pixel is known:
    from the map of the raster, from the scan (--marker-mm, --distance-m) or from --gsd-mm. Each
    --severity grades the widths in millimetres and adds its caveat to the tables.

    Cracks are traced in the masks; a mask that was corrected by hand is reported as it is. Widths
    are measured on the photograph, or on the mask if the photograph is not available (column
    width_method). The photograph also gives the detection limits, and the part of the surface that
    they apply to. Long straight lines that are likely joints, cables or edges are counted
    separately; they are in the joints layer of cracks.gpkg and in joints.geojson. Without a map
    the files are cracks.local.geojson and joints.local.geojson.

    What people changed in cracks.gpkg of an earlier report (reviews, notes, drawn cracks, styles)
    is carried over, and so is its --gsd-mm. Scenes that cannot be read are listed as errors; the
    others are reported.

        crackcli report out
        crackcli report out --gsd-mm 0.5 --min-length-px 50
        crackcli report out --asset-id "pier 3" --campaign-id 2026
        crackcli report out --format xlsx
        crackcli report out --html
        crackcli report out --severity en1992-xc3 --severity burland
    """
    from crackcli.report import ReportTask, write_report

    configure_logging(quiet=quiet, verbose=verbose)
    for name in more_formats or ():
        check_choice("--format", MORE_FORMATS, name)
    task = ReportTask(
        out=out,
        gsd_mm=gsd_mm,
        gsd_sigma_mm=gsd_sigma_mm,
        scale_source=scale_source,
        severity=tuple(severity or ()),
        min_length_px=min_length_px,
        joint_likelihood=joint_likelihood,
        tone=tone,
        asset_id=asset_id,
        campaign_id=campaign_id,
        photographs=photographs,
        formats=(*FORMATS, *dict.fromkeys(more_formats or ())),
        html=html,
        html_max_mp=html_max_mp,
    )
    gc.set_threshold(COLLECT)
    with show_progress("report", quiet=quiet) as report_progress:
        summary = write_report(task, report_progress)

    if as_json:
        typer.echo(json.dumps(summary.facts(), default=str))
    else:
        for path in summary.paths:
            typer.echo(path)
    if not quiet:
        if html:
            tell(f"page to look at: {out / 'report' / 'index.html'}")
        tell(f"pictures to look at: {out / '*' / 'overview.png'}")
        tell(summary.statement)
        for line in summary.table():
            tell(line)
    for name, error in summary.failed.items():
        tell(f"Error: {name}: {error}")
    if summary.failed:
        scenes = len(summary.failed) + len(summary.scenes)
        raise SomeInputsFailed(
            f"{len(summary.failed)} of {scenes} scenes could not be reported; the others are done"
        )
