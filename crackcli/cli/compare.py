"""crackcli compare: from two reports of the same surface to the changes between them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crackcli.cli import options
from crackcli.cli.logs import configure_logging, tell
from crackcli.cli.progress_bar import show_progress
from crackcli.errors import ConditionMet, SomeInputsFailed
from crackcli.texts import first_names

if TYPE_CHECKING:
    from crackcli.comparison.compared import SceneChanges
    from crackcli.report.tables.columns import Row


def compare(
    before: options.Before,
    after: options.After,
    later: Annotated[
        list[Path] | None,
        typer.Argument(help="Output folders of further campaigns.", show_default=False),
    ] = None,
    output: options.ChangesFolder = None,
    tolerance_px: options.TolerancePx = 5.0,
    grown_length_px: options.GrownLengthPx = 10.0,
    grown_width_px: options.GrownWidthPx = 0.5,
    dates: Annotated[
        str | None,
        typer.Option(
            "--dates",
            metavar="DATE,DATE",
            help="Dates of the campaigns, as 2024-05-01,2026-05-04 \\[default: EXIF, names].",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="CONDITION",
            help='Exit code 10 if a change meets it, as "d_width_max_mm > 0.2"; repeatable.',
            show_default=False,
        ),
    ] = None,
    gauges: Annotated[
        str | None,
        typer.Option(
            "--gauges",
            metavar="FILE|auto",
            help="Places to measure in every campaign: points or lines on cracks, or the widest.",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            metavar="CSV",
            help="Scenes that belong together: columns before and after \\[default: names, maps].",
            show_default=False,
        ),
    ] = None,
    same_grid: Annotated[
        bool,
        typer.Option("--same-grid", help="The photographs are on one pixel grid; do not align."),
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Match the cracks of two or more campaigns and write changes.csv, .geojson and .gpkg.

    Each folder contains a scan and its report. Of several campaigns, in order of time, each is
    compared with the next, and a crack keeps its track_id through all of them. Scenes belong
    together by --pairs, by name, by map or by what they show. Photographs on different grids are
    aligned without their cracks; pairs that cannot be trusted fail, and residual_SCENE.png shows
    how well others fit.

    A crack is new, grown, shrunk, stable or gone, or hidden if the other photograph could not have
    shown it; cracks that split or merged are one change. Lines that both reports classify as joints
    are counted separately, unless they became much longer or wider.

    Differences are measured on the stretch that both photographs show, each with its uncertainty.
    They are significant if they are beyond the limit at 5 %, by the procedure of Benjamini and
    Hochberg over all cracks. Widths are compared only if both were measured on the photograph with
    the same --tone. Scans with different models or detection options are compared with a warning.

        crackcli compare 2024/out 2026/out
        crackcli compare 2024/out 2026/out -o changes --dates 2024-05-01,2026-05-04
        crackcli compare 2022/out 2024/out 2026/out -o changes
        crackcli compare 2024/out 2026/out --fail-on "d_width_max_mm > 0.2 and significant == true"
    """
    from crackcli.comparison import CompareTask, Condition, parse_dates, write_comparison

    configure_logging(quiet=quiet, verbose=verbose)
    task = CompareTask(
        before=before,
        after=after,
        later=tuple(later or ()),
        output=output or [after, *(later or ())][-1],
        tolerance_px=tolerance_px,
        grown_length_px=grown_length_px,
        grown_width_px=grown_width_px,
        dates=tuple(parse_dates(dates.split(",") if dates else [], campaigns=2 + len(later or ()))),
        fail_on=tuple(Condition.parse(text) for text in fail_on or ()),
        gauges=gauges,
        pairs=pairs,
        same_grid=same_grid,
    )
    with show_progress("compare", quiet=quiet) as progress:
        summary = write_comparison(task, progress)

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
    if not quiet:
        for line in table(summary.most_significant):
            tell(line)
    for name, error in summary.failed.items():
        tell(f"Error: {name}: {error}")
    failed, scenes = len(summary.failed), len(summary.failed) + len(summary.scenes)
    words = f"{failed} of {scenes} scenes could not be compared; the others are done"
    if summary.alarms:  # before failures: else one of them would silence an alarm
        met = "; ".join(f"{text}: {first_names(ids)}" for text, ids in summary.alarms.items())
        if failed:
            tell(f"Error: {words}")
        raise ConditionMet(f"--fail-on {met}; look at these changes")
    if failed:
        raise SomeInputsFailed(words)


def table(rows: "list[Row]") -> Iterator[str]:
    """Yield the most significant changes as lines of a table: what changed, and by how much."""
    if not rows:
        return
    lines = [("significant change", "kind", "largest width", "length", "cracks")]
    for row in rows:
        cracks = [*row["ids_before"], "->", *row["ids_after"]]
        widest, length = (measured(row, name) for name in ("width_max", "length"))
        lines.append((row["change_id"], row["kind"], widest, length, " ".join(cracks)))
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(f"{cell:{size}}" for cell, size in zip(line, wide, strict=True)).rstrip()


def measured(row: "Row", name: str) -> str:
    """Return a difference with its uncertainty and unit; empty if it is unknown."""
    unit = "px" if row[f"d_{name}_mm"] is None else "mm"
    value, unc = row[f"d_{name}_{unit}"], row[f"d_{name}_unc_{unit}"]
    if value is None:
        return ""
    return f"{value:+.2f}" + ("" if unc is None else f" ± {unc:.2f}") + f" {unit}"


def named(scene: "SceneChanges") -> str:
    """Return the name of the later scene, with that of the earlier one if it differs."""
    same = scene.before == scene.after
    return scene.after if same else f"{scene.after} (earlier: {scene.before})"
