"""Files written aside and renamed when whole, so that what exists is complete; and digests."""

import contextlib
import csv
import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crackcli.errors import CrackError, Locked, OutputError


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Before any work: an output that is there is kept, unless it may be replaced."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; choose another output or add --overwrite")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; renamed onto it if the block succeeds, else removed.

    Whatever the operating system refuses (no permission, disk full) becomes an `OutputError`.
    """
    aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.touch()  # refused at once, not after the work; and its mode is the umask's
            mode = aside.stat().st_mode
            aside.unlink()
            yield aside
            aside.chmod(mode)
            aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


@contextmanager
def atomic_write_in_folder(path: Path) -> Iterator[Path]:
    """As `atomic_write`, but the temporary path is in a hidden folder of its own, for writers
    that leave more than one file; what a killed run left there is removed by the next."""
    folder = path.with_name(f".{path.stem}")
    try:
        with output_errors(path):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            yield folder / path.name
            (folder / path.name).replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns what the operating system refuses into an `OutputError` for ``path``."""
    try:
        yield
    except CrackError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path} cannot be written ({reason}); free space or choose another output"
        ) from error


def write_text(path: Path, text: str) -> None:
    """``text`` as a whole file, or no file."""
    with atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """``value`` as indented JSON, or no file."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a header and ``rows`` as CSV in UTF-8, as a whole file or not at all.

    Commas separate the fields and "\\n" ends each line. Unknown values (None, nan or a missing
    key) are empty fields, truth values are ``true`` and ``false``, and the texts of a list or
    tuple are joined by semicolons. ``rows`` may be a generator: each row is written as it comes.
    A key that is not in ``columns`` raises a `ValueError`.
    """
    with atomic_write(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: csv_field(value) for name, value in row.items()})


def csv_field(value: object) -> object:
    """Return ``value`` in the form in which `write_csv` writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        return ""
    return ";".join(value) if isinstance(value, list | tuple) else value


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


log = logging.getLogger(__name__)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold an output folder for this run alone; the lock ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}); choose another output folder"
        ) from error
    with file:
        try:
            import fcntl
        except ModuleNotFoundError:  # Windows: no lock, as there is no cron
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(f"{folder} is in use by another run; try again later") from error
        except OSError as error:
            log.warning("%s cannot be locked (%s)", folder, error.strerror)
        yield
