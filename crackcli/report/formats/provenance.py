"""Provenance of the cracks: member ``crackcli`` of a GeoJSON collection.

A collection may contain several scenes, so they are a list. ``created_utc`` is when the scan last
wrote its ``run.json``. The time of the report is not stored: a report written twice is the same,
byte for byte.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from crackcli import __version__
from crackcli.report.tables.columns import rounded
from crackcli.report.tables.limit_columns import not_assessable_m2
from crackcli.report.tables.rows import SceneCracks
from crackcli.report.tables.severity_columns import SeverityProfiles, profile_rows
from crackcli.scenes.record import SceneRecord
from crackcli.texts import printable

SCHEMA_VERSION = 1
PARAMETERS = ("scored", "masking", "threshold")  # keys of scene.json that determine a mask


def of_report(profiles: SeverityProfiles) -> dict[str, Any]:
    """Return the provenance common to all scenes, with severity profiles and their caveats."""
    return {
        "schema_version": SCHEMA_VERSION,
        "crackcli_version": __version__,
        "severity_profiles": profile_rows(profiles),
    }


def of_scene(table: SceneCracks, space: str) -> dict[str, Any]:
    """Return the provenance of one scene; None is unknown.

    ``transform`` takes pixel edges (col, row) to map coordinates of ``crs_wkt``.
    """
    scene, scale, record = table.scene, table.scale, table.scene.record
    assessed = table.assessed_px * scale.mm_per_px**2 / 1e6 if scale else None
    return {
        "scene_id": scene.name,
        **asdict(table.identity),
        "file": printable(record.source_file or "") or None,
        "source_sha256": record.source_sha256,
        "acquired_utc": record.acquired_utc,
        "model_sha256": record.model_sha256,
        "model_licence": record.licence,
        "method": record.method,
        "parameters_sha256": parameters_sha256(record),
        "crs_wkt": scene.crs_wkt,
        "transform": list(scene.transform)[:6],
        "coordinate_space": space,
        "gsd_mm": scale.mm_per_px if scale else None,
        "gsd_unc_mm": scale.sigma if scale else None,
        "scale_source": scale.source if scale else None,
        "width_window_px": rounded(table.window_px, 3),
        "assessed_px": table.assessed_px,
        "area_assessed_m2": None if assessed is None else round(assessed, 6),
        "area_not_assessable_m2": not_assessable_m2(table.assessed, scale),
    }


def parameters_sha256(record: SceneRecord) -> str | None:
    """Return a digest of everything that a mask depends on; None if it is not in the record."""
    known = record.subset(PARAMETERS)
    if not known:
        return None
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()
