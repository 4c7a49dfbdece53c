"""crackcli report: cracks as rows with units, uncertainties and severity; CSV, GeoJSON,
GeoPackage."""
