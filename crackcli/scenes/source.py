"""The photograph that a scene was scanned from, and a check that it is still the same file."""

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unicodedata import normalize

from crackcli.errors import InputError
from crackcli.files import refuse_special
from crackcli.rasters.access.folders import list_folder
from crackcli.rasters.reader import RasterInfo, inspect, inspect_header
from crackcli.scenes.scene import Scene, finished_scenes


def read_run_record(out: Path) -> dict[str, Any]:
    """Return the content of ``run.json`` in an output folder; raises `InputError` if it cannot be
    read."""
    path = out / "run.json"
    refuse_special(path, InputError, f"scan again into {out}")
    try:
        return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); scan again into {out}") from error


def relative_to(out: Path, source: Path) -> str:
    """Return the path of a photograph relative to the output folder ``out``, so that both can be
    moved together; on another drive its whole path."""
    try:
        return Path(os.path.relpath(source.resolve(), out.resolve())).as_posix()
    except ValueError:
        return source.resolve().as_posix()


def store_path(out: Path, scene: Scene, source: Path) -> None:
    """Write ``scene.json`` of a finished scene again if its photograph lies elsewhere now."""
    path = relative_to(out, source)
    if scene.record.source_path != path:
        replace(scene, record=scene.record.with_source_path(path)).write()


def find_photograph(out: Path, scene: Scene, photographs: Path | None = None) -> Path:
    """Return the path of a scene's photograph.

    It is searched for in the folder ``photographs`` if that is given, where ``scene.json`` places
    it, where ``run.json`` does, and beside the photographs of that run. Of several files the one
    that was scanned counts. Raises `InputError` if there is none.
    """
    file = scene.record.source_file or ""
    places: list[Path] = []
    if photographs is not None and file:
        found_there = list_folder(photographs).photographs
        places += [path for path in found_there if same_name(path.name, file)]
    if scene.record.source_path is not None:
        places.append(Path(os.path.normpath(out / scene.record.source_path)))
    listed: dict[str, Path] = {}
    try:
        listed = listed_sources(out)
    except InputError:
        if not places:
            raise
    if scene.name in listed:
        places.append(listed[scene.name])
    elif file:
        places += sorted({path.parent / file for path in listed.values()})
    found = {path.resolve(): path for path in places if path.is_file()}
    if len(found) > 1:
        found = {real: path for real, path in found.items() if is_source(path, scene)} or found
    if found:
        return next(iter(found.values()))
    if not places:
        raise InputError(
            f"{out / 'run.json'} does not list the photograph of {scene.name}; give its folder "
            "with crackcli report --photographs, or repeat the command that scanned it into "
            f"{out} (finished scenes are kept)"
        )
    raise InputError(
        f"{places[0]}, the photograph of {scene.name}, does not exist; bring it back, or give its "
        "folder with crackcli report --photographs"
    )


def same_name(name: str, other: str) -> bool:
    """Return True for two names with the same letters, composed or not."""
    return normalize("NFC", name) == normalize("NFC", other)


def listed_sources(out: Path) -> dict[str, Path]:
    """Return the photographs that ``run.json`` lists, by scene; raises `InputError` if it cannot be
    read."""
    try:
        return {one["scene"]: Path(one["source"]) for one in read_run_record(out)["scenes"]}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{out / 'run.json'}: cannot be read ({error!r}); scan again into {out}"
        ) from error


def inspect_original(
    out: Path, scene: Scene, remedy: str, photographs: Path | None = None
) -> RasterInfo:
    """Inspect the photograph that ``scene`` of ``out`` was scanned from; see `find_photograph`.

    Raises `InputError` if it is unknown, missing or was changed since; the last error proposes
    the ``remedy``.
    """
    return inspect_unchanged(scene, find_photograph(out, scene, photographs), remedy)


def is_source(path: Path, scene: Scene) -> bool:
    """Return True if a file has the content that the scene was scanned from."""
    try:
        found = inspect_header(path, scene.record.bands, scene.record.page)
    except InputError:
        return False
    return found.digest == scene.record.source_sha256


def inspect_unchanged(scene: Scene, source: Path, remedy: str) -> RasterInfo:
    """Inspect ``source``; raises an `InputError` that proposes the ``remedy`` if it is not the
    photograph that the scene was scanned from."""
    info = inspect(source, scene.record.bands, scene.record.page)
    same = info.digest == scene.record.source_sha256
    if not same or (info.rows, info.cols) != (scene.rows, scene.cols):
        raise InputError(
            f"{source} is not the photograph that was scanned, or was changed since; {remedy}"
        )
    return info


def inspect_as_scanned(source: Path, out: Path, page: int | None = None) -> RasterInfo:
    """Inspect ``source`` as the scan into ``out`` read it: its bands, without excluded areas, and
    its ``page`` if it has several; None: the first one scanned.

    Raises an `InputError` if ``out`` contains no scan of this file as it is now.
    """
    scenes = [each for each in finished_scenes(out) if page in (None, each.record.page)]
    for bands, number in dict.fromkeys((each.record.bands, each.record.page) for each in scenes):
        with contextlib.suppress(InputError):
            info = inspect(source, bands, number)
            for scene in scenes:
                if (scene.record.source_sha256, scene.record.bands) == (info.digest, bands):
                    return info.excluding(scene.record.excluded)
    inspect(source, page=page)  # raises if it cannot be read
    raise InputError(
        f"--scan {out}: contains no finished scan of {source} as it is now; leave --scan out"
    )
