"""The last lines of a scan: how many inputs were scanned, unchanged, skipped or failed, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from crackcli.rasters.access.folders import Skipped
from crackcli.scan.inputs import Failure
from crackcli.texts import first_names, reason_of

MOST = 12  # rows of one group


def lines(
    states: Iterable[str], skipped: Sequence[Skipped], failures: Sequence[Failure]
) -> Iterator[str]:
    """Yield a table of the inputs: their number by state, the reason, and the first names.

    ``states`` are those of the scenes.
    """
    rows = [(state, count, "") for state, count in Counter(states).items()]
    rows += [("skipped", one.count, f"{one.kind}: {first_names(one.first)}") for one in skipped]
    by_reason: dict[str, list[str]] = {}
    for failure in failures:
        by_reason.setdefault(reason_of(failure.message, failure.source), []).append(
            failure.source.name
        )
    failed = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    rows += [("failed", len(names), f"{why}: {first_names(names)}") for why, names in failed[:MOST]]
    rest = sum(len(names) for _, names in failed[MOST:])
    if rest:
        rows.append(("failed", rest, "for other reasons"))
    wide = max((len(state) for state, _, _ in rows), default=0)
    digits = max((len(str(count)) for _, count, _ in rows), default=0)
    for state, count, why in rows:
        yield f"{state:{wide}}  {count:{digits}}  {why}".rstrip()
