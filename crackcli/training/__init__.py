"""crackcli train: training loop, objectives, validation, calibration."""
