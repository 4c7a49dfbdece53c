"""The work of people in the earlier report of a folder: read, carried over, and what became of it.

What cannot be carried over is never lost: edits without a place wait in ``report.json`` for the
next report, and a GeoPackage that was edited is kept under another name (`crackcli.outputs`).
"""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from crackcli.errors import InputError, Locked
from crackcli.files import temporary_folder
from crackcli.outputs import Record, digest_of, keep_aside
from crackcli.report.people.edits import KIND, NOTE, REVIEW, Edit, Edits, read_edits
from crackcli.report.people.own_tables import add_columns, copy_tables
from crackcli.report.people.placing import Carried, Values, carry_over, waiting_edits
from crackcli.report.tables.columns import GEOPACKAGE
from crackcli.report.tables.rows import SceneCracks
from crackcli.report.tables.severity_columns import SeverityProfiles
from crackcli.report.verdicts import verdict_of
from crackcli.sqlite_files import is_sqlite, settle
from crackcli.texts import first_names

log = logging.getLogger(__name__)

MAX_NAMES = 5  # cracks named in one message


class WorkOfPeople:
    """The edits of an earlier report, and how many of them the new one has."""

    def __init__(self, path: Path, earlier: Record) -> None:
        self.path = path
        self.edits = Edits()
        self.waiting = waiting_edits(earlier.facts)
        self.carried = Carried()
        self.values: Values = {}
        self.copied: list[str] = []
        self.scenes: set[str] = set()
        self.readable = is_sqlite(path)
        self.digest = digest_of(path) if path.is_file() else None

    @classmethod
    def read(cls, path: Path, earlier: Record, tables: Iterable[SceneCracks]) -> "WorkOfPeople":
        """Read the GeoPackage of the ``earlier`` report; one that is damaged, or not of a report,
        has no work that can be carried over."""
        settle(path)
        work = cls(path, earlier)
        scenes = {table.scene.name: table.scene for table in tables}
        work.scenes = set(scenes)
        if work.readable:
            try:
                work.edits = read_edits(path, earlier, scenes)
            except InputError as error:
                log.warning("no review is carried over: %s", error)
                work.readable = False
        return work

    def carry_over(self, table: SceneCracks, profiles: SeverityProfiles) -> SceneCracks:
        """Return a scene with its edits."""
        changed = carry_over(table, self.edits.edits, self.waiting, profiles, self.carried)
        self.values |= {name: dict(row) for name, row in changed.by_people.items()}
        self.values |= {one.id: dict(one.values) for one in changed.drawn}
        return changed

    @property
    def unplaced(self) -> list[Edit]:
        """The edits that found no place, those of scenes that are not in the report included."""
        everywhere = [*self.edits.edits, *self.waiting]
        elsewhere = [edit for edit in everywhere if edit.scene not in self.scenes]
        return [*self.carried.unplaced, *elsewhere]

    def copy_tables(self, grown: Path) -> None:
        """Copy styles, layers, tables and columns of people into the new GeoPackage ``grown``."""
        if not self.readable:
            return
        with temporary_folder() as folder:
            local = folder / GEOPACKAGE  # network drives do not always lock files
            shutil.copyfile(grown, local)
            self.copied, left = copy_tables(self.path, local)
            add_columns(local, self.edits.columns, self.values)
            shutil.copyfile(local, grown)
        if left:
            kept = keep_aside(self.path)
            log.warning("%s: not carried over; still in %s", ", ".join(left), kept.name)

    def check_unchanged(self) -> None:
        """Raise `Locked` if somebody changed the GeoPackage since it was read."""
        settle(self.path)
        now = digest_of(self.path) if self.path.is_file() else None
        if now != self.digest:
            raise Locked(
                f"{self.path}: was edited while the report was made; give the command again"
            )

    def log_carried(self) -> None:
        """Log what the new report has of the earlier one, and what waits for another."""
        counts = self.carried.counts
        words = [
            f"{counts[name]} {plural}"
            for name, plural in ((REVIEW, "reviews"), (NOTE, "notes"), (KIND, "moved lines"))
            if name in counts
        ]
        others = sum(counts.values()) - sum(counts.get(name, 0) for name in (REVIEW, NOTE, KIND))
        words += [f"{others} other values"] if others else []
        words += [f"{self.carried.drawn} drawn lines"] if self.carried.drawn else []
        words += self.copied
        if words:
            log.info("carried over from the earlier report: %s", ", ".join(words))
        unknown = [
            f"'{row[REVIEW]}' ({name})"
            for name, row in self.values.items()
            if verdict_of(row.get(REVIEW)) is None
        ]
        if unknown:
            log.warning(
                "%d words in column 'review' are neither accepted nor rejected, and count as "
                "unreviewed: %s",
                len(unknown),
                first_names(unknown, MAX_NAMES),
            )
        left = self.unplaced
        if left:
            names = [
                edit.crack_id or f"a line drawn in {edit.scene or 'no scene'}" for edit in left
            ]
            log.warning(
                "%d edits of the earlier report have no place in this one (%s); they are kept in "
                "report.json, and the next report tries them again",
                len(left),
                first_names(names, MAX_NAMES),
            )
