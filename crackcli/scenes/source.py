"""Sources: which photograph a scene was scanned from, and whether it is still the same."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crackcli.errors import InputError
from crackcli.rasters.reader import RasterInfo, inspect
from crackcli.scenes.scene import Scene


def run_record(out: Path) -> dict[str, Any]:
    """What ``run.json`` tells."""
    path = out / "run.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); scan again into {out}") from error


def photographs_of(out: Path, scenes: Sequence[Scene]) -> list[Path]:
    """The photographs of scenes, as ``run.json`` names them."""
    record = run_record(out)
    return [photograph_of(out, scene, record) for scene in scenes]


def photograph_of(out: Path, scene: Scene, record: dict[str, Any]) -> Path:
    """The photograph of one scene, as the ``record`` of ``run.json`` names it."""
    try:
        named = {entry["scene"]: Path(entry["source"]) for entry in record["scenes"]}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{out / 'run.json'} cannot be read ({error!r}); scan again into {out}"
        ) from error
    if scene.name not in named:  # an earlier run into the same folder, of photographs beside
        file = scene.record.source_file or ""
        beside = sorted({path.parent / file for path in named.values()})
        found = [path for path in beside if file and path.is_file()]
        if found:  # several folders may hold a file of this name
            same = [path for path in found if len(found) > 1 and is_source(path, scene)]
            named[scene.name] = [*same, *found][0]
    if scene.name not in named:
        raise InputError(
            f"{out / 'run.json'} does not tell which photograph {scene.name} is; give the "
            f"command that scans it into {out} again (what is done is not repeated)"
        )
    source = named[scene.name]
    if not source.is_file():
        raise InputError(
            f"{source}, the photograph of {scene.name}, is not there; bring it back, or change "
            "into the folder in which it was scanned"
        )
    return source


def original(out: Path, scene: Scene, remedy: str) -> RasterInfo:
    """What the photograph holds that ``scene`` of ``out`` was scanned from.

    Raises `InputError` if it is not known, is not there, or was changed since; the last error
    proposes the ``remedy``.
    """
    return unchanged(scene, photograph_of(out, scene, run_record(out)), remedy)


def is_source(path: Path, scene: Scene) -> bool:
    """Whether a file, readable or not, holds what the scene was scanned from."""
    try:
        return inspect(path).digest == scene.record.source_sha256
    except InputError:
        return False


def unchanged(scene: Scene, source: Path, remedy: str) -> RasterInfo:
    """What ``source`` holds, if it is the photograph that the scene was scanned from; else an
    `InputError`, with the ``remedy``."""
    info = inspect(source)
    scanned = scene.record.source_sha256
    if info.digest != scanned or (info.rows, info.cols) != (scene.rows, scene.cols):
        raise InputError(
            f"{source} is not the photograph that was scanned, or was changed since; {remedy}"
        )
    return info
