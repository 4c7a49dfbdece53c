"""Decode the photographs that GDAL does not read: HEIC, HEIF, AVIF and camera raw."""
