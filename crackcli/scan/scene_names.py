"""Name the scenes of a survey: one name for one photograph, the same on every later run.

A photograph keeps the scene that was made from it. A new one is named after its subfolders and its
stem; if another photograph has this name, in this run or in the output folder, the suffix or more
folders are added. So no photograph replaces the results of another.
"""

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from crackcli.errors import InputError
from crackcli.files import WORK
from crackcli.rasters.access.pages import Page
from crackcli.rasters.reader import inspect_header
from crackcli.scenes.scene import readable_scenes
from crackcli.scenes.source import listed_sources
from crackcli.texts import clean_name

# Files of the output folder end like this; no scene may have such a name.
OUR_ENDINGS = (
    *(".lock", ".json", ".geojson", ".csv", ".xlsx", ".html", ".qgs"),
    *(".gpkg", ".gpkg-wal", ".gpkg-shm", ".gpkg-journal", WORK),
)
LONGEST_BYTES = 200  # of a name in UTF-8; file systems allow 255
DIGITS = 8  # hexadecimal, of a digest in a name
LIKELY = 3  # names under which an earlier scan may have stored a photograph that was moved since


@dataclass(frozen=True)
class Photograph:
    """A photograph to scan: a page, and the path of its file without links.

    ``within`` are the subfolders that it lies in, of the folder given.
    """

    page: Page
    real: Path
    within: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[Path, int]:
        """The real path of the file, and which page it is, from 1."""
        return self.real, self.page.number or 1

    @property
    def place(self) -> tuple[Path, str]:
        """The folder of the file, and the stem of the page in small letters."""
        return self.real.parent, self.page.stem.casefold()

    def names(self, *, twin: bool) -> Iterator[str]:
        """Yield names for the scene, the best one first, without an end.

        ``twin``: a file beside it differs in the suffix only.
        """
        stem, suffix = self.page.stem, self.page.path.suffix[1:].lower()
        folders = self.real.parent.parts[1:]
        best = joined(*self.within, stem)
        yield best
        if twin or is_ours(best):
            yield joined(*self.within, stem, suffix)
        for number in range(len(self.within) + 1, len(folders) + 1):
            yield joined(*folders[-number:], stem)
            yield joined(*folders[-number:], stem, suffix)
        mark = short_digest(os.fsencode(self.real))  # names may differ in unprintable characters
        for number in itertools.count(1):
            yield joined(*self.within, stem, mark, *([str(number)] if number > 1 else []))


@dataclass(frozen=True)
class Held:
    """A finished scene of the output folder, and its photograph, if it is known."""

    name: str
    photograph: Photograph | None
    sha256: str | None


def name_scenes(
    photographs: Sequence[Photograph], out: Path | None = None, bands: tuple[int, ...] = ()
) -> dict[str, Page]:
    """Return the photographs by the names of their scenes, in the order given.

    ``out`` is the output folder, whose scenes keep their names. Names that some file
    systems treat as equal count as equal (`key_of`).
    """
    held = {} if out is None else held_names(out)
    owners = {one.photograph.key: one.name for one in held.values() if one.photograph is not None}
    named: dict[str, Photograph] = {}
    others: list[Photograph] = []
    for photograph in photographs:
        own = owners.get(photograph.key)
        if own is None:
            others.append(photograph)
        else:
            named[own] = photograph
    files = Counter(photograph.place for photograph in photographs)
    left: dict[Photograph, Iterator[str]] = {}
    for photograph in others:
        likely = [joined(photograph.page.stem)]
        likely += itertools.islice(photograph.names(twin=False), LIKELY)
        holders = [held[key_of(name)] for name in likely if key_of(name) in held]
        free = [one for one in holders if one.name not in named]
        moved = find_moved(photograph.page, free, bands)
        if moved is None:
            place = photograph.place
            twin = any(one.photograph and one.photograph.place == place for one in holders)
            left[photograph] = photograph.names(twin=twin or files[place] > 1)
        else:
            named[moved] = photograph
    while left:
        wanted = {photograph: next(names) for photograph, names in left.items()}
        taken = Counter(key_of(name) for name in [*named, *wanted.values()])
        for photograph, name in wanted.items():
            key = key_of(name)
            if taken[key] == 1 and key not in held and not is_ours(name):
                named[name] = photograph
                del left[photograph]
    order = {photograph: name for name, photograph in named.items()}
    return {order[photograph]: photograph.page for photograph in photographs}


def key_of(name: str) -> str:
    """Return what two names have in common if they differ only in case, or in composed and
    decomposed letters."""
    return normalize("NFC", name).casefold()


def is_ours(name: str) -> bool:
    """Return True for the name of a file that a command writes into the output folder."""
    return name.casefold().endswith(OUR_ENDINGS)


def find_moved(page: Page, scenes: Sequence[Held], bands: tuple[int, ...]) -> str | None:
    """Return the name of the scene that was scanned from the same content as ``page``."""
    if not scenes:
        return None
    try:
        digest = inspect_header(page.path, bands, page.number).digest
    except InputError:
        return None
    return next((scene.name for scene in scenes if scene.sha256 == digest), None)


def held_names(out: Path) -> Mapping[str, Held]:
    """Return the finished scenes of an output folder by the keys of their names."""
    try:
        listed = listed_sources(out)
    except InputError:
        listed = {}
    held: dict[str, Held] = {}
    for scene in readable_scenes(out):  # damaged ones are scanned again
        record = scene.record
        source = listed.get(scene.name)
        if record.source_path is not None:
            source = out / record.source_path
        photograph = (
            None if source is None else Photograph(Page(source, record.page), source.resolve())
        )
        held[key_of(scene.name)] = Held(scene.name, photograph, record.source_sha256)
    return held


def joined(*parts: str) -> str:
    """Return the parts of a name as one, without unprintable characters; shortened if too long."""
    name = clean_name("_".join(part for part in parts if part))
    if len(name.encode()) <= LONGEST_BYTES:
        return name
    mark = short_digest(name.encode())
    return f"{mark}_{name.encode()[-(LONGEST_BYTES - DIGITS - 1) :].decode(errors='ignore')}"


def short_digest(data: bytes) -> str:
    """Return the first digits of a SHA-256."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]
