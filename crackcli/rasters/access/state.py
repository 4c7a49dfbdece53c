"""The files that the pixels of a raster come from, their digest, and whether they were changed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import rasterio

from crackcli.files import sha256
from crackcli.rasters.access.opening import check_exists, input_errors

BESIDE = (".aux.xml", ".ovr")  # endings of files that programs write which only display an image


@dataclass(frozen=True)
class FileState:
    """A file as it was at one moment: its size, time of change and identity."""

    path: Path
    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """Return the present state of a file; raise an `InputError` if it is gone."""
        check_exists(path)
        with input_errors(path):
            found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ino)


def files_of(path: Path, source: rasterio.DatasetReader) -> list[Path]:
    """Return all files that the pixels of a dataset come from: ``path``, then masks and sources."""
    others = [
        Path(file).resolve()  # the file of a link (`crackcli.files.utf8_path`)
        for file in sorted(source.files)
        if Path(file).is_file() and not Path(file).samefile(path) and not file.endswith(BESIDE)
    ]
    return [path, *others]


def digest_of(files: Iterable[Path], page: int | None = None) -> str:
    """Return the SHA-256 of a file; of several, or of a later page, that of their digests, followed
    by the number of the page."""
    own, *others = map(sha256, files)
    parts = [own, *others, *([f"page {page}"] if page is not None and page > 1 else [])]
    return hashlib.sha256("".join(parts).encode()).hexdigest() if len(parts) > 1 else own
