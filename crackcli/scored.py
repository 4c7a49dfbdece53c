"""What a score was made from: the same again gives the same score, so it need not be made again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from crackcli import __version__
from crackcli.explainer import StripExplainer
from crackcli.raster import RasterInfo


def made_from(
    info: RasterInfo, explainer: StripExplainer, core_px: int, zooms: Sequence[float]
) -> dict[str, Any]:
    """All that a score depends on; the device is not among it."""
    return {
        "source_sha256": info.digest,
        "transform": list(info.transform)[:6],
        "crs_wkt": info.crs_wkt,
        "engine": {k: v for k, v in asdict(explainer.engine.facts).items() if k != "device"},
        "gate": explainer.gate,
        "look": looked(explainer, zooms),
        "core_px": core_px,
        "zooms": list(zooms),
        "crackcli_version": __version__,
    }


def looked(explainer: StripExplainer, zooms: Sequence[float]) -> float | list | None:
    """The least that a first look must give, with the way in which it looks, and by what, unless
    that is half the resolution, which is of zoom 1 only."""
    look = getattr(explainer, "look", None)
    if look is None or look.way == "half":
        return explainer.looks_from if 1.0 in zooms else None
    return [look.way, look.least, look.sha256]


def digest_of(scored: dict[str, Any]) -> str:
    """What a score was made from, in short."""
    return hashlib.sha256(json.dumps(scored, sort_keys=True).encode()).hexdigest()
