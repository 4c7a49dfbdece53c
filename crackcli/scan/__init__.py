"""crackcli scan: rasters in, score.tif, mask.tif and scene.json out, resumable; --dry-run foretells
the cost."""
