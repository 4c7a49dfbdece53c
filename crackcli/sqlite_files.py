"""SQLite files, such as a GeoPackage, that another program has open or left half closed.

QGIS writes to a GeoPackage by a write-ahead log: while it is open for editing, saved edits may
stand in ``<file>-wal`` only. A file must not be replaced beside such a log, which SQLite would
apply to the new file. `settle` merges it, or raises an error while another program holds it.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from crackcli.errors import InputError, Locked

MAGIC = b"SQLite format 3\0"
WAIT_S = 2.0  # for the lock of another program
OWN_TABLES = ("sqlite_", "gpkg_", "rtree_")  # prefixes of tables that SQLite and GDAL maintain


def is_sqlite(path: Path) -> bool:
    """Return True if a regular file begins like an SQLite database."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def settle(path: Path) -> None:
    """Merge what other programs left beside an SQLite file into it, and remove these side files.

    A file that does not exist, or is no SQLite file, is left alone. Raises `Locked` if another
    program has the file open in write-ahead mode or writes to it, and `InputError` if the file is
    damaged.
    """
    if not is_sqlite(path):
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=WAIT_S)) as file:
            (mode,) = file.execute("PRAGMA journal_mode=DELETE").fetchone()
            file.execute("BEGIN EXCLUSIVE")  # fails while another program writes
            file.rollback()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise damaged(path, error) from error
        mode = "wal"
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error
    if mode == "wal":
        raise Locked(
            f"{path}: open in another program; save the edits there, close it (in QGIS: remove its "
            "layers) and give the command again"
        )


def damaged(path: Path, error: sqlite3.Error) -> InputError:
    """Return the error about a file that SQLite cannot read."""
    return InputError(f"{path}: cannot be read ({error}); move it to another folder")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that cannot change the file."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=WAIT_S)) as file:
        file.text_factory = lambda text: text.decode(errors="replace")
        yield file


def quoted(name: str) -> str:
    """Return the name of a table or column as SQL."""
    return '"' + name.replace('"', '""') + '"'


def tables(file: sqlite3.Connection) -> dict[str, str]:
    """Return the SQL of each table by name, without those that SQLite and GDAL maintain."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return {name: sql or "" for name, sql in file.execute(query) if not name.startswith(OWN_TABLES)}


def content_digest(path: Path) -> str:
    """Return a SHA-256 of the tables and rows of an SQLite file.

    Opening a file in QGIS changes its bytes, but not this digest.
    """
    digest = hashlib.sha256()
    try:
        with reading(path) as file:
            for name, sql in tables(file).items():
                digest.update(f"{name}\n{sql}\n".encode())
                for row in file.execute(f"SELECT * FROM {quoted(name)}"):
                    digest.update(repr(row).encode(errors="surrogatepass"))
    except sqlite3.Error as error:
        raise damaged(path, error) from error
    return digest.hexdigest()
