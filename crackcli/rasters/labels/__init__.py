"""Images whose values are labels: masks, class numbers, palettes, colours."""
