"""crackcli report: the masks of a scan in, tables and maps of cracks out."""

import gc
import json
from dataclasses import asdict

import typer

from crackcli.cli import options
from crackcli.cli.progress_bar import progress, say_log
from crackcli.errors import SomeInputsFailed

COLLECT = 100_000  # objects between looks for cycles: a report makes millions, and none in cycles


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
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure the cracks of every scene in OUT: cracks.csv, .geojson and .gpkg, scenes.csv.

    Lengths and widths are in pixels, and in millimetres too where the raster's map, the scan
    (--marker-mm, --distance-m) or --gsd-mm tells the size of a pixel.  Widths in millimetres are
    graded by each --severity, whose caveat goes with the grades.  Cracks are told from the masks: a
    mask that was corrected by hand is reported as it is.  The photograph tells how wide they are
    (without it, the mask does: column width_method), which others would have been seen, and on how
    much of the wall.  Long straight lines that are likely joints, cables or edges are counted apart
    and go to the joints layer of cracks.gpkg and to joints.geojson.  A wall without a map has
    cracks.local.geojson and joints.local.geojson.  A scene that cannot be read is named; the others
    are done.

        crackcli report out
        crackcli report out --gsd-mm 0.5 --min-length-px 50
        crackcli report out --asset-id "pier 3" --campaign-id 2026
        crackcli report out --severity en1992-xc3 --severity burland
    """
    from crackcli.report.write import ReportTask, write_report

    say_log(quiet=quiet)
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
    )
    gc.set_threshold(COLLECT)
    with progress("report", quiet=quiet) as tell:
        summary = write_report(task, progress=tell)

    if as_json:
        typer.echo(json.dumps(asdict(summary), default=str))
    else:
        for path in summary.paths:
            typer.echo(path)
    for name, error in summary.failed.items():
        typer.echo(f"Error: {name}: {error}", err=True)
    if summary.failed:
        scenes = len(summary.failed) + len(summary.scenes)
        raise SomeInputsFailed(
            f"{len(summary.failed)} of {scenes} scenes could not be reported; the others are done"
        )
