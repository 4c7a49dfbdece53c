"""A scanned photograph on disk: its record, its source, its scale and its map coordinates."""
