"""Progress callables: functions that receive the fraction of the work that is done."""

from collections.abc import Callable

Progress = Callable[[float, str], None]  # fraction done, 0 to 1, and the stage of the work
FractionDone = Callable[[float], None]  # fraction done, 0 to 1


class Stage(str):
    """The words of a stage that is measured in pixels: a `str` that also carries megapixels.

    Functions that pass progress on treat it as any other text. Only the display reads ``done_mp``
    and ``total_mp``, the megapixels done and in total in this stage, to show the rate.
    """

    __slots__ = ("done_mp", "total_mp")
    done_mp: float
    total_mp: float

    def __new__(cls, words: str, done_mp: float, total_mp: float) -> "Stage":
        stage = super().__new__(cls, words)
        stage.done_mp, stage.total_mp = done_mp, total_mp
        return stage


def part(progress: Progress, first: float, last: float) -> Progress:
    """Return the `Progress` of a part of the work, from fraction ``first`` to ``last`` of it."""
    return lambda fraction, words: progress(first + (last - first) * fraction, words)


def in_pixels(progress: Progress, megapixels: float) -> Progress:
    """Return the `Progress` of work on ``megapixels``, which adds the megapixels done."""
    return lambda fraction, words: progress(
        fraction, Stage(words, fraction * megapixels, megapixels)
    )


def ignore(fraction: float, words: str = "") -> None:
    """Do nothing; serves as a `Progress` and as a `FractionDone`."""
