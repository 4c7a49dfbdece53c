"""Changes as rows of changes.csv, changes.geojson and changes.gpkg, by their columns."""

from dataclasses import asdict

from crackcli.comparison.campaign import Campaign
from crackcli.comparison.change import Change, significant_quantities
from crackcli.comparison.dates import Interval
from crackcli.comparison.evidence.significance import detection_limit
from crackcli.comparison.evidence.stretch import Difference
from crackcli.comparison.outputs.columns import COLUMNS, QUANTITIES, RATES, units
from crackcli.report.tables.columns import Row, rounded
from crackcli.scenes.scale import Scale, in_mm, in_mm2


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
