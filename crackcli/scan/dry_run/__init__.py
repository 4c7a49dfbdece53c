"""crackcli scan --dry-run: predicts time, memory and disk of a scan."""
