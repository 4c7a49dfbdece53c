"""What is left to do for a scene, given the files in its folder.

`crackcli scan` does it, and `crackcli scan --dry-run` predicts what it costs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from crackcli.errors import InTheWay
from crackcli.files import WORK
from crackcli.inference.views import View
from crackcli.masking.refinement import Masking
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.score_mask import is_readable
from crackcli.scan.fingerprint import scan_digest
from crackcli.scan.scene_files import SceneFiles, State
from crackcli.scan.strip_store import StripStore
from crackcli.scenes.record import ScoredRecord
from crackcli.scenes.scene import Scene

SHOWN = 40  # characters of a value in a message
OPTION_OF = {  # entries of a fingerprint that an option sets, or the version
    **{name: f"--{name}" for name in ("method", "model", "engine", "start", "baseline")},
    **{name: f"--{name}" for name in ("precision", "gate", "look", "bands", "page")},
    "core_px": "--core-px",
    "zooms": "--zoom",
    "crackcli_version": "crackcli",
}
FOLLOWING_METHOD = {
    *("model", "engine", "start", "baseline"),
    *("precision", "core_px", "gate", "look"),
}
READING = {"transform", "crs_wkt", "orientation", "gamma"}
NEW, INTERRUPTED, TO_MASK, UNCHANGED = "new", "interrupted", "to mask", "unchanged"


@dataclass(frozen=True)
class RemainingWork:
    """The state of a scene's folder, and the steps that a scan with these options still takes.

    ``scene`` is the scene as it will be, without its record; ``earlier`` is the finished scene of
    the same image, scored by the same model and options, if there is one.
    """

    scene: Scene
    earlier: Scene | None
    masking: Masking
    files: SceneFiles
    store: StripStore
    info: RasterInfo
    views: tuple[View, ...]
    overwrite: bool

    @property
    def unchanged(self) -> bool:
        """True if the scene is finished, its mask included."""
        return self.earlier is not None and self.earlier.record.masking == asdict(self.masking)

    @cached_property
    def score(self) -> Path | None:
        """The finished score raster, in the work folder or in the scene; None if there is none."""
        if self.overwrite:
            return None
        if self.store.has_digest(self.store.score) and is_readable(self.store.score):
            return self.store.score
        kept = self.files.score is State.OURS and self.store.has_digest(self.scene.score)
        return self.scene.score if kept else None

    @cached_property
    def missing(self) -> list[list[int]]:
        """The strips to score, by view; none if the score raster is finished."""
        if self.unchanged or self.score is not None:
            return [[] for _ in self.views]
        return missing_strips(self.store, self.info, self.views)

    @property
    def status(self) -> str:
        """One of new, interrupted, to mask, unchanged."""
        if self.unchanged:
            return UNCHANGED
        if self.score is not None:
            return TO_MASK
        all_strips = sum(len(view.grid) for view in self.views)
        return INTERRUPTED if sum(map(len, self.missing)) < all_strips else NEW


def remaining_work(
    folder: Path,
    info: RasterInfo,
    views: Sequence[View],
    scored: ScoredRecord,
    masking: Masking,
    *,
    overwrite: bool,
) -> RemainingWork:
    """Inspect the ``folder`` of a scene; nothing is written.

    ``scored`` is the fingerprint of the score, ``masking`` must name its recipe. With
    ``overwrite`` a finished score does not count, but the strips of an interrupted scan do.
    Without it, raises `InTheWay` if files would be replaced that are not ours.
    """
    files = SceneFiles.inspect(folder)
    files.refuse_no_folder()
    left = RemainingWork(
        scene=Scene(folder, info.rows, info.cols, info.transform, info.crs_wkt),
        earlier=None if overwrite else finished_scene(files, scored),
        masking=masking,
        files=files,
        store=StripStore(folder / WORK, scan_digest(scored)),
        info=info,
        views=tuple(views),
        overwrite=overwrite,
    )
    if not overwrite and not left.unchanged:
        files.refuse_others()
        refuse_other_options(files, scored)
    return left


def refuse_other_options(files: SceneFiles, scored: ScoredRecord) -> None:
    """Raise `InTheWay` if the same image was scanned by another model or with other options.

    Its score would be lost. Another masking keeps the score, so it needs no ``--overwrite``.
    """
    scene = files.scene
    known = None if scene is None or not scene.record.complete else scene.record.scored
    if known is None or files.score is not State.OURS or files.mask is not State.OURS:
        return
    if known == scored or known["source_sha256"] != scored["source_sha256"]:
        return
    words = "; ".join(differences(known, scored))
    raise InTheWay(
        f"{files.folder}: was scanned with other options ({words}); choose another output, or add "
        "--overwrite"
    )


def differences(before: ScoredRecord, after: ScoredRecord) -> Iterator[str]:
    """Yield the options in which two scans differ, with both values.

    Of what follows from another method, such as its network, only the method is named.
    """
    was, now = ({**record, **record["engine"]} for record in (before, after))
    changed = {name for name in {**was, **now} if was.get(name) != now.get(name)} - {"engine"}
    if before["engine"].get("engine") != after["engine"].get("engine"):
        changed.add("engine")
    if "method" in changed:
        changed -= FOLLOWING_METHOD
    for name in (name for name in OPTION_OF if name in changed):
        yield f"{OPTION_OF[name]} {shown(was.get(name))}, now {shown(now.get(name))}"
    if "excluded" in changed:
        yield "other areas of --exclude or --include"
    if changed & READING:
        yield "the image is read in another way, or lies elsewhere on the map"
    others = changed - OPTION_OF.keys() - READING - {"excluded"}
    if others and not changed & {"method", "model"}:
        yield f"another --model of the name {shown(now.get('model'))}"


def shown(value: object) -> str:
    """Return the value of an option as it is typed, shortened."""
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)[:SHOWN]


def finished_scene(files: SceneFiles, scored: ScoredRecord) -> Scene | None:
    """Return the scene in the folder if it is complete and its score has this fingerprint."""
    scene = files.scene
    if scene is None or not scene.record.complete or scene.record.scored != scored:
        return None
    whole = files.score is State.OURS and files.mask in (State.OURS, State.CHANGED)
    return scene if whole else None


def missing_strips(store: StripStore, info: RasterInfo, views: Sequence[View]) -> list[list[int]]:
    """Return the strips of each view that the store does not hold."""
    ours = store.is_ours()
    return [
        [
            index
            for index in range(len(view.grid))
            if not (ours and store.has(view.zoom, index, view.window(index, info).shape))
        ]
        for view in views
    ]
