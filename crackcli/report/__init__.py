"""crackcli report: cracks of a scan as rows with units, uncertainties and severity, in CSV, GeoJSON
and GeoPackage."""
