"""Training objectives, one for each network: their photographs, tiles, loss and validation."""
