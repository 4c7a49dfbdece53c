"""A reviewed scan: dark wavy lines that are cracks, and green ones that a person rejected."""

import contextlib
import sqlite3

import cv2
import numpy as np
from walls import write_scene

from crackcli.files import sha256, write_json
from crackcli.report.write import ReportTask, write_report

BARS = range(60, 640, 100)  # rows of lines: every other one is a crack, the others green


def review(path, words):
    """Write words into the column ``review``, by crack_id, as QGIS does."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        triggers = file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:  # they call functions of GDAL
            file.execute(f'DROP TRIGGER "{name}"')
        for crack, word in words.items():
            file.execute("UPDATE cracks SET review = ? WHERE crack_id = ?", (word, crack))
        file.commit()
    return path


def write_png(path, rgb):
    """Write a photograph as PNG and return its path."""
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def wave(image, row, cols, thickness, colour):
    """Draw a wave of 10 px about a row: too crooked for a joint."""
    points = [(col, row + 10 * np.sin(col / 12)) for col in cols]
    cv2.polylines(image, [np.int32(np.round(points))], False, colour, thickness)


def write_reviewed_scan(folder, model, names=("wall",), write=write_png, **engine):
    """Write a scan and reviewed report of photographs with three cracks and three green lines.

    ``write(path, rgb)`` writes a photograph and returns its path, which may have another suffix.
    """
    rng = np.random.default_rng(3)
    image = rng.normal(150, 10, (660, 640, 3)).clip(0, 255).astype(np.uint8)
    mask = np.zeros(image.shape[:2], np.uint8)
    for number, row in enumerate(BARS):
        colour = (20, 20, 20) if number % 2 == 0 else (30, 100, 30)
        wave(image, row, range(100, 500), 6, colour)
        wave(mask, row, range(100, 500), 6, 1)
    out = folder / "out"
    engine = {"model": model.name, "model_sha256": sha256(model)} | engine
    scenes, words = [], {}
    for offset, name in enumerate(names):
        image[0, 0] = offset  # so that each has a digest of its own
        source = write(folder / f"{name}.png", image[..., ::-1])
        record = {
            "source": {"file": source.name, "sha256": sha256(source)},
            "scored": {"engine": engine},
        }
        write_scene(out / name, mask, **record)
        scenes.append({"scene": name, "source": str(source)})
        for n in range(len(BARS)):
            words[f"{name}-{n + 1:04d}"] = "rejected" if n % 2 else "accepted"
    write_json(out / "run.json", {"options": {"model": str(model)}, "scenes": scenes})
    write_report(ReportTask(out, formats=("gpkg",)))
    review(out / "cracks.gpkg", words)
    return out
