"""Find pixels that are not of the wall although the file does not say so, and the reverse."""
