"""Names of the ways in which a width was measured, as they stand in the column ``width_method``."""

FROM_MASK = "area_length"  # what a stretch covers over its length: the one that sees no photograph
