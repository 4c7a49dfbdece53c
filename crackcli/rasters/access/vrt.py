"""Check that a VRT, a mosaic described in XML, refers to image files of this machine only.

GDAL opens whatever a VRT names, by any driver: web services, archives, raw bytes of any file.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from crackcli.errors import InputError
from crackcli.files import kind_of
from crackcli.rasters.access.pages import find_page
from crackcli.rasters.decoding.decoded import kind_of_photograph

SUFFIX = ".vrt"
KINDS = {  # subclasses of GDAL that take their pixels from the sources that are checked here
    *("VRTDataset", "VRTWarpedDataset"),
    *("VRTSourcedRasterBand", "VRTDerivedRasterBand", "VRTWarpedRasterBand"),
}
SOURCES = ("SourceFilename", "SourceDataset")  # elements that name a file
IMAGES = (  # first bytes of the formats that a source may have
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF, BigTIFF
    *(b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM", b"GIF8"),  # JPEG, PNG, WebP, BMP, GIF
    *(b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"),  # JPEG 2000
)
DEEPEST = 8  # VRTs that may refer to each other


def is_vrt(path: Path) -> bool:
    """Return True if a file calls itself a VRT."""
    return path.suffix.lower() == SUFFIX


def check_vrt(path: Path, depth: int = 0) -> None:
    """Raise an `InputError` unless ``path`` is a VRT whose sources are images of this machine.

    Raises an `OSError` if it cannot be read.
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not a readable VRT ({error}); make it again") from error
    if root.tag != "VRTDataset" or depth > DEEPEST:
        raise InputError(f"{path}: not a VRT that is read here; make it with gdalbuildvrt")
    for element in root.iter():
        kind = element.get("subClass", "VRTDataset")
        if kind not in KINDS:
            raise InputError(f"{path}: a {kind} is not read; export it as GeoTIFF")
    for named, source in sources(root, path):
        if not source.exists():
            raise InputError(f"{path}: refers to {named}, which does not exist; bring it back")
        if kind_of(source) != "file":
            raise InputError(
                f"{path}: refers to {named}, which is a {kind_of(source)}; leave it out"
            )
        if is_vrt(source):
            check_vrt(source, depth + 1)
        elif not begins_like_an_image(source):
            raise InputError(f"{path}: refers to {named}, which is not an image; leave it out")
        elif kind_of_photograph(source) is not None or reads_another_image(source):
            raise InputError(
                f"{path}: refers to {named}, of which GDAL would read a preview or one page of "
                "several; convert it to a GeoTIFF of one page"
            )


def reads_another_image(path: Path) -> bool:
    """Return True if GDAL, given the name of a file, does not read its only photograph."""
    try:
        return not find_page(path)[1]
    except InputError:  # it has several
        return True


def sources_of(path: Path) -> set[Path]:
    """Return the real paths of all files that a VRT refers to, by way of others too.

    Raises an `InputError` if it cannot be read by the rules of `check_vrt`, else an `OSError`.
    """
    check_vrt(path)
    found: set[Path] = set()
    for _, source in sources(ElementTree.fromstring(path.read_bytes()), path):
        found.add(source.resolve())
        if is_vrt(source):
            found |= sources_of(source)
    return found


def sources(root: ElementTree.Element, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name of each source of a VRT and its path, each once."""
    seen = set()
    for element in root.iter():
        named = (element.text or "").strip()
        if element.tag not in SOURCES:
            continue
        beside = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
        source = (path.parent if beside else Path()) / named
        if source not in seen:
            seen.add(source)
            yield named, source


def begins_like_an_image(path: Path) -> bool:
    """Return True if a file begins like one of the formats `IMAGES`."""
    with path.open("rb") as file:
        return file.read(8).startswith(IMAGES)
