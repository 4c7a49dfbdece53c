"""Place on the Earth: coordinate reference systems, and the size of a pixel on the ground."""
