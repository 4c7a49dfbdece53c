"""What a report is about: the structure and the survey, as a person names them, and the scan.

The names are free text, given to ``crackcli report`` and written into every table and map; nothing
is made up where none is given.  A run of a scan is known by a digest of its ``run.json``, and by
when that was written; a scene that an earlier run into the same folder has left has neither.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crackcli.errors import InputError, UsageError
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import read_run_record

# Of a name: how a formula begins, control characters, and bytes that are no text.
UNFIT = re.compile(r"^\s*[=+@-]|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
ID_LENGTH = 16  # of a run, in hexadecimal digits
MEGAPIXEL = 1e6

Row = dict[str, Any]


@dataclass(frozen=True)
class About:
    """The structure or element ``asset_id`` and the survey ``campaign_id``, and of the scan of a
    scene ``run_id`` and ``created_utc``; None is unknown."""

    asset_id: str | None = None
    campaign_id: str | None = None
    run_id: str | None = None
    created_utc: str | None = None


def check_names(**names: str | None) -> None:
    """Raise a `UsageError` for a name that cannot stand in a table."""
    for option, name in names.items():
        if name is not None and (not name.strip() or UNFIT.search(name)):
            raise UsageError(
                f"--{option.replace('_', '-')} {name!r} is no name; give a word without control "
                "characters that does not begin as a formula of a spreadsheet does"
            )


def about(out: Path, scene: Scene, asset_id: str | None, campaign_id: str | None) -> About:
    """What is known of a scene of the output folder ``out``."""
    try:
        record = read_run_record(out)
        listed = {entry["scene"] for entry in record["scenes"]}
        written = record.get("written_utc")
        digest = hashlib.sha256((out / "run.json").read_bytes()).hexdigest()[:ID_LENGTH]
    except (InputError, OSError, KeyError, TypeError, AttributeError):
        return About(asset_id, campaign_id)
    if scene.name not in listed:
        return About(asset_id, campaign_id)
    return About(asset_id, campaign_id, digest, written)


def scan_facts(scene: Scene, assessed_px: int, cracks: int) -> Row:
    """What the scan of a scene was, as values of columns; None is unknown.

    ``tiles`` are those of every zoom, ``tiles_positive`` those whose P(crack) is at the gate or
    above; a method without a classifier has none.
    """
    record, whole = scene.record, scene.rows * scene.cols
    grids = record.tile_grids
    tiles = [grid["rows"] * grid["cols"] for grid in grids]
    seen = [round(count * grid["share_at_gate"]) for count, grid in zip(tiles, grids, strict=True)]
    times = record.seconds
    return {
        "nodata_pct": round(100 * (1 - assessed_px / whole), 4) if whole else None,
        "cracks_per_mp": round(cracks / assessed_px * MEGAPIXEL, 4) if assessed_px else None,
        "tiles": sum(tiles) if grids else None,
        "tiles_positive": sum(seen) if grids else None,
        "seconds": round(sum(times.values()), 3) if times else None,
        "device": record.device,
    }


def relevance_top(tags: dict[str, str]) -> float | None:
    """The relevance, in logits, of a pixel that is stored as the largest score, given the tags of a
    score raster; None where scores are not the root of relevance.

    Relevance is positive and a mean over the tiles that see a pixel; a few pixels that had more
    count as this.
    """
    if tags.get("CRACKCLI_SCORE") != "root of positive relevance":
        return None
    return float(tags["CRACKCLI_SCORE_TOP"]) ** 2
