"""Turns score and photograph into a mask of crack pixels."""
