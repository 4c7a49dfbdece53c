#!/usr/bin/env bash
# A TIFF of two photographs of equal size, the second with an overview: GDAL takes that overview for
# one of the first photograph. Read in full, page 1 is right; read at reduced resolution, as a GIS
# does when it zooms out, page 1 shows page 2, without a warning.
#
# TIFF 6.0 says only that an image with NewSubfileType 1 is a reduced version of another image in the
# file, not of which. One would guess that it belongs to the page before it, as in files of scanners
# and microscopes; GDAL gives every such image of the right size to the page that is open, which is
# the first one.
#
# Seen with rasterio 1.4.4 (GDAL 3.10.3) and tifffile 2026.3.3:
#   page 1: overviews [2], in full 10, at a quarter 200
#   page 2: overviews [], in full 200, at a quarter 200
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    rasterio==1.4.4 tifffile==2026.3.3 numpy==2.4.3
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import rasterio
import tifffile

warnings.simplefilter("ignore")  # no georeference
with tifffile.TiffWriter("pages.tif") as file:
    file.write(np.full((400, 400), 10, np.uint8))  # page 1, without overviews
    file.write(np.full((400, 400), 200, np.uint8))  # page 2
    file.write(np.full((200, 200), 200, np.uint8), subfiletype=1)  # its overview

print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
seen = []
for page in (1, 2):
    with rasterio.open(f"GTIFF_DIR:{page}:pages.tif" if page > 1 else "pages.tif") as raster:
        full = int(raster.read(1).mean())
        reduced = int(raster.read(1, out_shape=(100, 100)).mean())
        print(f"page {page}: overviews {raster.overviews(1)}, in full {full}, at a quarter {reduced}")
        seen.append((full, reduced))
assert seen == [(10, 200), (200, 200)], "GDAL no longer takes an overview from another page"
PYTHON
