"""The photographs in a TIFF: its full-size pages.

A TIFF may hold several images. Reduced copies (overviews, previews, thumbnails) and masks are no
photographs of their own. Most programs mark them so; those that do not make copies of at most
half the size.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crackcli.errors import InputError
from crackcli.rasters.access.tiff import (
    COLS,
    MASK,
    OLD_SUBFILE,
    PHOTOMETRIC,
    ROWS,
    SUBFILE,
    Directory,
    directories_of,
)
from crackcli.rasters.decoding.decoded import kind_of_photograph

log = logging.getLogger(__name__)

REDUCED_FLAG, MASK_FLAG = 1, 4  # in the tag SUBFILE
OLD_REDUCED = 2  # value of the tag OLD_SUBFILE
REDUCED_BELOW = 2 / 3  # of the longest side of the largest image, that of an image may be a copy
SURE_COPY_PX = 512  # a longest side up to which no photograph is expected beside a larger one


class Page(NamedTuple):
    """A photograph: an image file, or one full-size page, from 1, of a file with several."""

    path: Path
    number: int | None = None

    @property
    def stem(self) -> str:
        """The stem of the file, and which page it is if it is not the first."""
        later = self.number is not None and self.number > 1
        return f"{self.path.stem}_page{self.number}" if later else self.path.stem


def pages_of(path: Path) -> list[Page]:
    """Return the photographs in a file, in its order; one for a file that is not a TIFF."""
    images = images_in(path)
    found = full_size(images)
    for each in images:
        if each not in found and may_be_photograph(each, found):
            log.warning(
                "%s: an image of %d x %d px in it is taken for a copy of a larger one; if it is "
                "another photograph, save it as a file",
                *(path.name, each.number(COLS), each.number(ROWS)),
            )
    return [Page(path, n) for n in range(1, len(found) + 1)] if len(found) > 1 else [Page(path)]


def find_page(path: Path, number: int | None = None) -> tuple[Directory | None, bool]:
    """Return the directory of a page, None if the file is not a TIFF, and whether GDAL opens this
    image if it gets the name of the file only.

    Without a ``number`` the file must have one page. Raises `InputError` if it has several, or
    not so many.
    """
    images = images_in(path)
    found = full_size(images)
    if number is None and len(found) > 1:
        raise InputError(
            f"{path}: has {len(found)} full-size pages, and one photograph is needed; save each "
            "page as a file"
        )
    if number is not None and not 1 <= number <= max(1, len(found)):
        raise InputError(f"{path}: has no page {number}, only {max(1, len(found))}; scan it again")
    if not found:
        return None, True
    page = found[(number or 1) - 1]
    alone = len(found) == 1 and page == images[0]
    if not alone and any(is_mask(each) for each in images):
        raise InputError(
            f"{path}: has several pages and masks, and which belong together is not certain; save "
            "each page as a file"
        )
    return page, alone


def name_for_gdal(path: Path, number: int | None = None) -> Path | str:
    """Return the name by which GDAL opens a page of a file; see `find_page`.

    GDAL takes the overviews of all pages for those of the first. By its place, a page has none.
    """
    page, alone = find_page(path, number)
    if page is None or alone:
        return path.absolute()
    return f"GTIFF_DIR:off:{page.place}:{path.absolute()}"


def images_in(path: Path) -> Sequence[Directory]:
    """Return the images of a TIFF; none of another file, or a camera's raw file, which is one
    photograph."""
    return () if kind_of_photograph(path) is not None else directories_of(path)


def full_size(images: Sequence[Directory]) -> list[Directory]:
    """Return the images that are photographs, not copies or masks."""
    pictures = [each for each in images if not is_mask(each)]
    unmarked = [each for each in pictures if not is_marked_reduced(each)] or pictures
    largest = max(map(longest, unmarked), default=0)
    return [each for each in unmarked if longest(each) > REDUCED_BELOW * largest]


def is_mask(image: Directory) -> bool:
    """Return True if an image holds the valid pixels of another one."""
    return bool(image.number(SUBFILE) & MASK_FLAG) or image.number(PHOTOMETRIC) == MASK


def is_marked_reduced(image: Directory) -> bool:
    """Return True if an image says that it is a reduced copy."""
    return bool(image.number(SUBFILE) & REDUCED_FLAG) or image.number(OLD_SUBFILE) == OLD_REDUCED


def may_be_photograph(image: Directory, found: list[Directory]) -> bool:
    """Return True if an image that is not among those ``found``, the full-size ones, has no mark
    and no shape of a copy."""
    if is_mask(image) or is_marked_reduced(image) or longest(image) <= SURE_COPY_PX:
        return False
    return not any(is_same_shape(image, each) for each in found)


def is_same_shape(copy: Directory, image: Directory) -> bool:
    """Return True if an image has the aspect of another one, but for rounding to whole pixels."""
    across, down = copy.number(COLS), copy.number(ROWS)
    scale = longest(image) / longest(copy)
    return abs(across * scale - image.number(COLS)) <= scale and (
        abs(down * scale - image.number(ROWS)) <= scale
    )


def longest(image: Directory) -> int:
    """Return the longer side of an image in pixels."""
    return max(image.number(COLS), image.number(ROWS))
