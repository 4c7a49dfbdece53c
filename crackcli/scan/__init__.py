"""crackcli scan: writes score.tif, mask.tif and scene.json; resumable; --dry-run predicts the
cost."""
