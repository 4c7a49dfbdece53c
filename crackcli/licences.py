"""What a model may be used for: its licence, and the sources that it was trained on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crackcli.errors import UsageError

NOT_STATED = "licence not stated"


@dataclass(frozen=True)
class Licence:
    """The licence of a model; empty texts are not stated.

    name         short name, such as CC BY 4.0 or non-commercial research
    allows       one sentence about what it allows
    attribution  text to print where the model or its results are published
    """

    name: str = ""
    allows: str = ""
    attribution: str = ""

    @classmethod
    def parse(cls, text: str, attribution: str = "") -> "Licence":
        """Return the licence in a text ``name: what it allows``; the second part is optional.

        Raises a `UsageError` if there is no name.
        """
        name, _, allows = (part.strip() for part in text.partition(":"))
        if not name:
            raise UsageError(
                f"--licence {text!r}: has no name; give a short one, and after a colon what it "
                "allows, as in 'CC BY 4.0: any use, with attribution'"
            )
        return cls(name, allows, attribution)

    @classmethod
    def read(cls, values: Mapping[str, str] | None) -> "Licence":
        """Return the licence in metadata of a model file; None, of older files, is not stated."""
        return cls(**values or {})

    def __bool__(self) -> bool:
        return bool(self.name)

    def __str__(self) -> str:
        return self.name or NOT_STATED


@dataclass(frozen=True)
class Source:
    """A source of training photographs, or a model that a training started from or was taught by.

    licence  as the source states it; empty: not stated
    origin   who made it, or what collection it belongs to
    """

    name: str
    photographs: int = 0  # 0: a model
    licence: str = ""
    origin: str = ""


def merge_sources(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return sources with each name, licence and origin once, with the largest count.

    A model that is trained further on the same photographs has learnt from no others.
    """
    merged: dict[tuple[str, str, str], Source] = {}
    for source in sources:
        key = source.name, source.licence, source.origin
        if key not in merged or merged[key].photographs < source.photographs:
            merged[key] = source
    return tuple(merged.values())


def read_sources(values: Iterable[Mapping[str, Any]] | None) -> tuple[Source, ...]:
    """Return the sources in metadata of a model file."""
    return tuple(Source(**value) for value in values or ())
