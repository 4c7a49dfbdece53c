"""Names of columns for people, and names of at most ten characters for shapefiles.

A column is a quantity with a unit: ``width_max_unc_mm`` is labelled "largest width, uncertainty
(mm)" and shortened to ``wmax_u_mm``.
"""

from crackcli.report.tables.severity_columns import SeverityProfiles

SHAPEFILE_CHARACTERS = 10  # of the name of a field
UNITS = {"px": "px", "mm": "mm", "mm2": "mm²", "deg": "°"}
UNCERTAINTY = "_unc"
LABELS: dict[str, tuple[str, str]] = {  # label and short name, by column without its unit
    "crack_id": ("crack", "crack_id"),
    "scene_id": ("scene", "scene_id"),
    "asset_id": ("asset", "asset_id"),
    "campaign_id": ("campaign", "campaign"),
    "acquired_utc": ("photograph taken (UTC)", "acq_utc"),
    "length": ("length", "len"),
    "main_length": ("length of the longest course", "mainlen"),
    "area": ("area in the mask", "area"),
    "area_width": ("mean width × length", "awid"),
    "width_mean": ("mean width", "wmean"),
    "width_median": ("median width", "wmed"),
    "width_p95": ("95 % of widths below", "wp95"),
    "width_max": ("largest width", "wmax"),
    "width_max_col": ("column of the largest width", "wmax_col"),
    "width_max_row": ("row of the largest width", "wmax_row"),
    "width_max_x": ("x of the largest width", "wmax_x"),
    "width_max_y": ("y of the largest width", "wmax_y"),
    "width_method": ("widths measured by", "wmethod"),
    "centroid_x": ("x of the middle", "centroid_x"),
    "centroid_y": ("y of the middle", "centroid_y"),
    "lon": ("longitude (°)", "lon"),
    "lat": ("latitude (°)", "lat"),
    "orientation": ("direction", "orient"),
    "tortuosity": ("tortuosity", "tortuosity"),
    "n_branches": ("branches", "n_branches"),
    "n_junctions": ("junctions", "n_junction"),
    "n_endpoints": ("ends", "n_ends"),
    "min_col": ("first column", "min_col"),
    "min_row": ("first row", "min_row"),
    "max_col": ("last column", "max_col"),
    "max_row": ("last row", "max_row"),
    "score": ("mean score", "score"),
    "confidence": ("confidence", "confidence"),
    "relevance_sum": ("sum of relevance (logits)", "relevance"),
    "joint_likelihood": ("likelihood of a joint", "joint_like"),
    "touches_edge": ("touches the edge", "at_edge"),
    "touches_nodata": ("touches nodata", "at_nodata"),
    "review": ("review", "review"),
    "note": ("note", "note"),
    "detect_limit": ("detection limit", "dlim"),
    "measure_limit": ("limit of measured widths", "mlim"),
    "measurable": ("wide enough to measure", "measurable"),
    "assessable": ("assessable", "assessable"),
    "reason": ("not assessable, since", "reason"),
    "valid_px": ("valid pixels", "valid_px"),
}
GRADES: dict[str, tuple[str, str]] = {  # of a severity profile
    "class": ("class", "class"),
    "label": ("label", "label"),
    "status": ("status", "status"),
    "limit_mm": ("limit (mm)", "lim_mm"),
    "exceed_mm": ("above the limit (mm)", "exc_mm"),
    "exceed_sigma": ("above the limit (sigma)", "exc_sig"),
    "clause": ("clause", "clause"),
}


def label_of(column: str, profiles: SeverityProfiles = ()) -> str:
    """Return the name of a column for people; its own name if it has none."""
    for profile in profiles:
        prefix = f"sev_{profile.column}_"
        if column.startswith(prefix) and column.removeprefix(prefix) in GRADES:
            return f"{profile.name}: {GRADES[column.removeprefix(prefix)][0]}"
    stem, unit, unc = parts_of(column)
    if stem not in LABELS:
        return column
    words = LABELS[stem][0] + (", uncertainty" if unc else "")
    return f"{words} ({UNITS[unit]})" if unit else words


def short_name(column: str, profiles: SeverityProfiles = ()) -> str:
    """Return the name of a column in a shapefile, with its unit; grades are numbered by profile."""
    for number, profile in enumerate(profiles, 1):
        prefix = f"sev_{profile.column}_"
        if column.startswith(prefix):
            return f"s{number}_{GRADES[column.removeprefix(prefix)][1]}"
    stem, unit, unc = parts_of(column)
    name = LABELS[stem][1] + ("_u" if unc else "")
    return f"{name}_{unit}" if unit else name


def parts_of(column: str) -> tuple[str, str | None, bool]:
    """Return the quantity of a column, its unit if it has one, and whether it is an uncertainty."""
    if column in LABELS:
        return column, None, False
    stem, _, unit = column.rpartition("_")
    if unit not in UNITS:
        return column, None, False
    return stem.removesuffix(UNCERTAINTY), unit, stem.endswith(UNCERTAINTY)
