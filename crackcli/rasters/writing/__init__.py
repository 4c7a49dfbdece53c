"""Write rasters: Cloud-Optimised GeoTIFFs strip by strip, georeferenced windows, PNG."""
