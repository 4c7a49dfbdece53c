"""Whether a scene was scanned by the shipped model with its default options: limits of detection
(`crackcli.detectability.limits`) were found for these, and for others they are no more than a
guide."""

from typing import Any

from crackcli.rasters.resampled import PLAIN
from crackcli.registry import DEFAULT_METHOD, DEFAULT_START
from crackcli.scenes.scene import Scene, entry
from crackcli.shipped_models import shipped_sha256

GATE = 0.5
# Options that tell which cracks are found: where scene.json tells them, and the default.
OPTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    "method": (("scored", "engine", "method"), DEFAULT_METHOD),
    "start": (("scored", "engine", "start"), DEFAULT_START),
    "baseline": (("scored", "engine", "baseline"), None),
    "gate": (("scored", "gate"), GATE),
    "look": (("scored", "look"), None),
    "zoom": (("scored", "zooms"), list(PLAIN)),
    "masking": (("masking", "recipe"), "refined"),
    "threshold": (("masking", "threshold"), None),
    "min-area-px": (("masking", "min_area_px"), None),
}


def by_default(scene: Scene) -> bool:
    """Whether ``scene.json`` names no other model, method or option; what it does not tell is taken
    for the default.  A model counts as the shipped one only if its file is the one shipped now: one
    of an earlier version does not."""
    told = all(entry(scene.record, path, known) == known for path, known in OPTIONS.values())
    model = entry(scene.record, ("scored", "engine", "model_sha256"))
    return told and (model is None or model in shipped_sha256())
