"""Reads the review of a report: cracks that a person accepted or rejected in QGIS, or on its page.

The GeoPackage is ``cracks.gpkg`` of the report, with an edited column ``review`` in the layers
``cracks`` or ``joints`` (``cracks_2``, ...). Only a few columns and the centrelines are read, so
that other changes in the file do not matter. The ``review.json`` of the page (`page_reviews`) has
verdicts on the cracks of that GeoPackage, which replace those in its column.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import shapely

from crackcli.errors import InputError
from crackcli.files import refuse_special
from crackcli.finetuning.page_reviews import SUFFIX, read_page_reviews
from crackcli.report.formats.geopackage_reader import mm_per_px, read_lines, read_transforms
from crackcli.report.tables.columns import DRAWN, GEOPACKAGE
from crackcli.report.verdicts import UNREVIEWED, VERDICTS, WORDS
from crackcli.scenes.frames import earlier_transform, to_pixels
from crackcli.scenes.scene import Scene

HOW_TO_REVIEW = (
    "in QGIS, write accepted or rejected into the column 'review' of the layer 'cracks' and save "
    "the edits"
)
COLUMNS = (
    *("crack_id", "scene_id", "review", "length_px", "length_mm"),
    *("width_mean_px", "width_method"),
)


@dataclass(frozen=True, eq=False)
class ReviewedCrack:
    """A crack of a report and its verdict.

    ``line`` is in pixel edges (col, row). ``drawn`` means that a person added it to the report.
    """

    id: str
    scene: str
    verdict: str
    line: shapely.Geometry
    width_px: float | None = None  # mean
    drawn: bool = False


def read_reviews(path: Path, out: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a reviewed GeoPackage, or of that in the output folder ``out`` with the
    verdicts of a ``review.json``, by scene. None: the folder of the file.

    A row has the `COLUMNS`, with one of the verdicts as ``review``, ``line`` in map or local
    coordinates, and the ``transform`` from pixels to these (None: unknown). Raise an `InputError`
    if the file cannot be read, contains an unknown word, or nothing was reviewed.
    """
    if path.suffix == SUFFIX:
        out = path.parent if out is None else out
        return by_scene(out / GEOPACKAGE, read_page_reviews(path, out))
    return by_scene(path)


def by_scene(
    path: Path, words: Mapping[str, str] = MappingProxyType({})
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of `read_reviews`; ``words`` by crack id replace the column ``review``."""
    refuse_special(path, InputError, "give the cracks.gpkg of a report")
    if not path.is_file():
        raise InputError(f"{path}: does not exist; give the cracks.gpkg of a report")
    rows = list(read_rows(path, words))
    if not rows:
        raise InputError(f"{path}: contains no cracks; give the cracks.gpkg of a report")
    transforms = read_transforms(path)
    counts = Counter(row["review"] for row in rows)
    unknown = sorted(word for word in counts if word not in VERDICTS)
    if unknown:
        counted = ", ".join(f"'{word}' ({counts[word]})" for word in unknown[:5])
        raise InputError(f"{path}: unknown words in column 'review': {counted}; {HOW_TO_REVIEW}")
    named = sorted({row["scene_id"] for row in rows if row["scene_id"]})
    scenes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if not row["scene_id"]:  # drawn by hand
            if len(named) != 1:
                raise InputError(
                    f"{path}: a crack has no scene_id; write one of its scenes into the column"
                )
            row["scene_id"] = named[0]
        row["review"] = VERDICTS[row["review"]]
        row["transform"] = transforms.get(row["scene_id"])
        scenes.setdefault(row["scene_id"], []).append(row)
    if all(row["review"] == UNREVIEWED for row in rows):
        raise InputError(f"{path}: none of its {len(rows)} cracks was reviewed; {HOW_TO_REVIEW}")
    return scenes


def read_rows(path: Path, words: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all layers with centrelines; of joints, the reviewed ones only."""
    for kind, lines, columns in read_lines(path, COLUMNS, "crackcli report"):
        for number, line in enumerate(lines):
            row = {name: none_if_nan(columns[name][number]) for name in COLUMNS}
            word = words.get(row["crack_id"], row["review"])
            row["review"] = str(word or "").strip().casefold()
            if line is None or line.is_empty:
                continue
            if kind == "joints" and row["review"] in WORDS[UNREVIEWED]:
                continue  # the report classified it as a joint, and nobody disagreed
            yield row | {"line": line}


def none_if_nan(value: Any) -> Any:
    """Return the value of a column, with None for nan."""
    return None if value is None or value != value else value


def in_pixels(scene: Scene, rows: Iterable[dict[str, Any]]) -> list[ReviewedCrack]:
    """Return the cracks of a scene in its pixel coordinates."""
    rows = list(rows)
    transform = rows[0]["transform"] or earlier_transform(scene, mm_per_px(rows))
    lines = to_pixels(transform, np.array([row["line"] for row in rows], dtype=object))
    return [
        ReviewedCrack(
            row["crack_id"] or f"{scene.name}-new{number}",
            scene.name,
            row["review"],
            line,
            row["width_mean_px"],
            drawn=not row["crack_id"] or row["width_method"] == DRAWN,
        )
        for number, (row, line) in enumerate(zip(rows, lines, strict=True))
    ]
