"""crackcli selftest: known cracks drawn into a photograph and found again, or not: probability of
detection."""
