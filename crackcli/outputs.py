"""Publish the files of a command as one unit, and keep aside what other hands made or changed.

A command writes its files into a hidden folder inside its output folder (`work_folder`). `publish`
moves them into place: it marks the record of the last run as incomplete, moves the files, and
writes the new record last. The record, a JSON file such as ``report.json``, contains a digest of
each file. A file that is in the way and not as the last run left it is kept under a name of its
own, ``cracks.edited.csv``, and the log says so.
"""

import json
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from crackcli.errors import CrackError, OutputError
from crackcli.files import (
    NOTE,
    WORK,
    claim_folder,
    is_regular,
    output_errors,
    remove_folder,
    replace_durably,
    sha256,
    write_json,
)
from crackcli.sqlite_files import content_digest, is_sqlite, settle

log = logging.getLogger(__name__)

EDITED = "edited"  # in the name of a file that is kept aside


@dataclass(frozen=True)
class Record:
    """The record of the last run of a command, a JSON file in its output folder.

    ``facts`` is its content, empty if there is none. Its ``files`` have one digest each, or more
    if that run was interrupted while it moved them.
    """

    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read a record; one that is missing or damaged has no facts."""
        try:
            if not is_regular(path):
                return cls(path)
            facts = json.loads(path.read_text(encoding="utf-8"))
            assert all(isinstance(one, list) for one in facts["files"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError):
            return cls(path)
        return cls(path, facts)

    @property
    def files(self) -> dict[str, list[str]]:
        """Digests of the files that the run wrote, by their path within the folder."""
        return cast("dict[str, list[str]]", self.facts.get("files", {}))

    @property
    def complete(self) -> bool:
        """False if the run was interrupted while it moved its files, or if there is no record."""
        return bool(self.facts.get("complete"))

    def owns(self, name: str) -> bool:
        """Return True if a file is as the run left it."""
        path = self.path.parent / name
        return name in self.files and path.is_file() and digest_of(path) in self.files[name]


def digest_of(path: Path) -> str:
    """Return the digest of a file's content, or "damaged" for a damaged SQLite file, a pipe, or
    whatever else is no file."""
    try:
        if not is_regular(path):
            return "damaged"
        return content_digest(path) if is_sqlite(path) else sha256(path)
    except CrackError:
        return "damaged"


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder inside ``out``, and delete it afterwards; ``out`` must be locked.

    Raises `OutputError` if it cannot be made, or others have made a folder of this name.
    """
    folder = out / WORK
    remove_folder(folder)  # of a run that was killed
    claim_folder(folder)
    try:
        yield folder
    finally:
        remove_folder(folder)


def publish(
    work: Path,
    earlier: Record,
    facts: Mapping[str, Any],
    retired: Collection[str] = (),
    left: Collection[str] = (),
) -> list[Path]:
    """Move the files of the ``work`` folder beside the record, and write it with ``facts``.

    Files of the ``earlier`` run that are not written again, and those of ``retired`` names, are
    removed; those ``left`` stay as people changed them. Returns the paths under which files of
    others were kept.
    """
    folder = earlier.path.parent
    found = sorted(path for path in work.rglob("*") if path.is_file() and path.name != NOTE)
    files = {path.relative_to(work).as_posix(): digest_of(path) for path in found}
    both = {name: list(digests) for name, digests in earlier.files.items()}
    for name, digest in files.items():
        both.setdefault(name, []).append(digest)
    kept = []
    write_json(earlier.path, {**earlier.facts, "complete": False, "files": both})
    for name in sorted({*both, *retired} - {*left}):
        path = folder / name
        with output_errors(path):
            if path.exists():
                settle(path)
                if not (earlier.owns(name) or digest_of(path) == files.get(name)):
                    kept.append(keep_aside(path))
            if name in files:
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_durably(work / name, path)
            else:
                path.unlink(missing_ok=True)
                remove_empty(path.parent, folder)
    now = {name: [one] for name, one in files.items()}
    now |= {name: earlier.files[name] for name in left if name in earlier.files}
    record = {**facts, "complete": True, "files": now}
    write_json(earlier.path, record)
    return kept


def remove_empty(folder: Path, out: Path) -> None:
    """Remove a folder inside ``out`` that a file was removed from, and those that hold only it, if
    they are empty now."""
    with suppress(OSError):  # not empty, or removed already
        while folder != out:
            folder.rmdir()
            folder = folder.parent


def keep_aside(path: Path) -> Path:
    """Give a file a second name that no file has yet, tell it in the log, and return it."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, in the way of a file; rename it")
    number, kept = 1, path.with_name(f"{path.stem}.{EDITED}{path.suffix}")
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.stem}.{EDITED}-{number}{path.suffix}")
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        shutil.copy2(path, kept)
    log.warning("%s: not as crackcli left it; kept as %s", path, kept.name)
    return kept
