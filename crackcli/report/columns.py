"""The columns of a report: names, types and meaning."""

from typing import Any

EDGES = "edges"  # the tone that nobody gave
MEASURED = "measured"  # on the photograph
MASK_ONLY = "mask only"  # the photograph was not at hand: widths, and nothing else, by the mask
COLUMNS: dict[str, type] = {
    "crack_id": str,
    "scene_id": str,
    "asset_id": str,  # as given to crackcli report; else empty
    "campaign_id": str,
    "acquired_utc": str,
    "length_px": float,
    "length_mm": float,
    "main_length_px": float,
    "main_length_mm": float,
    "area_px": int,
    "area_mm2": float,  # as area_px of the mask, which may be wider or narrower than the crack
    "area_width_px": float,  # mean width on the photograph times length_px: empty without such
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
    "width_max_col": float,  # where, in pixels; whole numbers are pixel centres
    "width_max_row": float,
    "width_max_x": float,  # the same place in the units of the map, or of the local frame
    "width_max_y": float,
    "width_method": str,
    "centroid_x": float,  # of the centreline, which may wind around it
    "centroid_y": float,
    "lon": float,  # of the same place, where the map is tied to the Earth
    "lat": float,
    "orientation_deg": float,
    "tortuosity": float,
    "n_branches": int,
    "n_junctions": int,
    "n_endpoints": int,
    "min_col": int,  # first and last pixels, all within the crack's box
    "min_row": int,
    "max_col": int,
    "max_row": int,
    "score": float,  # mean of the score raster along it, which is no probability
    "relevance_sum": float,  # of its pixels, in logits: `crackcli.report.identity.relevance_top`
    "joint_likelihood": float,
    "touches_edge": bool,
    "touches_nodata": bool,
    "review": str,
    "note": str,  # for people: empty
    "detect_limit_px": float,  # the narrowest crack that is seen along it, nine of ten times
    "detect_limit_mm": float,
    "measure_limit_px": float,  # and that is measured
    "measure_limit_mm": float,
    "measurable": bool,  # false: narrower than that, its widths are not known to 25 %
}
# The three measures of severity of the study (arXiv 2309.11267) are n_cracks, total_area and
# width_max: cracks per patch, their area, and the largest width.
SCENE_COLUMNS: dict[str, type] = {
    "scene_id": str,
    "file": str,
    "asset_id": str,
    "campaign_id": str,
    "run_id": str,  # of the scan: a digest of its run.json; and when that was written
    "created_utc": str,
    "status": str,  # `MEASURED`, or `MASK_ONLY`
    "rows": int,
    "cols": int,
    "acquired_utc": str,
    "gsd_mm": float,
    "gsd_unc_mm": float,
    "scale_source": str,
    "n_cracks": int,
    "cracks_per_mp": float,  # megapixel of what was assessed
    "total_length_px": float,
    "total_length_mm": float,
    "total_area_px": int,
    "total_area_mm2": float,
    "area_fraction": float,  # of what is not no data; areas are those of the mask
    "width_max_px": float,
    "width_max_mm": float,
    "width_max_unc_px": float,
    "width_max_unc_mm": float,
    "worst_crack_id": str,
    "p20_per_m2": float,  # cracks, and metres of them, on a square metre of what was assessed
    "p21_m_per_m2": float,
    "n_joints": int,  # set aside: in no other column of this row
    "joints_length_px": float,
    "joints_length_mm": float,
    "joints_from": float,  # the joint_likelihood from which on lines were set aside
    "min_length_px": float,  # shorter lines were left out: in no other column of this row
    "n_left_out": int,
    "tone": str,  # by which widths were measured on the photograph: as given, else by its edges
    "tone_share": float,  # of linear light in it: 1 linear, 0 encoded
    "tone_doubt": float,  # the probability that it is the other one, which is in no uncertainty
    "blur_px": float,  # sigma of its edges
    "assessed_px": int,
    "assessed_m2": float,
    "nodata_pct": float,  # of rows times cols
    "model": str,
    "model_sha256": str,
    "method": str,
    "threshold": float,
    "tiles": int,  # of every zoom, and those with P(crack) at the gate or above
    "tiles_positive": int,
    "seconds": float,  # of the scan
    "device": str,
    "not_assessable_pct": float,  # of assessed_px
    "not_assessable_m2": float,
    "detect_limit_px": float,  # from this width on cracks are seen on 90 % of the assessable wall
    "detect_limit_mm": float,
    "measure_limit_px": float,  # and measured
    "measure_limit_mm": float,
    "statement": str,
}


def rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


Row = dict[str, Any]
