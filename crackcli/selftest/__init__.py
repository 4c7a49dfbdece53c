"""crackcli selftest: draws known cracks, scans them, and fits the probability of detection."""
