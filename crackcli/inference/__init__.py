"""An engine slid over a raster of any size, strip by strip: P(crack) of each tile, score of each
pixel."""
