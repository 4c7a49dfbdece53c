"""Write files atomically (whole or not at all), hash them, and lock output folders."""

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

log = logging.getLogger(__name__)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise an `OutputError` if ``path`` exists, unless it may be overwritten."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; choose another output or add --overwrite")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, else remove it.

    An `OSError` (no permission, disk full) becomes an `OutputError`.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch()  # fails before the work, not after it; its mode follows the umask
            mode = temporary.stat().st_mode
            temporary.unlink()
            yield temporary
            temporary.chmod(mode)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write_in_folder(path: Path) -> Iterator[Path]:
    """Do the same as `atomic_write`, with the temporary path in a hidden folder of its own.

    For writers that leave files beside their output. A folder left by a killed run is removed.
    """
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
    """Turn an `OSError` in the block into an `OutputError` that names ``path``."""
    try:
        yield
    except CrackError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); free space or choose another output"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8, as a whole file or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, as a whole file or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a header and ``rows`` as CSV in UTF-8, as a whole file or not at all.

    Commas separate the fields and "\\n" ends each line. Unknown values (None, nan or a missing
    key) are empty fields, truth values are ``true`` and ``false``, and the texts of a list or
    tuple are joined by semicolons. ``rows`` may be a generator: each row is written as it comes.
    A key that is not in ``columns`` raises a `ValueError`.
    """
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
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
    """Return the SHA-256 digest of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Reserve an output folder for this run; the lock ends with the process.

    Raises `Locked` if another run uses the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); choose another output folder"
        ) from error
    with file:
        try:
            import fcntl
        except ModuleNotFoundError:  # Windows has no flock: the folder is not locked
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(f"{folder}: in use by another run; try again later") from error
        except OSError as error:
            log.warning("%s: cannot be locked (%s)", folder, error.strerror)
        yield
