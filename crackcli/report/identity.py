"""Identity of a scene in a report: structure, survey and run of the scan.

Structure and survey are free text from the options of ``crackcli report``; they are empty if not
given. A run is identified by a digest of its ``run.json`` and the time it was written. A scene
left by an earlier run into the same folder has neither.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from crackcli.errors import InputError, UsageError
from crackcli.files import sha256
from crackcli.report.tables.columns import Row
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import read_run_record

# Beginnings of spreadsheet formulas, control characters, and bytes that are not UTF-8.
FORBIDDEN = re.compile(r"^\s*[=+@-]|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
RUN_ID_LENGTH = 16  # hexadecimal digits
MEGAPIXEL = 1e6


@dataclass(frozen=True)
class Identity:
    """The structure or element ``asset_id``, the survey ``campaign_id``, the run of the scan
    (``run_id`` and ``created_utc``), the mask, and the report. None is unknown."""

    asset_id: str | None = None
    campaign_id: str | None = None
    run_id: str | None = None
    created_utc: str | None = None
    mask_sha256: str | None = None
    report_id: str | None = None


def check_names(**names: str | None) -> None:
    """Raise a `UsageError` for a name that is unfit for a table."""
    for option, name in names.items():
        if name is not None and (not name.strip() or FORBIDDEN.search(name)):
            raise UsageError(
                f"--{option.replace('_', '-')} {name!r}: must be text without control characters "
                "that does not begin like a spreadsheet formula; choose another name"
            )


def identify(out: Path, scene: Scene, asset_id: str | None, campaign_id: str | None) -> Identity:
    """Return the identity of a scene of the output folder ``out``, without that of the report."""
    mask = sha256(scene.mask) if scene.mask.is_file() else None
    known = Identity(asset_id, campaign_id, mask_sha256=mask)
    try:
        record = read_run_record(out)
        listed = {entry["scene"] for entry in record["scenes"]}
        written = record.get("written_utc")
        digest = hashlib.sha256((out / "run.json").read_bytes()).hexdigest()[:RUN_ID_LENGTH]
    except (InputError, OSError, KeyError, TypeError, AttributeError):
        return known
    if scene.name not in listed:
        return known
    return replace(known, run_id=digest, created_utc=written)


def scan_facts(scene: Scene, assessed_px: int, cracks: int) -> Row:
    """Return values of columns on the scan of a scene, which has pixels; None is unknown.

    ``tiles`` counts those of every zoom, ``tiles_positive`` those with P(crack) at the gate or
    above. Methods without a classifier have none.
    """
    record, whole = scene.record, scene.rows * scene.cols
    grids = record.tile_grids
    tiles = [grid["rows"] * grid["cols"] for grid in grids]
    gated = [round(n * grid["share_at_gate"]) for n, grid in zip(tiles, grids, strict=True)]
    times = record.seconds
    excluded = record.excluded_px
    return {
        "nodata_pct": round(100 * max(0.0, 1 - (assessed_px + excluded) / whole), 4),
        "excluded_px": excluded,
        "excluded_pct": round(100 * excluded / whole, 4),
        "cracks_per_mp": round(cracks / assessed_px * MEGAPIXEL, 4) if assessed_px else None,
        "tiles": sum(tiles) if grids else None,
        "tiles_positive": sum(gated) if grids else None,
        "seconds": round(sum(times.values()), 3) if times else None,
        "device": record.device,
    }


def relevance_top(tags: dict[str, str]) -> float | None:
    """Return the relevance, in logits, of the largest value of a score raster, given its tags; None
    if scores are not the square root of relevance.

    Relevance is positive and a mean over the tiles that contain a pixel. The few pixels above
    this value were clipped to it.
    """
    if tags.get("CRACKCLI_SCORE") != "root of positive relevance":
        return None
    return float(tags["CRACKCLI_SCORE_TOP"]) ** 2
