"""Calibration by held-out photographs: of P(crack) of a photograph, of a pixel, and of a crack."""
