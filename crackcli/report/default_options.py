"""Tests whether a scene was scanned by the shipped model with its default options.

Detection limits (`crackcli.detectability.limits`) were calibrated for these only; for other scans
they are a guide.
"""

from typing import Any

from crackcli.rasters.resampled import FULL_RESOLUTION
from crackcli.registry import DEFAULT_GATE, DEFAULT_METHOD, DEFAULT_START
from crackcli.scenes.scene import Scene
from crackcli.shipped_models import shipped_sha256

# Defaults of the options that decide which cracks are found (`crackcli.scenes.record.OPTIONS`).
DEFAULTS: dict[str, Any] = {
    "method": DEFAULT_METHOD,
    "start": DEFAULT_START,
    "baseline": None,
    "gate": DEFAULT_GATE,
    "look": None,
    "zoom": list(FULL_RESOLUTION),
    "masking": "refined",
    "threshold": None,
    "min-area-px": None,
}


def by_default(scene: Scene) -> bool:
    """Return True if ``scene.json`` names no other model, method or option than the defaults.

    Missing values count as defaults. The model must be the file that is shipped now, not that of
    an earlier version.
    """
    used = scene.record.options()
    model = scene.record.model_sha256
    same = all(DEFAULTS[name] == value for name, value in used.items())
    return same and (model is None or model in shipped_sha256())
