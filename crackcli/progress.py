"""Progress callables: functions that are told which fraction of the work is done."""

from collections.abc import Callable

Progress = Callable[[float, str], None]  # fraction done, 0 to 1, and what is being done
FractionDone = Callable[[float], None]  # fraction done, 0 to 1


def part(progress: Progress, first: float, last: float) -> Progress:
    """Return the `Progress` of a part of the work that goes from ``first`` to ``last`` of it."""
    return lambda fraction, words: progress(first + (last - first) * fraction, words)


def ignore(fraction: float, words: str = "") -> None:
    """A `Progress` and a `FractionDone` that do nothing."""
