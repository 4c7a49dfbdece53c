"""What a photograph can show: the narrowest crack that would be found or measured, block by
block."""
