"""Photographs that cannot be read: left out, named, and counted by reason."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from crackcli.errors import InputError
from crackcli.rasters.photograph import read_photograph
from crackcli.texts import first_names, reason_of
from crackcli.threads import ThreadPool, thread_count

log = logging.getLogger(__name__)


@dataclass
class LeftOut:
    """Names of the photographs that are left out, by reason."""

    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, path: Path, error: InputError) -> None:
        """Add a photograph that cannot be read, and log why."""
        log.warning("left out: %s", error)
        self.names.setdefault(reason_of(str(error), path), []).append(path.name)

    def merge(self, other: "LeftOut") -> None:
        """Add the photographs of another folder."""
        for reason, names in other.names.items():
            self.names.setdefault(reason, []).extend(names)

    def tell(self, folder: Path, total: int) -> None:
        """Log how many of ``total`` photographs of a folder are left out, for each reason."""
        for reason, names in self.names.items():
            log.warning(
                "%s: %d of %d photographs left out: %s (%s)",
                *(folder, len(names), total, reason, first_names(names)),
            )


def readable(paths: Iterable[Path], left_out: LeftOut) -> Iterator[Path]:
    """Yield the photographs that can be read; add the others to ``left_out``.

    Each is decoded once, so that a damaged one does not end the work after hours.
    """

    def fault(path: Path) -> InputError | None:
        try:
            read_photograph(path)
        except InputError as error:
            return error
        return None

    with ThreadPool(nullcontext, thread_count()) as pool:
        checked = pool.imap(lambda _, path: (path, fault(path)), paths, thread_count())
        for path, error in checked:
            if error is None:
                yield path
            else:
                left_out.add(path, error)
