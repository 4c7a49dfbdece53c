"""What runs the strips of a scan, one backend a file."""
