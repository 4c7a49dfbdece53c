"""The columns of changes.csv, changes.geojson and changes.gpkg: names and types.

``before_`` and ``after_`` are sizes of whole cracks, each by its own photograph and scale. ``d_``
are differences on the stretch that both photographs show, in px of the later photograph; in mm by
its scale, as the alignment relates both photographs better than two scales do. ``_unc`` is one
standard uncertainty, ``detection_limit_`` the least difference that is significant among all tests
of the comparison. Empty is unknown.
"""

QUANTITIES = ("length", "width_mean", "width_max", "area")
RATES = ("length", "width_mean", "width_max")


def units(quantity: str) -> tuple[str, str]:
    """Return the units of a quantity: in the photograph, and on the surface."""
    return ("px", "mm2") if quantity == "area" else ("px", "mm")


COLUMNS: dict[str, type] = {
    "change_id": str,
    "track_id": str,
    "parents": str,
    "campaign_before": str,
    "campaign_after": str,
    "scene_id": str,
    "kind": str,
    "relation": str,
    "hidden_by": str,
    "significant": bool,
    "significant_in": str,
    "p_value": float,
    "ids_before": str,
    "ids_after": str,
    "matched_share": float,
    "common_length_px": float,
    "common_length_mm": float,
    "tip_advance_px": float,
    "tip_advance_mm": float,
    "alignment_sigma_px": float,
    "alignment_sigma_mm": float,
} | {
    name: float
    for quantity in QUANTITIES
    for unit in units(quantity)
    for name in (
        f"before_{quantity}_{unit}",
        f"after_{quantity}_{unit}",
        f"d_{quantity}_{unit}",
        f"d_{quantity}_unc_{unit}",
        f"detection_limit_{quantity}_{unit}",
    )
}
COLUMNS |= {
    "date_before": str,
    "date_after": str,
    "interval_days": int,
    **{f"d_{quantity}_mm_per_year": float for quantity in RATES},
    "date_warning": str,
}
