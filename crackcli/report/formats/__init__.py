"""Output formats of a report, one per file, each with ``write(folder, tables)``."""
