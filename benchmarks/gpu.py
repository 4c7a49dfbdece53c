"""Measures a GPU: matrix products, both passes through windows, loops over tiles, whole scans.

    python benchmarks/gpu.py -o gpu              # 2 to 3 minutes on a data centre's GPU
    python benchmarks/gpu.py -o gpu --smoke      # every line of it in tiny, on any processor

Meanwhile rasters are made: one drawn texture of plaster, mirrored repeatedly, without cracks and
with 5 % of its tiles cracked, as tiled JPEG TIFFs of up to ``--megapixels``. Scans are those of
``crackcli scan``, from the file to its COGs: of 67 megapixels, and of the largest raster that
should take no longer than ``--limit`` seconds. FLOPs are those of the convolutions that a method
needs in the given precision, without padding; they are compared with a product of two random
matrices of 8192 squared. Each part has a time limit and may fail by itself; ``gpu.md`` and
``gpu.json`` are written again after each.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gpu_scan
import numpy as np
import torch
from gpu_scan import WALLS
from gpu_tables import LOOPS, markdown
from gpu_ways import TUNED, Needed, compiled, ways
from speed_peers import STEP_PX, TILE_PX, Loop

from crackcli.shipped_models import shipped

AGREED_PX = 4096  # side of the raster of which both precisions make a mask
REPEATS, ENOUGH_S = 9, 0.3  # of a timing: at most so often, and no more once it took so long


class Late(Exception):
    """A part took longer than it may."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise `Late` where the body takes longer; between two calls of native code."""

    def late(number: int, frame: Any) -> None:
        raise Late(f"took longer than {seconds} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


class Bench:
    """The parts, what they found, and how far it may go."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.given, self.folder = given, folder
        self.device = "cuda" if torch.cuda.is_available() and not given.smoke else "cpu"
        self.began = time.monotonic()
        self.found: dict[str, Any] = {}
        self.needed = Needed()

    @property
    def gone(self) -> float:
        return time.monotonic() - self.began

    def part(self, name: str, limit: float, work: Callable[[dict[str, Any]], None]) -> None:
        """One part; what it notes before it fails is kept."""
        notes: dict[str, Any] = {}
        self.found[name] = notes
        limit = int(min(limit, self.given.seconds - self.gone))
        began = time.monotonic()
        try:
            if limit < 1:
                raise Late("no time was left")
            with within(limit):
                work(notes)
        except Exception as error:
            notes["error"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            traceback.print_exc()
        notes["took_s"] = round(time.monotonic() - began, 1)
        if self.device == "cuda":
            torch.cuda.empty_cache()
        print(f"{self.gone:6.1f} s  {name}: {notes.get('error', 'done')}", file=sys.stderr)
        self.write()

    def write(self) -> None:
        (self.given.output / "gpu.json").write_text(json.dumps(self.found, indent=1))
        (self.given.output / "gpu.md").write_text("\n".join(markdown(self.found)) + "\n")

    # the parts

    def machine(self, notes: dict[str, Any]) -> None:
        """Names, and products of matrices in either precision."""
        notes["torch"], notes["cores"] = torch.__version__, gpu_scan.cores()
        side = 512 if self.given.smoke else 8192
        notes["device"] = "cpu"
        if self.device == "cuda":
            notes["device"] = torch.cuda.get_device_name()
            notes["memory_gb"] = round(torch.cuda.mem_get_info()[1] / 1e9, 1)
            torch.backends.cuda.matmul.allow_tf32 = True
        for name, kind in (("bfloat16", torch.bfloat16), ("tf32", torch.float32)):
            a, b = (torch.randn(side, side, device=self.device).to(kind) for _ in range(2))
            notes[name] = 2 * side**3 / self.seconds_of(lambda a=a, b=b: a @ b)
        many = torch.empty((2**20 if self.given.smoke else 2**32), dtype=torch.uint8)
        many = many.to(self.device)
        other = torch.empty_like(many)
        taken = self.seconds_of(lambda: other.copy_(many))
        notes["bytes_per_s"] = 2 * many.numel() / taken

    def windows(self, notes: dict[str, Any]) -> None:
        """Both passes, in several ways, through square windows of several sizes."""
        notes["failed"], notes["rows"] = {}, []
        for name, (make, precision) in ways(self.device).items():
            for cells in (2, 3) if self.given.smoke else (64, 32, 120):
                self.attempt(notes, name, make, precision, cells)

    def programs(self, notes: dict[str, Any]) -> None:
        """The same by kernels whose programs are of other sizes."""
        from crackcli.attribution import triton_kernels as kernels

        notes["failed"], notes["rows"] = {}, []
        make, precision = ways(self.device)["kernels"]
        for constant, values in TUNED.items():
            usual = getattr(kernels, constant)
            for value in values:
                setattr(kernels, constant, value)
                try:
                    name = f"kernels, {constant} {value}"
                    self.attempt(notes, name, make, precision, 2 if self.given.smoke else 64)
                finally:
                    setattr(kernels, constant, usual)

    def compiler(self, notes: dict[str, Any]) -> None:
        """The same by torch's compiler, through a window of one size."""
        notes["failed"], notes["rows"] = {}, []
        cells = 2 if self.given.smoke else 64
        self.attempt(notes, "torch.compile", lambda: compiled(self.device), "bfloat16", cells)

    def attempt(
        self,
        notes: dict[str, Any],
        name: str,
        make: Callable[[], Any],
        precision: str,
        cells: int,
    ) -> None:
        """Both passes in one way through a window of ``cells`` squared."""
        try:
            way = make()
            images, value = self.window(cells)
            pixels = images[..., 0].numel()
            with torch.inference_mode():
                for stage, work in (
                    ("features", lambda: way.features(images)),
                    ("back", lambda: way.back(images, value)),
                ):
                    began = time.monotonic()
                    work()
                    self.wait()
                    first = time.monotonic() - began
                    taken, peak = self.seconds_of(work), self.peak_gb()
                    row = {"way": name, "precision": precision, "stage": stage, "cells": cells}
                    row |= {"first_s": first, "s": taken, "mp": pixels / 1e6, "peak_gb": peak}
                    row["flops"] = self.needed.of(stage, images.shape, precision) / taken
                    notes["rows"].append(row)
        except Late:
            raise
        except Exception as error:
            notes["failed"][name] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            if self.device == "cuda":
                torch.cuda.empty_cache()

    def window(self, cells: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A window of noise with a dark line, and what its cells pass on."""
        random = np.random.default_rng(cells)
        side = 32 * cells + 118
        image = random.normal(150, 20, (1, side, side, 3)).clip(0, 255).astype(np.uint8)
        image[:, side // 2 : side // 2 + 6] = 50
        value = random.random((1, 512, cells, cells), np.float32)
        return tuple(torch.from_numpy(each).to(self.device) for each in (image, value))

    def kernels(self, notes: dict[str, Any]) -> None:
        """Where the time of both passes goes, kernel by kernel, in the engine's own way."""
        make, _ = next(iter(ways(self.device).values()))
        way = make()
        images, value = self.window(2 if self.given.smoke else 64)
        for stage in ("features", "back"):

            def work(stage: str = stage) -> None:
                way.features(images) if stage == "features" else way.back(images, value)

            with torch.inference_mode():
                work()
                self.wait()
                with torch.profiler.profile() as profile:
                    work()
                    self.wait()
            spent = [
                (each.key[:90], round(each.self_device_time_total / 1e3, 3), each.count)
                for each in profile.key_averages()
                if each.self_device_time_total
            ]
            notes[stage] = sorted(spent, key=lambda row: -row[1])[:20]

    def loops(self, notes: dict[str, Any]) -> None:
        """Tiles of 256 px at every 128, in batches, by libraries, in torch's usual precision."""
        torch.backends.cudnn.allow_tf32 = True
        for library in LOOPS:
            try:
                batch = 1 if self.given.smoke else 64
                loop = Loop(library, shipped(".safetensors"), batch, self.device)
                images = torch.rand(batch, 3, TILE_PX, TILE_PX, device=self.device)
                per_tile = self.seconds_of(lambda loop=loop, images=images: loop.explain(images))
                notes[library] = per_tile / batch * 1e6 / STEP_PX**2
            except Late:
                raise
            except Exception as error:
                notes[library] = f"{type(error).__name__}: {error}"[:300]

    def scans(self, notes: dict[str, Any], wall: str) -> None:
        """Whole scans: of the smallest raster, and of the largest that fits."""
        notes["runs"] = []
        for run in self.ask("scans", self.folder, wall, self.device, self.given.limit, *self.sides):
            notes["runs"].append(run)

    def agreement(self, notes: dict[str, Any]) -> None:
        """IoU of the masks by either precision."""
        side = 512 if self.given.smoke else AGREED_PX
        notes["wall"] = f"{side} px squared, {WALLS['few']}"
        notes.update(*self.ask("agree", self.folder, "few", self.device, side))

    # what they need

    @property
    def sides(self) -> list[int]:
        """Sides of the rasters that are scanned, the smallest first."""
        if self.given.smoke:
            return [768, 1024]
        largest = round((self.given.megapixels * 1e6) ** 0.5 / 512) * 512
        return [*(side for side in (8192, 16384) if side < largest), largest]

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def peak_gb(self) -> float:
        """The most of a GPU's memory since the last time."""
        if self.device != "cuda":
            return 0.0
        peak = torch.cuda.max_memory_reserved() / 1e9
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return round(peak, 2)

    def seconds_of(self, work: Callable[[], Any]) -> float:
        """The median of some calls, by events of the GPU, once it is warm."""
        work()
        taken: list[float] = []
        while not taken or (len(taken) < REPEATS and sum(taken) < ENOUGH_S):
            if self.device == "cuda":
                ends = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
                ends[0].record()
                work()
                ends[1].record()
                torch.cuda.synchronize()
                taken.append(ends[0].elapsed_time(ends[1]) / 1e3)
            else:
                began = time.perf_counter()
                work()
                taken.append(time.perf_counter() - began)
        return statistics.median(taken)

    def make_walls(self) -> list[subprocess.Popen]:
        """Begin to make the rasters."""
        texture_px, more = (512, 512) if self.given.smoke else (2048, AGREED_PX)
        return [
            subprocess.Popen(
                self.command("walls", self.folder, wall, texture_px, more, *self.sides)
            )
            for wall in self.given.walls
        ]

    def command(self, *words: Any) -> list[str]:
        return [sys.executable, str(Path(gpu_scan.__file__)), *map(str, words)]

    def ask(self, *words: Any) -> Iterator[dict[str, Any]]:
        """What a process prints that does a part, line by line."""
        process = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, text=True)
        try:
            yield from map(json.loads, process.stdout)
            if process.wait():
                raise RuntimeError(f"{words[0]} failed")
        finally:
            process.kill()
            process.wait()


def main() -> None:
    """Measure, and write tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu"))
    parser.add_argument("--megapixels", type=float, default=1074, help="of the largest raster")
    parser.add_argument("--seconds", type=float, default=210, help="for everything")
    parser.add_argument("--limit", type=float, default=30, help="seconds of a scan, about")
    parser.add_argument("--walls", nargs="+", choices=list(WALLS), default=list(WALLS))
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on the processor")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="crackcli-gpu-") as name:
        bench = Bench(given, Path(name))
        making = bench.make_walls()
        try:
            bench.part("machine", 30, bench.machine)
            bench.part("windows", 40, bench.windows)
            bench.part("loops", 15, bench.loops)
            bench.part("kernels", 10, bench.kernels)
            bench.part("programs", 20, bench.programs)
            for wall in given.walls:
                bench.part(
                    f"scans, {wall}", 3 * given.limit, lambda it, wall=wall: bench.scans(it, wall)
                )
            bench.part("agreement", 40, bench.agreement)
            bench.part("compiler", 60, bench.compiler)
        finally:
            for process in making:
                process.kill()
                process.wait()
    print((given.output / "gpu.md").read_text())


if __name__ == "__main__":
    main()
