"""Tables of a report: their columns with types, and the rows of cracks, scenes and limits."""
