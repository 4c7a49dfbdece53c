"""Geometries as a GeoPackage stores them."""

import shapely

ENVELOPE_BYTES = (0, 32, 48, 48, 64)  # in the header of a geometry, by the kind of envelope


def shape_of(blob: object) -> shapely.Geometry | None:
    """Return the geometry of a GeoPackage in two dimensions; None if it is of no simple kind."""
    if not isinstance(blob, bytes) or blob[:2] != b"GP":
        return None
    header = 8 + ENVELOPE_BYTES[min(blob[3] >> 1 & 7, 4)]
    shape = shapely.from_wkb(blob[header:], on_invalid="ignore")
    return None if shape is None else shapely.force_2d(shape)
