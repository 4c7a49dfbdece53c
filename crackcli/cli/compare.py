"""crackcli compare: from two reports of the same surface to the changes between them."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging, tell
from crackcli.errors import SomeInputsFailed

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
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Match the cracks of two campaigns and write changes.csv and changes.geojson.

    BEFORE and AFTER each contain a scan and its report, on the same pixel grid. Scenes match by
    name, or if there is only one on either side. A crack is new, grown, stable or gone; cracks that
    split or merged are one change. Lines that both reports classify as joints are counted
    separately, unless they became much longer or wider.

    Widths are compared only if both were measured in the same way: on the photograph or on the
    mask, and with the same --tone. Scans with different models or detection options are compared
    with a warning.

        crackcli compare 2024/out 2026/out
        crackcli compare 2024/out 2026/out -o changes --tolerance-px 8
    """
    from crackcli.comparison import CompareTask, write_comparison

    configure_logging(quiet=quiet, verbose=verbose)
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
    for scene in () if quiet else summary.scenes:
        tell(
            f"{named(scene)}: {scene.new} new, {scene.grown} grown, {scene.shrunk} shrunk, "
            f"{scene.stable} stable, {scene.gone} gone, {scene.hidden} hidden"
        )
    for name, error in summary.failed.items():
        tell(f"Error: {name}: {error}")
    if summary.failed:
        scenes = len(summary.failed) + len(summary.scenes)
        raise SomeInputsFailed(
            f"{len(summary.failed)} of {scenes} scenes could not be compared; the others are done"
        )


def named(scene: "SceneChanges") -> str:
    """Return the name of the later scene, with that of the earlier one if it differs."""
    same = scene.before == scene.after
    return scene.after if same else f"{scene.after} (earlier: {scene.before})"
