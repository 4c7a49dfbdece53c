"""Find the images of a survey and name their scenes."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from crackcli.errors import InputError
from crackcli.files import WORK
from crackcli.rasters.access.opening import check_exists
from crackcli.rasters.access.pages import Page, pages_of
from crackcli.rasters.areas.mask_image import is_mask_image, without_photograph
from crackcli.rasters.reader import SUFFIXES
from crackcli.texts import clean_name

log = logging.getLogger(__name__)

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


def find_rasters(
    sources: Sequence[Path], only: int | None = None
) -> tuple[dict[str, Page], list[Failure]]:
    """Return the photographs of all scenes by scene name, and the sources that cannot be found.

    A folder stands for the images in it, a file for each of its full-size pages, or for the one
    ``only``. A scene is named
    after the stem of its file, and its page if it is not the first; if two photographs share this,
    after stem and suffix; if these are shared too, with the name of the folder in front.
    Names that differ only in case count as shared, as some file systems treat them as equal.
    """
    files: dict[Path, list[Page]] = {}
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
                real = path.parent.resolve() / path.name
                files[real] = files.get(real) or (
                    pages_of(path) if only is None else [Page(path, only)]
                )
    names: list[Callable[[Page], str]] = [
        lambda page: clean_name(page.stem),
        lambda page: clean_name(f"{page.stem}_{suffix_of(page)}"),
        lambda page: clean_name(f"{page.path.resolve().parent.name}_{page.stem}_{suffix_of(page)}"),
    ]
    pages = list(chain.from_iterable(files.values()))
    left, named = pages, dict[str, Page]()
    for name in names:
        taken = Counter(known.casefold() for known in named)
        taken.update(name(page).casefold() for page in left)
        unique = [
            page
            for page in left
            if taken[name(page).casefold()] == 1 and not name(page).casefold().endswith(OUR_ENDINGS)
        ]
        named |= {name(page): page for page in unique}
        left = [page for page in left if page not in unique]
    for page in left:
        message = f"{page.path}: another file leads to the same scene name; rename one"
        failures.append(Failure(page.path, message, InputError.exit_code))
    ordered = {page: name for name, page in named.items()}
    return {ordered[page]: page for page in pages if page in ordered}, failures


def suffix_of(page: Page) -> str:
    """Return the suffix of the file of a photograph, in small letters and without its dot."""
    return page.path.suffix[1:].lower()


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder sorted by name, without folders and hidden files."""
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and path.name[0] != "." and not path.is_dir()
        )
        for mask in without_photograph(found):
            log.warning("%s: is beside no photograph of its name, and excludes nothing", mask)
        found = [path for path in found if not is_mask_image(path)]
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); change its permissions"
        ) from error
    if not found:
        raise InputError(
            f"{folder}: no images in it; give a folder with {', '.join(sorted(SUFFIXES))}"
        )
    return found
