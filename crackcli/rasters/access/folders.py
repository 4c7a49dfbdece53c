"""Find the photographs in folders by one rule for all commands, and name what is skipped by kind.

Cameras, computers, storage boxes and crackcli itself keep other files among the photographs:
thumbnails, side files, masks, results. Only a folder is searched by this rule; a file that the user
names is always read.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crackcli.errors import InputError
from crackcli.files import is_regular
from crackcli.rasters.areas.mask_image import is_mask_image
from crackcli.rasters.decoding.decoded import RAW_SUFFIXES
from crackcli.rasters.reader import SUFFIXES
from crackcli.texts import first_names

# Folders that systems make, by name in small letters: of Synology, QNAP, macOS and Windows.
SYSTEM_FOLDERS = {
    *("@eadir", "#recycle", "@recycle", ".@__thumb", "__macosx"),
    *("$recycle.bin", "system volume information", "lost+found"),
}
SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
THUMBNAIL_FOLDERS = {"thumbnails", ".thumbnails", "thumbs", "thumbnail"}
MASK_FOLDERS = {"masks", "mask"}
MASK_ENDINGS = ("_mask", "-mask", ".mask")  # of a stem, after that of a photograph

TILE_PX = (b"\1\0", b"\2\0")  # sides of the tiles of a map in a PNG: 256 or 512

SIDE_FILES = {  # suffixes of files that belong to a photograph
    *(".xmp", ".xml", ".exif", ".thm", ".lrv", ".prj", ".ovr", ".msk", ".wld", ".wldx"),
    *(".tfw", ".tifw", ".tfwx", ".jgw", ".jpgw", ".pgw", ".pngw", ".bpw", ".j2w", ".wpw"),
    *(".mrk", ".rtk", ".obs", ".nav"),  # of drones with a precise position
}

# Records of crackcli: in a folder with one of these, all files are its own, or these pictures.
OWN_FOLDERS = ({"scene.json", "mask.tif"}, {"mined.json"}, {"learned.json"})
OWN_PICTURES = {
    "evaluation.json": ("contact.png",),
    "selftest.json": ("pod.png", "overlay.png"),
}
LOCK = ".lock"
RUN_RECORDS = {"run.json", "report.json"}  # beside them, what is no photograph is a result
OWN_ENDINGS = (".curve.png", ".reliability.png")  # of `crackcli train`

RESULTS, MASKS, SYSTEM = "results of crackcli", "masks", "folders of the system"
SHOWN = 5  # names of a kind in a record


@dataclass(frozen=True)
class Skipped:
    """Files or folders of one kind that were skipped: their number, and the first names."""

    kind: str
    count: int
    first: tuple[str, ...]


@dataclass
class Listing:
    """The photographs below a folder in a fixed order, and all else that lies there.

    ``skipped`` contains paths by kind; ``unreadable`` the subfolders that cannot be read;
    ``searched`` is False if the folder itself was skipped.
    """

    photographs: list[Path] = field(default_factory=list)
    skipped: dict[str, list[Path]] = field(default_factory=dict)
    unreadable: dict[Path, InputError] = field(default_factory=dict)
    searched: bool = True

    @property
    def empty(self) -> bool:
        """True if a folder was searched, and all of it, and has no photograph."""
        return self.searched and not self.photographs and not self.unreadable

    def skip(self, kind: str, path: Path) -> None:
        """Add a file or folder that is skipped."""
        self.skipped.setdefault(kind, []).append(path)

    def add(self, other: "Listing") -> None:
        """Add the listing of another folder."""
        self.photographs += other.photographs
        self.unreadable |= other.unreadable
        for kind, paths in other.skipped.items():
            self.skipped.setdefault(kind, []).extend(paths)


def list_folder(
    folder: Path, *, recurse: bool = True, results: Path | None = None, chosen: bool = True
) -> Listing:
    """List the photographs in ``folder`` and, with ``recurse``, in its subfolders.

    Files come before subfolders, both sorted by name. Linked folders are followed, each folder is
    listed once. ``results`` is a subfolder that is skipped, as results are written to it. A folder
    that is not ``chosen``, but may be one of all that a shell found, is skipped by its name like a
    subfolder. Raises `InputError` if ``folder`` itself cannot be read.
    """
    found = Listing()
    seen: set[tuple[int, int]] = set()
    kind = kind_of_folder(folder.name) if folder.name != ".." else None
    if not chosen and is_same(folder, results):
        kind = RESULTS
    if kind is not None and (kind == SYSTEM or not chosen):
        found.skip(kind, folder)
        found.searched = False
        return found
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            state = here.stat()
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(here) as entries:
                names = {entry.name: is_folder(entry) for entry in entries}
        except OSError as error:
            fault = InputError(f"{here}: cannot be read ({error.strerror}); change its permissions")
            if here == folder:
                raise fault from error
            found.unreadable[here] = fault
            continue
        if here != folder and (is_own(names) or is_same(here, results)):
            found.skip(RESULTS, here)
            continue
        files = sorted(name for name in names if not names[name])
        if here != folder and are_map_tiles(here, files):
            found.skip("folders of map tiles", here)
            continue
        images: dict[str, set[str]] = {}
        for path in (Path(name.casefold()) for name in files if is_image(name)):
            images.setdefault(path.stem, set()).add(path.suffix)
        for name in files:
            kind = kind_of_file(name, names, images)
            if kind is None:
                found.photographs.append(here / name)
            else:
                found.skip(kind, here / name)
        for name in sorted((name for name in names if names[name]), reverse=True):
            kind = kind_of_folder(name) or (None if recurse else "subfolders")
            if kind is None:
                waiting.append(here / name)
            else:
                found.skip(kind, here / name)
    return found


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Return True for a folder or a link to one; False for a link that leads round in a circle."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_same(folder: Path, other: Path | None) -> bool:
    """Return True if two paths lead to one folder."""
    return other is not None and other.is_dir() and folder.samefile(other)


def is_image(name: str) -> bool:
    """Return True if the suffix of a file is that of an image that can be read."""
    return Path(name).suffix.lower() in SUFFIXES


def is_own(names: Collection[str]) -> bool:
    """Return True if a folder with these ``names`` contains nothing but results of crackcli."""
    return any(record <= set(names) for record in OWN_FOLDERS)


def are_map_tiles(folder: Path, files: Sequence[str]) -> bool:
    """Return True for a folder ``zoom/column`` of a tiled map, whose files are its rows.

    Other folders may have numbers for names, such as months and days: the first tile must be a
    square PNG of 256 or 512 px.
    """
    numbers = [folder.name, *(Path(name).stem for name in files)]
    zoom = folder.parent.name
    if not files or len(zoom) > 2 or not all(text.isdecimal() for text in (zoom, *numbers)):
        return False
    first = folder / files[0]
    try:
        if not is_regular(first):
            return False
        with first.open("rb") as file:
            head = file.read(24)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and head[16:20] == head[20:24] and head[18:20] in TILE_PX


def kind_of_folder(name: str) -> str | None:
    """Return the kind of a folder that is skipped by its name; None if it is searched."""
    lower = name.casefold()
    if lower in SYSTEM_FOLDERS:
        return SYSTEM
    if lower in THUMBNAIL_FOLDERS:
        return "folders of thumbnails"
    if name.startswith("."):
        return "hidden folders"
    return "folders of masks" if lower in MASK_FOLDERS else None


def kind_of_file(name: str, beside: Collection[str], images: Mapping[str, set[str]]) -> str | None:
    """Return the kind of a file that is skipped; None for a photograph.

    ``beside`` are all names in its folder, ``images`` the suffixes of the images by
    their stem, both in small letters.
    """
    lower = name.casefold()
    suffix = Path(lower).suffix
    if name.startswith("."):
        ours = name == LOCK and not RUN_RECORDS.isdisjoint(beside)
        return RESULTS if ours else "hidden files"
    if lower in SYSTEM_FILES:
        return "files of the system"
    if suffix in SIDE_FILES:
        return "side files"
    ours = any(name in own and record in beside for record, own in OWN_PICTURES.items())
    if ours or lower.endswith(OWN_ENDINGS):
        return RESULTS
    if not is_image(name):
        if not RUN_RECORDS.isdisjoint(beside):
            return RESULTS
        return f"{suffix} files" if suffix else "files without a suffix"
    if is_mask_image(Path(name)):
        return MASKS
    stem = Path(lower).stem
    if suffix in RAW_SUFFIXES and images[stem] - RAW_SUFFIXES:
        return "camera raw beside its photograph"
    bases = [stem.removesuffix(ending) for ending in MASK_ENDINGS if stem.endswith(ending)]
    return MASKS if any(base in images for base in bases) else None


def rows(skipped: Mapping[str, Sequence[Path]]) -> list[Skipped]:
    """Return what was skipped, a row for each kind, those with the most files first."""
    return [
        Skipped(kind, len(paths), tuple(path.name for path in paths[:SHOWN]))
        for kind, paths in sorted(skipped.items(), key=most_first)
    ]


def most_first(item: tuple[str, Sequence[Path]]) -> tuple[int, str]:
    """Return the key that sorts kinds by falling number, then by name."""
    kind, paths = item
    return -len(paths), kind


def describe(skipped: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    """Yield each kind that was skipped with its number and the first names."""
    for row in rows(skipped):
        yield f"{row.kind}: {row.count} ({first_names(row.first)})"
