"""Write files atomically (whole or not at all), hash them, and lock output folders.

A file is forced to the disk before it gets its name, and its name before the next step: a power
loss leaves the old file or the new one. Folders of intermediate files hold a note of ours, and
only a folder with this note is ever deleted.
"""

import csv
import errno
import hashlib
import json
import logging
import math
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from crackcli.errors import CrackError, InTheWay, Locked, OutputError
from crackcli.texts import cell, clean_name

log = logging.getLogger(__name__)

WORK = ".crackcli-work"  # name of a folder of intermediate files, in an output folder
NOTE = "work.json"  # in such a folder
MADE_BY = {"made_by": "crackcli"}  # in the note


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise an `OutputError` if ``path`` exists, unless it may be overwritten."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; choose another output or add --overwrite")


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, else remove it.

    An `OSError` (no permission, disk full) becomes an `OutputError`. Not ``durable`` is faster,
    for a file whose damage by a power loss is noticed and costs little.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)  # fails now, not after the work; mode by the umask
            mode = temporary.stat().st_mode
            temporary.unlink()
            yield temporary
            temporary.chmod(mode)
            if durable:
                replace_durably(temporary, path)
            else:
                temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write_in_folder(path: Path) -> Iterator[Path]:
    """Do the same as `atomic_write`, with the temporary path in a hidden folder of its own.

    For writers that leave files beside their output. A folder left by a killed run is removed.
    """
    folder = path.with_name(f".crackcli-{path.name}")
    try:
        with output_errors(path):
            remove_folder(folder)
            write_note(folder, {})
            yield folder / path.name
            replace_durably(folder / path.name, path)
    finally:
        remove_folder(folder)


def replace_durably(source: Path, target: Path) -> None:
    """Rename a file, replacing ``target``, so that a power loss leaves one of both whole."""
    sync(source)
    source.replace(target)
    sync_folder(target.parent)


def sync(path: Path) -> None:
    """Force the content of a file to the disk."""
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can do it."""
    with suppress(OSError):  # Windows and some network drives cannot
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def claim_folder(folder: Path, **facts: object) -> None:
    """Make a folder for intermediate files, with a note by which `remove_folder` may delete it.

    The note also contains ``facts``. Raises `InTheWay` if the folder holds files that
    crackcli did not make.
    """
    with output_errors(folder):
        write_note(folder, facts)


def write_note(folder: Path, facts: Mapping[str, object]) -> None:
    """Do the same as `claim_folder`, but pass on an `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    beginning = f".{NOTE}."  # of a note that a killed run has not finished
    others = any(not path.name.startswith(beginning) for path in folder.iterdir())
    if folder.is_symlink() or (others and read_note(folder) is None):
        raise InTheWay(
            f"{folder}: was not made by crackcli; move it away, or choose another output folder"
        )
    aside = folder / f"{beginning}{secrets.token_hex(4)}"
    try:
        aside.write_text(json.dumps({**MADE_BY, **facts}), encoding="utf-8")
        replace_durably(aside, folder / NOTE)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
            folder.rmdir()  # only if it is empty
        raise


def read_note(folder: Path) -> dict[str, Any] | None:
    """Return the note in a folder of intermediate files; None if crackcli did not make it."""
    try:
        if folder.is_symlink() or not is_regular(folder / NOTE):
            return None
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(note, dict) and MADE_BY.items() <= note.items()
    return note if ours else None


def remove_folder(folder: Path) -> None:
    """Delete a folder of intermediate files, its note last; keep one without our note."""
    if read_note(folder) is None:
        return
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != NOTE:
                path.unlink()
        (folder / NOTE).unlink()
        folder.rmdir()


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Delete files that `atomic_write` wrote, and what killed runs left of them.

    The folder is deleted too if it is empty then.
    """
    for path in map(folder.joinpath, names):
        path.unlink(missing_ok=True)
        for aside in folder.glob(f".{path.stem}.*{path.suffix}"):
            aside.unlink()
    with suppress(OSError):
        folder.rmdir()


def kind_of(path: Path) -> str:
    """Return what a name, or the link that it is, leads to: "file", "folder", "pipe" or "device".

    Opening a pipe without a writer would wait for ever. Raises an `OSError` if it does not exist.
    """
    mode = path.stat().st_mode
    kinds = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "pipe": stat.S_ISFIFO}
    return next((kind for kind, is_this in kinds.items() if is_this(mode)), "device")


def is_regular(path: Path) -> bool:
    """Return True for a file with content of its own, or a link to one."""
    return kind_of(path) == "file"


def refuse_special(path: Path, error: type[CrackError], advice: str) -> None:
    """Raise an ``error`` that ends in ``advice`` if ``path`` is a folder, a pipe or a device.

    A file that is missing is no error here.
    """
    if path.exists() and (kind := kind_of(path)) != "file":
        raise error(f"{path}: is a {kind}; {advice}")


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


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder on this machine's own disk, and delete it afterwards.

    An `OSError` in the block about this folder, or about no named file, such as that of a full
    disk, becomes an `OutputError` that names the folder.
    """
    where = "the folder of temporary files"
    try:
        where = tempfile.gettempdir()
        with tempfile.TemporaryDirectory(prefix="crackcli-") as name:
            where = name
            yield Path(name)
    except CrackError:
        raise
    except OSError as error:
        if error.filename is not None and where not in str(error.filename):
            raise
        reason = error.strerror or str(error)
        raise OutputError(
            f"{where}: cannot be written ({reason}); free space there, or set TMPDIR to another "
            "folder"
        ) from error


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """Yield a path to the same file that is UTF-8, which many libraries require.

    A name in another encoding, as archives and old cameras make them, is replaced by a link in a
    temporary folder. The files beside it that begin with its stem are linked too.
    """
    if is_utf8(str(path.absolute())):
        yield path
        return
    with ExitStack() as stack:
        with output_errors(Path(tempfile.gettempdir())):
            made = tempfile.TemporaryDirectory(prefix="crackcli-")
            named = link_into(Path(stack.enter_context(made)), path.absolute())
        yield named


def link_into(folder: Path, path: Path) -> Path:
    """Link a file, whose path is not UTF-8, and those beside it into a folder; return its link."""
    if is_utf8(path.name):
        (folder / "linked").symlink_to(path.parent, target_is_directory=True)
        return folder / "linked" / path.name
    beside = [other for other in path.parent.iterdir() if other.name.startswith(path.stem)]
    for each in (path, *beside):
        with suppress(FileExistsError):
            (folder / clean_name(each.name)).symlink_to(each)
    return folder / clean_name(path.name)


def is_utf8(text: str) -> bool:
    """Return True if a text, such as the name of a file, can be written in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    r"""Write ``text`` in UTF-8, as a whole file or not at all.

    Bytes of names that are not UTF-8 are written as ``\udce9``, which JSON reads back.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, as a whole file or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a header and ``rows`` as CSV in UTF-8, as a whole file or not at all.

    Commas separate the fields and "\\n" ends each line. Unknown values (None, nan or a missing
    key) are empty fields, truth values are ``true`` and ``false``, and the texts of a list or
    tuple are joined by semicolons. Text that a spreadsheet would compute begins with an
    apostrophe, and control characters are escaped (`crackcli.texts`). ``rows`` may be a generator:
    each row is written as it comes. A key that is not in ``columns`` raises a `ValueError`.
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
    if isinstance(value, list | tuple):
        value = ";".join(value)
    return cell(value) if isinstance(value, str) else value


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file's content in hexadecimal; raises an `OSError` if it
    cannot be read, or is a pipe or a device."""
    if not is_regular(path):
        raise OSError(errno.EINVAL, f"is a {kind_of(path)}", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Reserve an output folder for this run; the lock ends with the process.

    Raises `Locked` if another run uses the folder, `OutputError` if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open_lock(folder / ".lock")
    except CrackError:
        raise
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


def open_lock(path: Path) -> BinaryIO:
    """Open the lock file, and make it if it is missing; nothing in it is changed.

    Raises an `OutputError` if a link, a pipe or a folder has its name.
    """
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    in_the_way = OutputError(f"{path}: is in the way of the lock file; remove it")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | safe, 0o666)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise in_the_way from error
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise in_the_way
    return os.fdopen(file, "r+b")
