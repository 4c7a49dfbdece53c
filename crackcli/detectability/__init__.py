"""Detection limits: the narrowest crack that would be found or measured, block by block."""
