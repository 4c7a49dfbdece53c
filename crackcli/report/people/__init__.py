"""Work of people in the GeoPackage of a report: reviews, notes, drawn cracks, layers, styles."""
