"""What a scan would take, before it is started: time, memory and disk (scan --dry-run)."""
