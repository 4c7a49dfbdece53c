"""Areas of a photograph that are excluded from a scan, in its pixels."""
