"""Scans by this build and by an earlier one, side by side: the part ``--earlier`` of `speed`.

Both run as whole commands in processes of their own, with their default options, one after the
other in turns, so that other work on the machine slows both alike. The earlier build is taken from
the history of this repository.
"""

import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
# Packages that the base installation lacks are hidden.
BASE = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchvision", "safetensors", "onnx")))
from crackcli.cli import main
main()
"""
MB = 1024  # kilobytes, as the system counts them


@dataclass(frozen=True)
class Run:
    """One scan: seconds by the clock and of the processor, and the peak memory in MB."""

    seconds: float
    cpu_s: float
    peak_mb: float


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Give a folder with the files of a revision for as long as the context lasts."""
    archive = subprocess.run(
        ["git", "archive", revision], cwd=CHECKOUT, check=True, stdout=subprocess.PIPE
    )
    with (
        tempfile.TemporaryDirectory() as name,
        tarfile.open(fileobj=BytesIO(archive.stdout)) as tar,
    ):
        tar.extractall(name, filter="data")
        yield Path(name)


def scan(build: Path, wall: Path, options: Sequence[str]) -> Run:
    """Scan a wall with the build in a folder, as in a base installation."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-c", BASE, "scan", str(wall), "-o", output, *options]
        environment = {**os.environ, "PYTHONPATH": str(build)}
        watched = [sys.executable, "-c", WATCH, *command]
        done = subprocess.run(
            watched, cwd=build, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    return Run(*map(float, done.stdout.splitlines()[-1].split()))


# A process that runs one command and prints what `Run` holds. It has no other children.
WATCH = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def compare(
    earlier: str, walls: dict[str, Path], options: Sequence[str], repeats: int
) -> dict[tuple[str, str], list[Run]]:
    """Return the runs of each build on each wall, by the names ``earlier`` and ``now``."""
    runs: dict[tuple[str, str], list[Run]] = {}
    with checked_out(earlier) as folder:
        builds = {"earlier": (folder, ()), "now": (CHECKOUT, options)}
        for number in range(repeats):
            for wall, path in walls.items():
                for name, (build, more) in builds.items():
                    run = scan(build, path, more)
                    runs.setdefault((name, wall), []).append(run)
                    print(f"{number + 1}: {wall}, {name}: {run}", file=sys.stderr)
    return runs


def middle(runs: Sequence[Run]) -> Run:
    """Return the medians."""
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu_s for run in runs),
        statistics.median(run.peak_mb for run in runs),
    )


def table(
    runs: dict[tuple[str, str], list[Run]],
    words: dict[str, str],
    megapixels: float,
    loop_s: float | None,
) -> list[str]:
    """Return Markdown: a row for each wall; ``loop_s`` are the seconds of the loop by Zennit."""
    lines = [
        "| wall | earlier, s | now, s | times faster | earlier, CPU s | now, CPU s | times less | "
        "now, MP/s | earlier, GB | now, GB | of the memory | times the loop |",
        "|---" * 12 + "|",
    ]
    for wall in dict.fromkeys(wall for _, wall in runs):
        before, now = middle(runs["earlier", wall]), middle(runs["now", wall])
        cells = [words[wall], f"{before.seconds:.1f}", f"{now.seconds:.2f}"]
        cells += [f"{before.seconds / now.seconds:.1f}", f"{before.cpu_s:.1f}", f"{now.cpu_s:.2f}"]
        cells += [f"{before.cpu_s / now.cpu_s:.1f}", f"{megapixels / now.seconds:.2f}"]
        cells += [f"{each.peak_mb / MB:.2f}" for each in (before, now)]
        cells += [f"{now.peak_mb / before.peak_mb:.0%}"]
        cells += ["" if loop_s is None else f"{loop_s / now.seconds:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
