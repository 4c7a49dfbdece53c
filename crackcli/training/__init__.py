"""crackcli train: one loop, three objectives, validation, calibration."""
