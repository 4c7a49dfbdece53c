"""``report.json``: the options of a report and the scans that it was made from.

The next report takes the size of a pixel from it, and the edits that found no place yet; a
comparison checks by it that a report is complete and not older than its masks.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from crackcli import __version__
from crackcli.files import sha256
from crackcli.outputs import Record
from crackcli.report.people.edits import Edit
from crackcli.report.tables.rows import SceneCracks
from crackcli.report.tracing import ReportTask
from crackcli.scenes.frames import map_frame

log = logging.getLogger(__name__)

NAME = "report.json"
ID_LENGTH = 16  # hexadecimal digits
SCALE_OPTIONS = ("gsd_mm", "gsd_sigma_mm", "scale_source")
OPTIONS = ("severity", "min_length_px", "joint_likelihood", "tone", "asset_id", "campaign_id")


def read_record(out: Path) -> Record:
    """Read the record of the report in an output folder; empty if it is missing or damaged."""
    return Record.read(out / NAME)


def with_earlier_scale(task: ReportTask, earlier: Record) -> ReportTask:
    """Return the task with the options of scale of the earlier report, unless it has its own.

    The log names them, and the other options that the earlier report had and this one has not.
    """
    options = earlier.facts.get("options", {})
    given = {name: getattr(task, name) for name in SCALE_OPTIONS}
    known = {name: options.get(name) for name in SCALE_OPTIONS if options.get(name) is not None}
    if known and not any(value is not None for value in given.values()):
        log.warning("%s of the earlier report is used again", words(known))
        task = replace(task, **known)
    now, plain = options_of(task), options_of(ReportTask(task.out))
    left = {
        name: options[name]
        for name in OPTIONS
        if name in options and now[name] == plain[name] != options[name]
    }
    if left:
        log.info("the earlier report had %s; give it again to keep it", words(left))
    return task


def words(options: Mapping[str, Any]) -> str:
    """Return options as they are typed."""
    pairs = [
        (name, value)
        for name, found in options.items()
        for value in (found if isinstance(found, list) else [found])
    ]
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in pairs)


def options_of(task: ReportTask) -> dict[str, Any]:
    """Return the options of a report, as JSON."""
    facts = {name: getattr(task, name) for name in (*SCALE_OPTIONS, *OPTIONS)}
    return facts | {"severity": list(task.severity)}


def report_id(task: ReportTask, tables: Iterable[SceneCracks]) -> str:
    """Return a digest of the masks, scans, scales and options of a report.

    Equal reports have the same: it contains no time.
    """
    scenes = [
        [table.scene.name, asdict(table.identity), table.window_px, str(table.scale)]
        for table in tables
    ]
    known = json.dumps([__version__, options_of(task), scenes], default=str)
    return hashlib.sha256(known.encode(errors="surrogatepass")).hexdigest()[:ID_LENGTH]


def facts_of(
    task: ReportTask, name: str, tables: Iterable[SceneCracks], unplaced: Sequence[Edit]
) -> dict[str, Any]:
    """Return the content of ``report.json``, without files; ``name`` is the `report_id`."""
    return {
        "crackcli_version": __version__,
        "report_id": name,
        "options": options_of(task),
        "scenes": {table.scene.name: scene_facts(table) for table in tables},
        "unplaced": [edit.facts() for edit in unplaced],
    }


def scene_facts(table: SceneCracks) -> dict[str, Any]:
    """Return what one scene was reported from, and the frame of its geometries."""
    frame = map_frame(table.scene)
    return {
        "mask_sha256": table.identity.mask_sha256,
        "run_id": table.identity.run_id,
        "gsd_mm": table.scale.mm_per_px if table.scale else None,
        "width_window_px": table.window_px,
        "frame": {"space": frame.space, "transform": list(frame.transform)[:6]},
    }


def digest_if_there(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if it is missing."""
    return sha256(path) if path.is_file() else None


def outdated(out: Path, record: Record, scenes: Iterable[str]) -> list[str]:
    """Return those of ``scenes`` whose mask is another than that of the report, or missing."""
    known = record.facts.get("scenes", {})
    return [
        name
        for name in scenes
        if name in known and known[name]["mask_sha256"] != digest_if_there(out / name / "mask.tif")
    ]
