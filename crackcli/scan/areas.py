"""Areas that are excluded from the rasters of a survey."""

from pathlib import Path

from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.reader import Raster, RasterInfo
from crackcli.scenes.areas.survey_areas import SurveyAreas
from crackcli.scenes.record import ExcludedRecord, SceneRecord
from crackcli.scenes.recorded_scale import Hints, find_scales
from crackcli.scenes.scale import Scale, find_scale
from crackcli.scenes.scene import Scene


def excluded_areas(
    areas: SurveyAreas, info: RasterInfo, folder: Path, hints: Hints
) -> ExcludedAreas | None:
    """Return the areas that are excluded from a raster, which is scanned into ``folder``; None if
    there are none. Raises `InputError` if they cannot be placed on it."""

    def scale_of_scene() -> Scale | None:
        record = SceneRecord({"photograph": find_scales(info, hints)})
        grid = info.rows, info.cols, info.transform, info.crs_wkt
        return find_scale(Scene(folder, *grid, record))

    return areas.excluded(info, folder.name, scale_of_scene)


def excluded_record(
    areas: SurveyAreas, info: RasterInfo, excluded: ExcludedAreas
) -> ExcludedRecord:
    """Return the entry of ``scene.json`` about ``excluded`` areas of the raster ``info``."""
    with Raster(info) as raster:
        count = excluded.count(raster)
    return {"files": list(areas.names_for(info)), "px": count, "polygons": excluded.wkt}
