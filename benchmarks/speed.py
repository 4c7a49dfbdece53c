"""Compares the speed of attribution: loops over tiles by Zennit and Captum, and scans.

    python benchmarks/speed.py -o speed            # under 15 minutes on two quiet cores
    python benchmarks/speed.py -o speed --quick    # a smaller wall and fewer tiles
    python benchmarks/speed.py -o speed --earlier 54429da --repeats 3 --shape 4096 6144

The obvious loop cuts tiles of 256 px at every 128 and computes attributions in batches. It takes
the same time on any image, so a few tiles are timed and multiplied by their number. The scans are
whole commands, from the file to its mask, with tiles at every 32 px, 4 times the overlap in each
direction. Every candidate runs in a separate process, one after the other, ``--repeats`` times;
the median counts. FLOP/s are those of the convolutions in the time spent in the network, compared
with a product of two matrices in the same process. ``speed.md`` and ``speed.png`` contain the
results.

With ``--earlier REVISION`` only whole commands are compared: this build, with ``--options``, and
that revision of this repository with its defaults, in turns. ``builds.md`` contains the result.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import speed_builds
import speed_peers
import speed_walls
from speed_peers import Counted, Flops, Loop, matrix_rate, scanned, tiles_of

WALLS = ("sound", "few", "cracked")
WORDS = {"sound": "sound", "few": "5 % of the tiles cracked", "cracked": "all tiles cracked"}
LOOPS = {"zennit": "Zennit EpsilonGammaBox, loop", "captum": "Captum DeepLift, loop"}
SCANS = {  # engine, what its first look is in, precision
    "torch": ("torch", "", "float32"),
    "torch, bfloat16": ("torch", "", "bfloat16"),
    "torch, bfloat16, first look": ("torch", "half", "bfloat16"),
    "torch, bfloat16, look in int8": ("torch", "int8", "bfloat16"),
    "onnx": ("onnx", "", "float32"),
    "onnx, first look": ("onnx", "half", "float32"),
    "onnx, look in int8": ("onnx", "int8", "float32"),
}
REFERENCE = "torch"  # float32 without shortcuts
STAGES = ("read", "forward", "backward", "mask", "write", "rest")


def measure(
    name: str, wall: Path, folder: Path, tiles: int, batch: int, cpu_time: bool
) -> dict[str, Any]:
    """Run one candidate on a wall, in this process."""
    import torch

    from crackcli.engines.opening import open_engine
    from crackcli.engines.torch import TorchEngine
    from crackcli.inference.opening import scorer_of
    from crackcli.inference.prescreen import HALF_THRESHOLD, INT8_THRESHOLD
    from crackcli.registry import DEFAULT_GATE
    from crackcli.scan.process_memory import peak_memory_mb
    from crackcli.shipped_models import shipped

    torch.set_num_threads(cores())
    if cpu_time:
        speed_peers.clock = time.process_time
    precision = SCANS[name][2] if name in SCANS else "float32"
    before = matrix_rate(precision)
    if name in LOOPS:
        image = np.load(wall.with_suffix(".npy"), mmap_mode="r")
        per_tile = Loop(name, shipped(".safetensors"), batch).seconds_a_tile(image, tiles)
        peak = peak_memory_mb()
        return {
            "seconds": per_tile * len(tiles_of(image)),
            "per_tile": per_tile,
            "peak_mb": peak,
            "matrix": (before + matrix_rate(precision)) / 2,
        }
    engine, look, _ = SCANS[name]
    least = {"": 0.0, "half": HALF_THRESHOLD, "int8": INT8_THRESHOLD}[look]
    opened = Counted(open_engine(method="lrp", engine=engine, device="cpu", precision=precision))
    scorer = scorer_of(opened, DEFAULT_GATE, least, look or "half")
    if look == "int8" and scorer.prescreen is not None:
        classifier = scorer.prescreen.classifier
        classifier.engine = Counted(classifier.engine)
    side_px = 320 + 2 * scorer.engine.facts.reach_px
    scorer.engine.features(np.zeros((1, side_px, side_px, 3), np.uint8))  # buffers, threads
    scorer.engine.calls.clear()
    seconds, watch, summary = scanned(wall, folder, scorer)
    peak = peak_memory_mb()
    flops = Flops(TorchEngine(shipped(".safetensors"), device="cpu").attribution)
    return {
        "seconds": seconds,
        "stages": watch.seconds,
        "peak_mb": peak,
        "tiles_gated": summary.tiles_gated,
        "tflop": flops.of(scorer.engine.calls) / 1e12,
        "matrix": (before + matrix_rate(precision)) / 2,
        "mask": str(summary.mask),
    }


def cores() -> int:
    """How many threads everybody may use."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() else len(os.sched_getaffinity(0))


def ask(name: str, wall: Path, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", name, "--wall", str(wall), "-o", str(folder)]
    command += ["--tiles", str(given.tiles), "--batch", str(given.batch)]
    command += ["--cpu-time"] if given.cpu_time else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def agreement(mask: str, reference: str) -> float:
    """IoU of the crack pixels of two masks; 1 where neither has any."""
    import rasterio

    with rasterio.open(mask) as one, rasterio.open(reference) as other:
        a, b = one.read(1) == 1, other.read(1) == 1
    return float((a & b).sum() / (a | b).sum()) if (a | b).any() else 1.0


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of median time."""
    return sorted(runs, key=lambda run: run["seconds"])[(len(runs) - 1) // 2]


def table(results: dict[tuple[str, str], list[dict[str, Any]]], megapixels: float) -> list[str]:
    """Return Markdown: a row for each candidate on each wall."""
    lines = [
        "| wall | candidate | s/MP | MP/s | times the loop | peak, MB | "
        + " | ".join(STAGES)
        + " | GFLOP/s | of a matrix product | IoU |",
        "|---" * (9 + len(STAGES)) + "|",
    ]
    for wall in WALLS:
        of_wall = {name: middle(runs) for (name, place), runs in results.items() if place == wall}
        for name, run in of_wall.items():
            seconds = run["seconds"] / megapixels
            cells = [WORDS[wall], LOOPS.get(name, name), f"{seconds:.2f}", f"{1 / seconds:.3f}"]
            times = of_wall["zennit"]["seconds"] / run["seconds"] if "zennit" in of_wall else None
            cells += ["" if times is None else f"{times:.1f}", f"{run['peak_mb']:.0f}"]
            if name in LOOPS:
                cells += [""] * (3 + len(STAGES))
            else:
                stages = run["stages"]
                cells += [f"{stages.get(stage, 0) / run['seconds']:.0%}" for stage in STAGES]
                rate = 1e12 * run["tflop"] / (stages["forward"] + stages.get("backward", 0))
                known = SCANS[name][1] != "int8"  # of whole numbers nothing was counted
                cells += [f"{rate / 1e9:.0f}", f"{rate / run['matrix']:.0%}"] if known else ["", ""]
                reference = of_wall.get(REFERENCE)
                cells += [f"{agreement(run['mask'], reference['mask']):.4f}" if reference else ""]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def chart(path: Path, results: dict[tuple[str, str], list], megapixels: float) -> None:
    """Draw megapixels per second of all candidates on all walls."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    names = list(dict.fromkeys(name for name, _ in results))
    walls = list(dict.fromkeys(wall for _, wall in results))
    for place, wall in enumerate(walls):
        rates = [megapixels / middle(results[name, wall])["seconds"] for name in names]
        at = np.arange(len(names)) + 0.27 * (place - 1)
        bars = axes.bar(at, rates, 0.25, label=WORDS[wall])
        axes.bar_label(bars, [f"{rate:.2g}" for rate in rates], fontsize=7)
    axes.set_xticks(range(len(names)), [LOOPS.get(name, name) for name in names], fontsize=7)
    axes.set(yscale="log", ylabel="megapixels per second")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def compare_builds(given: argparse.Namespace, walls: dict[str, Path], megapixels: float) -> None:
    """Compare this build with an earlier one, and write ``builds.md`` and ``builds.json``."""
    runs = speed_builds.compare(given.earlier, walls, given.options.split(), given.repeats)
    loop_s = None
    if not given.no_loop:
        wall = walls.get("few", next(iter(walls.values())))
        loop_s = ask("zennit", wall, given.output / "scans", given)["seconds"]
    text = [
        *speed_builds.table(runs, WORDS, megapixels, loop_s),
        "",
        f"Walls of {megapixels:.1f} MP, {cores()} threads, medians of {given.repeats} run(s) in "
        f"turns; earlier: {given.earlier}, scan without options; now: scan {given.options}; base "
        "installation.",
    ]
    (given.output / "builds.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    (given.output / "builds.json").write_text(
        json.dumps({" / ".join(key): [asdict(run) for run in each] for key, each in runs.items()})
    )
    print("\n".join(text))


def main() -> None:
    """Measure, and write a table and a chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("speed"))
    parser.add_argument("--quick", action="store_true", help="a smaller wall, fewer tiles")
    parser.add_argument("--shape", type=int, nargs=2, help="rows and columns of the walls")
    parser.add_argument("--tiles", type=int, help="of the loops, that are timed")
    parser.add_argument("--batch", type=int, default=4, help="tiles at once in the loops")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--walls", nargs="+", choices=WALLS, default=list(WALLS))
    parser.add_argument("--who", nargs="+", choices=[*LOOPS, *SCANS], default=[*LOOPS, *SCANS])
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="seconds of this process instead of the clock's, where others use the machine too; "
        "OMP_NUM_THREADS=1 makes the two the same",
    )
    parser.add_argument("--earlier", metavar="REVISION", help="compare with this build only")
    parser.add_argument(
        "--options", default="", help="of this build's scan beside --earlier, as one text"
    )
    parser.add_argument("--no-loop", action="store_true", help="leave out the loop of --earlier")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--wall", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.tiles = given.tiles or (4 if given.quick else 24)
    if given.one:
        result = measure(
            *(given.one, given.wall, given.output, given.tiles, given.batch, given.cpu_time)
        )
        print(json.dumps(result))
        return
    shape = tuple(given.shape or ((1024, 1280) if given.quick else (2048, 3072)))
    given.output.mkdir(parents=True, exist_ok=True)
    walls = {}
    for wall in given.walls:
        image = speed_walls.draw(wall, shape)
        np.save(given.output / f"{wall}.npy", image)
        walls[wall] = speed_walls.write(given.output / f"{wall}.tif", image)
    megapixels = shape[0] * shape[1] / 1e6
    if given.earlier:
        compare_builds(given, walls, megapixels)
        return
    results: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(given.repeats):
        for number, wall in enumerate(given.walls):
            for name in given.who:
                if name in LOOPS and number:  # it takes the same time on any wall
                    continue
                folder = given.output / "scans" / f"{name.replace(', ', '_')}_{wall}"
                run = ask(name, walls[wall], folder, given)
                results.setdefault((name, wall), []).append(run)
                print(f"{wall}, {name}: {run['seconds'] / megapixels:.2f} s/MP", file=sys.stderr)
    for name in LOOPS:
        if (name, given.walls[0]) in results:
            results |= {(name, wall): results[name, given.walls[0]] for wall in given.walls}
    count = len(tiles_of(np.load(given.output / f"{given.walls[0]}.npy", mmap_mode="r")))
    few = speed_walls.cracked_tiles("few", shape[0] // 256, shape[1] // 256)
    matrix = statistics.median(run["matrix"] for runs in results.values() for run in runs)
    text = [
        *table(results, megapixels),
        "",
        f"Walls of {shape[1]} x {shape[0]} px; {sum(n for *_, n in few)} of "
        f"{shape[0] // 256 * (shape[1] // 256)} tiles cracked on the second. Loops: {given.tiles} "
        f"of {count} tiles timed, in batches of {given.batch}. {cores()} threads, a matrix product "
        f"{matrix / 1e9:.0f} GFLOP/s; {given.repeats} "
        f"run(s) of each{', seconds of the processor' if given.cpu_time else ''}.",
    ]
    (given.output / "speed.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    (given.output / "speed.json").write_text(
        json.dumps({f"{name} / {wall}": runs for (name, wall), runs in results.items()}, indent=1)
    )
    chart(given.output / "speed.png", results, megapixels)
    print("\n".join(text))


if __name__ == "__main__":
    main()
