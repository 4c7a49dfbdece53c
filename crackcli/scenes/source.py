"""The photograph that a scene was scanned from, and a check that it is still the same file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from crackcli.errors import InputError
from crackcli.rasters.reader import RasterInfo, inspect
from crackcli.scenes.scene import Scene


def read_run_record(out: Path) -> dict[str, Any]:
    """Return the content of ``run.json`` in an output folder; raises `InputError` if it cannot be
    read."""
    path = out / "run.json"
    try:
        return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); scan again into {out}") from error


def find_photographs(out: Path, scenes: Sequence[Scene]) -> list[Path]:
    """Return the paths of the photographs of ``scenes``; see `find_photograph`."""
    record = read_run_record(out)
    return [find_photograph(out, scene, record) for scene in scenes]


def find_photograph(out: Path, scene: Scene, record: dict[str, Any]) -> Path:
    """Return the path of a scene's photograph by the ``record`` of ``run.json``.

    A scene that is not listed there is of an earlier run: its file name is searched for in the
    folders of the photographs that are. Raises `InputError` if the photograph is not found.
    """
    try:
        named = {entry["scene"]: Path(entry["source"]) for entry in record["scenes"]}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{out / 'run.json'}: cannot be read ({error!r}); scan again into {out}"
        ) from error
    if scene.name not in named:
        file = scene.record.source_file or ""
        beside = sorted({path.parent / file for path in named.values()})
        found = [path for path in beside if file and path.is_file()]
        if found:  # several folders may contain a file of this name
            same = [path for path in found if len(found) > 1 and is_source(path, scene)]
            named[scene.name] = [*same, *found][0]
    if scene.name not in named:
        raise InputError(
            f"{out / 'run.json'} does not list the photograph of {scene.name}; repeat the command "
            f"that scanned it into {out} (finished scenes are kept)"
        )
    source = named[scene.name]
    if not source.is_file():
        raise InputError(
            f"{source}, the photograph of {scene.name}, does not exist; bring it back, or change "
            "into the folder in which it was scanned"
        )
    return source


def inspect_original(out: Path, scene: Scene, remedy: str) -> RasterInfo:
    """Inspect the photograph that ``scene`` of ``out`` was scanned from.

    Raises `InputError` if it is unknown, missing or was changed since; the last error proposes
    the ``remedy``.
    """
    return inspect_unchanged(scene, find_photograph(out, scene, read_run_record(out)), remedy)


def is_source(path: Path, scene: Scene) -> bool:
    """Return True if a file has the content that the scene was scanned from."""
    try:
        return inspect(path, scene.record.bands).digest == scene.record.source_sha256
    except InputError:
        return False


def inspect_unchanged(scene: Scene, source: Path, remedy: str) -> RasterInfo:
    """Inspect ``source``; raises an `InputError` that proposes the ``remedy`` if it is not the
    photograph that the scene was scanned from."""
    info = inspect(source, scene.record.bands)
    same = info.digest == scene.record.source_sha256
    if not same or (info.rows, info.cols) != (scene.rows, scene.cols):
        raise InputError(
            f"{source} is not the photograph that was scanned, or was changed since; {remedy}"
        )
    return info
