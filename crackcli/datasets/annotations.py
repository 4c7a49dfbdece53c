"""Outlines of labelling programs as masks: COCO, CVAT, labelme and YOLO.

No library fits: those that are kept up read boxes only, or lack labelme, CVAT or the compressed
run lengths of COCO, or need dozens of packages. The formats are plain JSON, XML and text.

====== ======================================= ====================================================
COCO   ``*.json`` in the folder of a set, or   polygons, run lengths of both kinds
       in ``annotations/`` of it
CVAT   ``*.xml`` (CVAT for images 1.1)         polygon, polyline, mask
labelme ``images/NAME.json``                   polygon, line, linestrip
YOLO   ``labels/NAME.txt`` (segmentation)      polygons; classes are numbers
====== ======================================= ====================================================

Coordinates are those of pixel edges; a pixel belongs to an outline if its centre lies in it. Lines
have no width and are drawn one pixel wide. Boxes, points and other shapes do not show which pixels
are crack: they are counted and left out.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import shapely

from crackcli.arrays import Bools, UInt8
from crackcli.datasets.mask_values import CRACK_VALUE, MaskValues
from crackcli.errors import InputError
from crackcli.files import is_regular
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.grid import Window

log = logging.getLogger(__name__)

CRACK_NAMES = {"crack", "cracks"}
LINE_PX = 1.0
LABELME_LINES = ("line", "linestrip")
NORMALISED = (1, 1)  # rows and cols of coordinates from 0 to 1
YOLO_CLASSES = "classes.txt"  # lists the names of classes, beside the labels


@dataclass(frozen=True, eq=False)
class RunLengths:
    """Flags of a rectangle of ``shape`` (rows, cols) as lengths of alternating runs, the first of
    False: decoded, those of a whole set would not fit into memory.

    ``place`` is the row and column of its first pixel. Runs go along the rows, or with
    ``by_columns`` down the columns. Raises `ValueError` if they do not fit into the rectangle.
    """

    runs: Sequence[int]
    shape: tuple[int, int]
    place: tuple[int, int] = (0, 0)
    by_columns: bool = False

    def __post_init__(self) -> None:
        count, size = sum(self.runs), self.shape[0] * self.shape[1]
        if count > size or min(self.runs, default=0) < 0:
            raise ValueError(f"runs of {count} pixels for {size}")

    def flags(self) -> Bools:
        """Return the flags (rows, cols)."""
        rows, cols = self.shape
        flags = np.repeat(np.arange(len(self.runs)) % 2 == 1, self.runs)
        flags = np.pad(flags, (0, rows * cols - len(flags)))
        return flags.reshape(cols, rows).T if self.by_columns else flags.reshape(rows, cols)


@dataclass(frozen=True, eq=False)
class Outlined:
    """What is labelled in one photograph.

    ``size`` (rows, cols) as the file states it, or `NORMALISED`. ``areas`` and ``masks`` are pairs
    of a class and a polygon, or a mask.
    """

    size: tuple[int, int]
    areas: list[tuple[str, shapely.Geometry]] = field(default_factory=list)
    masks: list[tuple[str, RunLengths]] = field(default_factory=list)

    def classes(self) -> set[str]:
        """Return the names of the classes."""
        return {name for name, _ in [*self.areas, *self.masks]}

    def flags(self, names: frozenset[str], shape: tuple[int, int]) -> Bools:
        """Return the pixels of a photograph of ``shape`` (rows, cols) with one of the classes."""
        flags = np.zeros(shape, bool)
        scale = np.array(shape[::-1]) if self.size == NORMALISED else np.ones(2)
        own = [
            shapely.transform(area, lambda at: at * scale) for c, area in self.areas if c in names
        ]
        if own:
            parts = shapely.get_parts(
                shapely.make_valid(shapely.union_all(shapely.make_valid(own)))
            )
            polygons = [part for part in parts if isinstance(part, shapely.Polygon)]
            areas = ExcludedAreas(shapely.MultiPolygon(polygons))
            flags |= areas.flags(Window(0, 0, *shape))
        for name, mask in self.masks:
            if name in names:
                row, col = mask.place
                part = flags[row : row + mask.shape[0], col : col + mask.shape[1]]
                part |= mask.flags()[: part.shape[0], : part.shape[1]]
        return flags


BROKEN = (
    *(OSError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError),
    *(ElementTree.ParseError, shapely.errors.ShapelyError),
)  # raised by files that break the rules of their format


class Annotations:
    """The photographs of one set by the stem of their name, and the shapes that are left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.photographs: dict[str, Outlined] = {}
        self.names: dict[str, str] = {}  # of the photographs, as their files state them
        self.left_out: Counter[str] = Counter()

    def classes(self) -> list[str]:
        """Return the sorted names of all classes."""
        return sorted(set().union(*(each.classes() for each in self.photographs.values())))

    def photograph(self, name: str, size: tuple[int, int]) -> Outlined:
        """Return what is labelled in a photograph, to be added to: several files may have a part.

        Raises `ValueError` if another photograph has the same stem, or its size differs.
        """
        stem = Path(name).stem
        known, found = self.names.setdefault(stem, name), Outlined(size)
        found = self.photographs.setdefault(stem, found)
        if known != name:
            raise ValueError(f"{known} and {name} differ in no more than folder or suffix")
        if found.size != size:
            raise ValueError(f"{name} has two sizes")
        return found

    def add_mask(self, to: Outlined, name: str, mask: RunLengths) -> None:
        """Add a mask; raises `ValueError` if it does not lie on the photograph."""
        for first, length, side in zip(mask.place, mask.shape, to.size, strict=True):
            if not 0 <= first <= first + length <= side:
                raise ValueError(f"a mask of {mask.shape} at {mask.place} in {to.size}")
        to.masks.append((name, mask))

    def add_polygon(self, to: Outlined, name: str, points: Iterable[Any]) -> None:
        """Add the polygon around points (N, 2) of x and y; leave it out if it has fewer than 3."""
        corners = np.asarray(points, float).reshape(-1, 2)
        if len(corners) < 3:
            self.left_out["polygon of fewer than 3 points"] += 1
        else:
            to.areas.append((name, shapely.Polygon(corners)))

    def add_line(self, to: Outlined, name: str, points: Iterable[Any]) -> None:
        """Add a line along points (N, 2), `LINE_PX` wide."""
        line = shapely.LineString(np.asarray(points, float).reshape(-1, 2))
        to.areas.append((name, line.buffer(LINE_PX / 2)))


@dataclass(frozen=True, eq=False)
class DrawnMask:
    """The mask of a photograph that is drawn from outlines: names of what is crack, and of what
    does not count."""

    path: Path
    outlined: Outlined
    crack: frozenset[str]
    ignore: frozenset[str]

    def values(self, shape: tuple[int, int]) -> UInt8:
        """Return the mask of a photograph of ``shape`` (rows, cols): 255 for crack, else 0.

        Raises an `InputError` if the labels are for another size.
        """
        size = self.outlined.size
        if size not in (NORMALISED, shape):
            raise InputError(
                f"{self.path}: its labels are for {size[1]} x {size[0]} px, but the photograph has "
                f"{shape[1]} x {shape[0]} px; give the photographs that were labelled"
            )
        crack = self.outlined.flags(self.crack, shape) & ~self.ignored(shape)
        return np.where(crack, CRACK_VALUE, 0).astype(np.uint8)

    def ignored(self, shape: tuple[int, int]) -> Bools:
        """Return the pixels (rows, cols) that do not count."""
        return self.outlined.flags(self.ignore, shape)


def drawn_masks(found: Annotations, wanted: MaskValues) -> dict[str, DrawnMask]:
    """Return the mask of each photograph by the stem of its name.

    Without a name, crack is the only class, or the one that is called so. Raises an `InputError`
    that names the classes if it is not clear which is crack.
    """
    classes = found.classes()
    text = ", ".join(classes)
    if wanted.crack is None:
        named = [name for name in classes if name.casefold() in CRACK_NAMES] or classes
        if len(named) > 1:
            raise InputError(
                f"{found.path}: its classes are {text}; say which is crack: "
                f"--mask-crack '{classes[0]}'"
            )
        crack = frozenset(named)
    else:
        crack = wanted.crack.names
    ignore = wanted.ignore.names if wanted.ignore else frozenset()
    for option, names in (("--mask-crack", crack), ("--mask-ignore", ignore)):
        if unknown := sorted(names - set(classes)):
            raise InputError(
                f"{found.path}: {option} {unknown[0]}: no such class; its classes are {text}"
            )
    return {
        stem: DrawnMask(found.path, outlined, crack, ignore)
        for stem, outlined in found.photographs.items()
    }


Reader = Callable[[Sequence[Path], Annotations], None]


def annotation_files(folder: Path, images: Sequence[Path]) -> tuple[Reader, list[Path]] | None:
    """Return the annotations of a set, whose photographs lie in ``images``, and their reader."""
    found = [*folder.glob("*.json"), *folder.glob("annotations/*.json")]
    kinds: tuple[tuple[Reader, list[Path]], ...] = (
        (read_coco, [path for path in found if is_coco(path)]),
        (read_cvat, [*folder.glob("*.xml")]),
        (read_labelme, [path for each in images for path in each.glob("*.json")]),
        (read_yolo, [path for path in folder.glob("labels/*.txt") if path.name != YOLO_CLASSES]),
    )
    return next(((reader, sorted(paths)) for reader, paths in kinds if paths), None)


def is_coco(path: Path) -> bool:
    """Return True if a JSON file seems to be COCO."""
    if not is_regular(path):
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return '"annotations"' in text and '"images"' in text


def has_annotations(folder: Path, images: Sequence[Path]) -> bool:
    """Return True if a set has annotations."""
    return annotation_files(folder, images) is not None


def read_annotations(folder: Path, images: Sequence[Path]) -> Annotations:
    """Read the annotations of a set; raise `InputError` if there are none or they are damaged."""
    kind = annotation_files(folder, images)
    if kind is None:
        raise InputError(f"{folder}: no masks and no annotations; put masks into masks/")
    reader, paths = kind
    path = paths[0] if len(paths) == 1 else paths[0].parent
    found = Annotations(path)
    try:
        reader(paths, found)
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: not readable annotations ({type(error).__name__}: {error}); export them again"
        ) from error
    if found.left_out:
        counted = ", ".join(f"{count} x {kind}" for kind, count in found.left_out.most_common())
        log.warning("%s: shapes without an outline are left out: %s", path, counted)
    if not found.classes():
        raise InputError(f"{path}: no outlines; label cracks as polygons, lines or masks")
    return found


def parsed(path: Path) -> Any:
    """Read a JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable JSON ({error}); export it again") from error


def read_coco(paths: Sequence[Path], into: Annotations) -> None:
    """Read files of COCO: ``segmentation`` is polygons, or run lengths down the columns."""
    for path in paths:
        add_coco(parsed(path), into)


def add_coco(content: dict[str, Any], into: Annotations) -> None:
    """Add the content of one file of COCO."""
    classes = {each["id"]: str(each["name"]) for each in content.get("categories", [])}
    by_id = {}
    for image in content["images"]:
        size = int(image["height"]), int(image["width"])
        by_id[image["id"]] = into.photograph(image["file_name"], size)
    for each in content["annotations"]:
        outlined, name = by_id[each["image_id"]], classes[each["category_id"]]
        shape = each.get("segmentation") or []
        if isinstance(shape, dict):
            counts = shape["counts"]
            runs = uncompressed(counts) if isinstance(counts, str) else counts
            rows, cols = shape["size"]
            into.add_mask(outlined, name, RunLengths(runs, (rows, cols), by_columns=True))
        elif shape:
            for polygon in shape:
                into.add_polygon(outlined, name, polygon)
        else:
            into.left_out["box"] += 1


def uncompressed(text: str) -> list[int]:
    """Return the run lengths in the compressed text of COCO.

    A number is written in groups of 5 bits, lowest first, each as a character from 48 on; bit 6
    says that another group follows, and the sign is the highest bit of the last. From the fourth
    number on, the difference to the number two before is written.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        group = character - 48
        value |= (group & 0x1F) << shift
        shift += 5
        if group & 0x20:
            continue
        if group & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def read_cvat(paths: Sequence[Path], into: Annotations) -> None:
    """Read CVAT for images 1.1; a mask has run lengths along the rows of its rectangle."""
    for image in (
        each for path in paths for each in ElementTree.parse(path).getroot().iter("image")
    ):
        size = int(image.attrib["height"]), int(image.attrib["width"])
        outlined = into.photograph(image.attrib["name"], size)
        for shape in image:
            if shape.tag == "tag":
                continue  # of the image as a whole
            name = shape.attrib["label"]
            if shape.tag in ("polygon", "polyline"):
                points = [pair.split(",") for pair in shape.attrib["points"].split(";")]
                add = into.add_polygon if shape.tag == "polygon" else into.add_line
                add(outlined, name, points)
            elif shape.tag == "mask":
                left, top, cols, rows = (
                    int(float(shape.attrib[key])) for key in ("left", "top", "width", "height")
                )
                runs = [int(part) for part in shape.attrib["rle"].split(",")]
                into.add_mask(outlined, name, RunLengths(runs, (rows, cols), (top, left)))
            else:
                into.left_out[shape.tag] += 1


def read_labelme(paths: Sequence[Path], into: Annotations) -> None:
    """Read one JSON file of labelme for each photograph."""
    for path in paths:
        content = parsed(path)
        size = int(content["imageHeight"]), int(content["imageWidth"])
        outlined = into.photograph(str(path), size)
        for shape in content["shapes"]:
            kind, name = shape.get("shape_type") or "polygon", str(shape["label"])
            if kind == "polygon":
                into.add_polygon(outlined, name, shape["points"])
            elif kind in LABELME_LINES:
                into.add_line(outlined, name, shape["points"])
            else:
                into.left_out[kind] += 1


def read_yolo(paths: Sequence[Path], into: Annotations) -> None:
    """Read one text file of YOLO for each photograph: a class and a polygon from 0 to 1 a line."""
    for path in paths:
        outlined = into.photograph(path.name, NORMALISED)
        for line in path.read_text(encoding="utf-8-sig").splitlines():
            name, *numbers = line.split() or [""]
            if len(numbers) == 4:
                into.left_out["box"] += 1
            elif numbers:
                into.add_polygon(outlined, name, np.array(numbers, float))
