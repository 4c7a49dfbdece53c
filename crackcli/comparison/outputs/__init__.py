"""What a comparison writes: rows, maps and pictures of changes, and alarms."""
