"""Writes the page of a report: ``report/index.html``, its scripts, and the data of each scene.

``index.html`` and the scripts are the same for every report; only files of data differ
(`crackcli.report.html.data`). Names of files are numbers, so that no name of a photograph is part
of an address.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from crackcli import __version__
from crackcli.detectability.statements import statement
from crackcli.errors import InputError, OutputError
from crackcli.files import output_errors
from crackcli.progress import Progress, ignore
from crackcli.report.html.classes import Classes
from crackcli.report.html.data import (
    TABLE,
    lines_of,
    profile_data,
    scene_data,
    scene_facts,
    table_row,
    write_data,
)
from crackcli.report.html.tiles import Pyramid, write_tiles
from crackcli.report.tables.rows import SceneCracks, findings_of
from crackcli.report.tables.severity_columns import SeverityProfiles, profile_rows

log = logging.getLogger(__name__)

FOLDER = "report"
PAGE = f"{FOLDER}/index.html"
ASSETS = Path(__file__).with_name("assets")
MAX_MP = 1000.0  # megapixels of a photograph on the page, if no option says otherwise


class Tables(Protocol):
    """Scenes that are loaded one at a time, as often as needed."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[SceneCracks]: ...


def write_pages(
    work: Path,
    tables: Tables,
    profiles: SeverityProfiles = (),
    max_mp: float = MAX_MP,
    progress: Progress = ignore,
) -> Path:
    """Write the page of the scenes into the folder ``work`` and return the path of ``index.html``.

    A photograph that is not available is left out: its cracks are shown on plain ground.
    """
    folder = work / FOLDER
    with output_errors(folder):
        shutil.copytree(ASSETS, folder)
    classes = Classes.of(["px" if table.scale is None else "mm" for table in tables], profiles)
    scenes, rows, findings = [], [], []
    for number, table in enumerate(tables):
        progress(number / len(tables), f"page of {table.scene.name}")
        own = folder / "scenes" / str(number)
        with output_errors(own):
            own.mkdir(parents=True)
        lines = lines_of(table, profiles)
        rows += [table_row(number, *line, classes) for line in lines]
        write_data(own / "scene.js", f"scene {number}", scene_data(table, lines, profiles))
        write_data(own / "profiles.js", f"profiles {number}", profile_data(table))
        pyramid = tiles_of(table, own, max_mp)
        scenes.append(scene_facts(table, f"scenes/{number}", pyramid, profiles))
        findings.append(findings_of(table))
    survey = {
        **report_facts(tables),
        "statement": statement(findings),
        "unit": classes.unit,
        "profile": classes.profile.name if classes.profile else None,
        "profiles": profile_rows(profiles),
        "classes": classes.facts(),
        "lows": classes.limits,
        "scenes": scenes,
        "columns": TABLE,
        "rows": rows,
    }
    write_data(folder / "survey.js", "survey", survey)
    return folder / "index.html"


def tiles_of(table: SceneCracks, folder: Path, max_mp: float) -> Pyramid:
    """Write the tiles of a photograph; without it, or if it cannot be read, there are none."""
    if table.photograph is None:
        return Pyramid((), 0)
    try:
        return write_tiles(table.photograph, folder / "tiles", max_mp)
    except InputError as error:
        log.warning("%s: the page has no photograph: %s", table.scene.name, error)
        shutil.rmtree(folder / "tiles", ignore_errors=True)
        return Pyramid((), 0)


def report_facts(tables: Iterable[SceneCracks]) -> dict[str, Any]:
    """Return what all scenes of a report have in common."""
    identity = next(iter(tables)).identity
    return {
        "asset_id": identity.asset_id,
        "campaign_id": identity.campaign_id,
        "report_id": identity.report_id,
        "version": __version__,
    }


def check_free(out: Path) -> None:
    """Raise an `OutputError` if the folder of the page is that of a scene, or a file."""
    folder = out / FOLDER
    if (folder / "scene.json").exists() or (folder.exists() and not folder.is_dir()):
        raise OutputError(
            f"{folder}: is in the way of the page (--html); rename the photograph of this name and "
            "scan it again, or report without --html"
        )
