"""Measures the time to write the width profiles of a report, compared with SQLite alone.

    python benchmarks/width_profiles.py [--cracks 10000] [--samples 30]

The same rows go into a GeoPackage as a report writes them, and into a plain table by sqlite3's
executemany. The difference is the cost of a table that a GIS recognises.
"""

import argparse
import contextlib
import sqlite3
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from affine import Affine
from pyogrio import read_info

from crackcli.cracks.widths import WidthProfile
from crackcli.report.formats.geopackage import append_table
from crackcli.report.tables.rows import SceneCracks
from crackcli.report.tables.width_table import width_profiles
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cracks", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=30)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    count = options.samples
    cracks = [
        SimpleNamespace(
            id=f"wall-{number:04d}",
            widths=SimpleNamespace(
                profile=WidthProfile(
                    np.zeros(count, int),
                    np.arange(count) + 0.5,
                    rng.uniform(0, 20_000, (count, 2)),
                    rng.uniform(1, 9, count),
                    rng.uniform(0.1, 0.5, count),
                )
            ),
        )
        for number in range(options.cracks)
    ]
    scene = Scene(Path("wall"), 20_000, 20_000, Affine.identity(), None)
    table = SceneCracks(scene, Scale(0.5, 0.01, "marker"), cracks, 1)

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        columns = width_profiles(table, cracks)
        gathered = time.perf_counter() - began
        began = time.perf_counter()
        append_table(Path(folder) / "a.gpkg", "width_profiles", columns)
        written = time.perf_counter() - began
        rows = read_info(Path(folder) / "a.gpkg", layer="width_profiles")["features"]

        began = time.perf_counter()
        with contextlib.closing(sqlite3.connect(Path(folder) / "b.db")) as file, file:
            file.execute(f"CREATE TABLE w (id INTEGER PRIMARY KEY, {', '.join(columns)})")
            values = zip(*(column.tolist() for column in columns.values()), strict=True)
            marks = ", ".join("?" * len(columns))
            file.executemany(f"INSERT INTO w ({', '.join(columns)}) VALUES ({marks})", values)
        plain = time.perf_counter() - began
    print(f"{rows} rows: gathered in {gathered:.2f} s, written in {written:.2f} s")
    print(f"SQLite alone: {plain:.2f} s; the GeoPackage takes {written / plain:.1f} times as long")


if __name__ == "__main__":
    main()
