"""A scanned photograph on disk: record, source, scale (mm per pixel), map coordinates."""

from crackcli.scenes.areas.survey_areas import AreaOptions
from crackcli.scenes.frames import Frame
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scale import Scale, find_scale
from crackcli.scenes.scene import Scene, finished_scenes

__all__ = ["AreaOptions", "Frame", "Scale", "Scene", "SceneRecord", "find_scale", "finished_scenes"]
