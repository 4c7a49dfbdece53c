"""Folders of labelled photographs: list, check, split by photograph, balance.

A folder for training has ``crack/`` and ``no_crack/``; the folder is the label, one bit for each
photograph.  Patches cut from one photograph must not lie on both sides of a split, so each
carries the ``photo`` it came from and the ``source`` (camera, site, collection) it belongs to:
from a table where there is one, else from its file name (see `photo_of`).
"""

import csv
import logging
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from crackcli.errors import InputError
from crackcli.rasters.grid import Window

log = logging.getLogger(__name__)

LABELS = ("no_crack", "crack")  # the position is the label
BOTH = (0, 1)
SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}
TABLE = "photographs.csv"
TILE_MARK = re.compile(
    r"(_x\d+_?y\d+|_r\d+_?c\d+|[-_](tile|patch|crop|twin)_?[a-z]?\d*|-\d+)$", re.I
)


@dataclass(frozen=True)
class LabelledImage:
    """One labelled picture: 1 crack, 0 none; ``photo`` and ``source`` say where it comes from."""

    path: Path
    label: int
    photo: str
    source: str


def list_photographs(
    folder: Path, table: Path | None = None, needed: Collection[int] = BOTH
) -> list[LabelledImage]:
    """All readable photographs below ``folder``, in a fixed order; unreadable ones are skipped by
    name.  ``table`` is a CSV with columns path (or file) and photo, and source where known; there
    must be photographs of the labels ``needed``."""
    known = read_table(table or folder / TABLE, required=table is not None)
    found: list[LabelledImage] = []
    for label, name in enumerate(LABELS):
        if not (folder / name).is_dir():
            if label not in needed and folder.is_dir():
                continue
            raise InputError(
                f"{folder} has no folder '{name}'; put photographs with a crack into 'crack' and "
                "photographs without one into 'no_crack'"
            )
        for path in sorted((folder / name).rglob("*")):
            if path.suffix.lower() not in SUFFIXES:
                continue
            if not cv2.haveImageReader(str(path)):
                log.warning("skipped %s: not a readable photograph", path)
                continue
            photo, source = known.get(f"{name}/{path.name}", ("", ""))
            found.append(
                LabelledImage(path, label, photo or photo_of(path), source or source_of(path))
            )
    counts = Counter(item.label for item in found)
    for label, name in enumerate(LABELS):
        if counts[label] < 2 and label in needed:
            raise InputError(
                f"{folder / name} has {counts[label]} readable photographs; training needs at "
                "least 2 of each class, better 100"
            )
    return name_small_sources(found)


def read_table(path: Path, *, required: bool) -> dict[str, tuple[str, str]]:
    """``label folder/file name`` to (photo, source) of each row of a CSV."""
    if not path.is_file():
        if required:
            raise InputError(f"{path} does not exist; give a CSV with columns path, photo, source")
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    column = next((name for name in ("path", "file") if rows and name in rows[0]), None)
    if column is None or "photo" not in rows[0]:
        raise InputError(f"{path} needs the columns path and photo; source is welcome")
    return {
        "/".join(Path(row[column]).parts[-2:]): (row["photo"], row.get("source") or "")
        for row in rows
    }


def photo_of(path: Path) -> str:
    """The photograph that a patch was cut from: its stem without tile marks such as ``_x64y128``,
    ``_r2c3``, ``_tile7``, ``_crop``, ``_twin`` or ``-3``."""
    stem = path.stem
    while TILE_MARK.search(stem):
        stem = TILE_MARK.sub("", stem)
    return stem


def source_of(path: Path) -> str:
    """The part of a file name before its first ``_``, ``-`` or digit."""
    return re.split(r"[_\-\d]", path.stem, maxsplit=1)[0].lower() or "all"


def name_small_sources(found: Sequence[LabelledImage], at_least: int = 10) -> list[LabelledImage]:
    """Sources of fewer than ``at_least`` photographs are no sources: they become 'all'."""
    counts = Counter(item.source for item in found)
    return [
        item
        if counts[item.source] >= at_least
        else LabelledImage(item.path, item.label, item.photo, "all")
        for item in found
    ]


def split(
    found: Sequence[LabelledImage], share: float, seed: int, needed: Collection[int] = BOTH
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Training and held-out photographs; about ``share`` of each source and class is held out.

    All patches of one photo fall on the same side; a class that is ``needed`` and has one photo
    only is named.
    """
    groups: dict[tuple[str, str], list[LabelledImage]] = defaultdict(list)
    for item in found:
        groups[item.source, item.photo].append(item)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    wanted = {key: share * n for key, n in Counter((i.source, i.label) for i in found).items()}
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
                    f"all '{name}' photographs come from so few photos that no {side} ones are "
                    "left; add photographs, or name each patch's photo in a photographs.csv"
                )
    return training, held_out


def balance(found: Sequence[LabelledImage]) -> list[float]:
    """Sampling weights (N): each class half; within a class, sources by the root of their size,
    so that a small source is heard and not learnt by heart."""
    counts = Counter((item.source, item.label) for item in found)
    shares = {key: count**0.5 for key, count in counts.items()}
    totals = [sum(s for (_, of), s in shares.items() if of == label) for label in (0, 1)]
    return [
        shares[item.source, item.label] / totals[item.label] / counts[item.source, item.label] / 2
        for item in found
    ]


def sources(found: Iterable[LabelledImage]) -> list[str]:
    """The names of the sources, sorted."""
    return sorted({item.source for item in found})


def name_of(photo: str, window: Window, mark: str = "") -> str:
    """The file name of a tile, from which `crackcli.datasets.folders.photo_of` tells its
    photograph."""
    row, col = max(0, window.row), max(0, window.col)
    return f"{photo}_r{row}c{col}{mark}.png"
