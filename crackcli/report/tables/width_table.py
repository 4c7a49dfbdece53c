"""Width profiles: the width along each crack measured on the photograph, one row per sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crackcli.cracks.crack import Crack
from crackcli.report.tables.rows import SceneCracks
from crackcli.scenes.frames import map_frame

COLUMNS: dict[str, type] = {
    "crack_id": str,
    "line": int,  # index within the MultiLineString of the crack
    "along_px": float,  # distance from the start of the line
    "along_mm": float,
    "x": float,  # in map units, or in the local frame
    "y": float,
    "width_px": float,
    "width_mm": float,
    "unc_px": float,  # one standard uncertainty; in mm it includes that of the scale, if known
    "unc_mm": float,
    "unc_common_px": float,  # part of it that does not average out along the crack
}
DECIMALS = 4


def width_profiles(table: SceneCracks, cracks: Sequence[Crack]) -> dict[str, NDArray[Any]]:
    """Return arrays (N,) by `COLUMNS` of all samples of ``cracks`` measured on the photograph.

    nan means unknown, or no width, as near junctions.
    """
    known = [(crack.id, crack.widths.profile) for crack in cracks]
    kept = [
        (name, profile)
        for name, profile in known
        if profile is not None and np.isfinite(profile.sigma_px).any()
    ]
    if not kept:
        return {
            name: np.zeros(0, object if kind is str else kind) for name, kind in COLUMNS.items()
        }
    names = np.array([name for name, _ in kept], dtype=object)
    counts = [len(profile.line) for _, profile in kept]
    line, along, points, width, sigma, systematic = (
        np.concatenate([getattr(profile, field) for _, profile in kept])
        for field in ("line", "along_px", "points", "width_px", "sigma_px", "systematic_px")
    )
    frame = map_frame(table.scene)
    x, y = frame.points_from_pixels(points + 0.5).T
    mm = table.scale.mm_per_px if table.scale else np.nan
    scale_sigma = (table.scale.sigma or 0.0) if table.scale else np.nan
    return {
        "crack_id": np.repeat(names, counts),
        "line": line.astype(np.int32),
        "along_px": along.round(DECIMALS),
        "along_mm": (along * mm).round(DECIMALS),
        "x": x,
        "y": y,
        "width_px": width.round(DECIMALS),
        "width_mm": (width * mm).round(DECIMALS),
        "unc_px": sigma.round(DECIMALS),
        "unc_mm": np.hypot(sigma * mm, width * scale_sigma).round(DECIMALS),
        "unc_common_px": systematic.round(DECIMALS),
    }
