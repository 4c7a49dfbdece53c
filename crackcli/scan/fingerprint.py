"""Fingerprint of everything that a score depends on; an unchanged fingerprint means the score can
be reused."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from crackcli import __version__
from crackcli.inference.strips import StripScorer
from crackcli.rasters.reader import RasterInfo
from crackcli.scenes.record import EngineRecord, ReadingRecord, ScoredRecord

WITHOUT_EFFECT = ("device", "licence")  # facts of an engine that change no score


def fingerprint(
    info: RasterInfo, scorer: StripScorer, core_px: int, zooms: Sequence[float]
) -> ScoredRecord:
    """Return everything that a score depends on."""
    facts = asdict(scorer.engine.facts).items()
    engine = {name: value for name, value in facts if name not in WITHOUT_EFFECT}
    reading: ReadingRecord = {}
    if info.orientation != 1:
        reading["orientation"] = info.orientation
    if info.bands:
        reading["bands"] = list(info.bands)
    if info.page is not None:
        reading["page"] = info.page
    if info.gamma is not None:
        reading["gamma"] = info.gamma
    if info.excluded is not None:
        reading["excluded"] = info.excluded.digest
    return {
        **reading,
        "source_sha256": info.digest,
        "transform": list(info.transform)[:6],
        "crs_wkt": info.crs_wkt,
        "engine": cast(EngineRecord, engine),
        "gate": scorer.gate,
        "look": None if scorer.prescreen is None else scorer.prescreen.fingerprint(zooms),
        "core_px": core_px,
        "zooms": list(zooms),
        "crackcli_version": __version__,
    }


def scan_digest(scored: ScoredRecord) -> str:
    """Return the SHA-256 of a fingerprint."""
    return hashlib.sha256(json.dumps(scored, sort_keys=True).encode()).hexdigest()
