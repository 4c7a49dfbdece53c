"""Tables of the results of `gpu`."""

import math
from typing import Any

from gpu_scan import WALLS

LOOPS = {"zennit": "Zennit EpsilonGammaBox", "captum": "Captum DeepLift"}


def markdown(found: dict[str, Any]) -> list[str]:
    """All that is known, in tables."""
    machine = found["machine"]
    lines = [f"{machine.get('device')}, {machine.get('cores')} cores, torch {machine.get('torch')}"]
    rates = {"bfloat16": machine.get("bfloat16"), "tf32": machine.get("tf32")}
    if machine.get("bytes_per_s"):
        lines[0] += (
            f"; matrix products {rates['bfloat16'] / 1e12:.3g} TFLOP/s in bfloat16, "
            f"{rates['tf32'] / 1e12:.3g} in tf32; copies {machine['bytes_per_s'] / 1e12:.3g} "
            "TB/s read and written"
        )
    lines += [
        "",
        "| pass | way | MP | ms/MP | MP/s | TFLOP/s | of a product | first, s | peak, GB |",
        "|---" * 9 + "|",
    ]
    for part in ("windows", "programs", "compiler"):
        notes = found.get(part, {})
        for row in sorted(notes.get("rows", []), key=lambda r: (r["stage"] == "back", r["cells"])):
            share = row["flops"] / (rates.get(row["precision"]) or math.nan)
            lines.append(
                f"| {row['stage']} | {row['way']} | {row['mp']:.2f} | "
                f"{1e3 * row['s'] / row['mp']:.3g} | {row['mp'] / row['s']:.0f} | "
                f"{row['flops'] / 1e12:.3g} | {share:.0%} | {row['first_s']:.1f} | "
                f"{row['peak_gb']} |"
            )
        lines += [f"{name}: {reason}" for name, reason in notes.get("failed", {}).items()]
    loops = found.get("loops", {})
    for library, words in LOOPS.items():
        value = loops.get(library)
        told = f"{value:.3g} s/MP" if isinstance(value, float) else str(value)
        lines.append(f"\n{words}, tiles of 256 px at every 128 in batches: {told}")
    lines += [
        "",
        "| wall | MP | s | MP/s | explain | score | mask | features | head | back | gated | "
        "crack px | GPU, GB | host, GB | to open, s |",
        "|---" * 15 + "|",
    ]
    for wall, words in WALLS.items():
        runs = found.get(f"scans, {wall}", {}).get("runs", [])
        lines += [scan_row(words, run) for run in runs]
    if "iou" in (agreed := found.get("agreement", {})):
        lines.append(f"\nIoU of bfloat16 and float32: {agreed['iou']:.4f} ({agreed['wall']})")
    failed = {name: notes["error"] for name, notes in found.items() if "error" in notes}
    return lines + [f"\n{name}: {reason}" for name, reason in failed.items()]


def scan_row(wall: str, run: dict[str, Any]) -> str:
    """A row of the table of scans; seconds of the engine are inside of those of explain."""
    stages, engine = run["stages"], run["engine_s"]
    cells = [wall, f"{run['megapixels']:.0f}", f"{run['seconds']:.1f}"]
    cells += [f"{run['megapixels'] / run['seconds']:.1f}"]
    cells += [f"{stages.get(name, 0):.1f}" for name in ("explain", "score", "mask")]
    cells += [f"{engine.get(name, 0):.1f}" for name in ("features", "head", "back")]
    cells += [f"{run['tiles_gated']:.1%}", f"{run['crack_px']}", f"{run.get('gpu_gb', 0)}"]
    cells += [f"{(run['host_mb'] or 0) / 1024:.1f}", f"{run['open_s']:.1f}"]
    return "| " + " | ".join(cells) + " |"
