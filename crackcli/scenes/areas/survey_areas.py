"""The areas that a survey excludes from its photographs, or restricts them to.

Coordinates of a file are one of
  map   of the map of a photograph: in the CRS that the file states, else (GeoJSON) longitude and
        latitude; with ``--areas-in map`` in that of the photograph, whatever the file states;
  px    pixels: x right, y down from the upper left corner of the upright photograph; if y is
        negative, as QGIS shows a photograph without a map, up from there;
  mm    millimetres from the same corner in the same directions.
Without ``--areas-in`` they are those of the map, and of a photograph without a map pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

import numpy as np
import shapely

from crackcli.arrays import Float64
from crackcli.errors import InputError, UsageError
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.areas.mask_image import mask_image_of, read_mask_image
from crackcli.rasters.ground.crs import crs_of_code, transform_points
from crackcli.rasters.reader import RasterInfo
from crackcli.scenes.areas.polygons import WGS84, AreaFile, AreaPolygon, read_area_file
from crackcli.scenes.frames import apply_affine
from crackcli.scenes.scale import Scale

MAP, PX, MM = "map", "px", "mm"
Points = Callable[[Float64], Float64]


@dataclass(frozen=True)
class AreaOptions:
    """Files of areas to exclude, and of the only ones to include; their coordinates."""

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    areas_in: str | None = None  # map, px or mm

    def __post_init__(self) -> None:
        if self.areas_in not in (None, MAP, PX, MM):
            raise UsageError(f"--areas-in {self.areas_in}: unknown; use {MAP}, {PX} or {MM}")
        if self.areas_in and not (self.exclude or self.include):
            raise UsageError("--areas-in needs --exclude or --include")


@dataclass(frozen=True, eq=False)
class SurveyAreas:
    """The areas of a survey, read from their files; mask images lie beside the photographs."""

    exclude: Sequence[AreaFile] = ()
    include: Sequence[AreaFile] = ()
    areas_in: str | None = None

    @classmethod
    def read(cls, options: AreaOptions) -> "SurveyAreas":
        """Read all files; raises `InputError`."""
        exclude, include = (
            [read_area_file(name) for name in names] for names in (options.exclude, options.include)
        )
        return cls(exclude, include, options.areas_in)

    def concern(self, names: Sequence[str]) -> bool:
        """Return True if some polygon is for the scene with one of these names."""
        return any(own_polygons(file, names) for file in (*self.exclude, *self.include))

    def unknown_scenes(self, names: Sequence[str]) -> list[str]:
        """Return the scenes that polygons are for, without those with one of these names."""
        known = set(map(composed, names))
        files = (*self.exclude, *self.include)
        wanted = dict.fromkeys(area.scene for file in files for area in file.polygons if area.scene)
        return [name for name in wanted if composed(name) not in known]

    def excluded(
        self, info: RasterInfo, scene: str, find_scale: Callable[[], Scale | None]
    ) -> ExcludedAreas | None:
        """Return the areas that are excluded from a photograph; None if there are none.

        ``find_scale`` is called for areas in millimetres. Raises `InputError` if areas cannot be
        placed on the photograph.
        """
        names = names_of(scene, info.path)
        whole = shapely.box(0, 0, info.cols, info.rows)
        placing = Placing(info, scene, self.areas_in, find_scale)
        shapes = read_mask_image(info)
        included: list[shapely.Geometry] = []
        for files, found in ((self.exclude, shapes), (self.include, included)):
            for file in files:
                found += placing.in_pixels(file, own_polygons(file, names))
        if any(own_polygons(file, names) for file in self.include):
            shapes.append(shapely.difference(whole, shapely.union_all(included)))
        return ExcludedAreas.of(shapes, whole)

    def names_for(self, info: RasterInfo) -> Iterator[str]:
        """Yield the names of the files that areas of a photograph may come from."""
        yield from (file.name for file in (*self.exclude, *self.include))
        mask = mask_image_of(info.path, info.page)
        if mask.exists():
            yield mask.name


def names_of(scene: str, source: Path) -> tuple[str, str]:
    """Return the names by which a polygon may name a scene: its own, and that of its file."""
    return scene, source.name


def own_polygons(file: AreaFile, names: Sequence[str]) -> list[AreaPolygon]:
    """Return the polygons of a file that are for a scene with one of these names, or for all."""
    known = set(map(composed, names))
    return [area for area in file.polygons if not area.scene or composed(area.scene) in known]


def composed(name: str) -> str:
    """Return a name with composed letters."""
    return normalize("NFC", name)


@dataclass(frozen=True)
class Placing:
    """Transforms polygons of files to pixels of one photograph."""

    info: RasterInfo
    scene: str
    areas_in: str | None
    find_scale: Callable[[], Scale | None] = field(repr=False)

    def in_pixels(self, file: AreaFile, areas: Sequence[AreaPolygon]) -> list[shapely.Geometry]:
        """Return polygons of a file in pixel edges of the photograph."""
        if not areas:
            return []
        shapes = np.array([area.polygon for area in areas], dtype=object)
        to_pixels = self.transform_of(file, shapely.get_coordinates(shapes))
        placed = shapely.transform(shapes, to_pixels)
        return [shapely.make_valid(one) for one in placed]

    def transform_of(self, file: AreaFile, corners: Float64) -> Points:
        """Return the function that takes coordinates of a file to pixels; ``corners`` (N, 2) are
        all its coordinates."""
        info = self.info
        kind = self.areas_in or (MAP if info.georeferenced else PX)
        if kind in (PX, MM):
            if self.areas_in is None and file.crs_wkt is not None:
                raise InputError(
                    f"{file.name}: is on a map, but {self.scene} is not; add --areas-in px (or mm) "
                    "if these are its pixels, or restrict the polygons to other scenes by a "
                    "property scene"
                )
            sign = -1 if corners[:, 1].mean() < 0 else 1
            size = self.mm_per_px(file) if kind == MM else 1.0
            return lambda points: points * (1 / size, sign / size)
        back = ~info.transform
        if not info.georeferenced:
            raise InputError(f"--areas-in map: {self.scene} has no map; use px or mm")
        if self.areas_in == MAP or info.crs_wkt is None:
            return lambda points: apply_affine(back, points)
        return self.from_crs(file, corners)

    def from_crs(self, file: AreaFile, corners: Float64) -> Points:
        """Return the function for a file in a CRS, and a photograph on a map in a CRS."""
        back, target = ~self.info.transform, self.info.crs_wkt
        assert target is not None
        if file.crs_wkt is None and (np.abs(corners) > (180, 90)).any():
            raise InputError(
                f"{file.name}: states no coordinate reference system, and its coordinates are no "
                "longitudes and latitudes; add --areas-in map if they are those of the map of the "
                "photograph"
            )
        stated = file.crs_wkt or crs_of_code(WGS84)

        def to_pixels(points: Float64) -> Float64:
            placed = transform_points(stated, target, points)
            if placed is None:
                raise InputError(
                    f"{file.name}: cannot be transformed to the map of {self.scene}; export it in "
                    "the coordinate reference system of that map"
                )
            return apply_affine(back, placed)

        return to_pixels

    def mm_per_px(self, file: AreaFile) -> float:
        """Return the size of a pixel; raises `InputError` if it is unknown."""
        scale = self.find_scale()
        if scale is None:
            raise InputError(
                f"{file.name}: --areas-in mm needs the size of a pixel of {self.scene}, which is "
                "unknown; give --marker-mm or --distance-m, or areas in px"
            )
        return scale.mm_per_px
