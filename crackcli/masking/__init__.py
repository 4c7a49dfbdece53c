"""From score and photograph to the mask of crack pixels."""
