"""crackcli compare: two reports of the same wall in, what changed out."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from crackcli.cli import options
from crackcli.cli.progress_bar import say_log

if TYPE_CHECKING:
    from crackcli.comparison.write import SceneChanges


def compare(
    before: options.Before,
    after: options.After,
    output: options.ChangesFolder = None,
    tolerance_px: options.TolerancePx = 5.0,
    grown_length_px: options.GrownLengthPx = 10.0,
    grown_width_px: options.GrownWidthPx = 0.5,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Match the cracks of two campaigns and write changes.csv and changes.geojson.

    BEFORE and AFTER hold a scan and its report each, on the same grid.  Scenes match by name, or
    because there is one on either side.  A crack is new, grown, stable or gone; cracks that split
    or merged are one change.  What both reports set aside as joints is counted apart, unless it has
    become much longer or wider.  Widths that were measured in different ways, by the mask in one
    report and by the photograph in the other or by another --tone, are not compared.
    Scans by another model or by other options that tell which cracks are found are compared, with
    a warning.

        crackcli compare 2024/out 2026/out
        crackcli compare 2024/out 2026/out -o changes --tolerance-px 8
    """
    from crackcli.comparison.changes import CompareTask
    from crackcli.comparison.write import write_comparison

    say_log(quiet=quiet)
    task = CompareTask(
        before=before,
        after=after,
        output=output or after,
        tolerance_px=tolerance_px,
        grown_length_px=grown_length_px,
        grown_width_px=grown_width_px,
    )
    summary = write_comparison(task)

    if as_json:
        typer.echo(json.dumps(asdict(summary), default=str))
    else:
        for path in summary.paths:
            typer.echo(path)
    if quiet:
        return
    for scene in summary.scenes:
        typer.echo(
            f"{named(scene)}: {scene.new} new, {scene.grown} grown, {scene.stable} stable, "
            f"{scene.gone} gone",
            err=True,
        )


def named(scene: "SceneChanges") -> str:
    """The scene of the later campaign, with that of the earlier one where it has another name."""
    same = scene.before == scene.after
    return scene.after if same else f"{scene.after}, against {scene.before}"
