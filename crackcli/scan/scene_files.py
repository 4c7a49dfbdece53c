"""The files in the folder of a scene before a scan replaces them: ours, damaged, or of somebody
else.

A file is ours if ``scene.json`` records its digest, or, where a killed scan has left no record, if
its tags are ours. What cannot be read beside a file of ours is damaged, and is made again. All
else is kept, unless the user asks for ``--overwrite``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from crackcli.errors import InputError, InTheWay
from crackcli.files import is_regular, sha256
from crackcli.rasters.score_mask import is_readable, read_tags
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scene import Scene


class State(Enum):
    """The state of one file of a scene."""

    MISSING = "missing"
    OURS = "ours"  # as a scan wrote it
    CHANGED = "changed"  # written by a scan, and changed since
    DAMAGED = "damaged"
    FOREIGN = "foreign"


KEPT = (State.CHANGED, State.FOREIGN)  # not replaced without --overwrite
WHY = {State.CHANGED: "was changed since it was scanned", State.FOREIGN: "is not of crackcli"}


@dataclass(frozen=True)
class SceneFiles:
    """The scene that ``scene.json`` in ``folder`` records, if there is one, and the states of its
    files."""

    folder: Path
    scene: Scene | None
    record: State
    mask: State
    score: State

    @classmethod
    def inspect(cls, folder: Path) -> "SceneFiles":
        """Inspect the folder of a scene; it need not exist."""
        try:
            scene = Scene.read(folder)
        except InputError:
            scene = None
        record = folder / "scene.json"
        paths = {name: folder / f"{name}.tif" for name in ("mask", "score")}
        known = scene is not None or any(map(has_our_tags, paths.values()))
        recorded = SceneRecord() if scene is None else scene.record
        states = {
            name: state_of(path, recorded.digest_of(path.name), known=known)
            for name, path in paths.items()
        }
        if scene is not None:
            states["record"] = State.OURS
        elif not exists(record):
            states["record"] = State.MISSING
        else:
            states["record"] = State.DAMAGED if known else State.FOREIGN
        return cls(folder, scene, **states)

    @property
    def in_the_way(self) -> Iterator[tuple[Path, State]]:
        """Yield the files that are not to be replaced."""
        states = {"scene.json": self.record, "mask.tif": self.mask, "score.tif": self.score}
        return ((self.folder / name, state) for name, state in states.items() if state in KEPT)

    def refuse_no_folder(self) -> None:
        """Raise `InTheWay` if something else has the name of the scene's folder."""
        if exists(self.folder) and not self.folder.is_dir():
            raise InTheWay(
                f"{self.folder}: is in the way of the scene's folder; move it away, or choose "
                "another output"
            )

    def refuse_others(self) -> None:
        """Raise `InTheWay` if a file would be replaced that is not ours, or was changed since."""
        for path, state in self.in_the_way:
            raise InTheWay(
                f"{path}: {WHY[state]}; move it away, choose another output, or add --overwrite"
            )


def state_of(path: Path, recorded: str | None, *, known: bool) -> State:
    """Return the state of a raster whose digest is ``recorded``, if it is.

    ``known``: the folder holds a file that is certainly ours.
    """
    if not exists(path):
        return State.MISSING
    if recorded is not None and is_file(path) and sha256(path) == recorded:
        return State.OURS
    if not is_readable(path):
        return State.DAMAGED if known and is_file(path) else State.FOREIGN
    if recorded is not None:
        return State.CHANGED
    return State.OURS if has_our_tags(path) else State.FOREIGN


def exists(path: Path) -> bool:
    """Return True if something has this name, a link that leads nowhere included."""
    return path.exists() or path.is_symlink()


def is_file(path: Path) -> bool:
    """Return True if a file has this name: neither a folder, a pipe nor a link to nowhere."""
    return path.exists() and is_regular(path)


def has_our_tags(path: Path) -> bool:
    """Return True for a raster whose tags are those that a scan writes."""
    try:
        return any(name.startswith("CRACKCLI_") for name in read_tags(path))
    except InputError:
        return False
