"""Rows of changes.csv, changes.geojson and changes.gpkg.

``before_`` and ``after_`` are sizes of whole cracks, each by its own photograph and scale. ``d_``
are differences on the stretch that both photographs show, in px of the later photograph; in mm by
its scale, as the alignment relates both photographs better than two scales do. ``_unc`` is one
standard uncertainty, ``detection_limit_`` the least difference that is significant among all tests
of the comparison. Empty is unknown.
"""

from dataclasses import asdict

from crackcli.comparison.campaign import Campaign
from crackcli.comparison.changes import QUANTITIES, Change, significant_quantities
from crackcli.comparison.dates import Interval
from crackcli.comparison.significance import detection_limit
from crackcli.comparison.stretch import Difference
from crackcli.report.tables.columns import Row, rounded
from crackcli.scenes.scale import Scale, in_mm, in_mm2

RATES = ("length", "width_mean", "width_max")


def units(quantity: str) -> tuple[str, str]:
    """Return the units of a quantity: in the photograph, and on the surface."""
    return ("px", "mm2") if quantity == "area" else ("px", "mm")


COLUMNS: dict[str, type] = {
    "change_id": str,
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


def row_of(
    change: Change, before: Campaign, after: Campaign, critical: float, interval: Interval | None
) -> Row:
    """Return a change as a row by `COLUMNS`; ``critical`` is the p-value up to which tests of the
    comparison are significant."""
    tests, scale = change.tests, after.scale
    significant = significant_quantities(change, critical)
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        "change_id": change.id,
        "scene_id": after.scene.name,
        "kind": change.kind,
        "relation": change.relation,
        "hidden_by": change.hidden_by,
        "significant": bool(significant) if tests else None,
        "significant_in": significant,
        "p_value": rounded(min(tests.values()), 6) if tests else None,
        "ids_before": list(change.ids_before),
        "ids_after": list(change.ids_after),
        "matched_share": round(change.matched_share, 4),
    }
    lengths = {
        "common_length": change.common_px,
        "tip_advance": change.tip_px,
        "alignment_sigma": change.alignment_px,
    }
    for name, value in lengths.items():
        if value is not None:
            row[f"{name}_px"] = rounded(value, 4)
            row[f"{name}_mm"] = in_mm(value, scale)
    earlier, later = asdict(change.before), asdict(change.after)
    for name in QUANTITIES:
        convert = in_mm2 if name == "area" else in_mm
        px, mm = units(name)
        for side, value, own in (
            ("before", earlier[name], before.scale),
            ("after", later[name], scale),
        ):
            row[f"{side}_{name}_{px}"] = rounded(value, 4)
            row[f"{side}_{name}_{mm}"] = convert(value, own)
        if name in change.differences:
            row |= difference_columns(name, change.differences[name], scale, critical)
    if interval is not None:
        row |= {
            "date_before": interval.before.day.isoformat(),
            "date_after": interval.after.day.isoformat(),
            "interval_days": interval.days,
            "date_warning": interval.warning,
        }
        for name in RATES:
            if (value := row[f"d_{name}_mm"]) is not None:
                row[f"d_{name}_mm_per_year"] = rounded(interval.per_year(value), 4)
    return row


def difference_columns(
    name: str, difference: Difference, scale: Scale | None, critical: float
) -> Row:
    """Return the columns of one difference; in mm its uncertainty includes that of the scale."""
    px, mm = units(name)
    row: Row = {f"d_{name}_{px}": round(difference.value, 4) + 0.0}  # no -0.0
    factor = None if scale is None else scale.mm_per_px ** (2 if name == "area" else 1)
    if factor is not None:
        row[f"d_{name}_{mm}"] = round(difference.value * factor, 4) + 0.0
    if difference.sigma is None:
        return row
    limit = detection_limit(difference.sigma, critical)
    row[f"d_{name}_unc_{px}"] = rounded(difference.sigma, 4)
    row[f"detection_limit_{name}_{px}"] = rounded(limit, 4)
    if factor is not None and scale is not None:
        relative = (2 if name == "area" else 1) * (scale.sigma or 0.0) / scale.mm_per_px
        by_scale = difference.value * factor * relative
        sigma = ((difference.sigma * factor) ** 2 + by_scale**2) ** 0.5
        row[f"d_{name}_unc_{mm}"] = rounded(sigma, 4)
        row[f"detection_limit_{name}_{mm}"] = rounded(limit * factor, 4)
    return row
