"""Folders of labelled photographs: list, check, split by photograph, balance.

A training folder has the subfolders ``crack/`` and ``no_crack/``; the subfolder is the label.
Patches of one photograph must stay on one side of a split. Each patch therefore carries the
``photo`` that it was cut from and the ``source`` (camera, site, collection) that it belongs to.
Both come from a CSV table if there is one, else from the file name (see `photo_of`).
"""

import csv
import logging
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from crackcli.datasets.left_out import LeftOut, readable
from crackcli.datasets.mask_values import AUTOMATIC, MaskValues
from crackcli.errors import InputError
from crackcli.files import refuse_special
from crackcli.licences import Source
from crackcli.rasters.access.folders import describe, list_folder
from crackcli.rasters.grid import Window

log = logging.getLogger(__name__)

LABELS = ("no_crack", "crack")  # folder names; the index is the label
ALL_LABELS = (0, 1)
TABLE_NAME = "photographs.csv"
OTHER = "other"  # source of photographs whose own is unknown or too small
TILE_SUFFIX = re.compile(
    r"(_x\d+_?y\d+|_r\d+_?c\d+|[-_](tile|patch|crop|twin)_?[a-z]?\d*|-\d+)$", re.I
)


@dataclass(frozen=True)
class LabelledImage:
    """An image file with its label (1 crack, 0 none), its photograph and its source.

    ``pixels`` is a file of pixel labels (`crackcli.training.pixel_targets`), if there is one;
    ``mask_values`` are those of its mask, if it has one.
    """

    path: Path
    label: int
    photo: str
    source: str
    listed: Source | None = None  # its source as the table lists it, with licence and origin
    pixels: Path | None = None
    mask_values: MaskValues = AUTOMATIC


def list_photographs(
    folder: Path, table: Path | None = None, needed: Collection[int] = ALL_LABELS
) -> list[LabelledImage]:
    """Return all readable photographs below ``folder`` in a fixed order.

    ``table`` is a CSV with the columns path (or file), photo and, optionally, source, and its
    licence and origin. Files that a scan could not read are left out with a warning. Raises
    `InputError` if a label in ``needed`` has fewer than two photographs.
    """
    known = read_table(table or folder / TABLE_NAME, required=table is not None)
    found: list[LabelledImage] = []
    for label, name in enumerate(LABELS):
        if not (folder / name).is_dir():
            if label not in needed and folder.is_dir():
                continue
            raise InputError(
                f"{folder}: no subfolder '{name}'; put photographs with a crack into 'crack' and "
                "photographs without one into 'no_crack'"
            )
        paths, left_out = photographs_in(folder / name), LeftOut()
        for path in readable(paths, left_out):
            row = known.get(f"{name}/{path.name}", TableRow())
            source = row.source or source_of(path)
            found.append(
                LabelledImage(
                    path,
                    label,
                    photo=row.photo or photo_of(path),
                    source=source,
                    listed=Source(source, 1, row.licence, row.origin),
                )
            )
        left_out.tell(folder / name, len(paths))
    counts = Counter(item.label for item in found)
    for label, name in enumerate(LABELS):
        if counts[label] < 2 and label in needed:
            raise InputError(
                f"{folder / name}: {counts[label]} readable photographs; training needs at least 2 "
                "of each class, better 100"
            )
    return merge_small_sources(found)


def photographs_in(folder: Path, *, recurse: bool = True) -> list[Path]:
    """Return the photographs in a folder, by the rule of a scan, and log what is skipped."""
    found = list_folder(folder, recurse=recurse)
    for kind in describe(found.skipped):
        log.info("%s: skipped: %s", folder, kind)
    for error in found.unreadable.values():
        log.warning("skipped: %s", error)
    return found.photographs


class TableRow(NamedTuple):
    """The columns of a table of photographs; empty if unknown."""

    photo: str = ""
    source: str = ""
    licence: str = ""
    origin: str = ""


def read_table(path: Path, *, required: bool) -> dict[str, TableRow]:
    """Read a CSV into a dictionary from ``label folder/file name`` to its columns."""
    refuse_special(path, InputError, "give a CSV with columns path, photo, source")
    if not path.is_file():
        if required:
            raise InputError(f"{path}: no such file; give a CSV with columns path, photo, source")
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); save it as a CSV in UTF-8 with short fields"
        ) from error
    column = next((name for name in ("path", "file") if rows and name in rows[0]), None)
    if column is None or "photo" not in rows[0]:
        raise InputError(f"{path}: the columns path and photo are needed; source is optional")
    return {
        "/".join(Path(row[column] or "").parts[-2:]): TableRow(
            *(row.get(name) or "" for name in TableRow._fields)
        )
        for row in rows
    }


def photo_of(path: Path) -> str:
    """Return the name of the photograph that a patch was cut from.

    This is the file's stem without tile suffixes such as ``_x64y128``, ``_r2c3``, ``_tile7``,
    ``_crop``, ``_twin`` or ``-3``.
    """
    stem = path.stem
    while TILE_SUFFIX.search(stem):
        stem = TILE_SUFFIX.sub("", stem)
    return stem


def source_of(path: Path) -> str:
    """Return the part of a file name before its first ``_``, ``-`` or digit."""
    return re.split(r"[_\-\d]", path.stem, maxsplit=1)[0].lower() or OTHER


def merge_small_sources(found: Sequence[LabelledImage], at_least: int = 10) -> list[LabelledImage]:
    """Return the photographs with sources smaller than ``at_least`` merged into one, `OTHER`."""
    counts = Counter(item.source for item in found)
    return [
        item if counts[item.source] >= at_least else replace(item, source=OTHER) for item in found
    ]


def split(
    found: Sequence[LabelledImage], fraction: float, seed: int, needed: Collection[int] = ALL_LABELS
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Split into training and held-out photographs; ``fraction`` of each source and class is
    held out.

    All patches of one photo stay on the same side, so the fraction is approximate. Raises
    `InputError` if a class in ``needed`` is missing on one side.
    """
    groups: dict[tuple[str, str], list[LabelledImage]] = defaultdict(list)
    for item in found:
        groups[item.source, item.photo].append(item)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    wanted = {key: fraction * n for key, n in Counter((i.source, i.label) for i in found).items()}
    training: list[LabelledImage] = []
    held_out: list[LabelledImage] = []
    for key in order:
        members = Counter((item.source, item.label) for item in groups[key])
        fits = all(wanted[kind] >= count / 2 for kind, count in members.items())
        if fits:
            for kind, count in members.items():
                wanted[kind] -= count
        (held_out if fits else training).extend(groups[key])
    for label, name in enumerate(LABELS):
        for side, items in (("training", training), ("held-out", held_out)):
            if label in needed and not any(item.label == label for item in items):
                raise InputError(
                    f"'{name}' photographs: cut from too few photos, so no {side} ones are left; "
                    "add photographs, or name each patch's photo in a photographs.csv"
                )
    return training, held_out


def sampling_weights(found: Sequence[LabelledImage]) -> list[float]:
    """Return sampling weights (N) that give each class half of the draws.

    Within a class a source is drawn in proportion to the square root of its size: small sources
    are not drowned, and not repeated so often that they are memorised.
    """
    counts = Counter((item.source, item.label) for item in found)
    roots = {key: count**0.5 for key, count in counts.items()}
    totals = [sum(root for (_, of), root in roots.items() if of == label) for label in (0, 1)]
    return [
        roots[item.source, item.label] / totals[item.label] / counts[item.source, item.label] / 2
        for item in found
    ]


def source_names(found: Iterable[LabelledImage]) -> list[str]:
    """Return the sorted names of the sources."""
    return sorted({item.source for item in found})


def tile_name(photo: str, window: Window, suffix: str = "") -> str:
    """Return the file name of a tile; `photo_of` gives back ``photo`` from it."""
    row, col = max(0, window.row), max(0, window.col)
    return f"{photo}_r{row}c{col}{suffix}.png"
