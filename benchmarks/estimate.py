"""Compares the estimates of crackcli scan --dry-run with real scans.

    OMP_NUM_THREADS=1 python benchmarks/estimate.py sample_data/wall.tif --options="--method lrp"

Each photograph is estimated and scanned into a folder of its own, in separate processes. Seconds
are processor seconds, which hardly change on a machine that others use too; with one thread they
are those of a quiet machine. Estimates are given twice: with the default fraction of explained
tiles, and with the fraction that the scan found.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crackcli.files import WORK

ESTIMATE = """
import functools, time
from crackcli import estimate
estimate.LIKELY_GATED = {share} or estimate.LIKELY_GATED
estimate.estimate_survey = functools.partial(estimate.estimate_survey, clock=time.process_time)
import crackcli.__main__
"""


def estimated(photograph: Path, out: Path, options: list[str], share: float | None) -> dict:
    """What is estimated for a photograph, with processor seconds and a given share."""
    program = ESTIMATE.format(share=share)
    command = [sys.executable, "-c", program, "scan", str(photograph), "-o", str(out), "-q"]
    done = subprocess.run(
        [*command, "--dry-run", "--json", *options], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def folder_mb(folder: Path) -> float:
    """What the files of a folder hold; those that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total / 1024**2


def scanned(photograph: Path, out: Path, options: list[str]) -> dict:
    """What a scan really takes: processor seconds, peak memory, disk while it runs and after."""
    command = [sys.executable, "-m", "crackcli", "scan", str(photograph), "-o", str(out), "-q"]
    before = os.times()
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
    work = 0.0
    while process.poll() is None:
        work = max(work, folder_mb(out / photograph.stem / WORK))
        time.sleep(0.2)
    if process.returncode:
        sys.exit(process.returncode)
    after = os.times()
    cpu = after.children_user - before.children_user
    cpu += after.children_system - before.children_system
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return {
        "seconds": cpu,
        "peak": run["peak_memory_mb"],
        "work": work,
        "results": folder_mb(out / photograph.stem),
        "gated": run["scenes"][0]["tiles_gated"],
    }


def row(photograph: Path, options: list[str]) -> str:
    with tempfile.TemporaryDirectory() as name:
        default = estimated(photograph, Path(name) / "none", options, None)
        real = scanned(photograph, Path(name) / "out", options)
        told = estimated(photograph, Path(name) / "none", options, real["gated"])
    (scene,) = told["scenes"]
    seconds = told["seconds"]
    return " | ".join(
        [
            f"| {photograph.name} | {scene['megapixels']:.1f}",
            f"{real['gated']:.0%}",
            f"{seconds['sound']:.0f} to {seconds['cracked']:.0f}",
            f"{default['seconds']['likely']:.0f}",
            f"{seconds['likely']:.0f}",
            f"{real['seconds']:.0f}",
            f"{seconds['likely'] / real['seconds']:.2f}",
            f"{told['peak_mb']:.0f} | {real['peak']:.0f}",
            f"{told['result_mb']['likely']:.1f} | {real['results']:.1f}",
            f"{told['work_mb']['likely']:.1f} | {real['work']:.1f} |",
        ]
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--options", default="", help="of crackcli scan, as one text")
    given = parser.parse_args()
    heads = ("photograph", "MP", "tiles gated", "range, s", "likely by default", "likely by share")
    heads += ("real, s", "ratio", "peak, MB", "real", "results, MB", "real", "work, MB", "real")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for photograph in given.photographs:
        print(row(photograph, given.options.split()), flush=True)


if __name__ == "__main__":
    main()
