"""The files of an evaluation: tables as CSV, Markdown and JSON, and a contact sheet.

OUT/table1.csv        pixel scores
OUT/table2.csv        errors of count, area and largest width
OUT/table3.csv        growth, with --growth
OUT/evaluation.md     the tables, beside the numbers published in Forest et al. 2024
OUT/contact.png       photographs, labels, masks
OUT/evaluation.json   all results, with versions, options and digests of the models; written last,
                      so the files of a folder belong together if it is there
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
from crackcli.evaluation.tables import compare_published, group_entries, make_tables
from crackcli.evaluation.tabular import Table, to_markdown, to_records, write_table
from crackcli.files import output_errors, refuse_existing, write_json, write_text
from crackcli.progress import Progress, ignore
from crackcli.rasters.writing.images import write_png

PACKAGES = (
    *("numpy", "scipy", "opencv-python", "scikit-image"),
    *("onnxruntime-gpu", "torch", "zennit"),
)
FILES = (
    *("evaluation.json", "table1.csv", "table2.csv", "table3.csv"),
    *("evaluation.md", "contact.png"),
)


@dataclass(frozen=True)
class EvaluationSummary:
    """The written files, their tables, and the reason for each method left out."""

    paths: list[Path]
    tables: list[Table]
    left_out: dict[str, str]


def write_evaluation(task: EvaluateTask, progress: Progress = ignore) -> EvaluationSummary:
    """Evaluate and write the files into ``task.output``; raise `OutputError` if one exists."""
    record = task.output / "evaluation.json"
    for name in FILES:
        refuse_existing(task.output / name, overwrite=task.overwrite)
    with output_errors(task.output):  # fail now, not after hours
        task.output.mkdir(parents=True, exist_ok=True)
    try:
        evaluation = evaluate(task, progress)
    except BaseException:
        with contextlib.suppress(OSError):
            task.output.rmdir()  # only if it is empty
        raise
    tables = make_tables(evaluation, task)
    for name in FILES:
        (task.output / name).unlink(missing_ok=True)  # from an earlier evaluation
    paths = []
    for number, table in enumerate(tables, start=1):
        paths.append(task.output / f"table{number}.csv")
        write_table(paths[-1], table)
    document, sheet = task.output / "evaluation.md", task.output / "contact.png"
    write_text(document, markdown(evaluation, tables, task))
    write_sheet(sheet, evaluation)
    write_json(record, facts(evaluation, tables, task))
    return EvaluationSummary([*paths, document, sheet, record], tables, evaluation.left_out)


def markdown(evaluation: Evaluation, tables: list[Table], task: EvaluateTask) -> str:
    """Return the evaluation as a Markdown document."""
    counts = ", ".join(
        f"{each.name} ({len(each.cracked)} cracked, {len(each.crack_free)} crack-free)"
        for each in evaluation.sets
    )
    left_out = [f"- {method}: {reason}" for method, reason in evaluation.left_out.items()]
    parts = [
        "# Evaluation of crack masks",
        f"Photographs: {counts}. Seed {task.seed}.",
        *map(to_markdown, tables),
        "## The numbers of the paper (Forest et al. 2024) beside these",
        SETS_DIFFER,
        *map(to_markdown, compare_published(tables)),
        "## Methods",
        "\n".join(map(describe, evaluation.entries)),
        *(["Left out:", "\n".join(left_out)] if left_out else []),
        f"crackcli {__version__}",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def describe(entry: Entry) -> str:
    """Return a line on the method of an entry: model, start, baseline, engine and digest."""
    facts, candidate = entry.method.facts, entry.method.candidate
    baseline = f", baseline {facts.baseline}" if facts.baseline else ""
    if baseline and candidate.model_options.baseline and entry.growth:
        baseline += " (in table 3 the baseline of the model)"
    return (
        f"- {candidate.method} ({candidate.protocol}): {facts.model}, {facts.network}, start "
        f"{facts.start}{baseline}, {facts.engine} on {facts.device}, SHA-256 "
        f"{facts.model_sha256[:12]}"
    )


def write_sheet(path: Path, evaluation: Evaluation) -> None:
    """Write the contact sheet; the first of several models stands for its method."""
    groups = group_entries(evaluation.entries)
    truth = GroundTruth(0)
    rows = [
        SheetRow(
            item.photograph.stem,
            item.image(),
            truth.crack_pixels(item, OURS),
            [group.entries[0].masks.get(item.photograph) for group in groups],
        )
        for item in evaluation.sheet
    ]
    heads = [f"{group.setting.method} ({group.setting.protocol})" for group in groups]
    write_png(path, contact_sheet(rows, heads, "Masks by method and protocol, F1 at 0 px"))


def facts(evaluation: Evaluation, tables: list[Table], task: EvaluateTask) -> dict[str, Any]:
    """Return the content of evaluation.json."""
    return {
        "crackcli_version": __version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := version_of(name))},
        "options": asdict(task),
        "sets": [
            {
                "name": each.name,
                "cracked": len(each.cracked),
                "sound": len(each.crack_free),
                "unreadable": each.left_out.names,
            }
            for each in evaluation.sets
        ],
        "contenders": [
            asdict(entry.method.facts) | {"protocol": entry.method.candidate.protocol}
            for entry in evaluation.entries
        ],
        "left_out": evaluation.left_out,
        "tables": [
            {"title": table.title, "notes": table.notes, "rows": to_records(table)}
            for table in tables
        ],
        "published_beside": [
            {"title": table.title, "rows": to_records(table)} for table in compare_published(tables)
        ],
        "difference_of_sets": SETS_DIFFER,
    }


def version_of(package: str) -> str | None:
    """Return the installed version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
