"""The files of an evaluation: tables as CSV, all of it as Markdown and JSON, and a contact sheet.

OUT/table1.csv table2.csv   pixels; count, area and width; OUT/table3.csv growth, if asked for
OUT/evaluation.md           the tables, and the study's published numbers beside them
OUT/contact.png             photographs, labels, masks
OUT/evaluation.json         everything, with versions, options and digests of the models; the last
                            to be written: its presence means that all belong together
"""

import contextlib
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from crackcli import __version__
from crackcli.evaluation.candidates import OURS
from crackcli.evaluation.contact_sheet import SheetRow, contact_sheet
from crackcli.evaluation.evaluate import Entry, EvaluateTask, Evaluation, GroundTruth, evaluate
from crackcli.evaluation.published import SETS_DIFFER
from crackcli.evaluation.tables import all_beside, groups_of, tables_of
from crackcli.evaluation.tabular import Table, to_csv, to_markdown, to_records
from crackcli.files import output_errors, refuse_existing, write_json, write_text
from crackcli.progress import Progress
from crackcli.rasters.crops import write_png

PACKAGES = (
    *("numpy", "scipy", "opencv-python", "scikit-image"),
    *("onnxruntime-gpu", "torch", "zennit"),
)


@dataclass(frozen=True)
class EvaluationSummary:
    """What was written, the tables in it, and why methods were left out."""

    paths: list[Path]
    tables: list[Table]
    left_out: dict[str, str]


def write_evaluation(
    task: EvaluateTask, progress: Progress = lambda share, words: None
) -> EvaluationSummary:
    """Evaluate and write the files into ``task.output``."""
    record = task.output / "evaluation.json"
    refuse_existing(record, overwrite=task.overwrite)
    with output_errors(task.output):  # now, not after hours
        task.output.mkdir(parents=True, exist_ok=True)
    try:
        evaluation = evaluate(task, progress)
    except BaseException:
        with contextlib.suppress(OSError):
            task.output.rmdir()  # if nothing is in it
        raise
    tables = tables_of(evaluation, task)
    for name in ("evaluation.json", *(f"table{number}.csv" for number in (1, 2, 3))):
        (task.output / name).unlink(missing_ok=True)  # of an earlier evaluation
    paths = []
    for number, table in enumerate(tables, start=1):
        paths.append(task.output / f"table{number}.csv")
        write_text(paths[-1], to_csv(table))
    document, sheet = task.output / "evaluation.md", task.output / "contact.png"
    write_text(document, markdown(evaluation, tables, task))
    write_sheet(sheet, evaluation)
    write_json(record, facts(evaluation, tables, task))
    return EvaluationSummary([*paths, document, sheet, record], tables, evaluation.left_out)


def markdown(evaluation: Evaluation, tables: list[Table], task: EvaluateTask) -> str:
    """The whole evaluation as a document."""
    counts = ", ".join(
        f"{each.name} ({len(each.cracked)} cracked, {len(each.sound)} sound)"
        for each in evaluation.sets
    )
    left_out = [f"- {method}: {reason}" for method, reason in evaluation.left_out.items()]
    parts = [
        "# Evaluation of crack masks",
        f"Photographs: {counts}. Seed {task.seed}.",
        *map(to_markdown, tables),
        "## The study's numbers beside these",
        SETS_DIFFER,
        *map(to_markdown, all_beside(tables)),
        "## Who took part",
        "\n".join(map(line_of, evaluation.entries)),
        *(["Left out:", "\n".join(left_out)] if left_out else []),
        f"crackcli {__version__}",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def line_of(entry: Entry) -> str:
    facts, contender = entry.seat.facts, entry.seat.contender
    baseline = f", compared with {facts.baseline}" if facts.baseline else ""
    if baseline and contender.model_options.baseline and entry.growth:
        baseline += " (in table 3 with what the model has for the method)"
    return (
        f"- {contender.method} ({contender.protocol}): {facts.model}, {facts.network}, started "
        f"from {facts.start}{baseline}, {facts.engine} on {facts.device}, SHA-256 "
        f"{facts.model_sha256[:12]}"
    )


def write_sheet(path: Path, evaluation: Evaluation) -> None:
    """Every method on a few photographs; of several models of a method the first."""
    groups = groups_of(evaluation.entries)
    truths = GroundTruth(0)
    strips = [
        SheetRow(
            item.photograph.stem,
            item.image(),
            truths.flags(item, OURS),
            [group.entries[0].masks.get(item.photograph) for group in groups],
        )
        for item in evaluation.sheet
    ]
    heads = [f"{group.method} ({group.protocol})" for group in groups]
    write_png(path, contact_sheet(strips, heads, "Masks by method and protocol, F1 at 0 px"))


def facts(evaluation: Evaluation, tables: list[Table], task: EvaluateTask) -> dict[str, Any]:
    """All there is to say, as JSON."""
    return {
        "crackcli_version": __version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := version_of(name))},
        "options": asdict(task),
        "sets": [
            {"name": each.name, "cracked": len(each.cracked), "sound": len(each.sound)}
            for each in evaluation.sets
        ],
        "contenders": [
            asdict(entry.seat.facts) | {"protocol": entry.seat.contender.protocol}
            for entry in evaluation.entries
        ],
        "left_out": evaluation.left_out,
        "tables": [
            {"title": table.title, "notes": table.notes, "rows": to_records(table)}
            for table in tables
        ],
        "published_beside": [
            {"title": table.title, "rows": to_records(table)} for table in all_beside(tables)
        ],
        "difference_of_sets": SETS_DIFFER,
    }


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
