"""Find the photographs of a survey: those of folders, and those named one by one."""

import contextlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crackcli.errors import InputError, SomeInputsFailed
from crackcli.rasters.access.folders import MASKS, Listing, list_folder
from crackcli.rasters.access.opening import check_exists
from crackcli.rasters.access.pages import Page, pages_of
from crackcli.rasters.access.vrt import is_vrt, sources_of
from crackcli.rasters.areas.mask_image import without_photograph
from crackcli.scan.scene_names import Photograph, name_scenes

log = logging.getLogger(__name__)

TILES = "tiles that a VRT refers to"


@dataclass(frozen=True)
class Failure:
    """An input that could not be scanned, and the reason."""

    source: Path
    message: str
    exit_code: int


def exit_code(scenes: int, failures: Sequence[Failure]) -> int:
    """Return 0 if all inputs were scanned, 3 if some were, else the code of the failures."""
    codes = {failure.exit_code for failure in failures}
    if len(codes) == 1 and not scenes:
        return codes.pop()
    return SomeInputsFailed.exit_code if failures else 0


@dataclass
class Inputs:
    """The photographs to scan, the sources that cannot be found, and what was skipped, by kind."""

    photographs: list[Photograph] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skipped: dict[str, list[Path]] = field(default_factory=dict)

    def named(self, out: Path | None = None, bands: tuple[int, ...] = ()) -> dict[str, Page]:
        """Return the photographs by the names of their scenes (`crackcli.scan.scene_names`).

        ``out`` is the output folder, whose scenes keep their names; it must be locked.
        """
        return name_scenes(self.photographs, out, bands)


def find_rasters(
    sources: Sequence[Path],
    out: Path | None = None,
    *,
    recurse: bool = True,
    page: int | None = None,
) -> Inputs:
    """Find the photographs of ``sources``: the files, those in folders and their subfolders.

    A file stands for each of its full-size pages, or for that one ``page``. ``out`` is the output
    folder, which is not searched. Links to one file count once. The files that a VRT among the
    photographs refers to are skipped: it stands for them.
    """
    found = Inputs()
    listing = Listing()
    files: dict[Path, tuple[Path, tuple[str, ...]]] = {}  # by their real path
    for source in sources:
        try:
            listed = Listing([check_exists(source)])
            if source.is_dir():
                alone = len(sources) == 1
                listed = list_folder(source, recurse=recurse, results=out, chosen=alone)
        except InputError as error:
            found.failures.append(Failure(source, str(error), error.exit_code))
            continue
        for path in listed.photographs:
            if path.stem in (".", ".."):  # its results would lie outside the output folder
                message = f"{path}: its name gives no name for a scene; rename it"
                found.failures.append(Failure(path, message, InputError.exit_code))
                continue
            within = () if path == source else path.parent.relative_to(source).parts
            known, _ = files.setdefault(path.resolve(), (path, within))
            if known is not path and place(known) != place(path):
                listing.skip("links to photographs found before", path)
        listing.add(listed)
        if listed.empty:
            message = f"{source}: no images in it; give a folder with JPEG, PNG, TIFF or others"
            found.failures.append(Failure(source, message, InputError.exit_code))
    found.failures += [
        Failure(path, str(fault), fault.exit_code) for path, fault in listing.unreadable.items()
    ]
    warn_of_masks(listing)
    for tile in tiles_of_mosaics({real: path for real, (path, _) in files.items()}):
        listing.skip(TILES, files.pop(tile)[0])
    found.photographs = [
        Photograph(each, real, within)
        for real, (path, within) in files.items()
        for each in (pages_of(path) if page is None else [Page(path, page)])
    ]
    found.skipped = listing.skipped
    warn_of_conversions([path for path, _ in files.values()])
    return found


def place(path: Path) -> Path:
    """Return the path of a file with links in its folders resolved, but not that of the file."""
    return path.parent.resolve() / path.name


def warn_of_masks(listing: Listing) -> None:
    """Log a warning for each mask image that lies beside no photograph of its name."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in [*listing.photographs, *listing.skipped.get(MASKS, [])]:
        folders[path.parent].append(path)
    for paths in folders.values():
        for mask in without_photograph(paths):
            log.warning("%s: is beside no photograph of its name, and excludes nothing", mask)


def warn_of_conversions(paths: Sequence[Path]) -> None:
    """Log a warning if photographs of one folder differ in the ends of their names only."""
    alike: dict[Path, list[str]] = defaultdict(list)
    for path in paths:
        alike[path.with_suffix("")].append(path.name)
    several = [sorted(names) for names in alike.values() if len(names) > 1]
    if several:
        more = f" (and {len(several) - 1} more)" if len(several) > 1 else ""
        log.warning(
            "%s%s have one name; if one was converted from the other, its cracks count twice: "
            "scan only one of them",
            " and ".join(several[0]),
            more,
        )


def tiles_of_mosaics(files: Mapping[Path, Path]) -> list[Path]:
    """Return the real paths of those ``files``, by real path, that a VRT among them refers to.

    A VRT that cannot be read stands for nothing; its scan fails later.
    """
    found: set[Path] = set()
    for real, path in files.items():
        with contextlib.suppress(InputError, OSError):
            found |= sources_of(path) - {real} if is_vrt(path) else set()
    return [real for real in files if real in found]
