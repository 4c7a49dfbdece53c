"""The numbers published in Forest et al. 2024 ("the paper" in the tables)."""

# By method and column; ``_pct`` in per cent.
PUBLISHED_1 = {
    method: dict(zip(("f1_pct", "precision_pct", "recall_pct", "iou_pct"), values, strict=True))
    for method, values in {
        "inputxgrad": (23.30, 14.37, 61.55, 13.19),
        "intgrad": (27.74, 20.81, 41.56, 16.10),
        "deeplift": (34.44, 28.75, 42.96, 20.81),
        "deepliftshap": (38.19, 36.37, 40.21, 23.60),
        "gradientshap": (20.61, 14.09, 38.38, 11.49),
        "lrp": (37.43, 35.06, 40.16, 23.03),
        "raw": (4.73, 2.42, 100.0, 2.42),
        "cae": (5.93, 3.07, 90.09, 3.06),
        "unet": (83.67, 82.22, 85.17, 71.93),
    }.items()
}
PUBLISHED_2 = {
    method: dict(zip(("count_mae", "area_mape_pct", "width_study_mape_pct"), values, strict=True))
    for method, values in {
        "inputxgrad": (1.13, 448.1, 358.8),
        "intgrad": (0.94, 271.3, 268.9),
        "deeplift": (0.81, 146.0, 264.6),
        "deepliftshap": (0.78, 103.6, 189.2),
        "gradientshap": (1.76, 338.8, 295.5),
        "lrp": (0.90, 91.0, 163.1),
        "unet": (0.74, 20.1, 20.8),
    }.items()
}
GROWTH = ("area_r", "area_slope_mape_pct", "width_study_r", "width_study_slope_mape_pct")
PUBLISHED_3 = {
    method: dict(zip(GROWTH, values, strict=True))
    for method, values in {
        "inputxgrad": (-0.32, 235.9, -0.03, 110.1),
        "intgrad": (0.77, 151.3, 0.22, 77.7),
        "deeplift": (0.44, 84.7, 0.18, 88.4),
        "deepliftshap": (0.90, 88.0, 0.71, 73.8),
        "gradientshap": (0.33, 367.7, 0.07, 109.1),
        "lrp": (0.84, 35.6, 0.80, 37.8),
    }.items()
}
SETS_DIFFER = (
    "The paper's photographs are not available: 256 x 256 px grey patches of plastered stone "
    "masonry from one laboratory, 100 cracked ones for testing, with 2.42 % crack pixels. "
    "The numbers here come from other photographs. Do not compare absolute numbers; compare the "
    "ratio to the U-Net, which was trained on pixel labels, on the same photographs."
)
