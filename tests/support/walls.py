"""Small masks with known cracks, and scene folders made from masks; used by several tests."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from affine import Affine

from crackcli.cracks.tracing import trace_runs
from crackcli.files import sha256
from crackcli.masking.runs import find_runs
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.writing.cog import write_cog
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scene import Scene

# Runs the command as if neither torch nor ONNX Runtime were installed.
BARE = "import sys; sys.modules.update(torch=None, onnxruntime=None); import crackcli.__main__"


def crackcli(*arguments):
    """Run the command line; return its exit code and its output."""
    return subprocess.run(
        [sys.executable, "-c", BARE, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
        check=False,
    )


def picture(text):
    """A mask drawn with characters: # is crack, ? is nodata, anything else is no crack."""
    lines = text.strip("\n").split("\n")
    values = {"#": 1, "?": 255}
    width = max(map(len, lines))
    return np.array([[values.get(c, 0) for c in line.ljust(width)] for line in lines], np.uint8)


def polyline(shape, points, width_px, finer=5):
    """A crack along ``points`` (x, y): pixels covered by half or more are 1."""
    offsets = (np.arange(finer) + 0.5) / finer - 0.5
    y = (np.arange(shape[0])[:, None] + offsets).reshape(-1, 1)
    x = (np.arange(shape[1])[:, None] + offsets).reshape(1, -1)
    inside = np.zeros((y.size, x.size), bool)
    for (ax, ay), (bx, by) in pairwise(points):
        length = np.hypot(bx - ax, by - ay)
        ux, uy = (bx - ax) / length, (by - ay) / length
        along = (x - ax) * ux + (y - ay) * uy
        across = (y - ay) * ux - (x - ax) * uy
        inside |= (along >= 0) & (along <= length) & (abs(across) < width_px / 2)
        inside |= (np.hypot(x - bx, y - by) < width_px / 2) & ((bx, by) != tuple(points[-1]))
    covered = inside.reshape(shape[0], finer, shape[1], finer).mean(axis=(1, 3))
    return (covered >= 0.5).astype(np.uint8)


def bar(width_px, angle_deg, length_px=90, middle=(60.0, 60.0), side=120):
    """A straight bar with square ends; the angle is counter-clockwise from +x."""
    angle = np.radians(angle_deg)
    half = np.array([np.cos(angle), -np.sin(angle)]) * length_px / 2
    return polyline((side, side), [middle - half, middle + half], width_px)


def trace_array(mask, strip_rows=1000, score=None, scene="wall"):
    """The cracks of a mask (rows, cols) read in strips."""
    score = np.where(mask == 255, 255, 127).astype(np.uint8) if score is None else score
    starts = range(0, len(mask), strip_rows)
    strips = ((mask[i : i + strip_rows], score[i : i + strip_rows]) for i in starts)
    return list(trace_runs(find_runs(strips, *mask.shape), scene))


def write_scene(folder, mask, transform=None, crs_wkt=None, **record):
    """Write a finished scan with this mask and a score of 127 out of 254 everywhere."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    transform = transform or Affine.identity()
    rows, cols = mask.shape
    info = RasterInfo(folder / "wall.jpg", rows, cols, transform, crs_wkt, 1, None, "")
    score = np.where(mask == 255, 255, 127).astype(np.uint8)
    write_cog(folder / "mask.tif", [mask], info, {}, "nearest")
    write_cog(folder / "score.tif", [score], info, {}, "average")
    scene = Scene(folder, rows, cols, transform, crs_wkt, SceneRecord(record))
    scene.write()
    return scene


def photographed(out, name, mask, image, transform=None, crs_wkt=None):
    """Write a finished scan of ``image`` (rows, cols), stored beside ``out``; return its path."""
    source = out.parent / f"{name}.png"
    cv2.imwrite(str(source), image)
    write_scene(out / name, mask, transform, crs_wkt, source={"sha256": sha256(source)})
    path = out / "run.json"
    record = json.loads(path.read_text()) if path.exists() else {"scenes": []}
    record["scenes"].append({"scene": name, "source": str(source)})
    path.write_text(json.dumps(record))
    return source


def random_mask(seed, shape=(60, 90)):
    """A random mask with blobs and threads of all sizes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape)
    spectrum = np.fft.rfft2(noise)
    rows, cols = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    smooth = np.fft.irfft2(spectrum * np.exp(-((rows**2 + cols**2) * rng.uniform(5, 400))), shape)
    return (smooth > np.quantile(smooth, rng.uniform(0.5, 0.95))).astype(np.uint8)
