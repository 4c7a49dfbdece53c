"""Find the images of a survey and name their scenes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crackcli.errors import InputError
from crackcli.files import WORK
from crackcli.rasters.access.opening import check_exists
from crackcli.rasters.reader import SUFFIXES
from crackcli.texts import clean_name

# Files of the output folder end like this; no scene may have such a name.
OUR_ENDINGS = (
    *(".lock", ".json", ".geojson", ".csv", ".xlsx", ".html"),
    *(".gpkg", ".gpkg-wal", ".gpkg-shm", ".gpkg-journal", WORK),
)


@dataclass(frozen=True)
class Failure:
    """An input that could not be scanned, and the reason."""

    source: Path
    message: str
    exit_code: int


def find_rasters(sources: Sequence[Path]) -> tuple[dict[str, Path], list[Failure]]:
    """Return the files of all scenes by scene name, and the sources that cannot be found.

    A folder stands for the images in it. A scene is named after the stem of its file; if two files
    share it, after stem and suffix; if these are shared too, with the name of the folder in front.
    Names that differ only in case count as shared, as some file systems treat them as equal.
    """
    files: dict[Path, Path] = {}
    failures: list[Failure] = []
    for source in sources:
        try:
            found = images_in(source) if source.is_dir() else [check_exists(source)]
        except InputError as error:
            failures.append(Failure(source, str(error), error.exit_code))
            continue
        for path in found:
            if path.stem in (".", ".."):  # its results would lie outside the output folder
                message = f"{path}: its name gives no name for a scene; rename it"
                failures.append(Failure(path, message, InputError.exit_code))
            else:
                files.setdefault(path.parent.resolve() / path.name, path)
    names: list[Callable[[Path], str]] = [
        lambda path: clean_name(path.stem),
        lambda path: clean_name(f"{path.stem}_{path.suffix[1:].lower()}"),
        lambda path: clean_name(
            f"{path.resolve().parent.name}_{path.stem}_{path.suffix[1:].lower()}"
        ),
    ]
    left, named = list(files.values()), dict[str, Path]()
    for name in names:
        taken = Counter(known.casefold() for known in named)
        taken.update(name(path).casefold() for path in left)
        unique = [
            path
            for path in left
            if taken[name(path).casefold()] == 1 and not name(path).casefold().endswith(OUR_ENDINGS)
        ]
        named |= {name(path): path for path in unique}
        left = [path for path in left if path not in unique]
    for path in left:
        message = f"{path}: another file leads to the same scene name; rename one"
        failures.append(Failure(path, message, InputError.exit_code))
    ordered = {path: name for name, path in named.items()}
    return {ordered[path]: path for path in files.values() if path in ordered}, failures


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder sorted by name, without folders and hidden files."""
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and path.name[0] != "." and not path.is_dir()
        )
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); change its permissions"
        ) from error
    if not found:
        raise InputError(
            f"{folder}: no images in it; give a folder with {', '.join(sorted(SUFFIXES))}"
        )
    return found
