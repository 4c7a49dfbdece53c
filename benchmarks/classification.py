"""Measures the accuracy of a classifier, source by source.

    python benchmarks/classification.py DATA/test/patches --table DATA/manifest.csv

PATCHES contains crack/ and no_crack/, from photographs that were not trained on. A patch counts as
cracked if logit(crack) exceeds logit(no crack), that is, at a gate of 0.5.
"""

import argparse
import csv
import sys
from pathlib import Path

from crackcli.datasets.folders import list_photographs
from crackcli.engines.device import Device
from crackcli.networks.checkpoint import Checkpoint
from crackcli.shipped_models import shipped
from crackcli.training.validation import SourceScore, validate


def pooled(scores: list[SourceScore]) -> SourceScore:
    """All sources as one."""
    crack, sound = sum(s.crack for s in scores), sum(s.no_crack for s in scores)
    found = sum(s.recall * s.crack for s in scores if s.crack)
    passed = sum(s.specificity * s.no_crack for s in scores if s.no_crack)
    return SourceScore("all", crack, sound, found / crack, passed / sound)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patches", type=Path)
    parser.add_argument("--model", type=Path, default=shipped(".safetensors"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    device = Device.find("auto")
    chain = Checkpoint.read(given.model).build().to(device.torch)
    judgement = validate(chain, list_photographs(given.patches, given.table), device)
    scores = judgement.scores
    everything = pooled(scores)
    right = everything.recall * everything.crack + everything.specificity * everything.no_crack
    share = right / (everything.crack + everything.no_crack)
    print(f"log loss {judgement.loss:.3f}; {share:.1%} right", file=sys.stderr)
    header = ["source", "crack", "no_crack", "recall", "specificity", "balanced_accuracy"]
    rows = [
        [s.source, s.crack, s.no_crack]
        + ["-" if v != v else f"{100 * v:.1f}" for v in (s.recall, s.specificity, s.accuracy)]
        for s in (*scores, everything)
    ]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    if given.csv:
        with given.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
