"""Many rasters, one output folder: names, lock, failures that do not stop the others.

``run.json`` tells versions, options and the status of every scene, and is written after each.
"""

import contextlib
import logging
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crackcli import __version__
from crackcli.errors import CrackError, InputError, Interrupted, Locked, OutputError
from crackcli.explainer import Explainer
from crackcli.files import write_json
from crackcli.masking import Masking
from crackcli.models import open_engine
from crackcli.raster import SUFFIXES
from crackcli.scan import ScanTask, SceneSummary, scan_raster

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SurveyTask:
    """Files and folders, and how each raster is scanned."""

    sources: tuple[Path, ...]
    output: Path
    model: Path | None = None
    method: str | None = None
    start: str | None = None
    engine: str = "auto"
    device: str = "auto"
    gate: float = 0.5
    masking: Masking = Masking()
    core_px: int | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Failure:
    """An input that could not be scanned, and why."""

    source: Path
    message: str
    exit_code: int


@dataclass
class SurveyResult:
    """What became of every input."""

    scenes: list[SceneSummary] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all done, 3 some, else the code of what went wrong."""
        if not self.failures:
            return 0
        codes = {failure.exit_code for failure in self.failures}
        return 3 if self.scenes or len(codes) > 1 else codes.pop()


def scan_survey(
    task: SurveyTask,
    progress: Progress = lambda share, words: None,
    on_failure: Callable[[Failure], None] = lambda failure: None,
) -> SurveyResult:
    """Scan every raster of ``task.sources`` into its folder of ``task.output``."""
    rasters, missing = find_rasters(task.sources)
    result = SurveyResult()
    engine = open_engine(task.model, task.method, task.start, task.engine, task.device)
    explainer = Explainer(engine, task.gate)
    log.info("engine %s on %s: %s", engine.facts.engine, engine.facts.device, engine.facts.model)
    with locked(task.output):
        for failure in missing:
            result.failures.append(failure)
            on_failure(failure)
        for number, (name, source) in enumerate(rasters.items()):
            one = ScanTask(
                source, task.output / name, masking=task.masking, overwrite=task.overwrite
            )
            if task.core_px:
                one = replace(one, core_px=task.core_px)

            def report(share: float, words: str, number: int = number) -> None:
                progress((number + share) / len(rasters), words)

            try:
                result.scenes.append(scan_raster(one, explainer, report))
            except (Interrupted, OutputError):
                raise
            except CrackError as error:
                failure = Failure(source, str(error), error.exit_code)
                result.failures.append(failure)
                on_failure(failure)
            write_run(task, explainer, result)
        if not rasters:
            write_run(task, explainer, result)
    return result


def find_rasters(sources: Sequence[Path]) -> tuple[dict[str, Path], list[Failure]]:
    """Scene names and their files, and what cannot be found.

    A folder gives the images in it.  A scene is named by its file's stem; where two files share
    one, by stem and suffix, and where these are shared too, with the folder's name before them.
    """
    files: list[Path] = []
    failures: list[Failure] = []
    for source in sources:
        found = [source]
        if source.is_dir():
            found = sorted(
                path
                for path in source.iterdir()
                if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
            )
            if not found:
                error = InputError(
                    f"{source} holds no images; give a folder with {', '.join(sorted(SUFFIXES))}"
                )
                failures.append(Failure(source, str(error), error.exit_code))
        files += found
    files = list(dict.fromkeys(files))
    names: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: f"{path.stem}_{path.suffix[1:].lower()}",
        lambda path: f"{path.resolve().parent.name}_{path.stem}_{path.suffix[1:].lower()}",
    ]
    named: dict[str, Path] = {}
    for name in names:
        counts = Counter(name(path) for path in files)
        named |= {name(path): path for path in files if counts[name(path)] == 1}
        files = [path for path in files if counts[name(path)] > 1]
    for path in files:
        error = InputError(f"{path} cannot be told from another file of the same name; rename one")
        failures.append(Failure(path, str(error), error.exit_code))
    return named, failures


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an output folder for this run alone; the lock ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}); choose another output folder"
        ) from error
    with file:
        try:
            import fcntl
        except ModuleNotFoundError:  # Windows: no lock, as there is no cron
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(f"{folder} is in use by another run; try again later") from error
        yield


def write_run(task: SurveyTask, explainer: Explainer, result: SurveyResult) -> None:
    """``run.json``: enough to do it again, and to know what was done."""
    options = {k: v for k, v in asdict(task).items() if k not in ("sources", "output")}
    record: dict[str, Any] = {
        "crackcli_version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "written_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": [str(source) for source in task.sources],
        "options": options,
        "engine": asdict(explainer.engine.facts),
        "peak_memory_mb": peak_memory_mb(),
        "scenes": [asdict(scene) for scene in result.scenes],
        "failures": [asdict(failure) for failure in result.failures],
        "exit_code": result.exit_code,
    }
    write_json(task.output / "run.json", record)


def peak_memory_mb() -> float | None:
    """The most memory this process has held so far; None where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)
