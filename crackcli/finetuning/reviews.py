"""What a person decided about the cracks of a report: accepted or rejected, marked in QGIS.

The GeoPackage is the report's own ``cracks.gpkg``, its column ``review`` edited in the layers
``cracks`` or ``joints`` (``cracks_2``, ...).  Only a few columns and the centrelines are read from
it: whatever else was changed or added there does not matter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from crackcli.errors import InputError
from crackcli.report.formats.geopackage import read_lines
from crackcli.scenes.frames import map_frame
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene

ACCEPTED, REJECTED, UNREVIEWED = "accepted", "rejected", "unreviewed"
WORDS = {
    ACCEPTED: {"accepted", "accept", "ok", "yes", "true"},
    REJECTED: {"rejected", "reject", "false", "no"},
    UNREVIEWED: {"unreviewed", ""},
}
VERDICTS = {word: verdict for verdict, words in WORDS.items() for word in words}
HOW = (
    "in QGIS, write accepted or rejected into the column 'review' of the layer 'cracks' and save "
    "the edits"
)
NEEDED = ("crack_id", "scene_id", "review", "length_px", "length_mm")


@dataclass(frozen=True, eq=False)
class ReviewedCrack:
    """A crack of a report and what was decided; ``line`` in pixel edges (col, row)."""

    id: str
    scene: str
    verdict: str
    line: shapely.Geometry


def read_reviews(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of a reviewed GeoPackage by scene: `NEEDED` columns with a verdict as ``review``,
    and ``line`` in map or local coordinates.

    Raises `InputError` where it cannot be read, where a word is not known, and where nothing was
    reviewed.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the cracks.gpkg of a report")
    rows = list(read_rows(path))
    if not rows:
        raise InputError(f"{path} holds no cracks; give the cracks.gpkg of a report")
    words = Counter(row["review"] for row in rows)
    unknown = sorted(word for word in words if word not in VERDICTS)
    if unknown:
        told = ", ".join(f"'{word}' ({words[word]})" for word in unknown[:5])
        raise InputError(f"{path}: 'review' has words that are not known: {told}; {HOW}")
    named = sorted({row["scene_id"] for row in rows if row["scene_id"]})
    scenes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if not row["scene_id"]:  # drawn by hand
            if len(named) != 1:
                raise InputError(f"{path} has a crack without scene_id; write in one of its scenes")
            row["scene_id"] = named[0]
        row["review"] = VERDICTS[row["review"]]
        scenes.setdefault(row["scene_id"], []).append(row)
    if all(row["review"] == UNREVIEWED for row in rows):
        raise InputError(f"{path}: none of its {len(rows)} cracks was reviewed; {HOW}")
    return scenes


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of all layers of centrelines; of lines that the report set aside as joints, those
    that were reviewed."""
    for kind, lines, columns in read_lines(path, NEEDED, "crackcli report"):
        for number, line in enumerate(lines):
            row = {name: tidy(columns[name][number]) for name in NEEDED}
            row["review"] = str(row["review"] or "").strip().casefold()
            if line is None or line.is_empty:
                continue
            if kind == "joints" and row["review"] in WORDS[UNREVIEWED]:
                continue  # set aside by the report, and nobody disagreed
            yield row | {"line": line}


def tidy(value: Any) -> Any:
    """A value of a column, None where there is none."""
    return None if value is None or value != value else value


def placed(scene: Scene, rows: Iterable[dict[str, Any]]) -> list[ReviewedCrack]:
    """The cracks of a scene in its pixels."""
    rows = list(rows)
    frame = map_frame(scene, scale_of(rows))
    lines = frame.lift(np.array([row["line"] for row in rows], dtype=object))
    return [
        ReviewedCrack(
            row["crack_id"] or f"{scene.name}-new{number}", scene.name, row["review"], line
        )
        for number, (row, line) in enumerate(zip(rows, lines, strict=True))
    ]


def scale_of(rows: Iterable[dict[str, Any]]) -> Scale | None:
    """The scale that a report of these cracks was made with, as its longest one tells it."""
    known = [row for row in rows if row["length_mm"] and row["length_px"]]
    if not known:
        return None
    longest = max(known, key=lambda row: row["length_px"])
    return Scale(longest["length_mm"] / longest["length_px"], None, "report")
