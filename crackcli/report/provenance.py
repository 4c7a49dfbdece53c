"""Where the cracks of a map come from: member ``crackcli`` of a GeoJSON collection.

A collection may hold several scenes, and so has a list of them.  ``created_utc`` is when the
scan last wrote its ``run.json``; no time of the report is in it: the same report written twice is
the same, byte for byte.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from crackcli import __version__
from crackcli.report.limit_columns import not_assessable_m2
from crackcli.report.rows import SceneCracks
from crackcli.report.severity_columns import SeverityProfiles, profile_rows
from crackcli.scenes.record import SceneRecord

SCHEMA_VERSION = 1
PARAMETERS = ("scored", "masking", "threshold")  # of scene.json: what a mask was made by


def of_report(profiles: SeverityProfiles) -> dict[str, Any]:
    """What holds for all scenes, with the severity profiles and their caveats."""
    return {
        "schema_version": SCHEMA_VERSION,
        "crackcli_version": __version__,
        "severity_profiles": profile_rows(profiles),
    }


def of_scene(table: SceneCracks, space: str) -> dict[str, Any]:
    """What holds for one scene; None is unknown.  ``transform`` takes pixels (col, row), counted
    from the corner of the first, to the map of ``crs_wkt``."""
    scene, scale, record = table.scene, table.scale, table.scene.record
    assessed = table.assessed_px * scale.mm_per_px**2 / 1e6 if scale else None
    return {
        "scene_id": scene.name,
        **asdict(table.about),
        "file": record.source_file,
        "source_sha256": record.source_sha256,
        "acquired_utc": record.acquired_utc,
        "model_sha256": record.model_sha256,
        "method": record.method,
        "parameters_sha256": parameters_sha256(record),
        "crs_wkt": scene.crs_wkt,
        "transform": list(scene.transform)[:6],
        "coordinate_space": space,
        "gsd_mm": scale.mm_per_px if scale else None,
        "gsd_unc_mm": scale.sigma if scale else None,
        "scale_source": scale.source if scale else None,
        "assessed_px": table.assessed_px,
        "area_assessed_m2": None if assessed is None else round(assessed, 6),
        "area_not_assessable_m2": not_assessable_m2(table.assessed, scale),
    }


def parameters_sha256(record: SceneRecord) -> str | None:
    """A digest of all that a mask was made by; None of a scene that does not tell."""
    known = record.subset(PARAMETERS)
    if not known:
        return None
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()
