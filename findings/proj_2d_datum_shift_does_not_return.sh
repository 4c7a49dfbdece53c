#!/usr/bin/env bash
# A point of a Swiss map (EPSG:2056) to longitude and latitude (EPSG:4326) and back is 1.3 mm beside
# itself; one of a map of Great Britain (EPSG:27700) 0.9 mm. At that place both directions use the
# same operation, one inverted, to all digits; and the numbers are doubles, good for nanometres.
#
# Between two-dimensional systems PROJ keeps the height of the input through the shift of the datum
# (push v_3, pop v_3), so the height that the shift gives is lost: 49 m there, as the two ellipsoids
# lie that far apart. On the way back the point starts from height 0 again, on another normal. With
# three-dimensional systems the height is carried on, and the point returns; after a shift with
# rotations, as that of Great Britain, but for 0.06 mm.
#
# A survey in millimetres that goes through GeoJSON therefore does not come back to its pixels. The
# way out is to transform there and back in three dimensions, or to keep the coordinates of the map.
#
# Seen with pyproj 3.7.2 (PROJ 9.5.1):
#   EPSG:2056  2D: 1.28 mm, 3D: 0.00 mm
#   EPSG:27700 2D: 0.92 mm, 3D: 0.06 mm
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyproj==3.7.2
cd "$folder"
PROJ_NETWORK=OFF "$folder/venv/bin/python" - <<'PYTHON'
from math import dist

import pyproj
from pyproj import CRS, Transformer

print("pyproj", pyproj.__version__, "PROJ", pyproj.proj_version_str)


def there_and_back(projected, geographic, point):
    """How far from itself a point comes back, in mm."""
    there = Transformer.from_crs(projected, geographic, always_xy=True)
    back = Transformer.from_crs(geographic, projected, always_xy=True)
    returned = back.transform(*there.transform(*point))
    return 1000 * dist(point, returned)


found = {}
for code, place in ((2056, (2600000.0, 1200000.0)), (27700, (400000.0, 300000.0))):
    flat, degrees = CRS(code), CRS(4326)
    two = there_and_back(flat, degrees, place)
    three = there_and_back(flat.to_3d(), degrees.to_3d(), (*place, 0.0))
    print(f"EPSG:{code} 2D: {two:.2f} mm, 3D: {three:.2f} mm")
    found[code] = round(two, 1), round(three, 1)
assert found == {2056: (1.3, 0.0), 27700: (0.9, 0.1)}, "PROJ returns to other places now"
PYTHON
