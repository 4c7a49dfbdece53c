"""A scanned photograph on disk: record, source, scale (mm per pixel), map coordinates."""
