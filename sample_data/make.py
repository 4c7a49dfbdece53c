"""Makes the sample data: one wall in two campaigns with known cracks, and labelled patches.

    python sample_data/make.py [FOLDER]

FOLDER is the folder of this script by default. Every pixel is synthetic (see `scenery`) and the
same on each run. README.md describes the files.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from affine import Affine
from numpy.random import Generator
from numpy.typing import NDArray
from scenery import SHAPE, random_wall, sample_wall

from crackcli.files import atomic_write, write_text
from crackcli.rasters.ground.crs import to_wgs84
from crackcli.synthesis.cover import CrackPath, PaintStyle, coverage, paint
from crackcli.synthesis.random_cracks import CrackStyle, random_crack
from crackcli.synthesis.surfaces import Field, Image, noise, photographed, ramp, spot

SEED = 20
PIXEL_M = 0.001
TRANSFORM = Affine(PIXEL_M, 0, 2533000.0, 0, -PIXEL_M, 1152000.0)
CRS = rasterio.CRS.from_epsg(2056)
JPEG_QUALITY = 90

HAIR, FINE, OPEN = PaintStyle(contrast=0.5), PaintStyle(contrast=0.62), PaintStyle(contrast=0.74)

PATCH_PX = 256
PATCH_STEP_PX = 64
PATCH_JPEG_QUALITY = 78
PATCH_WALL = (768, 1024)  # rows, cols
KINDS = ("plaster", "brick", "edge")
SHOWN = KINDS[:2]  # in the patches here
WALLS = range(1, 6)  # of each kind
PER_WALL = 2  # patches of each class
LEAST_CRACK_PX2 = 150.0  # area of crack in a patch that is to show one


@dataclass(frozen=True)
class Planned:
    """A crack of the wall: its ends, its style, and its change between the campaigns."""

    crack_id: int
    start: tuple[float, float]
    end: tuple[float, float]
    style: CrackStyle
    look: PaintStyle
    fate: str = "stable"  # or grown, new, repaired: from the first campaign to the second
    jointed: bool = False  # follows the joints of the masonry
    wider_px: float = 0.0  # of a grown crack
    first_share: float = 1.0  # of its later length, of a grown crack

    def paths(self, joints: list[NDArray[np.float64]]) -> list[CrackPath]:
        """The crack at its full length, before it becomes wider."""
        rng = np.random.default_rng([SEED, 100 + self.crack_id])
        return random_crack(rng, self.start, self.end, self.style, joints if self.jointed else ())


PLAN = [
    Planned(1, (90, 380), (1060, 950), CrackStyle((4, 8), closing=(0.12, 0.2)), FINE, jointed=True),
    Planned(2, (655, 1999), (500, 1180), CrackStyle((4, 10), closing=(0, 0.5)), OPEN),
    Planned(
        3, (1720, 470), (2240, 1180), CrackStyle((3, 6), branches=3), FINE, "grown", wider_px=1.5
    ),
    Planned(4, (2390, 130), (2960, 640), CrackStyle((1, 2), 0.6, closing=(0.1, 0.1)), HAIR),
    Planned(
        5,
        (1510, 1480),
        (2080, 1310),
        CrackStyle((1, 1.8), gaps=2, closing=(0.1, 0.1)),
        HAIR,
        "grown",
        first_share=0.6,
    ),
    Planned(6, (2520, 1999), (2370, 1140), CrackStyle((12, 16), 0.6, 2, closing=(0, 0.4)), OPEN),
    Planned(7, (2660, 760), (2960, 1180), CrackStyle((1.5, 3)), FINE, "repaired"),
    Planned(8, (1530, 760), (1700, 1240), CrackStyle((1.2, 2.2)), HAIR, "new"),
    Planned(9, (1080, 160), (540, 480), CrackStyle((3, 5)), FINE, "new", jointed=True),
]


def main(folder: Path) -> None:
    """Write all files into ``folder``."""
    wall = sample_wall(np.random.default_rng(SEED))
    truth: dict[str, Any] = {"pixel_mm": 1000 * PIXEL_M, "fates": {}}
    first: dict[int, list[CrackPath]] = {}
    later: dict[int, list[CrackPath]] = {}
    filled: list[CrackPath] = []
    for plan in PLAN:
        truth["fates"][plan.crack_id] = plan.fate
        paths = plan.paths(wall.joints)
        if plan.fate != "new":
            first[plan.crack_id] = [shorter(path, plan.first_share) for path in paths]
        if plan.fate == "repaired":
            filled += paths
        else:
            later[plan.crack_id] = [path.widened(plan.wider_px) for path in paths]

    aged = a_year_later(np.random.default_rng([SEED, 1]), wall.image, filled)
    for name, image, cracks, light in (
        ("wall", wall.image, first, 2),
        ("wall_later", aged, later, 3),
    ):
        truth[name] = []
        for plan in PLAN:
            if plan.crack_id not in cracks:
                continue
            cover = coverage(cracks[plan.crack_id], SHAPE)
            image = paint(image, cover, np.random.default_rng([SEED, plan.crack_id]), plan.look)
            fate = plan.fate if name == "wall_later" else ""
            truth[name].append(record(plan.crack_id, cracks[plan.crack_id], cover, fate))
        photograph = photographed(np.random.default_rng([SEED, light]), image)
        write_raster(folder / f"{name}.tif", photograph)
        write_geojson(folder / f"{name}_truth.geojson", truth[name])
    write_text(folder / "truth.json", json.dumps(truth, separators=(",", ":")) + "\n")

    for old in (folder / "patches").glob("*/*_w*_x*y*.jpg"):  # may have had other names
        old.unlink()
    for kind in SHOWN:
        for number in WALLS:
            write_patches(folder / "patches", kind, number)


def shorter(path: CrackPath, share: float) -> CrackPath:
    return path if share == 1 else path.shortened(share, taper_px=60)


def a_year_later(rng: Generator, image: Image, filled: list[CrackPath]) -> Image:
    """The wall on another day: a little brighter, a new damp stain, a crack filled with mortar."""
    picture = image.astype(np.float32)
    band = coverage([CrackPath.of(path.points, path.width_px + 22) for path in filled], SHAPE)
    band = cv2.GaussianBlur(band, (0, 0), 4) + 0.16 * noise(rng, SHAPE, 60, 4, 2)
    share = ramp(band, 0.4, 0.62)[..., None]
    around = cv2.GaussianBlur(picture, (0, 0), 16)
    trowelled = 1 + 0.035 * noise(rng, SHAPE, 30, 3, 1.6, 5, 50) + 0.03 * noise(rng, SHAPE, 5, 2, 0)
    mortar = around.mean(axis=2, keepdims=True) * np.float32([1.1, 1.06, 0.98])
    picture += share * (mortar * trowelled[..., None] - picture)
    damp = spot(SHAPE, 1820, 1930, 190, 130) + 0.14 * noise(rng, SHAPE, 200, 6, 2)
    picture *= 1 - 0.28 * ramp(damp, 0.3, 0.6)[..., None] * np.float32([0.9, 1.0, 1.1])
    picture *= np.float32([1.03, 1.035, 1.045])
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def record(crack_id: int, paths: list[CrackPath], cover: Field, fate: str) -> dict[str, Any]:
    """Return the properties of a crack; its first path is the stem. Pixels are millimetres."""
    length = sum(path.length_px for path in paths)
    area = sum(path.area_px for path in paths)
    widest = max(paths, key=lambda path: path.width_px.max())
    col, row = widest.points[widest.width_px.argmax()]
    return {
        "crack_id": crack_id,
        "length_px": round(length, 1),
        "width_mean_px": round(area / length, 2),
        "width_max_px": round(float(widest.width_px.max()), 2),
        "width_max_row": round(row),
        "width_max_col": round(col),
        "area_px": round(float(cover.sum(dtype=np.float64)), 1),
        "grown": fate == "grown",
        "new": fate == "new",
        "paths": [
            {"points": path.points.round(2).tolist(), "width_px": path.width_px.round(2).tolist()}
            for path in paths
        ],
    }


def write_raster(path: Path, image: Image) -> None:
    """Write a photograph as a tiled, georeferenced JPEG-in-TIFF."""
    rows, cols = image.shape[:2]
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "height": rows,
        "width": cols,
        "crs": CRS,
        "transform": TRANSFORM,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "jpeg",
        "photometric": "ycbcr",
        "jpeg_quality": JPEG_QUALITY,
    }
    with atomic_write(path) as aside, rasterio.open(aside, "w", **profile) as target:
        target.write(np.moveaxis(image, -1, 0))


def write_geojson(path: Path, cracks: list[dict[str, Any]]) -> None:
    """The cracks as features in longitude and latitude (RFC 7946), a line for each path."""
    features = []
    for crack in cracks:
        lines = []
        for line in crack["paths"]:
            x, y = TRANSFORM @ (np.array(line["points"]) + 0.5).T  # pixel corners count from 0
            lon, lat = to_wgs84(CRS.to_wkt(), x, y)
            lines.append(np.column_stack([lon, lat]).round(10).tolist())
        one = len(lines) == 1
        geometry = {
            "type": "LineString" if one else "MultiLineString",
            "coordinates": lines[0] if one else lines,
        }
        properties = {key: value for key, value in crack.items() if key != "paths"}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    collection = {"type": "FeatureCollection", "features": features}
    write_text(path, json.dumps(collection, separators=(",", ":")) + "\n")


def write_patches(
    folder: Path, kind: str, number: int, most: int = PER_WALL, least: int = PER_WALL
) -> None:
    """Patches of both classes, cut from one random wall, named KIND_wNUMBER_xCOLyROW.jpg."""
    rng = np.random.default_rng([SEED, KINDS.index(kind), number])
    wall = random_wall(rng, kind, PATCH_WALL)
    cracks = [random_crack(rng, *random_ends(rng), random_style(rng)) for _ in range(2)]
    if wall.joints:
        cracks[0] = random_crack(rng, *random_ends(rng), random_style(rng), wall.joints)
    image, all_cracks = wall.image, np.zeros(PATCH_WALL, np.float32)
    for paths in cracks:
        cover = coverage(paths, PATCH_WALL)
        image = paint(image, cover, rng, PaintStyle(contrast=rng.uniform(0.5, 0.75)))
        all_cracks = np.maximum(all_cracks, cover)
    image = photographed(rng, image, rng.uniform(0.35, 0.6), rng.uniform(1, 3))

    windows = [
        (row, col)
        for row in range(0, PATCH_WALL[0] - PATCH_PX + 1, PATCH_STEP_PX)
        for col in range(0, PATCH_WALL[1] - PATCH_PX + 1, PATCH_STEP_PX)
    ]
    rng.shuffle(windows)
    inner = PATCH_PX // 8  # a crack that only touches the rim is no example of either class
    cut: dict[str, list[tuple[int, int]]] = {"crack": [], "no_crack": []}
    for row, col in windows:
        part = (slice(row, row + PATCH_PX), slice(col, col + PATCH_PX))
        cover = all_cracks[part]
        if cover[inner:-inner, inner:-inner].sum() >= LEAST_CRACK_PX2:
            label = "crack"
        elif not cover.any():
            label = "no_crack"
        else:
            continue
        apart = [max(abs(row - r), abs(col - c)) >= PATCH_PX for r, c in cut[label]]
        if len(apart) == most or not all(apart):
            continue
        cut[label].append((row, col))
        path = folder / label / f"{kind}_w{number}_x{col}y{row}.jpg"
        with atomic_write(path) as aside:
            quality = [cv2.IMWRITE_JPEG_QUALITY, PATCH_JPEG_QUALITY]
            cv2.imwrite(str(aside), cv2.cvtColor(image[part], cv2.COLOR_RGB2BGR), quality)
    if any(len(places) < least for places in cut.values()):
        raise ValueError(f"{kind} wall {number} has no room for {least} patches of each class")


def random_ends(rng: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two points of a patch wall, far apart."""
    while True:
        start, end = rng.uniform((0, 0), PATCH_WALL[::-1], (2, 2))
        if np.linalg.norm(end - start) > PATCH_WALL[0] * 0.7:
            return start, end


def random_style(rng: Generator) -> CrackStyle:
    """Hairlines more often than wide cracks."""
    wide = float(np.exp(rng.uniform(np.log(1.5), np.log(12))))
    return CrackStyle((0.4 * wide, wide), rng.uniform(0.3, 0.8), int(rng.integers(3)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
