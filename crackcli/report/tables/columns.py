"""The columns of a report: names, types and meaning."""

import math
from typing import Any

Row = dict[str, Any]  # values by column; None is unknown

GEOPACKAGE = "cracks.gpkg"
EDGES = "edges"  # the transfer function was estimated at the edges of cracks
MEASURED = "measured"  # on the photograph
DRAWN = "drawn"  # the word in ``width_method`` of a line that a person drew
MASK_ONLY = "mask only"  # photograph not available: widths of the mask, no detection limits
COLUMNS: dict[str, type] = {
    "crack_id": str,
    "scene_id": str,
    "asset_id": str,  # as given to crackcli report, else empty
    "campaign_id": str,
    "acquired_utc": str,
    "length_px": float,
    "length_mm": float,
    "main_length_px": float,
    "main_length_mm": float,
    "area_px": int,
    "area_mm2": float,  # of the mask, which may be wider or narrower than the crack
    "area_width_px": float,  # mean width on the photograph times length_px, else empty
    "area_width_mm2": float,
    "width_mean_px": float,
    "width_mean_mm": float,
    "width_mean_unc_px": float,
    "width_mean_unc_mm": float,
    "width_median_px": float,
    "width_median_mm": float,
    "width_median_unc_px": float,
    "width_median_unc_mm": float,
    "width_p95_px": float,
    "width_p95_mm": float,
    "width_p95_unc_px": float,
    "width_p95_unc_mm": float,
    "width_max_px": float,
    "width_max_mm": float,
    "width_max_unc_px": float,
    "width_max_unc_mm": float,
    "width_max_col": float,  # its place in pixels; whole numbers are pixel centres
    "width_max_row": float,
    "width_max_x": float,  # the same place in map units, or in the local frame
    "width_max_y": float,
    "width_method": str,
    "centroid_x": float,  # of the centreline, which may wind around this point
    "centroid_y": float,
    "lon": float,  # of the centroid, if the CRS is geographic or projected
    "lat": float,
    "orientation_deg": float,
    "tortuosity": float,
    "n_branches": int,
    "n_junctions": int,
    "n_endpoints": int,
    "min_col": int,  # first and last pixels of the bounding box, inclusive
    "min_row": int,
    "max_col": int,
    "max_row": int,
    "score": float,  # mean of the score raster over its pixels; not a probability
    "confidence": float,  # fraction of such cracks that were real on held-out photographs
    "relevance_sum": float,  # of its pixels, in logits; see `identity.relevance_top`
    "joint_likelihood": float,
    "touches_edge": bool,
    "touches_nodata": bool,
    "review": str,
    "note": str,  # empty, for remarks of people
    "detect_limit_px": float,  # narrowest crack detected along it in 9 of 10 cases
    "detect_limit_mm": float,
    "measure_limit_px": float,  # narrowest crack whose width is measured to 25 %
    "measure_limit_mm": float,
    "measurable": bool,  # false: it is narrower than that
}
# The severity measures of Forest et al. 2024 (arXiv 2309.11267) are n_cracks, total_area and
# width_max: cracks per patch, their area, and the largest width.
SCENE_COLUMNS: dict[str, type] = {
    "scene_id": str,
    "file": str,
    "asset_id": str,
    "campaign_id": str,
    "run_id": str,  # digest of the scan's run.json, and when that was written
    "created_utc": str,
    "mask_sha256": str,  # digest of the mask that the cracks were traced in
    "report_id": str,  # the same in all files of one report
    "status": str,  # `MEASURED` or `MASK_ONLY`
    "rows": int,
    "cols": int,
    "acquired_utc": str,
    "gsd_mm": float,  # side of a square as large as a pixel
    "gsd_unc_mm": float,
    "pixel_width_mm": float,  # along a row; gsd_mm if pixels are square
    "pixel_height_mm": float,
    "scale_source": str,
    "n_cracks": int,
    "cracks_per_mp": float,  # per megapixel of assessed_px
    "total_length_px": float,
    "total_length_mm": float,
    "total_area_px": int,
    "total_area_mm2": float,
    "area_fraction": float,  # crack area / valid area, both counted in the mask
    "width_max_px": float,
    "width_max_mm": float,
    "width_max_unc_px": float,
    "width_max_unc_mm": float,
    "worst_crack_id": str,
    "p20_per_m2": float,  # cracks, and metres of cracks, per square metre of assessed_m2
    "p21_m_per_m2": float,
    "n_rejected": int,  # cracks that a person rejected; in no other column of this row
    "n_joints": int,  # lines classified as joints; in no other column of this row
    "joints_length_px": float,
    "joints_length_mm": float,
    "joints_from": float,  # lines with this joint_likelihood or more are joints
    "min_length_px": float,  # shorter lines were left out; in no other column of this row
    "n_left_out": int,
    "n_drawn": int,  # lines that people drew; in no other column of this row
    "width_window_px": float,  # length of the running mean of the largest width
    "tone": str,  # transfer function for widths: as given, or `EDGES`
    "tone_share": float,  # linear fraction: 1 linear, 0 sRGB-encoded
    "tone_doubt": float,  # probability of the other one; in no uncertainty
    "blur_px": float,  # sigma of the point-spread function
    "assessed_px": int,
    "assessed_m2": float,
    "nodata_pct": float,  # of rows times cols
    "excluded_px": int,  # valid pixels in areas that the user excluded; in no other column
    "excluded_pct": float,  # of rows times cols
    "excluded_m2": float,
    "model": str,
    "model_sha256": str,
    "method": str,
    "threshold": float,
    "tiles": int,  # of every zoom; and those with P(crack) at the gate or above
    "tiles_positive": int,
    "seconds": float,  # of the scan
    "device": str,
    "not_assessable_pct": float,  # of assessed_px
    "not_assessable_m2": float,
    "detect_limit_px": float,  # cracks of this width are detected on 90 % of the assessable area
    "detect_limit_mm": float,
    "measure_limit_px": float,  # and measured to 25 %
    "measure_limit_mm": float,
    "statement": str,
}


def rounded(value: float | None, decimals: int = 4) -> float | None:
    """Return a rounded value; None if it is unknown: None or nan."""
    return None if value is None or math.isnan(value) else round(value, decimals)
