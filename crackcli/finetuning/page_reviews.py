"""Reads ``review.json``: the review of a person on the page of a report (`crackcli.report.html`).

A crack has its ``review``, accepted, rejected or joint, or a ``note`` alone. What is a joint is no
crack, so that it is rejected here.
"""

import json
from pathlib import Path
from typing import Any

from crackcli.errors import InputError
from crackcli.files import is_regular
from crackcli.report.record import read_record
from crackcli.report.verdicts import ACCEPTED, REJECTED

SUFFIX = ".json"
JOINT = "joint"
VERDICTS = {ACCEPTED: ACCEPTED, REJECTED: REJECTED, JOINT: REJECTED}


def read_page_reviews(path: Path, out: Path) -> dict[str, str]:
    """Return the verdicts of a review by the id of the crack.

    Raises `InputError` if the file is no review, contains an unknown word, or is of another report
    than that in ``out``, whose cracks may have other ids.
    """
    facts = read_facts(path)
    if facts["report_id"] != read_record(out).facts.get("report_id"):
        raise InputError(
            f"{path}: is a review of another report than that in {out}; review the page of this "
            "report, or give its output folder"
        )
    words = {name: entry.get("review") for name, entry in facts["cracks"].items()}
    unknown = sorted({str(word) for word in words.values() if word and word not in VERDICTS})
    if unknown:
        raise InputError(
            f"{path}: unknown words as review: {', '.join(unknown[:5])}; use {', '.join(VERDICTS)}"
        )
    return {name: VERDICTS[word] for name, word in words.items() if word}


def read_facts(path: Path) -> dict[str, Any]:
    """Return the content of a review with its ``report_id`` and ``cracks``."""
    try:
        if not is_regular(path):
            raise ValueError("it is no file")
        facts = json.loads(path.read_text(encoding="utf-8"))
        cracks = facts["cracks"]
        if not all(isinstance(one.get("review") or "", str) for one in cracks.values()):
            raise ValueError("a review is no text")
        return {"report_id": facts["report_id"], "cracks": cracks}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is no review ({error}); give the review.json that the page of a report saved"
        ) from error
