"""Attribution methods, one per file, written as forward operations."""
