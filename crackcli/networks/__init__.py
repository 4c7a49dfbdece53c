"""Network architectures, one per file, and the checkpoint format."""
