"""Strips one after the other, in this process: the backend to debug with."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def imap(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of ``work`` for each of ``items``, in order, as they are asked for."""
    return map(work, items)
