"""Tests whether a scene was scanned by a shipped model with its default options.

Detection limits (`crackcli.detectability.limits`) were calibrated for these only; for other scans
they are a guide.
"""

from typing import Any

from crackcli.rasters.resampled import FULL_RESOLUTION
from crackcli.registry import DEFAULT_GATE, DEFAULT_START
from crackcli.scenes.scene import Scene
from crackcli.shipped_models import SHIPPED, shipped_sha256

# Defaults of the options that decide which cracks are found (`crackcli.scenes.record.OPTIONS`).
COMMON: dict[str, Any] = {
    "baseline": None,
    "look": None,
    "zoom": list(FULL_RESOLUTION),
    "masking": "refined",
    "threshold": None,
    "min-area-px": None,
}
# All of them by shipped model, of those whose limits were calibrated.
DEFAULTS: dict[str, dict[str, Any]] = {
    SHIPPED: {"method": "lrp", "start": DEFAULT_START, "gate": DEFAULT_GATE, **COMMON},
    "student": {"method": "student", "start": "none", "gate": 0.0, **COMMON},
}


def by_default(scene: Scene) -> bool:
    """Return True if ``scene.json`` names no other model, method or option than one of `DEFAULTS`.

    Missing values count as defaults. The model must be the file that is shipped now, not that of
    an earlier version.
    """
    used, digest = scene.record.options(), scene.record.model_sha256
    return any(
        all(defaults[name] == value for name, value in used.items())
        and (digest is None or digest in shipped_sha256(model))
        for model, defaults in DEFAULTS.items()
    )
