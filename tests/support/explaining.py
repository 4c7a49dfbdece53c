"""Write a raster, and compute its relevance strip by strip."""

import numpy as np
import rasterio
from affine import Affine

from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.rasters.reader import Raster, inspect


def write(path, image, valid=None):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "rgb"}
    profile |= {"crs": "EPSG:2056", "transform": Affine(0.001, 0, 0, 0, -0.001, 0)}
    profile |= {"height": image.shape[0], "width": image.shape[1]}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile) as file,
    ):
        file.write(np.moveaxis(image, -1, 0))
        if valid is not None:
            file.write_mask(valid.astype(np.uint8) * 255)
    return path


def explained(path, engine, core_px, gate=0.0):
    """Return relevance (rows, cols), P(crack) (h, w) and validity of a whole raster."""
    info = inspect(path)
    scorer = ClassifierScorer(engine, gate)
    grid = scorer.grid(info.rows, info.cols, core_px)
    with Raster(info) as raster:
        strips = [scorer.score_strip(raster, grid, index) for index in range(len(grid))]
    return (
        np.concatenate([strip.relevance for strip in strips]).astype(np.float64),
        np.concatenate([strip.probability for strip in strips]),
        np.concatenate([strip.valid for strip in strips]),
    )
