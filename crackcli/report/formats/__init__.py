"""What a report is written as: one format a file, each with ``write(folder, tables)``."""
